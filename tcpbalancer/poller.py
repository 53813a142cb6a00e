"""A selector that tells what the kernel says: end and error of a socket apart from data and room.

Laws: level-triggered; what is not of interest is not reported, but for HUP and ERROR, which epoll cannot mask: who has
seen one of them and has no interest left must unregister, or it is told again without end. ``selectors.EpollSelector``
folds both into READ and WRITE, and takes no empty interest; a relay needs to tell them apart (epoll(7), EPOLLHUP).
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
    """epoll with its own words; ``data`` of a key is whatever the caller registered."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._keys: dict[int, selectors.SelectorKey] = {}

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """Watch a descriptor or an object that has one; raises KeyError if it is watched already."""
        number = fileobj if isinstance(fileobj, int) else fileobj.fileno()
        if number in self._keys:
            raise KeyError(f"{fileobj!r} is already registered")
        self._epoll.register(number, events)
        key = self._keys[number] = selectors.SelectorKey(fileobj, number, events, data)
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        """Watch no longer; raises KeyError if it was not watched."""
        key = self._keys.pop(fileobj if isinstance(fileobj, int) else fileobj.fileno())
        self._epoll.unregister(key.fd)
        return key

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """Change what a watched descriptor is watched for; raises KeyError if it was not watched."""
        number = fileobj if isinstance(fileobj, int) else fileobj.fileno()
        key = self._keys[number]._replace(events=events, data=data)
        self._epoll.modify(number, events)
        self._keys[number] = key
        return key

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait at most ``timeout`` seconds (None: for ever) and return pairs of key and what happened."""
        keys = self._keys
        happened = self._epoll.poll(timeout, MAX_EVENTS)
        return [(keys[number], mask) for number, mask in happened if number in keys]

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        """Return the keys by descriptor."""
        return self._keys

    def close(self) -> None:
        """Give the epoll descriptor back."""
        self._epoll.close()
        self._keys.clear()
