"""``track_script``, ``track_interface``, ``track_file``, ``track_process``, ``track_http``: lines that name a tracker.

Laws: pure. As in keepalived, what is tracked has to be defined before the block that tracks it, and a line that is not
understood is dropped as a whole, with its message. Instances and groups have the same lines.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from hakit.diagnostics import Location
from pyvrrp.config.keywords import Notes
from pyvrrp.config.tree import Statement
from pyvrrp.config.values import interface_name, whole
from pyvrrp.model import (
    MAX_WEIGHT,
    OWNER_PRIORITY,
    Tracked,
    Tracker,
    TrackerKind,
    TrackFile,
    TrackHttp,
    TrackProcess,
    TrackScript,
)

_KINDS: dict[type, TrackerKind] = {
    TrackScript: TrackerKind.SCRIPT,
    TrackFile: TrackerKind.FILE,
    TrackProcess: TrackerKind.PROCESS,
    TrackHttp: TrackerKind.HTTP,
}
WIDE = frozenset({TrackerKind.FILE, TrackerKind.PROCESS})
"""Kinds whose weights may be +/-254, which a value of -1 turns into a FAULT."""


@dataclass(slots=True)
class Trackers:
    """What has been defined so far and may be tracked, by kind and name."""

    found: dict[tuple[TrackerKind, str], Tracker] = field(default_factory=dict)

    def define(self, tracker: Tracker) -> None:
        """Let the lines that follow track ``tracker``."""
        self.found[_KINDS[type(tracker)], tracker.name] = tracker


@dataclass(slots=True)
class TrackedLines:
    """The ``track_*`` blocks of one instance or group, ``name``, while they are read."""

    name: str
    trackers: Trackers
    notes: Notes
    found: dict[tuple[TrackerKind, str], Tracked] = field(default_factory=dict)

    def read(self, statement: Statement) -> None:
        """``track_* { ... }``."""
        kind = TrackerKind(statement.name)
        for line in statement.block or ():
            self._line(kind, line)

    def _line(self, kind: TrackerKind, line: Statement) -> None:
        default = self._default(kind, line)
        if default is None:
            return
        if default.key in self.found:
            self.notes.warn(line, f"({self.name}) duplicate {kind.value} {line.name} - ignoring")
            return
        found = self._options(default, line)
        if found is not None:
            self.found[found.key] = found

    def _default(self, kind: TrackerKind, line: Statement) -> Tracked | None:
        if kind is TrackerKind.INTERFACE:
            try:
                return Tracked(interface_name(line.name), kind=kind)
            except ValueError as wrong:
                self.notes.error(line, str(wrong))
                return None
        tracker = self.trackers.found.get((kind, line.name))
        if tracker is None:
            what = kind.value.replace("_", " ")
            self.notes.warn(line, f"({self.name}) {what} {line.name} not found, ignoring...")
            return None
        return Tracked(tracker.name, max(-254, min(254, tracker.weight)), tracker.reverse, kind)

    def _options(self, default: Tracked, line: Statement) -> Tracked | None:
        words = [word.text for word in line.parameters]
        if not words:
            return default
        kind, name = default.kind, default.name
        what = kind.value.replace("_", " ")
        interface = kind is TrackerKind.INTERFACE
        if words[0] in {"reverse", "noreverse"} and len(words) == 1:
            return Tracked(name, default.weight, words[0] == "reverse", kind)
        if words[0] != "weight":
            about = f"{kind.value} {name}" if interface else what
            self.notes.warn(line, f"({self.name}) unknown {about} option {words[0]} - ignoring")
            return None
        if len(words) == 1:
            about = kind.value if interface else what
            self.notes.warn(line, f"({self.name}) weight without value specified for {about} {name} - ignoring")
            return None
        weight = self._weight(default, words[1], line)
        return Tracked(name, weight, self._direction(default, words[2:], line), kind)

    def _weight(self, default: Tracked, text: str, line: Statement) -> int:
        name, kind = default.name, default.kind
        try:
            weight = whole(text, -MAX_WEIGHT - 1, MAX_WEIGHT + 1)
        except ValueError as wrong:
            self.notes.warn(line, str(wrong))
            if kind is TrackerKind.INTERFACE:
                about = f"weight {text} for {name} must be between [-253..253] inclusive. Ignoring..."
            elif kind in WIDE:
                about = (
                    f"weight for {kind.value.replace('_', ' ')} {name} must be in [-254..254] inclusive. Ignoring..."
                )
            else:
                what = kind.value.replace("_", " ")
                about = f"{what} {name}: weight must be between [-253..253] inclusive, ignoring..."
            self.notes.warn(line, f"({self.name}) {about}")
            return default.weight  # as 2.2.7's own dump shows: the entry stays, with the tracker's weight
        if abs(weight) > MAX_WEIGHT and kind not in WIDE:
            weight = MAX_WEIGHT if weight > 0 else -MAX_WEIGHT
            self.notes.warn(line, f"({self.name}) weight for {name} cannot be +/-254. Setting to +/-253")
        return weight

    def _direction(self, default: Tracked, words: Sequence[str], line: Statement) -> bool:
        if not words:
            return default.reverse
        if words[0] not in {"reverse", "noreverse", "no_reverse"}:
            about = f"{default.kind.value} {default.name} weight option {words[0]}"
            self.notes.warn(line, f"({self.name}) unknown {about} - ignoring")
            return default.reverse
        return words[0] == "reverse"


def in_order(tracked: Iterable[Tracked]) -> tuple[Tracked, ...]:
    """Return what is tracked kind by kind, in the order of TrackerKind: wherever the blocks stand, the model is one."""
    kinds = list(TrackerKind)
    return tuple(sorted(tracked, key=lambda one: kinds.index(one.kind)))


def without_weights(
    tracked: Sequence[Tracked], name: str, priority: int, place: Statement | Location, notes: Notes
) -> list[Tracked]:
    """Return what may be tracked by an owner of the addresses, or else by a member of a group: nothing with a weight.

    A weighted interface of a member becomes one without weight, and so does a file with the default weight; other lines
    with weights are dropped, each with keepalived's message. Processes keep theirs, as in 2.2.7 and in HEAD: dropped
    here, they would make another master of a pair in which the peer is keepalived.
    """
    owner = priority == OWNER_PRIORITY
    reason = "address_owner" if owner else "SYNC group"
    kept: list[Tracked] = []
    for one in sorted(tracked, key=lambda line: line.kind is not TrackerKind.INTERFACE):
        if not one.weight or one.kind is TrackerKind.PROCESS:
            kept.append(one)
        elif one.kind is TrackerKind.INTERFACE:
            what = "address owner" if owner else "SYNC group"
            weight = "" if owner else "weight "
            notes.warn(place, f"({name}) ignoring {one.name} tracked interface {weight}due to {what}")
            if not owner:
                kept.append(Tracked(one.name, 0, one.reverse, one.kind))
        elif one.kind is TrackerKind.FILE and one.weight == 1:
            notes.warn(
                place, f"({name}) ignoring weight from tracked file {one.name} due to {reason}. specify weight 0"
            )
            kept.append(Tracked(one.name, 0, one.reverse, one.kind))
        elif one.kind in WIDE:
            what = one.kind.value.removeprefix("track_")
            notes.warn(place, f"({name}) ignoring tracked {what} {one.name} with weight {one.weight} due to {reason}")
        else:
            what = one.kind.value.removeprefix("track_")
            notes.warn(place, f"({name}) ignoring tracked {what} {one.name} with weights due to {reason}")
    return list(in_order(kept))
