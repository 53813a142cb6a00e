"""A selector that tells what the kernel says: end and error of a socket apart from data and room.

Laws: level-triggered; what is not of interest is not reported, but for HUP and ERROR, which epoll cannot mask: who has
seen one of them and has no interest left must unregister, or it is told again without end. ``selectors.EpollSelector``
folds both into READ and WRITE, and takes no empty interest; a relay needs to tell them apart (epoll(7), EPOLLHUP).

It is a selector like those of the standard library. The loop of a worker, where each microsecond is one of every
event, uses the plain half of it: descriptors instead of objects, and no keys (``watch``, ``change``, ``forget``,
``happened``).
"""

from __future__ import annotations

import select
import selectors
from collections.abc import Mapping
from typing import Any

NOTHING = 0
READ = select.EPOLLIN
WRITE = select.EPOLLOUT
PEER_CLOSED = select.EPOLLRDHUP
"""The other side has sent its FIN, whatever data may stand before it."""
HUP = select.EPOLLHUP
ERROR = select.EPOLLERR
EDGE = select.EPOLLET
"""Tell only of what is new: whoever leaves data where it is would be told of it again without end."""
EXCLUSIVE = select.EPOLLEXCLUSIVE
"""Wake one of the processes that wait for this socket, not all; only when registering."""

MAX_EVENTS = 256
"""Events taken per wake-up, so that deadlines are not held up by a crowd."""


class Poller(selectors.BaseSelector):
    """epoll with its own words; ``data`` is whatever the caller registered."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._data: dict[int, Any] = {}
        self._events: dict[int, int] = {}

    # -- by descriptor, without keys --------------------------------------------------------------------------------

    def watch(self, number: int, events: int, data: Any) -> None:
        """Watch a descriptor that is not watched yet; raises FileExistsError if it is."""
        self._epoll.register(number, events)
        self._data[number] = data
        self._events[number] = events

    def change(self, number: int, events: int) -> None:
        """Change what a descriptor is watched for; raises FileNotFoundError if it is not watched."""
        self._epoll.modify(number, events)
        self._events[number] = events

    def forget(self, number: int) -> None:
        """Forget a descriptor that is closed next, if it was watched: the kernel does its part at the close."""
        if self._data.pop(number, None) is not None:
            del self._events[number]

    def happened(self, timeout: float | None) -> list[tuple[Any, int]]:
        """Wait at most ``timeout`` seconds (None: for ever) and return pairs of data and what happened.

        The data are those of the moment of the return: who is forgotten while the list is gone through, and has got
        another one's descriptor, is not taken for the other one.
        """
        data = self._data
        return [(data[number], mask) for number, mask in self._epoll.poll(timeout, MAX_EVENTS) if number in data]

    # -- as every selector ------------------------------------------------------------------------------------------

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """Watch a descriptor or an object that has one; raises KeyError if it is watched already."""
        number = _number(fileobj)
        if number in self._data:
            raise KeyError(f"{fileobj!r} is already registered")
        self.watch(number, events, data)
        return self._key(number)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        """Watch no longer; raises KeyError if it was not watched."""
        key = self._key(_number(fileobj))
        self._epoll.unregister(key.fd)
        del self._data[key.fd], self._events[key.fd]
        return key

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """Change what a watched descriptor is watched for; raises KeyError if it was not watched."""
        number = self._key(_number(fileobj)).fd
        self.change(number, events)
        self._data[number] = data
        return self._key(number)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait at most ``timeout`` seconds (None: for ever) and return pairs of key and what happened."""
        happened = self._epoll.poll(timeout, MAX_EVENTS)
        return [(self._key(number), mask) for number, mask in happened if number in self._data]

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        """Return the keys by descriptor."""
        return {number: self._key(number) for number in self._data}

    def close(self) -> None:
        """Give the epoll descriptor back."""
        self._epoll.close()
        self._data.clear()
        self._events.clear()

    def _key(self, number: int) -> selectors.SelectorKey:
        return selectors.SelectorKey(number, number, self._events[number], self._data[number])


def _number(fileobj: Any) -> int:
    return fileobj if isinstance(fileobj, int) else int(fileobj.fileno())
