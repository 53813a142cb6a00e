"""The selector of a worker: epoll, with end and error of a socket told apart from data and room.

Laws: level-triggered; what is not of interest is not reported, but for HUP and ERROR, which epoll cannot mask: who has
seen one of them and has no interest left must unwatch, or it is told again without end. ``selectors.EpollSelector``
folds both into READ and WRITE, and takes no empty interest; a relay needs to tell them apart (epoll(7), EPOLLHUP).

It is a selector like those of the standard library, for whatever stays. Connections come and go, and each microsecond
here is one of every event: they are watched by descriptor, without a key (``watch``, ``change``, ``forget``).

To fall asleep and be woken takes longer than many a server needs for its answer. So while sockets speak one at a time,
as the two of a lone connection do that asks and is answered, it looks again for a moment before it sleeps. A crowd is
not looked out for: it is there already. Nor is a stream that comes from one side: it fills its buffers meanwhile.
"""

from __future__ import annotations

import select
import selectors
from collections.abc import Mapping
from time import monotonic
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

DIALOGUE = 16
"""Turns of one socket each, never the same twice in a row, after which the next one is looked out for."""
LOOKOUT = 30e-6
"""Seconds for which it is."""
MOST_SKIPS = 64
"""Turns without a lookout, at most, after lookouts in vain."""


class Poller(selectors.BaseSelector):
    """epoll with its own words; ``data`` is whatever the caller wants to have back."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._data: dict[int, Any] = {}
        self._keys: dict[int, selectors.SelectorKey] = {}  # of those that were registered as with every selector
        self._latest = -1  # who spoke alone in the last turn
        self._turns = 0  # of a dialogue
        self._skips = 0  # turns that a dialogue has to last longer since a lookout was in vain

    # -- by descriptor ----------------------------------------------------------------------------------------------

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
        if self._turns >= DIALOGUE and timeout != 0:
            events = self._look_out() or self._epoll.poll(timeout, MAX_EVENTS)
        else:
            events = self._epoll.poll(timeout, MAX_EVENTS)
        if len(events) == 1 and events[0][0] != self._latest:
            self._turns += 1
            self._latest = events[0][0]
        else:
            self._turns = 0
        return [(data[number], mask) for number, mask in events if number in data]

    def _look_out(self) -> list[tuple[int, int]]:
        """Return what comes within ``LOOKOUT``; what comes later is expected less and less often."""
        until = monotonic() + LOOKOUT
        while monotonic() < until:
            if events := self._epoll.poll(0, MAX_EVENTS):
                self._skips = 0
                return events
        self._skips = min(2 * self._skips + 1, MOST_SKIPS)
        self._turns = DIALOGUE - self._skips
        return []

    def __contains__(self, number: int) -> bool:
        """Return whether a descriptor is watched."""
        return number in self._data

    # -- as with every selector -------------------------------------------------------------------------------------

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """Watch an object that has a descriptor; raises KeyError if it is watched already."""
        number = fileobj if isinstance(fileobj, int) else int(fileobj.fileno())
        if number in self._data:
            raise KeyError(f"{fileobj!r} is already registered")
        self.watch(number, events, data)
        key = self._keys[number] = selectors.SelectorKey(fileobj, number, events, data)
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        """Watch it no longer; raises KeyError if it was not registered."""
        key = self._keys.pop(fileobj if isinstance(fileobj, int) else fileobj.fileno())
        self.unwatch(key.fd)
        return key

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait at most ``timeout`` seconds (None: for ever); returns pairs of key and what happened."""
        keys, happened = self._keys, self._epoll.poll(timeout, MAX_EVENTS)
        return [(keys[number], mask) for number, mask in happened if number in keys]

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        """Return the keys by descriptor."""
        return self._keys

    def close(self) -> None:
        """Give the epoll descriptor back."""
        self._epoll.close()
        self._data.clear()
        self._keys.clear()
