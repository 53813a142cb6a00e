"""What is tracked means for an instance: its effective priority, and the faults it has.

Laws: pure. Everything is computed from the configuration and the readings, from scratch, every time: there is nothing
incremental that could drift. What has no reading yet changes nothing; without a weight, it keeps its instance from
starting until the first one (keepalived.conf(5), vrrp_script and track_*).

A sync group's trackers hold for each of its members. Members must not drift apart, so weights are ignored in a group
that does not say ``sync_group_tracking_weight``. There keepalived ignores a weighted script (and ours a URL), but lets
a link or a file of weight 1 (the default) count as one without a weight. A process keeps its weight in keepalived, and
so it does here: with another priority than its peer's, a pair would have another master.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import assert_never

from pyvrrp.model import MAX_WEIGHT, Instance, SyncGroup, Tracked, TrackerKind

LOWEST, HIGHEST = 1, 254
"""The bounds of an effective priority; 255 is the owner's alone and never changes."""

Readings = Mapping[tuple[TrackerKind, str], bool | int | None]
"""By kind and name: works or is up (True), has failed (False), a file's number, or not known yet (None, absent)."""


def effective_priority(instance: Instance, readings: Readings, group: SyncGroup | None = None) -> int:
    """Return base priority plus the weights that apply, kept within 1 .. 254; an owner's is 255 whatever happens.

    A positive weight is added while the thing works, a negative one while it has failed; ``reverse`` swaps the two.
    A file adds its number times the weight, 253 at most.
    """
    if instance.is_owner:
        return instance.priority
    change = sum(_contribution(tracked, readings.get(tracked.key)) for tracked in _all(instance, group))
    return max(LOWEST, min(HIGHEST, instance.priority + change))


def faults(instance: Instance, readings: Readings, group: SyncGroup | None = None) -> frozenset[str]:
    """Return the causes of FAULT: things without a weight that have failed (or, reversed, that work).

    A file without a weight is a fault while its number is not 0, one with a weight when the product is -254 or less.
    """
    return frozenset(
        _cause(tracked) for tracked in _all(instance, group) if _is_fault(tracked, readings.get(tracked.key))
    )


def undecided(instance: Instance, readings: Readings, group: SyncGroup | None = None) -> frozenset[str]:
    """Return the names of things without a weight that have no reading yet: until then the instance does not start."""
    return frozenset(
        tracked.name for tracked in _all(instance, group) if not tracked.weight and readings.get(tracked.key) is None
    )


def _all(instance: Instance, group: SyncGroup | None) -> Iterator[Tracked]:
    """Yield what counts for this instance: its own lines and its group's, those of the group once only."""
    lines = dict.fromkeys((*instance.tracked, *(group.tracked if group else ())))
    if not instance.is_owner and (group is None or group.uses_weights):
        yield from lines
        return
    for tracked in lines:
        if not tracked.weight or tracked.kind is TrackerKind.PROCESS:
            yield tracked
        elif _loses_only_its_weight(tracked, instance):
            yield replace(tracked, weight=0)


def _loses_only_its_weight(tracked: Tracked, instance: Instance) -> bool:
    if tracked.kind is TrackerKind.FILE:
        return tracked.weight == 1
    return tracked.kind is TrackerKind.INTERFACE and not instance.is_owner


def _contribution(tracked: Tracked, reading: bool | int | None) -> int:  # noqa: FBT001 - the third value, unknown, is the point
    if reading is None:
        return 0
    sign = -1 if tracked.reverse else 1
    if tracked.kind is TrackerKind.FILE:
        return max(-MAX_WEIGHT, min(MAX_WEIGHT, sign * tracked.weight * reading))
    if tracked.weight > 0:
        return sign * tracked.weight if reading else 0
    return 0 if reading else sign * tracked.weight


def _is_fault(tracked: Tracked, reading: bool | int | None) -> bool:  # noqa: FBT001 - as above
    if reading is None:
        return False
    if tracked.kind is not TrackerKind.FILE:
        return not tracked.weight and bool(reading) is tracked.reverse
    if not tracked.weight:
        return (reading == 0) is tracked.reverse
    sign = -1 if tracked.reverse else 1
    return sign * tracked.weight * reading < -MAX_WEIGHT


def _cause(tracked: Tracked) -> str:
    match tracked.kind:
        case TrackerKind.INTERFACE:
            # The same words as for the interface of the instance itself: one cause, though it is tracked twice.
            return f"interface {tracked.name} {'up' if tracked.reverse else 'down'}"
        case TrackerKind.SCRIPT:
            return f"script {tracked.name}"
        case TrackerKind.FILE:
            return f"file {tracked.name}"
        case TrackerKind.PROCESS:
            return f"process {tracked.name}"
        case TrackerKind.HTTP:
            return f"http {tracked.name}"
        case _:
            assert_never(tracked.kind)


def why_checks_cannot_move_it(instance: Instance, master_priority: int) -> str | None:
    """Return why the addresses would stay on a master of ``master_priority`` though its checks fail, or None.

    Assumes that the master tracks what this instance tracks. The trap: a weight smaller than the distance of the
    priorities (weight -2 between 100 and 90 leaves 98 > 90). A file can subtract anything, so it is no trap.
    """
    weights = [0 if tracked.kind is TrackerKind.FILE else tracked.weight for tracked in instance.tracked]
    if not weights or not all(weights) or not instance.preempt:  # without a weight it is FAULT: that moves them
        return None
    left = max(LOWEST, master_priority - sum(abs(weight) for weight in weights))
    if master_priority <= instance.priority or left < instance.priority:
        return None
    return (
        f"a master of priority {master_priority} whose checks all fail still has {left}, "
        f"not below our {instance.priority}: the addresses would stay there"
    )
