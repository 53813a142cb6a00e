"""How a server is treated: what it counts as before its first check, and what follows from errors in traffic.

Laws: see ``tcpbalancer.model``.
"""

from __future__ import annotations

from enum import Enum

from hakit.health import RiseFall


class InitState(Enum):
    """The keyword ``init-state``: what a checked server counts as before its first check, and after maintenance."""

    NONE = "none"
    FULLY_UP = "fully-up"
    UP = "up"
    DOWN = "down"
    FULLY_DOWN = "fully-down"

    def start(self, rise: int, fall: int) -> RiseFall:
        """Return the counter with which it begins."""
        if self is InitState.FULLY_UP:
            return RiseFall(rise, fall, rise + fall - 1)
        if self is InitState.DOWN:
            return RiseFall.nearly_up(rise, fall)
        if self is InitState.FULLY_DOWN:
            return RiseFall.fully_down(rise, fall)
        return RiseFall.barely_up(rise, fall)


class OnError(Enum):
    """The keyword ``on-error``: what ``error-limit`` errors in a row under ``observe`` lead to."""

    FASTINTER = "fastinter"  # the next check comes sooner, as with all of them
    FAIL_CHECK = "fail-check"  # as a failed check
    SUDDEN_DEATH = "sudden-death"  # as a failed check, and the next one is the last
    MARK_DOWN = "mark-down"  # down at once
