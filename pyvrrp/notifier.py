"""Runs the notify scripts of one instance, in the order of its transitions.

Laws: one queue, one consumer: no two scripts of an instance run at once, so a script that says BACKUP cannot overtake
the one that said MASTER before (keepalived starts them without waiting). First ``notify_STATE``, then ``notify``
with INSTANCE, name, state and priority behind its own words (keepalived.conf(5)).
"""

from __future__ import annotations

import asyncio

from hakit import script as scripts
from pyvrrp.model import Instance, Script
from pyvrrp.protocol.effects import NotifyState
from pyvrrp.system.addresses import Tell

TIME_LIMIT = 30.0
"""Seconds that a notify script may take before it is ended; keepalived sets no limit."""
TIME_LIMIT_AT_STOP = 1.0
"""Seconds that the scripts of an instance have left once the daemon stops, as in keepalived."""


class Notifier:
    """The notify queue of one instance."""

    def __init__(self, instance: Instance, tell: Tell, *, security: bool) -> None:
        self._instance = instance
        self._tell = tell
        self._security = security
        self._queue: asyncio.Queue[tuple[NotifyState, int]] = asyncio.Queue()

    def notify(self, state: NotifyState, priority: int) -> None:
        """Run what is configured for ``state`` after all that was asked for before."""
        self._queue.put_nowait((state, priority))

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            state, priority = await self._queue.get()
            try:
                for script in self._scripts(state, priority):
                    await self._run(script)
            finally:
                self._queue.task_done()

    async def finish(self) -> None:
        """Wait until the queue is empty, but not longer than TIME_LIMIT_AT_STOP."""
        try:
            await asyncio.wait_for(self._queue.join(), TIME_LIMIT_AT_STOP)
        except TimeoutError:
            self._tell("notify_failed", f"notify scripts were still running {TIME_LIMIT_AT_STOP:g} s after the stop")

    def _scripts(self, state: NotifyState, priority: int) -> list[Script]:
        notify = self._instance.notify
        by_state = {
            NotifyState.MASTER: notify.master,
            NotifyState.BACKUP: notify.backup,
            NotifyState.FAULT: notify.fault,
            NotifyState.STOP: notify.stop,
        }
        wanted = [by_state[state]]
        if notify.any is not None:
            words = (*notify.any.words, "INSTANCE", self._instance.name, state.value, str(priority))
            wanted.append(Script(words, notify.any.user, notify.any.group, notify.any.location))
        return [script for script in wanted if script is not None]

    async def _run(self, script: Script) -> None:
        wrong = scripts.insecurity_of(script.words, script.user) if self._security else None
        if wrong is not None:
            self._tell("notify_failed", f"{script} was not run: {wrong}")
            return
        outcome = await scripts.run(script.words, timeout=TIME_LIMIT, user=script.user, group=script.group)
        if outcome.gone is not None:
            await outcome.gone
        if not outcome.succeeded:
            self._tell("notify_failed", f"{script} {outcome.words}")
