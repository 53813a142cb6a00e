"""Every change of a server's state, and what follows from it.

Laws: whoever changes a server (a check, its agent, traffic, an operator, a name server) does it through here, and each
change is passed on in one order: the weights that workers read, then the event, then the end of sessions that must not
go on, then the log lines; then the servers that track this one. Checks run beside it (``check_loop``), operators come
through ``administration``. A server that comes up gently is looked at again until it has its whole weight.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from hakit.events import EventHub
from hakit.transcript import Value
from tcpbalancer.channel import Attempted, Cut, Order, RemoveServer, SetServer
from tcpbalancer.check_status import CheckResult, CheckStatus
from tcpbalancer.counters import SharedMemory
from tcpbalancer.log_book import Log
from tcpbalancer.model import Configuration, OnError
from tcpbalancer.server_state import DRAIN, MAINT, Admin, Operation, ServerState
from tcpbalancer.slowstart import step
from tcpbalancer.state_lines import (
    FROM_STATE_FILE,
    Line,
    admin_changed,
    checked,
    no_server_available,
    operation_changed,
    why,
)
from tcpbalancer.succession import take_over
from tcpbalancer.watched import WatchedBackend, WatchedServer, about, watch_all

Send = Callable[[Order], None]
"""Takes an order for all workers."""


class ServerWatch:
    """Holds what is known of all servers, and tells of their changes."""

    def __init__(self, configuration: Configuration, memory: SharedMemory, hub: EventHub, log: Log, send: Send) -> None:
        self.memory = memory
        self.log = log
        self._hub = hub
        self.send = send
        self._followers: list[ServerWatch] = []
        self._warming: dict[WatchedServer, asyncio.TimerHandle] = {}
        now = time.monotonic()
        self.backends = watch_all(configuration, now)
        self._restore(configuration, now)
        for backend in self.backends:
            for server in backend.servers:
                if server.tracked is None:
                    self._inherit(server, now)
        for backend in self.backends:
            self.settle(backend)

    def _restore(self, configuration: Configuration, now: float) -> None:
        """Take over what state files say; only what HAProxy says at this moment is told."""
        for backend in self.backends:
            for server in backend.servers:
                saved = configuration.saved.get((backend.backend.name, server.server.name))
                if saved is not None:
                    before = server.state
                    first = server.restore(saved, now)
                    for level, line in operation_changed(about(server, self.memory), before, first, FROM_STATE_FILE):
                        self.log(level, line, backend.backend.name)

    def changed_definitions(self) -> Iterator[Order]:
        """Yield the orders that make a worker, which knows the file only, know what has changed since."""
        for backend in self.backends:
            places = {server.place for server in backend.servers}
            for place in range(len(backend.backend.servers)):
                if place not in places:
                    yield RemoveServer(backend.place, place)
            for server in backend.servers:
                in_file = backend.backend.servers[server.place : server.place + 1]
                if (server.server,) != in_file:
                    yield SetServer(backend.place, server.place, server.server)

    def _inherit(self, server: WatchedServer, now: float) -> None:
        """Hand on to those who track a server what it is at the start; nothing is told."""
        for tracker in server.trackers:
            for kind in (MAINT, DRAIN):
                if server.state.admin & kind:
                    tracker.state = tracker.state.marked(kind.inherited, now)
            tracker.state = tracker.state.follows(server.state.operation, now, tracker.terms())
            self._inherit(tracker, now)

    def settle(self, backend: WatchedBackend) -> None:
        """Take a backend as it is for its beginning: nothing is told."""
        backend.state = replace(backend.state, is_up=not backend.standing().has_none)
        backend.write_weights(self.memory)

    def at(self, backend: int, place: int) -> WatchedServer | None:
        """Return the server at a place, if there is one."""
        return next((server for server in self.backends[backend].servers if server.place == place), None)

    def follow(self, other: ServerWatch) -> None:
        """Take what another generation knows of the servers that both have."""
        take_over(self.backends, other.backends, self.memory)

    def lead(self, followers: list[ServerWatch]) -> None:
        """Let others follow each change from now on."""
        self._followers = followers

    def clear_counters(self) -> None:
        """Forget what was counted of checks and changes."""
        for backend in self.backends:
            backend.state = replace(backend.state, down_transitions=0)
            for server in backend.servers:
                server.state = replace(server.state, failed_checks=0, down_transitions=0, failed_observations=0)

    def start(self) -> None:
        """Go on with those who come up gently: another generation may have begun it."""
        for server in (server for backend in self.backends for server in backend.servers):
            if server.state.operation is Operation.STARTING and server not in self._warming:
                self._look_again(server)

    def stop(self) -> None:
        """Look at nobody any more."""
        for handle in self._warming.values():
            handle.cancel()
        self._warming.clear()

    # -- checks -----------------------------------------------------------------------------------------------------

    def checked(self, server: WatchedServer, result: CheckResult) -> None:
        """Take the result of a health check, do what follows from it, and tell of it."""
        if result.is_ours:
            self._could_not_ask(server, result)
            return
        server.could_be_asked = True
        if result.status.passed:
            server.errors_in_a_row = 0
        now = time.monotonic()
        before = server.state
        logs = server.backend.backend.log_health_checks
        after = before.checked(result, now, server.terms())
        moved = after.check.counter != before.check.counter or result.status is not before.check.last.status
        lines: list[Line] = []
        if logs and moved:
            lines.append(checked(about(server, self.memory), "Health", after.check, server.weight))
        self.operate(server, after, "" if logs else why(result), first=lines, seen=why(result))

    def agent_said(self, server: WatchedServer, result: CheckResult) -> None:
        """Take what an agent said of the server's health: L7OK for ``up``, L7STS for ``down`` and its like."""
        before = server.state
        logs = server.backend.backend.log_health_checks
        after = before.agent_said(result, time.monotonic(), server.terms())
        lines: list[Line] = []
        told = result.status is not CheckStatus.CHECKED  # "no status change" is no news
        if logs and told and result.status is not before.agent.last.status:
            lines.append(checked(about(server, self.memory), "Agent", after.agent, server.weight))
        self.operate(server, after, "" if logs else why(result), first=lines, seen=why(result))

    def observed(self, server: WatchedServer, attempt: Attempted) -> bool:
        """Take how traffic found a server (``observe layer4``); returns whether its next check is due sooner."""
        if not server.state.is_up:
            return False  # it was under way before that was known
        server.errors_in_a_row = 0 if attempt.passed else server.errors_in_a_row + 1
        if attempt.passed or server.errors_in_a_row < server.server.error_limit:
            return False
        on_error = server.server.on_error
        server.state = server.state.observed(on_error)
        if on_error is not OnError.FASTINTER:
            info = f"Detected {server.errors_in_a_row} consecutive errors, last one was: L4 unsuccessful connection"
            self.checked(server, CheckResult(CheckStatus.HANA, info=info))
        server.errors_in_a_row = 0
        return True

    def _could_not_ask(self, server: WatchedServer, result: CheckResult) -> None:
        """A lack of descriptors of our own says nothing of the server: its state stays (HAProxy takes it for DOWN)."""
        if server.could_be_asked:
            server.could_be_asked = False
            title = about(server, self.memory).title
            self.log(
                "err",
                f"{title} cannot be checked, its state stays as it is: {result.info}.",
                server.backend.backend.name,
            )

    # -- what follows -----------------------------------------------------------------------------------------------

    def operate(
        self,
        server: WatchedServer,
        after: ServerState,
        cause: str,
        *,
        first: Iterable[Line] = (),
        seen: str | None = None,
    ) -> None:
        """Make ``after`` the state of a server, its operation perhaps another one, and pass that on.

        ``cause`` is what the line says of it (empty: nothing), ``seen`` what the event says, ``first`` what is logged
        before.
        """
        before = server.state
        tail = lambda: operation_changed(about(server, self.memory), before, after, cause)  # noqa: E731
        self._pass_on(server, after, cause if seen is None else seen, first, tail)
        if after.operation is before.operation:
            return
        for tracker in server.trackers:
            now = time.monotonic()
            self.operate(tracker, tracker.state.follows(after.operation, now, tracker.terms()), "")

    def mark(self, server: WatchedServer, mark: Admin, cause: str = "") -> None:
        """Put an administrative mark on a server and, as an inherited one, on all that track it."""
        before = server.state
        if before.admin & mark:
            return
        after = before.marked(mark, time.monotonic())
        tail = lambda: admin_changed(about(server, self.memory), before, after, cause)  # noqa: E731
        self._pass_on(server, after, cause or f"{_spelt(mark)} set", (), tail)
        kind = mark.kind
        if before.admin & kind:
            return  # those who follow have inherited it already
        for tracker in server.trackers:
            self.mark(tracker, mark.inherited, cause)

    def unmark(self, server: WatchedServer, mark: Admin) -> None:
        """Take an administrative mark away; those who track the server lose what they inherited of it."""
        before = server.state
        if not before.admin & mark:
            return
        after = before.unmarked(mark, time.monotonic(), server.terms())
        tail = lambda: admin_changed(about(server, self.memory), before, after)  # noqa: E731
        self._pass_on(server, after, f"{_spelt(mark)} cleared", (), tail)
        if after.admin & mark.kind:
            return
        for tracker in server.trackers:
            self.unmark(tracker, mark.inherited)

    def reweigh(self, server: WatchedServer, weight: int) -> None:
        """Give a server another weight from now on."""
        server.weight = weight
        self.operate(server, server.state, "")

    def _pass_on(
        self,
        server: WatchedServer,
        after: ServerState,
        reason: str,
        first: Iterable[Line],
        tail: Callable[[], Iterable[Line]],
    ) -> None:
        before, server.state = server.state, after
        now = time.monotonic()
        weight = server.effective
        server.weigh(now)
        backend = server.backend
        if (before.operation, before.admin, weight) != (after.operation, after.admin, server.effective):
            backend.write_weights(self.memory)  # most checks change nothing: then no worker is woken
            for follower in self._followers:
                follower.follow(self)
        had_servers = backend.state.is_up
        has_servers = not backend.standing().has_none
        backend.state = backend.state.seen(now, is_up=has_servers)
        lines = [*first, *tail()]
        if had_servers and not has_servers:
            lines.append(no_server_available(backend.backend.name, is_listen=backend.is_listen))
        if _differs(before, after):
            self._tell(server, reason)
        self._cut_what_must_end(server, before, after, reason)
        for level, line in lines:
            self.log(level, line, backend.backend.name)
        if after.operation is Operation.STARTING and server not in self._warming:
            self._look_again(server)

    def _cut_what_must_end(self, server: WatchedServer, before: ServerState, after: ServerState, reason: str) -> None:
        """Carry out ``on-marked-down`` and ``on-marked-up``; maintenance counts as marked down."""
        place, title = server.backend.place, about(server, self.memory).title
        because = reason.removeprefix(", reason: ").removeprefix(", ")
        if before.is_up and not after.is_up and server.server.shutdown_sessions_when_down:
            why_cut = f"{title} is {server.shown}: {because}".removesuffix(": ")
            self.send(Cut("DC", why_cut, backend=place, server=server.place))
        came = after.is_up and after.operation is not Operation.STOPPING and before.operation is not after.operation
        if came and server.server.shutdown_backup_sessions_when_up and not server.server.backup and server.effective:
            for other in server.backend.servers:
                if other.server.backup:
                    self.send(Cut("UC", f"{title} is UP again", backend=place, server=other.place))

    def _tell(self, server: WatchedServer, reason: str) -> None:
        state, last = server.state, server.state.check.last
        self._hub.publish(
            "server",
            reason.removeprefix(", reason: ").removeprefix(", "),
            backend=server.backend.backend.name,
            server=server.server.name,
            status="UP" if state.is_up else "DOWN",
            shown=server.shown,
            check_status=last.status.name,
            code=last.code,
            info=last.info,
            **_place(last),
        )

    def session_ended(self, backend: str, name: str) -> None:
        """Tell once the last connection of a server that was drained, or is in maintenance, has gone."""
        servers = next((each.servers for each in self.backends if each.backend.name == backend), [])
        server = next((each for each in servers if each.server.name == name), None)
        if server is None or not (server.state.is_draining or server.state.in_maintenance):
            return
        if not about(server, self.memory).standing.sessions:
            self._hub.publish("drained", "the last connection has gone", backend=backend, server=name)

    # -- slowstart --------------------------------------------------------------------------------------------------

    def _look_again(self, server: WatchedServer) -> None:
        loop = asyncio.get_running_loop()
        self._warming[server] = loop.call_later(step(server.server.slowstart), self._warm_up, server)

    def _warm_up(self, server: WatchedServer) -> None:
        """Give a server that starts a little more; at the end of ``slowstart`` it runs (server_warmup)."""
        del self._warming[server]
        state = server.state
        if state.in_maintenance or state.operation is not Operation.STARTING:
            return
        now = time.monotonic()
        server.weigh(now)
        done = now - state.changed_at >= server.server.slowstart - 0.05
        self.operate(server, state.moved(Operation.RUNNING, now) if done else state, "")


def _differs(before: ServerState, after: ServerState) -> bool:
    """Whether an event is due: another operation, another mark, another code of a check."""
    return (
        (before.operation, before.admin) != (after.operation, after.admin)
        or before.check.last.status is not after.check.last.status
        or (before.agent.last.status, before.agent.last.info) != (after.agent.last.status, after.agent.last.info)
    )


def _place(last: CheckResult) -> dict[str, Value]:
    """Return where a check failed and which limit was reached, for people: a code alone does not say it."""
    place: dict[str, Value] = {"limit": last.limit} if last.limit else {}
    if last.step is None:
        return place
    step = last.step
    known: dict[str, Value] = {
        "step": step.number,
        "line": step.line,
        "expected": step.expected,
        "received": step.received,
    }
    return {**place, **{name: value for name, value in known.items() if value}}


def _spelt(mark: Admin) -> str:
    """Return a mark in words."""
    return (mark.name or "").lower().replace("_", " ")
