"""Runs the ``vrrp_script`` checks, each on its own schedule, and counts their results.

Laws: one run of a script at a time; a run that would overlap the one before is skipped. Only exit status 0 is a
success: what cannot be started, is insecure, times out or dies by a signal has failed (keepalived counts several of
these as success). The first result counts at once, whatever ``fall`` says.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from hakit import script as scripts
from hakit.events import EventHub
from hakit.health import RiseFall
from pyvrrp.model import TrackScript

Changed = Callable[[str], None]


class ScriptTracker:
    """One tracked script: its counter, and the loop that runs it."""

    def __init__(self, script: TrackScript, hub: EventHub, changed: Changed, *, security: bool) -> None:
        self.script = script
        self._security = security
        begin = RiseFall.fully_down if script.init_fail else RiseFall.nearly_up
        self.health = begin(script.rise, script.fall)
        self.works: bool | None = None
        self.last_words = "not run yet"
        self._gone: asyncio.Future[None] | None = None
        self._hub = hub
        self._changed = changed

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
            return  # the last run timed out, and its process is still on its way out
        command = self.script.script
        wrong = scripts.insecurity_of(command.words, command.user) if self._security else None
        if wrong is not None:  # looked at before every run: it may be mended, or spoilt, at any time
            self._count(False, f"disabled: {wrong}")
            return
        timeout = self.script.timeout or self.script.interval
        outcome = await scripts.run(command.words, timeout=timeout, user=command.user, group=command.group)
        self._gone = outcome.gone
        self._count(outcome.succeeded, outcome.words)

    def _count(self, passed: bool, words: str) -> None:  # noqa: FBT001 - passed or failed is all there is
        self.health = self.health.passed() if passed else self.health.failed()
        self.last_words = words
        works = self.health.is_up
        if works is self.works:
            return
        self.works = works
        self._hub.publish("script", words, name=self.script.name, status="succeeded" if works else "failed")
        self._changed(self.script.name)


def results(trackers: Mapping[str, ScriptTracker]) -> dict[str, bool | None]:
    """Return what is known of each script by name: works, has failed, or not known yet."""
    return {name: tracker.works for name, tracker in trackers.items()}
