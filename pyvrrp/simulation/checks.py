"""What a simulated node tracks: scripts and URLs that are run, files and processes that are looked at.

Laws: pure. A check is counted by the production counter (``RiseFall``), from the start that keepalived gives it; only a
run that succeeds is a success: what times out, dies or cannot be started has failed.
"""

from __future__ import annotations

from enum import Enum

from hakit.health import RiseFall
from pyvrrp.model import Configuration, TrackerKind, TrackHttp, TrackScript

Key = tuple[TrackerKind, str]
Checked = TrackScript | TrackHttp


class Outcome(Enum):
    """How the runs of a script or a URL's requests end, until something else is said."""

    SUCCEEDS = "succeeds"
    FAILS = "fails"
    TIMES_OUT = "times out"
    CANNOT_START = "cannot start"
    DIES = "dies by a signal"


RUN_TIME = 0.02
"""Seconds that a run takes unless it times out."""


class Check:
    """A script or a URL that is run every interval. ``works`` None: no run has ended yet."""

    def __init__(self, definition: Checked) -> None:
        self.definition = definition
        self.kind = TrackerKind.SCRIPT if isinstance(definition, TrackScript) else TrackerKind.HTTP
        begin = RiseFall.fully_down if definition.init_fail else RiseFall.nearly_up
        self.health = begin(definition.rise, definition.fall)
        self.works: bool | None = None

    @property
    def key(self) -> Key:
        """By which instances refer to it."""
        return self.kind, self.definition.name

    def duration(self, outcome: Outcome) -> float:
        """Return how long a run with this outcome takes, in seconds."""
        if outcome is Outcome.TIMES_OUT:
            return self.definition.timeout or self.definition.interval
        return min(RUN_TIME, self.definition.interval / 2)

    def ended(self, outcome: Outcome) -> bool:
        """Take in how a run ended; returns whether the reading has become another one."""
        self.health = self.health.passed() if outcome is Outcome.SUCCEEDS else self.health.failed()
        before, self.works = self.works, self.health.is_up
        return self.works is not before


def checks_of(configuration: Configuration) -> dict[Key, Check]:
    """Return the checks that a daemon with this configuration runs."""
    definitions: tuple[Checked, ...] = (*configuration.scripts, *configuration.urls)
    found = [Check(definition) for definition in definitions]
    return {check.key: check for check in found}


def looked_at(configuration: Configuration) -> dict[Key, bool | int | None]:
    """Return the first readings of what needs no run: files have their initial numbers, processes are there."""
    readings: dict[Key, bool | int | None] = {}
    readings.update({(TrackerKind.FILE, file.name): file.initial or 0 for file in configuration.files})
    readings.update({(TrackerKind.PROCESS, process.name): True for process in configuration.processes})
    return readings
