"""The time that one check may take, which a probe tells how far it has come.

Laws: the limits are HAProxy's (``tcpcheck.c``): with ``timeout check``, first min(inter, timeout connect) for a
connection (TLS included), then ``timeout check`` for the answer; without it, ``inter`` for the whole of it. A dialogue
that connects anew gets the time for a connection anew.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import Enum

from tcpbalancer.model import Check, Timeouts


class Stage(Enum):
    """How far a probe has come."""

    CONNECTING = 4
    SECURING = 6
    TALKING = 7


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds. ``response`` None: what is left of ``connect``, which is then the limit of the whole check.

    ``name``: the keyword behind ``connect``.
    """

    connect: float
    response: float | None
    name: str = "inter"

    @classmethod
    def of(cls, check: Check, timeouts: Timeouts) -> Limits:
        """Return the limits of a server's check."""
        return cls.within(check.intervals.inter, timeouts)

    @classmethod
    def within(cls, inter: float, timeouts: Timeouts) -> Limits:
        """Return the limits of checks that are ``inter`` apart."""
        if timeouts.check is None:
            return cls(inter, None)
        if timeouts.connect is None or inter <= timeouts.connect:
            return cls(inter, timeouts.check)
        return cls(timeouts.connect, timeouts.check, "timeout connect")


class Allowance:
    """Given to a probe; the running limit hangs on it."""

    def __init__(self, limits: Limits, running: asyncio.Timeout) -> None:
        self._limits = limits
        self._running = running
        self.stage = Stage.CONNECTING

    def connecting(self) -> None:
        """Say that a connection is being opened."""
        self.stage = Stage.CONNECTING
        self._running.reschedule(asyncio.get_running_loop().time() + self._limits.connect)

    def securing(self) -> None:
        """Say that TLS is being agreed upon: that is part of the connection."""
        self.stage = Stage.SECURING

    def connected(self) -> None:
        """Say that the connection stands: the answer has its own time, if there is one for it."""
        self.stage = Stage.TALKING
        if self._limits.response is not None:
            self._running.reschedule(asyncio.get_running_loop().time() + self._limits.response)

    @property
    def limit(self) -> str:
        """The limit that runs now, as the file has it: ``timeout check 5s``."""
        if self.stage is Stage.TALKING and self._limits.response is not None:
            return f"timeout check {self._limits.response:g}s"
        return f"{self._limits.name} {self._limits.connect:g}s"
