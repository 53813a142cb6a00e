"""Counts the processes that a ``vrrp_track_process`` asks for, as they come and go.

Laws: one watch for all trackers of the daemon. The kernel's process connector says when to look; where it does not
(another namespace than the first), /proc is read every second, and that is told once. Everything is looked at now and
then in any case. A quorum gained or lost counts only after ``fork_delay`` or ``terminate_delay``. A zombie has ended.
keepalived.conf(5), vrrp_track_process; proc(5).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from hakit.events import EventHub
from hakit.transcript import Value
from pyvrrp.model import TrackerKind, TrackProcess
from pyvrrp.system.process_events import NewsLostError, ProcessEvents
from pyvrrp.trackers.tracker import Changed, Reading

_COMM_LENGTH = 15
"""Characters of a process's name that the kernel keeps (TASK_COMM_LEN - 1)."""
_POLL = 1.0
_LOOK_AGAIN = 10.0
_ANSWER_LIMIT = 0.5
"""Seconds in which the kernel has answered a subscription, or never will."""

PROC = Path("/proc")


def matches(wanted: TrackProcess, name: str, words: Callable[[], Sequence[str]]) -> bool:
    """Return whether a process is one that is wanted: by the kernel's name for it, or by the words it was started with.

    Parameters are compared if there are any, or if ``param_match`` says so: ``exact``: all of them and no more;
    ``partial``: these come first; ``initial``: as partial, and the last one may be only how its parameter begins.
    """
    by_words = wanted.full_command or wanted.parameters is not None or len(wanted.words) > 1
    if not by_words:
        return name == wanted.words[0][:_COMM_LENGTH]
    found = words()
    if not found or found[0] != wanted.words[0]:
        return False
    ours, theirs = wanted.words[1:], tuple(found[1:])
    if wanted.parameters is None and not ours:
        return True
    if wanted.parameters in {"partial", "initial"} and len(theirs) >= len(ours):
        head = theirs[: len(ours)]
        if wanted.parameters == "initial" and ours:
            return head[:-1] == ours[:-1] and head[-1].startswith(ours[-1])
        return head == ours
    return wanted.parameters in {"exact", None} and theirs == ours


class ProcessTracker:
    """One tracked kind of process: who matches, and whether they are as many as they should be."""

    kind = TrackerKind.PROCESS

    def __init__(self, process: TrackProcess, hub: EventHub, changed: Changed, *, stand_in: Reading = None) -> None:
        self.process = process
        self.works: bool | None = None
        self.found: set[int] = set()
        self._stand_in = stand_in
        self._hub = hub
        self._changed = changed
        self._timer: asyncio.TimerHandle | None = None

    @property
    def name(self) -> str:
        """The name of its ``vrrp_track_process`` block."""
        return self.process.name

    @property
    def reading(self) -> Reading:
        """Whether the quorum is there; None before the first look."""
        return self._stand_in if self.works is None else self.works

    async def run(self) -> None:
        """Do nothing by itself: the one ``ProcessWatch`` looks for all."""
        await asyncio.get_running_loop().create_future()

    async def finish(self) -> None:
        """End a delay that runs."""
        if self._timer is not None:
            self._timer.cancel()

    def see(self, number: int, name: str, words: Callable[[], Sequence[str]]) -> None:
        """Take notice of a process that is there."""
        if matches(self.process, name, words):
            self.found.add(number)
        else:
            self.found.discard(number)

    def miss(self, number: int) -> None:
        """Take notice that a process is not there."""
        self.found.discard(number)

    def judge(self) -> None:
        """Compare with the quorum; a change counts once its delay is over, and if it has lasted."""
        works = self._has_quorum()
        if works is self.works:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            return
        delay = self.process.fork_delay if works else self.process.terminate_delay
        if self.works is None or not delay:
            self._settle()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(delay, self._settle)

    def _has_quorum(self) -> bool:
        most = self.process.quorum_max
        return self.process.quorum <= len(self.found) and (most is None or len(self.found) <= most)

    def _settle(self) -> None:
        self._timer = None
        works = self._has_quorum()
        if works is self.works:
            return
        self.works = works
        words = f"{len(self.found)} of {self.process.quorum} {' '.join(self.process.words)}"
        self._hub.publish("process", words, name=self.name, status="succeeded" if works else "failed")
        self._changed((self.kind, self.name))

    def status(self) -> dict[str, Value]:
        """Return name, result, how many there are and should be."""
        return {
            "name": self.name,
            "kind": self.kind.value,
            "reading": self.reading,
            "works": self.works,
            "count": len(self.found),
            "quorum": self.process.quorum,
            "quorum_max": self.process.quorum_max,
            "command": " ".join(self.process.words),
        }


class ProcessWatch:
    """Looks at processes for all trackers of a daemon; ``trackers`` is asked anew at each look."""

    def __init__(self, hub: EventHub, trackers: Callable[[], Iterable[ProcessTracker]]) -> None:
        self._hub = hub
        self._trackers = trackers

    async def run(self) -> None:
        """Look until cancelled."""
        events = await self._subscribe()
        if events is None:
            text = "the kernel tells nothing of processes here: /proc is read every second instead"
            self._hub.publish("notice", text)
            while True:
                self.look_at_all()
                await asyncio.sleep(_POLL)
        try:
            await self._follow(events)
        finally:
            events.close()

    async def _subscribe(self) -> ProcessEvents | None:
        """Return a subscription that the kernel has confirmed; None if it does not, as beside the first namespaces."""
        self.look_at_all()
        try:
            events = ProcessEvents()
        except OSError:
            return None
        try:
            async with asyncio.timeout(_ANSWER_LIMIT):
                while not events.confirmed:
                    await _readable(events)
                    self._hear(events)
        except TimeoutError:
            events.close()
            return None
        return events

    async def _follow(self, events: ProcessEvents) -> None:
        while True:
            try:
                async with asyncio.timeout(_LOOK_AGAIN):
                    while True:
                        await _readable(events)
                        self._hear(events)
            except TimeoutError:
                self.look_at_all()

    def _hear(self, events: ProcessEvents) -> None:
        try:
            heard = set(events.changed())
        except NewsLostError:
            self.look_at_all()
            return
        for number in heard:
            self._look_at(number)
        self._judge()

    def look_at_all(self) -> None:
        """Look at every process there is."""
        there = {int(entry.name) for entry in PROC.iterdir() if entry.name.isdecimal()}
        for number in there:
            self._look_at(number)
        for tracker in self._trackers():
            for gone in tracker.found - there:
                tracker.miss(gone)
        self._judge()

    def _judge(self) -> None:
        for tracker in self._trackers():
            tracker.judge()

    def _look_at(self, number: int) -> None:
        name = _name_of(number)
        for tracker in self._trackers():
            if name is None:
                tracker.miss(number)
            else:
                tracker.see(number, name, lambda: _words_of(number))


async def _readable(events: ProcessEvents) -> None:
    loop = asyncio.get_running_loop()
    heard = asyncio.Event()
    loop.add_reader(events.fileno(), heard.set)
    try:
        await heard.wait()
    finally:
        loop.remove_reader(events.fileno())


def _name_of(number: int) -> str | None:
    """Return the kernel's name for a process, or None if there is none such, or only what is left of it (a zombie)."""
    try:
        text = (PROC / str(number) / "stat").read_text(errors="replace")
    except OSError:
        return None
    name, _, rest = text.partition("(")[2].rpartition(")")
    return None if rest.split()[:1] in (["Z"], ["X"]) else name


def _words_of(number: int) -> Sequence[str]:
    try:
        text = (PROC / str(number) / "cmdline").read_bytes()
    except OSError:
        return ()
    return [word.decode(errors="replace") for word in text.rstrip(b"\0").split(b"\0")]
