"""What is known of servers goes over from one generation of workers to the next.

Laws: nothing here asks or waits. A server is the same in two configurations if its name, its address and its port in
the file are; then its state with all administrative marks, its weight and the address of its name hold on, and only
what its line says anew is as at a start. (Limits, and an address that an operator has set, are those of the file again,
as with HAProxy.) The generation that serves leads; older ones, whose connections go on, follow each of its changes.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace

from tcpbalancer.counters import SharedMemory
from tcpbalancer.server_state import Admin, CheckState, ServerState
from tcpbalancer.tally import is_same
from tcpbalancer.watched import WatchedBackend, WatchedServer, initial_state

ByName = Mapping[str, WatchedServer]


def by_name(backends: list[WatchedBackend]) -> ByName:
    """Return all servers by ``backend/server``."""
    return {server.name: server for backend in backends for server in backend.servers}


def counterpart(server: WatchedServer, others: ByName) -> WatchedServer | None:
    """Return what another generation knows of the same server."""
    other = others.get(server.name)
    return other if other is not None and is_same(server.origin, other.origin) else None


def take_over(backends: list[WatchedBackend], others: list[WatchedBackend], memory: SharedMemory) -> None:
    """Take what another generation knows of the servers that both have: it has asked them, or asks them now."""
    known = by_name(others)
    theirs = {backend.backend.name: backend for backend in others}
    now = time.monotonic()
    for backend in backends:
        for server in backend.servers:
            same = counterpart(server, known)
            if same is not None:
                _take(server, same, now)
        if backend.backend.name in theirs:
            before = theirs[backend.backend.name].state
            backend.state = before.seen(now, is_up=not backend.standing().has_none)
        backend.write_weights(memory)


def _take(server: WatchedServer, before: WatchedServer, now: float) -> None:
    server.state = _inherited(server, before)
    if server.server.host and before.server.address:
        server.moved(before.server.address, server.server.port)  # what a name server has said holds on
    if server.origin.weight == before.origin.weight:
        server.weight = before.weight
    server.weigh(now)


def _inherited(server: WatchedServer, before: WatchedServer) -> ServerState:
    """Return the state of a server that was known before."""
    fresh = initial_state(server.origin, before.state.changed_at)
    check = _merged(before.state.check, fresh.check, was_up=before.state.is_up)
    agent = _merged(before.state.agent, fresh.agent, was_up=before.state.agent.counter.is_up)
    admin = before.state.admin
    if server.origin.disabled != before.origin.disabled:
        mine = Admin.FORCED_MAINT | Admin.CONFIG_MAINT
        admin = (admin & ~mine) | (fresh.admin & mine)
    return replace(before.state, check=check, agent=agent, admin=admin)


def _merged(before: CheckState, fresh: CheckState, *, was_up: bool) -> CheckState:
    """Return what was known from checks, in the numbers of the new line."""
    same = (before.counter.rise, before.counter.fall) == (fresh.counter.rise, fresh.counter.fall)
    if before.configured is fresh.configured and same:
        return before
    if not fresh.configured or was_up:
        return replace(fresh, paused=before.paused)
    return replace(fresh.set_to(0), paused=before.paused)
