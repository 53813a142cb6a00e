"""When a check is due next.

Laws: pure. Time comes in, time goes out; nothing here waits. The rules are HAProxy's (``srv_getinter`` and the start
of checks in check.c): one interval after the *end* of the last check, first checks spread over the smallest interval
so that servers are not asked in step.
"""

from __future__ import annotations

from dataclasses import dataclass

from hakit.health import RiseFall


@dataclass(frozen=True, slots=True)
class Intervals:
    """How often to check, in seconds: ``inter`` when all is well, the others where given."""

    inter: float = 2.0
    fastinter: float | None = None
    downinter: float | None = None

    def pick(self, health: RiseFall) -> float:
        """Return the seconds until the next check: downinter when fully down, fastinter on the way, else inter."""
        if health.health == 0:
            return self.inter if self.downinter is None else self.downinter
        if health.is_settled:
            return self.inter
        return self.inter if self.fastinter is None else self.fastinter


def strewn(interval: float, percent: int, draw: float) -> float:
    """Return an interval moved by up to ``percent`` to either side; ``draw``, from 0 to 1, says how far."""
    return interval * (1 + (1 - 2 * draw) * percent / 100)


def first_check_delay(
    position: int, total: int, own_inter: float, all_inters: tuple[float, ...], longest: float | None = None
) -> float:
    """Return the seconds from start to the first check of server ``position`` of ``total``.

    max(smallest inter that is at least a second, own inter), but ``longest`` at most, x position / total: server 0 is
    checked at once.
    """
    slow = [inter for inter in all_inters if inter >= 1.0]
    span = max(min(slow, default=0.0), own_inter)
    return (span if longest is None else min(span, longest)) * position / total
