"""Runs a ``vrrp_script`` on its own schedule, and counts its results.

Laws: one run of a script at a time; a run that would overlap the one before is skipped. Only exit status 0 is a
success: what cannot be started, is insecure, times out or dies by a signal has failed (keepalived counts several of
these as success). The first result counts at once, whatever ``fall`` says. keepalived.conf(5), vrrp_script.
"""

from __future__ import annotations

import asyncio

from hakit import script as scripts
from hakit.events import EventHub
from hakit.health import RiseFall
from hakit.transcript import Value
from pyvrrp.model import TrackerKind, TrackScript
from pyvrrp.trackers.tracker import Changed, Reading, Timing


class ScriptTracker:
    """One tracked script: its counter, its timing, and the loop that runs it.

    ``stand_in``: what counts until the first result; a reload gives the reading of the script that it replaces.
    """

    kind = TrackerKind.SCRIPT

    def __init__(
        self, script: TrackScript, hub: EventHub, changed: Changed, *, security: bool, stand_in: Reading = None
    ) -> None:
        self.script = script
        begin = RiseFall.fully_down if script.init_fail else RiseFall.nearly_up
        self.health = begin(script.rise, script.fall)
        self.works: bool | None = None
        self.last_words = "not run yet"
        self.timing = Timing()
        self._security = security
        self._stand_in = stand_in
        self._gone: asyncio.Future[None] | None = None
        self._hub = hub
        self._changed = changed
        self._status = 0

    @property
    def name(self) -> str:
        """The name of its ``vrrp_script`` block."""
        return self.script.name

    @property
    def reading(self) -> Reading:
        """Whether it works; None before the first result."""
        return self._stand_in if self.works is None else self.works

    async def run(self) -> None:
        """Check until cancelled."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            await self._check()
            due = max(due + self.script.interval, loop.time())
            await asyncio.sleep(due - loop.time())

    async def finish(self) -> None:
        """Wait for a run that timed out and is on its way out; a process stuck in the kernel may stay for ever."""
        if self._gone is not None:
            await self._gone

    async def _check(self) -> None:
        if self._gone is not None and not self._gone.done():
            text = f"Track script {self.name} is already running, expect idle - skipping run"
            self._hub.publish("script_skipped", text, name=self.name)
            return  # the last run timed out, and its process is still on its way out
        command = self.script.script
        wrong = scripts.insecurity_of(command.words, command.user) if self._security else None
        loop = asyncio.get_running_loop()
        begun = loop.time()
        if wrong is not None:  # looked at before every run: it may be mended, or spoilt, at any time
            self.timing.ran(0.0, begun, passed=False)
            self._count(False, f"disabled: {wrong}")
            return
        timeout = self.script.timeout or self.script.interval
        outcome = await scripts.run(command.words, timeout=timeout, user=command.user, group=command.group)
        self._gone = outcome.gone
        timed_out = outcome.ending is scripts.Ending.TIMED_OUT
        ended = loop.time()
        self.timing.ran(ended - begun, ended, passed=outcome.succeeded, timed_out=timed_out)
        if timed_out:
            self._hub.publish("script_timed_out", f"VRRP_Script({self.name}) timed_out", name=self.name)
        if outcome.status is not None and outcome.status != self._status:
            self._status = outcome.status
            text = f"Script `{self.name}` now returning {outcome.status}"
            self._hub.publish("script_returned", text, name=self.name, status=outcome.status)
        self._count(outcome.succeeded, outcome.words)

    def _count(self, passed: bool, words: str) -> None:  # noqa: FBT001 - passed or failed is all there is
        self.health = self.health.passed() if passed else self.health.failed()
        self.last_words = words
        works = self.health.is_up
        if works is self.works:
            return
        self.works = works
        self._hub.publish("script", words, name=self.name, status="succeeded" if works else "failed")
        self._changed((self.kind, self.name))

    def status(self) -> dict[str, Value]:
        """Return name, result, counter, the last run's words, and the timing of all runs."""
        return {
            "name": self.name,
            "kind": self.kind.value,
            "reading": self.reading,
            "works": self.works,
            "health": self.health.health,
            "rise": self.health.rise,
            "fall": self.health.fall,
            "last": self.last_words,
            "command": str(self.script.script),
            **self.timing.status(asyncio.get_running_loop().time()),
        }
