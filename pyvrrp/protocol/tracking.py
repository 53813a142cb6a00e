"""What tracked scripts and links mean for an instance: its effective priority, and the faults it has.

Laws: pure. Everything is computed from the configuration and the results known, from scratch, every time: there is
nothing incremental that could drift. A script without a result yet changes nothing; one without a weight keeps its
instance from starting until the first result (keepalived.conf(5), vrrp_script and track_script).
"""

from __future__ import annotations

from collections.abc import Mapping

from pyvrrp.model import Instance, Tracked

LOWEST, HIGHEST = 1, 254
"""The bounds of an effective priority; 255 is the owner's alone and never changes."""

Results = Mapping[str, bool | None]
"""By name of script: works (True), has failed (False), has not been run yet (None or absent)."""


def effective_priority(instance: Instance, results: Results) -> int:
    """Return base priority plus the weights that apply, kept within 1 .. 254; an owner's is 255 whatever happens.

    A positive weight is added while the script works, a negative one while it has failed; ``reverse`` swaps the two.
    """
    if instance.is_owner:
        return instance.priority
    change = sum(_contribution(tracked, results.get(tracked.name)) for tracked in instance.track_scripts)
    return max(LOWEST, min(HIGHEST, instance.priority + change))


def _contribution(tracked: Tracked, works: bool | None) -> int:  # noqa: FBT001 - the third value, unknown, is the point
    if works is None:
        return 0
    sign = -1 if tracked.reverse else 1
    if tracked.weight > 0:
        return sign * tracked.weight if works else 0
    return 0 if works else sign * tracked.weight


def script_faults(instance: Instance, results: Results) -> frozenset[str]:
    """Return the names of the scripts of weight 0 that have failed (or, reversed, that work): each is a fault."""
    return frozenset(
        tracked.name
        for tracked in instance.track_scripts
        if not tracked.weight and results.get(tracked.name) is tracked.reverse
    )


def undecided(instance: Instance, results: Results) -> frozenset[str]:
    """Return the scripts of weight 0 that have no result yet: until then the instance does not start."""
    return frozenset(
        tracked.name for tracked in instance.track_scripts if not tracked.weight and results.get(tracked.name) is None
    )


def why_checks_cannot_move_it(instance: Instance, master_priority: int) -> str | None:
    """Return why the addresses would stay on a master of ``master_priority`` though its checks fail, or None.

    Assumes that the master tracks what this instance tracks. The trap: a weight smaller than the distance of the
    priorities (weight -2 between 100 and 90 leaves 98 > 90).
    """
    weights = [tracked.weight for tracked in instance.track_scripts]
    if not weights or not all(weights) or not instance.preempt:  # a script of weight 0 means FAULT: that moves them
        return None
    left = max(LOWEST, master_priority - sum(abs(weight) for weight in weights))
    if master_priority <= instance.priority or left < instance.priority:
        return None
    return (
        f"a master of priority {master_priority} whose checks all fail still has {left}, "
        f"not below our {instance.priority}: the addresses would stay there"
    )
