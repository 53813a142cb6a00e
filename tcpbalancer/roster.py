"""Servers come and go while the balancer runs: ``add server``, ``del server``.

Laws: as HAProxy has it, a server that is added starts in maintenance and unchecked (``enable server``, ``enable
health``), and one that is removed must be in maintenance and without connections. A place is taken anew only when
nobody uses it any more, and then counts from zero. Nothing here raises for an operator's mistake. Source:
``cli_parse_add_server``, ``srv_check_for_deletion`` in HAProxy's ``server.c``.
"""

from __future__ import annotations

import time
from dataclasses import replace

from tcpbalancer.administration import Administration, Answer, Severity
from tcpbalancer.agent_loop import AgentLoop
from tcpbalancer.channel import RemoveServer, SetServer
from tcpbalancer.check_loop import CheckLoop
from tcpbalancer.counters import CURRENT, QUEUED, SLOTS_USED
from tcpbalancer.model import Server
from tcpbalancer.route import write_limits
from tcpbalancer.server_state import Admin
from tcpbalancer.server_watch import ServerWatch
from tcpbalancer.watched import WatchedBackend, WatchedServer, watch

_POINTED_AT = "This server cannot be removed at runtime due to other configuration elements pointing to it."


class Roster:
    """Adds and removes servers."""

    def __init__(self, watch: ServerWatch, checks: CheckLoop, agents: AgentLoop) -> None:
        self._watch = watch
        self._checks = checks
        self._agents = agents

    def refusal(self, backend: WatchedBackend, name: str) -> Answer | None:
        """Return why no server of this name can be added to a backend; None if one can."""
        if Administration.is_static(backend):
            name = backend.backend.name
            text = (
                f"Backend does not support dynamic servers : proxy '{name}' uses a non dynamic load balancing method."
            )
            return _error(text)
        if any(server.server.name == name for server in backend.servers):
            return _error("Already exists a server with the same name in backend.")
        if self._free_place(backend) is None:
            return _error("There is no room for another server in this backend until the next reload.")
        return None

    def add(self, backend: WatchedBackend, server: Server) -> Answer:
        """Add a server to a backend."""
        refused = self.refusal(backend, server.name)
        tracked = None if server.track is None else self._named("/".join(server.track))
        place = self._free_place(backend)
        if refused is not None or place is None:
            return refused or _error("There is no room for another server in this backend.")
        if server.track is not None and tracked is None:
            return _error(f"unable to find required server '{server.track[1]}' for tracking.")
        added = watch(server, place, backend, time.monotonic())
        state = added.state.marked(Admin.FORCED_MAINT, time.monotonic())
        check = replace(state.check.set_to(0), enabled=False, paused=server.disabled)
        added.state = replace(state, check=check, agent=replace(state.agent, enabled=False), down_transitions=0)
        if tracked is not None:
            added.tracked = tracked
            tracked.trackers.append(added)
        self._take_place(added)
        backend.servers.append(added)
        backend.write_weights(self._watch.memory)
        self._watch.send(SetServer(backend.place, place, server))
        self._checks.add(added)
        self._agents.add(added)
        return Answer("New server registered.", Severity.NOTICE)

    def remove(self, server: WatchedServer) -> Answer:
        """Remove a server."""
        if server.trackers:
            return _error(_POINTED_AT)
        if not server.state.in_maintenance:
            return _error("Only servers in maintenance mode can be deleted.")
        backend, memory = server.backend, self._watch.memory
        block = memory.layout.server(backend.place, server.place)
        if memory.sum(block, CURRENT) or memory.sum(block, QUEUED):
            return _error("Server still has connections attached to it, cannot remove it.")
        if server.tracked is not None:
            server.tracked.trackers.remove(server)
        self._watch.send(RemoveServer(backend.place, server.place))
        backend.servers.remove(server)
        self._checks.forget(server)
        self._agents.forget(server)
        return Answer("Server deleted.", Severity.INFO)

    def _named(self, name: str) -> WatchedServer | None:
        every = (server for backend in self._watch.backends for server in backend.servers)
        return next((server for server in every if server.name == name), None)

    def _free_place(self, backend: WatchedBackend) -> int | None:
        taken = {server.place for server in backend.servers}
        return next(
            (place for place in range(self._watch.memory.layout.slots[backend.place]) if place not in taken), None
        )

    def _take_place(self, server: WatchedServer) -> None:
        """Make a place ready: no worker counts there, so the supervisor may."""
        memory, backend = self._watch.memory, server.backend.place
        layout, words = memory.layout, memory.words
        for worker in range(layout.writers):
            row = layout.block(worker, layout.server(backend, server.place))
            words[row] = memoryview(bytearray(8 * (row.stop - row.start))).cast("q")
        write_limits(memory, backend, server.place, server.server)
        used = layout.backend_setting(backend, SLOTS_USED)
        words[used] = max(words[used], server.place + 1)


def _error(text: str) -> Answer:
    return Answer(text, Severity.ERROR)
