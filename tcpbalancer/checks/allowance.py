"""The time that one check may take, which a probe tells how far it has come.

Laws: the limits are HAProxy's (``tcpcheck.c``): with ``timeout check``, first min(inter, timeout connect) for the
connection, then ``timeout check`` for the answer; without it, ``inter`` for the whole check.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from tcpbalancer.model import Check, Timeouts


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds. ``response`` None: what is left of ``connect``, which is then the limit of the whole check."""

    connect: float
    response: float | None

    @classmethod
    def of(cls, check: Check, timeouts: Timeouts) -> Limits:
        """Return the limits of a server's check."""
        inter = check.intervals.inter
        if timeouts.check is None:
            return cls(inter, None)
        return cls(inter if timeouts.connect is None else min(inter, timeouts.connect), timeouts.check)


class Allowance:
    """Given to a probe; the running limit hangs on it."""

    def __init__(self, limits: Limits, running: asyncio.Timeout) -> None:
        self._limits = limits
        self._running = running
        self.is_connected = False

    def connected(self) -> None:
        """Say that the connection stands: the answer has its own time, if there is one for it."""
        self.is_connected = True
        if self._limits.response is not None:
            self._running.reschedule(asyncio.get_running_loop().time() + self._limits.response)

    def answered(self) -> None:
        """Say that the result is known: no limit can change it any more."""
        self._running.reschedule(None)
