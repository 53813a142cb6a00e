"""Tells scripts and pipes of the changes of one instance or sync group, in their order.

Laws: one queue, one consumer: no two scripts of a subject run at once, so a script that says BACKUP cannot overtake
the one that said MASTER before (keepalived starts them without waiting). First ``notify_STATE``, which gets no
arguments, then ``notify`` with INSTANCE or GROUP, name, state and priority behind its own words (keepalived.conf(5)).
The notify pipes are written at once, before any script has run. In its environment a script finds the same, and the
number of the change, which only grows: ``VRRP_KIND``, ``VRRP_NAME``, ``VRRP_STATE``, ``VRRP_PRIORITY``, ``VRRP_EVENT``.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from hakit import script as scripts
from pyvrrp.fifo import Fifos
from pyvrrp.model import Instance, NotifyScripts, Script, SyncGroup
from pyvrrp.protocol.effects import NotifyState
from pyvrrp.system.addresses import Tell

PATIENCE = 30.0
"""Seconds that the next script waits for one. Nobody ends it then, as in keepalived: it may start a large service."""
TIME_LIMIT_AT_STOP = 1.0
"""Seconds that the scripts of an instance have left once the daemon stops, as in keepalived."""
PRIORITIES = frozenset({NotifyState.MASTER_PRIORITY, NotifyState.BACKUP_PRIORITY})
"""What is told to pipes alone, and only if ``notify_priority_changes`` asks for it."""
STATES = frozenset(NotifyState) - PRIORITIES - {NotifyState.MASTER_RX_LOWER_PRI}
"""What the script of ``notify`` is told of."""


@dataclass(frozen=True, slots=True)
class _Change:
    """One change: what is to be told, to the scripts that were configured when it came."""

    number: int
    kind: str
    name: str
    state: NotifyState
    priority: int
    notify: NotifyScripts


class Notifier:
    """The notify queue of one instance or one sync group."""

    def __init__(
        self, subject: Instance | SyncGroup, tell: Tell, *, security: bool, fifos: Fifos | None = None
    ) -> None:
        self._subject = subject
        self._tell = tell
        self._security = security
        self._fifos = fifos
        self._told = 0
        self._queue: asyncio.Queue[_Change] = asyncio.Queue()

    def reconfigured(self, subject: Instance | SyncGroup, *, security: bool) -> None:
        """Go on with another configuration; what is in the queue still goes to the scripts of the one before."""
        self._subject = subject
        self._security = security

    def notify(self, state: NotifyState, priority: int, *, removed: bool = False) -> None:
        """Write to the pipes, and run what is configured for ``state`` after all that was asked for before.

        ``removed``: it is in no FAULT, a reload has taken it away; as in keepalived, only ``notify`` and the pipes are
        told FAULT then, and ``notify_fault`` does not run.
        """
        subject = self._subject
        scripts_told = replace(subject.notify, fault=None) if removed else subject.notify
        if state in PRIORITIES and not subject.notify_priority_changes:
            return
        kind = "INSTANCE" if isinstance(subject, Instance) else "GROUP"
        if self._fifos is not None:
            self._fifos.tell(kind, subject.name, state.value, priority)
        self._told += 1
        self._queue.put_nowait(_Change(self._told, kind, subject.name, state, priority, scripts_told))

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            change = await self._queue.get()
            try:
                for script in _scripts(change):
                    await self._run(script, change)
            finally:
                self._queue.task_done()

    async def finish(self) -> None:
        """Wait until the queue is empty, but not longer than TIME_LIMIT_AT_STOP."""
        try:
            await asyncio.wait_for(self._queue.join(), TIME_LIMIT_AT_STOP)
        except TimeoutError:
            self._tell("notify_failed", f"notify scripts were still running {TIME_LIMIT_AT_STOP:g} s after the stop")

    async def _run(self, script: Script, change: _Change) -> None:
        wrong = scripts.insecurity_of(script.words, script.user) if self._security else None
        if wrong is not None:
            self._tell("notify_failed", f"{script} was not run: {wrong}")
            return
        environment = {
            "VRRP_KIND": change.kind,
            "VRRP_NAME": change.name,
            "VRRP_STATE": change.state.value,
            "VRRP_PRIORITY": str(change.priority),
            "VRRP_EVENT": str(change.number),
        }
        outcome = await scripts.run(
            script.words,
            timeout=PATIENCE,
            user=script.user,
            group=script.group,
            environment=environment,
            end_late=False,
        )
        if outcome.ending is scripts.Ending.TIMED_OUT:
            self._tell("notify_slow", f"{script} still runs after {PATIENCE:g} s: nothing waits for it any longer")
        elif not outcome.succeeded:
            self._tell("notify_failed", f"{script} {outcome.words}")


def _scripts(change: _Change) -> list[Script]:
    notify, state = change.notify, change.state
    by_state = {
        NotifyState.MASTER: notify.master,
        NotifyState.BACKUP: notify.backup,
        NotifyState.FAULT: notify.fault,
        NotifyState.STOP: notify.stop,
        NotifyState.DELETED: notify.deleted,
        NotifyState.MASTER_RX_LOWER_PRI: notify.master_rx_lower_pri,
    }
    wanted = [by_state.get(state)]
    if notify.any is not None and state in STATES:
        words = (*notify.any.words, change.kind, change.name, state.value, str(change.priority))
        wanted.append(Script(words, notify.any.user, notify.any.group, notify.any.location))
    return [script for script in wanted if script is not None]
