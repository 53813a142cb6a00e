"""RiseFall: the one counter behind every health check, HAProxy's of servers and keepalived's of scripts.

Laws: pure. One number from 0 to rise + fall - 1; UP if and only if it is at least ``rise``. While UP, ``fall``
failures in a row are needed to go DOWN; while DOWN, ``rise`` successes in a row to come back. Both programs count
this way (HAProxy: ``health`` in check.c; keepalived: the result of a vrrp_script); they differ in where they start.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class RiseFall:
    """The counter. ``rise`` and ``fall`` are at least 1; ``health`` is 0 .. rise + fall - 1."""

    rise: int
    fall: int
    health: int

    def __post_init__(self) -> None:
        assert self.rise >= 1
        assert self.fall >= 1
        assert 0 <= self.health < self.rise + self.fall

    @classmethod
    def barely_up(cls, rise: int, fall: int) -> RiseFall:
        """HAProxy's start: UP, but the first failure takes it DOWN and the first success makes it fully UP."""
        return cls(rise, fall, rise)

    @classmethod
    def nearly_up(cls, rise: int, fall: int) -> RiseFall:
        """keepalived's start: DOWN, but the first success is enough, and a first failure counts in full."""
        return cls(rise, fall, rise - 1)

    @classmethod
    def fully_down(cls, rise: int, fall: int) -> RiseFall:
        """keepalived's ``init_fail``, HAProxy's ``init-state fully-down``: all ``rise`` successes are wanted."""
        return cls(rise, fall, 0)

    @property
    def is_up(self) -> bool:
        """Whether the thing checked counts as working."""
        return self.health >= self.rise

    @property
    def is_settled(self) -> bool:
        """Whether the counter stands at one of its ends, so that no change is on its way."""
        return self.health in {0, self.rise + self.fall - 1}

    def passed(self) -> RiseFall:
        """Return the counter after a success."""
        health = self.health + 1
        return replace(self, health=self.rise + self.fall - 1 if health >= self.rise else health)

    def failed(self) -> RiseFall:
        """Return the counter after a failure."""
        health = self.health - 1
        return replace(self, health=health if health >= self.rise else 0)
