"""What a worker has to tell its supervisor, until it is told.

Laws: nothing waits for the supervisor: a report that finds too many before it is dropped, and whoever sends it counts
that. Records come in crowds, so they are sent together: a little later, or as soon as a datagram is full. An answer is
never dropped: there are no more of them than the supervisor has asked for.
"""

from __future__ import annotations

import itertools
import socket
import sys
from collections import deque
from collections.abc import Iterable

from tcpbalancer.poller import READ, WRITE, Poller

MAX_PENDING = 4096
"""Reports that may wait for the supervisor."""
PER_DATAGRAM = 64
"""Reports sent at once, but for those that are longer together than ``LARGEST``."""
LARGEST = 65536
"""Bytes of a datagram."""
DELAY = 0.02
"""Seconds for which a report may wait for others: one call then tells of all of them."""


class Outbox:
    """The reports that wait, as they will be on the wire. ``due``: when they are to be sent; None: not known yet."""

    def __init__(self, channel: socket.socket, poller: Poller) -> None:
        """``channel`` is watched by ``poller`` as soon as anything is sent."""
        self.waiting: deque[bytes] = deque()
        self.due: float | None = None
        self._channel = channel
        self._poller = poller
        self._is_full = False

    def put(self, report: bytes) -> bool:
        """Take a report; returns False, and drops it, if too many wait already."""
        if len(self.waiting) >= MAX_PENDING:
            return False
        self.waiting.append(report)
        return True

    def answer(self, parts: Iterable[bytes], now: float) -> None:
        """Take an answer, which is sent at once."""
        self.waiting.extend(parts)
        self.due = now

    @property
    def wants_attention(self) -> bool:
        """Whether a report has come that changes when to send."""
        return self.due is None or len(self.waiting) >= PER_DATAGRAM

    def send_in_time(self, now: float, *, is_last: bool) -> None:
        """Send what waits if it is much, has waited for long enough or was refused, or if nothing else will come."""
        if self.due is None:
            self.due = now + DELAY
        if now >= self.due or len(self.waiting) >= PER_DATAGRAM or is_last or self._is_full:
            self.send()

    def send(self) -> None:
        """Hand reports to the supervisor as far as it takes them; ends this process if it has gone."""
        self.due = None
        while self.waiting:
            batch = self._next()
            try:
                self._channel.send(b"\n".join(batch))
            except BlockingIOError:
                self._poller.change(self._channel.fileno(), READ | WRITE)
                self._is_full = True
                return
            except OSError:
                sys.exit(0)
            for _ in batch:
                self.waiting.popleft()
        if self._is_full:
            self._poller.change(self._channel.fileno(), READ)
            self._is_full = False

    def _next(self) -> list[bytes]:
        """Return the first reports that wait, as many as fit a datagram; at least one."""
        lengths = itertools.accumulate(len(report) + 1 for report in self.waiting)
        fitting = sum(1 for length in itertools.islice(lengths, PER_DATAGRAM) if length <= LARGEST)
        return list(itertools.islice(self.waiting, max(fitting, 1)))
