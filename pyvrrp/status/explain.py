"""Why an instance is in the state in which it is, and what would change that: the document of ``pyvrrp ctl why``.

Laws: pure. It decides nothing: the priority and the faults are computed by the same functions that the daemon uses,
once with what the trackers say and once with what they would say, and the difference is the explanation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from hakit.transcript import Value
from pyvrrp.model import Instance, SyncGroup, Tracked
from pyvrrp.protocol import tracking
from pyvrrp.protocol.tracking import Readings
from pyvrrp.status.health import rivals


def explain(
    told: Mapping[str, Value], instance: Instance, readings: Readings, group: SyncGroup | None = None
) -> dict[str, Value]:
    """Return the explanation of one instance; ``told`` is its part of the ``status`` document."""
    tracked = (*instance.tracked, *(group.tracked if group is not None else ()))
    return {
        "instance": instance.name,
        "state": told["state"],
        "age": told["age"],
        "because": told["why"],
        "rule": told.get("rule", ""),
        "held_by_operator": told.get("held", False),
        "base_priority": instance.priority,
        "effective_priority": told["effective_priority"],
        "trackers": [_tracker(one, instance, readings, group) for one in tracked],
        "faults": told["faults"],
        "master": told["master"],
        "master_priority": told.get("master_priority"),
        "other_masters": rivals(told),
        "would_change": [
            *_by_state(told, instance, readings, group),
            *(sentence for one in tracked if (sentence := _by_tracker(one, instance, readings, group))),
        ],
    }


def _tracker(one: Tracked, instance: Instance, readings: Readings, group: SyncGroup | None) -> Value:
    without = replace(group, tracked=()) if group is not None else None
    alone = tracking.effective_priority(replace(instance, tracked=(one,)), readings, without)
    return {
        "name": one.name,
        "kind": one.kind.value,
        "weight": one.weight,
        "reverse": one.reverse,
        "reading": readings.get(one.key),
        "adds": alone - instance.priority,
    }


def _by_state(
    told: Mapping[str, Value], instance: Instance, readings: Readings, group: SyncGroup | None
) -> list[Value]:
    match told["state"]:
        case "FAULT":
            causes = told["faults"]
            assert isinstance(causes, list)
            return [f"without the fault '{cause}' and any other it would be BACKUP" for cause in causes]
        case "MASTER":
            return _from_master(told, instance)
        case "BACKUP":
            return _from_backup(told, instance)
        case _:
            waiting = sorted(tracking.undecided(instance, readings, group))
            return [f"it begins when '{name}' has its first result" for name in waiting]


def _from_master(told: Mapping[str, Value], instance: Instance) -> list[Value]:
    if instance.is_owner and instance.owner_ignores_adverts:
        return ["nobody takes its place while it runs: it owns the addresses"]
    ours = told["effective_priority"]
    return [f"a router with a priority above {ours}, or with {ours} and an address above {told['source']}, takes over"]


def _from_backup(told: Mapping[str, Value], instance: Instance) -> list[Value]:
    ours, theirs, master, left = (
        told["effective_priority"],
        told.get("master_priority"),
        told["master"],
        told["deadline_in"],
    )
    if master is None:
        return [f"nobody is heard: it becomes MASTER in {left} s"] if left is not None else []
    found: list[Value] = []
    if isinstance(left, float):
        found.append(f"it becomes MASTER if {master} is silent for {left:.1f} s more, or at once if that one resigns")
    if told.get("held"):
        found.append(f"held by an operator: no priority makes it take the place of {master} while that one is heard")
    elif not instance.preempt:
        found.append(f"nopreempt: no priority makes it take the place of {master} while that one is heard")
    elif isinstance(theirs, int) and isinstance(ours, int) and theirs >= ours:
        found.append(f"an effective priority above {theirs} (it is {ours}) would take the place of {master}")
    elif isinstance(theirs, int):
        found.append(f"its priority {ours} is above the master's {theirs}: it takes over when its timer runs out")
    return found


def _by_tracker(one: Tracked, instance: Instance, readings: Readings, group: SyncGroup | None) -> str | None:
    """Return what would follow if this tracker said the opposite; None if nothing would, or nothing can be said."""
    reading = readings.get(one.key)
    if not isinstance(reading, bool):
        return None
    changed = {**readings, one.key: not reading}
    verb = "failed" if reading else "worked"
    gone = tracking.faults(instance, readings, group) - tracking.faults(instance, changed, group)
    come = tracking.faults(instance, changed, group) - tracking.faults(instance, readings, group)
    before = tracking.effective_priority(instance, readings, group)
    after = tracking.effective_priority(instance, changed, group)
    if come:
        return f"if {one.name} {verb}, it would be in FAULT"
    if gone:
        return f"if {one.name} {verb}, its fault would be gone"
    return f"if {one.name} {verb}, its priority would be {after} instead of {before}" if before != after else None
