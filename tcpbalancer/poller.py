"""epoll as a worker uses it: end and error of a socket are told apart from data and room.

Laws: level-triggered; what is not of interest is not reported, but for HUP and ERROR, which epoll cannot mask: who has
seen one of them and has no interest left must unwatch, or it is told again without end. ``selectors.EpollSelector``
folds both into READ and WRITE, and takes no empty interest; a relay needs to tell them apart (epoll(7), EPOLLHUP).

A worker's loop goes through here for every event, so these are plain lines: descriptors instead of objects, no keys.
"""

from __future__ import annotations

import select
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


class Poller:
    """epoll with its own words; ``data`` is whatever the caller wants to have back."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._data: dict[int, Any] = {}

    def watch(self, number: int, events: int, data: Any) -> None:
        """Watch a descriptor that is not watched yet; raises FileExistsError if it is."""
        self._epoll.register(number, events)
        self._data[number] = data

    def change(self, number: int, events: int) -> None:
        """Change what a descriptor is watched for; raises FileNotFoundError if it is not watched."""
        self._epoll.modify(number, events)

    def unwatch(self, number: int) -> None:
        """Watch a descriptor no longer that stays open; raises FileNotFoundError if it was not watched."""
        self._epoll.unregister(number)
        del self._data[number]

    def forget(self, number: int) -> None:
        """Forget a descriptor that is closed next, if it was watched: the kernel does its part at the close."""
        self._data.pop(number, None)

    def happened(self, timeout: float | None) -> list[tuple[Any, int]]:
        """Wait at most ``timeout`` seconds (None: for ever) and return pairs of data and what happened.

        The data are those of the moment of the return: who is forgotten while the list is gone through, and has got
        another one's descriptor, is not taken for the other one.
        """
        data = self._data
        return [(data[number], mask) for number, mask in self._epoll.poll(timeout, MAX_EVENTS) if number in data]

    def __contains__(self, number: int) -> bool:
        """Return whether a descriptor is watched."""
        return number in self._data

    def close(self) -> None:
        """Give the epoll descriptor back."""
        self._epoll.close()
        self._data.clear()
