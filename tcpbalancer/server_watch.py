"""What is known of every server, and the checks from which it is known.

Laws: the states are values (``server_state``), this holds the latest ones and passes each change on in one order: the
weights that workers read, then the event, then the end of sessions that must not go on, then the log lines. A server is
checked again one interval after the end of its last check; under maintenance it is not checked.
An error of ours costs one check and is told.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from hakit.events import EventHub
from hakit.schedule import first_check_delay
from tcpbalancer.balance import eligible
from tcpbalancer.check_status import CheckResult, CheckStatus
from tcpbalancer.checks import Limits, ask
from tcpbalancer.counters import CURRENT, RUNNING, SCALE, SharedMemory
from tcpbalancer.model import Backend, Check, Configuration, Server
from tcpbalancer.route import all_backends
from tcpbalancer.server_state import Admin, BackendState, ServerState
from tcpbalancer.session_log import (
    Standing,
    check_reason,
    health_check,
    no_server_available,
    server_down,
    server_title,
    server_up,
)
from tcpbalancer.tally import is_same

Log = Callable[[str, str], None]
"""Takes a syslog level by name and a line."""
_ByName = Mapping[tuple[str, str], "WatchedServer"]
Cut = Callable[[int, int, str], None]
"""Takes the places of a backend and of one of its servers, and the reason why its sessions must end."""


@dataclass(slots=True)
class WatchedServer:
    """A server and what is known of it."""

    server: Server
    state: ServerState
    is_being_checked: bool = False
    could_be_asked: bool = True  # whether there was a descriptor for its last check


@dataclass(slots=True)
class WatchedBackend:
    """A backend with its servers, and what is known of it."""

    backend: Backend
    place: int
    is_listen: bool
    servers: list[WatchedServer]
    state: BackendState


class ServerWatch:
    """Checks servers and tells of their changes."""

    def __init__(self, configuration: Configuration, memory: SharedMemory, hub: EventHub, log: Log, cut: Cut) -> None:
        self._memory = memory
        self._hub = hub
        self._log = log
        self._cut = cut
        self._tasks: set[asyncio.Task[None]] = set()
        self._followers: list[ServerWatch] = []
        now = time.monotonic()
        self.backends: list[WatchedBackend] = []
        for place, backend in enumerate(all_backends(configuration)):
            servers = [WatchedServer(server, _initial_state(server, now)) for server in backend.servers]
            watched = WatchedBackend(
                backend, place, backend.name in configuration.frontends, servers, BackendState(True, now)
            )
            watched.state = BackendState(not standing(watched).has_none, now)
            self.backends.append(watched)
            self._write_weights(watched)

    def start(self, without: ServerWatch | None = None) -> None:
        """Begin to check, the first checks spread over the smallest interval; leave to ``without`` what it has."""
        others = {} if without is None else without.by_name()
        checked = [
            (backend, server, server.server.check)
            for backend in self.backends
            for server in backend.servers
            if server.server.check is not None and _counterpart(backend, server, others) is None
        ]
        inters = tuple(check.intervals.inter for _, _, check in checked)
        for position, (backend, server, check) in enumerate(checked):
            delay = first_check_delay(position, len(checked), check.intervals.inter, inters)
            task = asyncio.create_task(self._check_for_ever(backend, server, check, delay))
            self._tasks.add(task)

    async def stop(self) -> None:
        """End all checks."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    def follow(self, other: ServerWatch) -> None:
        """Take what another generation knows of the servers that both have: it has asked them, or asks them now."""
        others = other.by_name()
        for backend in self.backends:
            for server in backend.servers:
                same = _counterpart(backend, server, others)
                if same is not None:
                    server.state = _inherited(server.server, same)
            known = next((each for each in other.backends if each.backend.name == backend.backend.name), backend)
            backend.state = known.state.seen(time.monotonic(), is_up=not standing(backend).has_none)
            self._write_weights(backend)

    def lead(self, followers: list[ServerWatch]) -> None:
        """Let others follow each change from now on."""
        self._followers = followers

    def by_name(self) -> _ByName:
        """Return the servers by the names of their backend and their own."""
        return {
            (backend.backend.name, server.server.name): server
            for backend in self.backends
            for server in backend.servers
        }

    async def _check_for_ever(self, backend: WatchedBackend, server: WatchedServer, check: Check, delay: float) -> None:
        limits = Limits.of(check, backend.backend.timeouts)
        while True:
            await asyncio.sleep(delay)
            try:
                if server.state.admin is not Admin.MAINT:
                    server.is_being_checked = True
                    result = await ask(backend.backend.probe, check, limits)
                    self.checked(backend, server, result)
            except Exception as wrong:  # noqa: BLE001 - whatever it is, a server must not stay as it is for ever
                self._log("err", f"The check of {_title(backend, server)} met an error of ours and goes on: {wrong!r}")
            finally:
                server.is_being_checked = False
            health = server.state.health
            assert health is not None
            delay = check.intervals.pick(health)

    def checked(self, backend: WatchedBackend, server: WatchedServer, result: CheckResult) -> None:
        """Take the result of a check, do what follows from it, and tell of it."""
        title = _title(backend, server)
        if result.status is CheckStatus.SOCKERR:
            self._could_not_ask(server, title, result)
            return
        server.could_be_asked = True
        before = server.state
        now = time.monotonic()
        server.state = after = before.checked(result, now)
        reason = check_reason(result.status.value, result.code, result.info, result.duration_ms)
        lines: list[tuple[str, str]] = []
        if backend.backend.log_health_checks and (after.health, after.last.status) != (
            before.health,
            before.last.status,
        ):
            lines.append(("notice", health_check(title, reason, passed=result.status.passed, health=_health(after))))
            reason = ""
        had_servers = backend.state.is_up
        if after.is_up != before.is_up:
            self._write_weights(backend)
            backend.state = backend.state.seen(now, is_up=not standing(backend).has_none)
            lines += self._change(backend, server, reason, had_servers=had_servers)
        if after.is_up != before.is_up or after.last.status is not before.last.status:
            self._tell(backend, server)
        if before.is_up and not after.is_up and server.server.shutdown_sessions_when_down:
            self._cut(backend.place, backend.servers.index(server), f"{title} is DOWN: {result.status.value}")
        for level, line in lines:
            self._log(level, line)

    def _could_not_ask(self, server: WatchedServer, title: str, result: CheckResult) -> None:
        """A lack of descriptors of our own says nothing of the server: its state stays (HAProxy takes it for DOWN)."""
        if server.could_be_asked:
            server.could_be_asked = False
            self._log("err", f"{title} cannot be checked, its state stays as it is: {result.info}.")

    def _write_weights(self, backend: WatchedBackend) -> None:
        """Write the weights at which servers may be picked from now on."""
        backups = {place for place, watched in enumerate(backend.servers) if watched.server.backup}
        usable = [SCALE * watched.server.weight if watched.state.is_usable else 0 for watched in backend.servers]
        layout, words = self._memory.layout, self._memory.words
        start = layout.weights(backend.place).start
        for place, watched in enumerate(backend.servers):
            runs = watched.state.is_up and watched.state.admin is not Admin.MAINT
            words[layout.server_setting(backend.place, place, RUNNING)] = int(runs)
        # Who comes in is written before who goes out: who reads in between must not see a backend without any.
        for place, weight in sorted(enumerate(eligible(usable, backups)), key=lambda each: not each[1]):
            words[start + place] = weight
        for follower in self._followers:
            follower.follow(self)

    def _tell(self, backend: WatchedBackend, server: WatchedServer) -> None:
        state = server.state
        last = state.last
        self._hub.publish(
            "server",
            check_reason(last.status.value, last.code, last.info, last.duration_ms).removeprefix("reason: "),
            backend=backend.backend.name,
            server=server.server.name,
            status="UP" if state.is_up else "DOWN",
            shown=state.shown,
            check_status=last.status.name,
            code=last.code,
            info=last.info,
        )

    def _change(
        self, backend: WatchedBackend, server: WatchedServer, reason: str, *, had_servers: bool
    ) -> Iterator[tuple[str, str]]:
        """Yield what is to be said of a server that has changed."""
        title = _title(backend, server)
        block = self._memory.layout.server(backend.place, backend.servers.index(server))
        left = standing(backend, sessions=self._memory.sum(block, CURRENT))
        if server.state.is_up:
            yield "notice", server_up(title, reason, left)
            return
        yield "alert", server_down(title, reason, left)
        if had_servers and left.has_none:
            yield "emerg", no_server_available(backend.backend.name, is_listen=backend.is_listen)


def standing(backend: WatchedBackend, sessions: int = 0) -> Standing:
    """Return how many servers, and how many backups, a backend can use now."""
    usable = [watched.server for watched in backend.servers if watched.state.is_usable and watched.server.weight]
    backups = sum(server.backup for server in usable)
    return Standing(active=len(usable) - backups, backup=backups, sessions=sessions)


def _title(backend: WatchedBackend, server: WatchedServer) -> str:
    return server_title(backend.backend.name, server.server.name, backup=server.server.backup)


def _initial_state(server: Server, now: float) -> ServerState:
    rise_fall = None if server.check is None else (server.check.rise, server.check.fall)
    return ServerState.initial(now, rise_fall=rise_fall, disabled=server.disabled)


def _counterpart(backend: WatchedBackend, server: WatchedServer, others: _ByName) -> WatchedServer | None:
    """Return what another generation knows of the same server."""
    other = others.get((backend.backend.name, server.server.name))
    return other if other is not None and is_same(server.server, other.server) else None


def _inherited(server: Server, before: WatchedServer) -> ServerState:
    """Return the state of a server that was known before; what its line says anew holds, as at a start."""
    fresh = _initial_state(server, before.state.changed_at)
    health = before.state.health
    if fresh.health is None or health is None or (health.rise, health.fall) != (fresh.health.rise, fresh.health.fall):
        was_up = health is None or health.is_up
        health = fresh.health if was_up or fresh.health is None else replace(fresh.health, health=0)
    admin = before.state.admin if server.disabled == before.server.disabled else fresh.admin
    return replace(before.state, health=health, admin=admin)


def _health(state: ServerState) -> str:
    """Return ``3/3 UP`` or ``0/2 DOWN``, as ``option log-health-checks`` writes it."""
    health = state.health
    assert health is not None
    if health.is_up:
        return f"{health.health - health.rise + 1}/{health.fall} UP"
    return f"{health.health}/{health.rise} DOWN"
