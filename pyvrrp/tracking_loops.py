"""The trackers at work: begun for what is tracked, kept over a reload if they look at the same thing, ended otherwise.

Laws: only what an instance or a group tracks is run. A tracker whose definition has changed begins anew; until its
first result the old reading stands in, so that a reload alone moves no address.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import assert_never

from hakit.events import EventHub
from pyvrrp.model import Configuration, Tracker, TrackFile, TrackHttp, TrackProcess, TrackScript
from pyvrrp.trackers import (
    Changed,
    FileTracker,
    HttpTracker,
    Key,
    ProcessTracker,
    ProcessWatch,
    Reading,
    RunningTracker,
    ScriptTracker,
    key_of,
    looks_the_same,
)

Start = Callable[[Coroutine[object, object, None]], asyncio.Future[None]]


def tracked_by(configuration: Configuration) -> dict[Key, Tracker]:
    """Return the definitions of all that is tracked by an instance or a group."""
    blocks: list[Tracker] = [*configuration.scripts, *configuration.files]
    blocks += [*configuration.processes, *configuration.urls]
    known = {key_of(block): block for block in blocks}
    lines = [line for instance in configuration.instances for line in instance.tracked]
    lines += [line for group in configuration.groups for line in group.tracked]
    return {line.key: known[line.key] for line in lines if line.key in known}


class TrackingLoops:
    """The running trackers by kind and name."""

    def __init__(self, hub: EventHub, changed: Changed, start: Start) -> None:
        self.trackers: dict[Key, RunningTracker] = {}
        self._definitions: dict[Key, Tracker] = {}
        self._tasks: dict[Key, asyncio.Future[None]] = {}
        self._watch: asyncio.Future[None] | None = None
        self._looking = ProcessWatch(hub, self.processes)
        self._security = True
        self._hub = hub
        self._changed = changed
        self._start = start

    def apply(self, configuration: Configuration) -> None:
        """Track what ``configuration`` tracks, and nothing else."""
        wanted = tracked_by(configuration)
        security = configuration.settings.script_security
        for key in self.trackers.keys() - wanted.keys():
            self._end(key)
        for key, definition in wanted.items():
            before = self._definitions.get(key)
            same_rules = security is self._security or not isinstance(definition, TrackScript)
            if before is not None and looks_the_same(before, definition) and same_rules:
                self._tell_kept(self.trackers[key])
                continue
            stand_in = self.trackers[key].reading if before is not None else None
            if before is not None:
                self._end(key)
            self._definitions[key] = definition
            self.trackers[key] = self._made(definition, stand_in, security=security)
            self._tasks[key] = self._start(self.trackers[key].run())
        self._security = security
        self._watch_processes()

    def _tell_kept(self, tracker: RunningTracker) -> None:
        if isinstance(tracker, ScriptTracker) and tracker.reading:
            self._hub.publish("notice", f"VRRP_Script({tracker.name}) considered successful on reload")

    def _end(self, key: Key) -> None:
        self._tasks.pop(key).cancel()
        self._start(self.trackers.pop(key).finish())
        del self._definitions[key]

    def _made(self, definition: Tracker, stand_in: Reading, *, security: bool) -> RunningTracker:
        match definition:
            case TrackScript():
                return ScriptTracker(definition, self._hub, self._changed, security=security, stand_in=stand_in)
            case TrackFile():
                return FileTracker(definition, self._hub, self._changed, stand_in=stand_in)
            case TrackProcess():
                return ProcessTracker(definition, self._hub, self._changed, stand_in=stand_in)
            case TrackHttp():
                return HttpTracker(definition, self._hub, self._changed, stand_in=stand_in)
            case _:
                assert_never(definition)

    def processes(self) -> list[ProcessTracker]:
        """Return the trackers of processes."""
        return [tracker for tracker in self.trackers.values() if isinstance(tracker, ProcessTracker)]

    def _watch_processes(self) -> None:
        if self.processes() and self._watch is None:
            self._watch = self._start(self._looking.run())
        elif not self.processes() and self._watch is not None:
            self._watch.cancel()
            self._watch = None
        elif any(tracker.works is None for tracker in self.processes()):
            self._looking.look_at_all()
