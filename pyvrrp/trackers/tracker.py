"""What every tracker is: something with a name that has a reading, and the numbers that its checks leave behind.

Laws: fail-closed. What cannot be asked, does not answer in time or answers nonsense has failed; only "not asked yet" is
None. A tracker looks and tells; what its reading means for a priority is computed in ``protocol/tracking.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from hakit.transcript import Value
from pyvrrp.model import NOWHERE, Tracker, TrackerKind, TrackFile, TrackHttp, TrackProcess, TrackScript

Key = tuple[TrackerKind, str]
"""Kind and name: what an instance's ``track_*`` line refers to."""
Reading = bool | int | None
"""Works or has failed; a file: its number; None: not known yet."""
Changed = Callable[[Key], None]
"""Told whenever the reading of a tracker has become another one."""


class RunningTracker(Protocol):
    """A tracker at work. ``run`` works until cancelled; ``finish`` waits for what it has started outside."""

    @property
    def name(self) -> str:
        """The name of its block."""

    @property
    def kind(self) -> TrackerKind:
        """Which ``track_*`` block refers to it."""

    @property
    def reading(self) -> Reading:
        """What it says now; None while nothing is known."""

    async def run(self) -> None:
        """Look again and again, until cancelled."""

    async def finish(self) -> None:
        """Wait for processes that are on their way out."""

    def status(self) -> dict[str, Value]:
        """Return what the ``status`` command says of it."""


@dataclass(slots=True)
class Timing:
    """How long the runs of a check took, in seconds, and how they ended."""

    runs: int = 0
    failures: int = 0
    timeouts: int = 0
    last: float | None = None
    longest: float = 0.0
    total: float = 0.0
    ended_at: float | None = None

    def ran(self, seconds: float, now: float, *, passed: bool, timed_out: bool = False) -> None:
        """Count one run that ended ``now`` (monotonic seconds)."""
        self.runs += 1
        self.failures += not passed
        self.timeouts += timed_out
        self.last = seconds
        self.longest = max(self.longest, seconds)
        self.total += seconds
        self.ended_at = now

    def status(self, now: float) -> dict[str, Value]:
        """Return all of it, rounded to microseconds; ``age`` is the seconds since the last run ended."""
        return {
            "runs": self.runs,
            "failures": self.failures,
            "timeouts": self.timeouts,
            "last_duration": None if self.last is None else round(self.last, 6),
            "mean_duration": round(self.total / self.runs, 6) if self.runs else None,
            "max_duration": round(self.longest, 6) if self.runs else None,
            "age": None if self.ended_at is None else round(now - self.ended_at, 3),
        }


def key_of(definition: Tracker) -> Key:
    """Return by which kind and name instances refer to a tracker's block."""
    match definition:
        case TrackScript():
            return TrackerKind.SCRIPT, definition.name
        case TrackFile():
            return TrackerKind.FILE, definition.name
        case TrackProcess():
            return TrackerKind.PROCESS, definition.name
        case TrackHttp():
            return TrackerKind.HTTP, definition.name


def looks_the_same(before: Tracker, after: Tracker) -> bool:
    """Return whether two definitions watch the same thing in the same way, so that a reload keeps the result.

    The weight is no part of it: that is the affair of whoever tracks it. The name is the caller's.
    """
    return _essence(before) == _essence(after)


def _essence(definition: Tracker) -> Tracker:
    bare: Tracker = replace(definition, name="", weight=0, reverse=False, location=NOWHERE)
    if isinstance(bare, TrackScript):
        bare = replace(bare, script=replace(bare.script, location=NOWHERE))
    return bare


def readings(trackers: Mapping[Key, RunningTracker]) -> dict[Key, Reading]:
    """Return what all trackers say now."""
    return {key: tracker.reading for key, tracker in trackers.items()}
