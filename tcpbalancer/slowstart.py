"""How much of its weight a server has: all of it, or for some time after it came up only a growing part.

Laws: pure. Weights are counted in sixteenths, so that even a server of weight 1 can begin gently. A server that starts
with the process starts in full: nobody was turned away before. Source: ``server_recalc_eweight``,
``server_throttle_rate`` and ``server_warmup`` in HAProxy's ``server.c`` and ``server.h``.
"""

from __future__ import annotations

SCALE = 16
"""Parts of a weight (BE_WEIGHT_SCALE); the same number as in ``counters``."""


def share(elapsed: float, slowstart: int) -> int:
    """Return the sixteenths that a server has ``elapsed`` seconds after it came up; ``slowstart`` is whole seconds."""
    seconds = int(elapsed + 0.05)  # whole seconds count; the clock that rings for them may be a little early
    if seconds >= slowstart:
        return SCALE
    return (SCALE * max(seconds, 0) + slowstart) // slowstart


def step(slowstart: int) -> float:
    """Return the seconds from one look to the next: a twentieth of the whole, but at least one."""
    return max(1.0, slowstart / 20)


def shown_weight(effective: int) -> int:
    """Return a weight in sixteenths as it is shown: in full, rounded up."""
    return -(-effective // SCALE)


def throttle(effective: int, weight: int) -> int:
    """Return the percentage that is shown while a server starts; 100 for a weight of 0, which cannot start."""
    return 100 if not weight else (100 * effective + SCALE - 1) // (SCALE * weight)
