"""What the supervisor knows of every server and every backend, in one place.

Laws: no clock, no socket. States are values (``server_state``); this is where the latest ones are kept, beside what an
operator or a name server has changed since the start. A server keeps its place (its slot in shared memory) for as long
as it lives.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from hakit.health import RiseFall
from tcpbalancer.balance import eligible, is_dynamic
from tcpbalancer.counters import CURRENT, ENDS_WANTED, QUEUED, RUNNING, SCALE, THROTTLE, SharedMemory
from tcpbalancer.model import Backend, Configuration, SavedServer, Server
from tcpbalancer.route import all_backends
from tcpbalancer.server_state import Admin, BackendState, CheckState, Operation, ServerState, Terms, shown
from tcpbalancer.slowstart import share, shown_weight, throttle
from tcpbalancer.state_file import restored
from tcpbalancer.state_lines import About, Standing


@dataclass(slots=True, eq=False)
class WatchedServer:
    """A server and what is known of it. ``server`` is its definition as it is now, ``weight`` the weight set last."""

    server: Server
    place: int
    backend: WatchedBackend
    state: ServerState
    weight: int
    effective: int = 0  # in sixteenths; what it would have, were it usable
    tracked: WatchedServer | None = None
    trackers: list[WatchedServer] = field(default_factory=list)
    is_being_checked: bool = False
    origin: Server = field(init=False)  # its definition in the file
    could_be_asked: bool = True  # whether there was a descriptor for its last check
    errors_in_a_row: int = 0  # under ``observe``

    def __post_init__(self) -> None:
        self.origin = self.server

    @property
    def name(self) -> str:
        """``backend/server``."""
        return f"{self.backend.backend.name}/{self.server.name}"

    @property
    def reference(self) -> WatchedServer:
        """The end of a chain of ``track``: the server that is checked."""
        server = self
        while server.tracked is not None:
            server = server.tracked
        return server

    @property
    def shown(self) -> str:
        """The status as the statistics print it."""
        via = "" if self.tracked is None else self.tracked.name
        return shown(self.state, self.reference.state, via)

    @property
    def shown_weight(self) -> int:
        """The effective weight as the statistics print it."""
        return shown_weight(self.effective)

    @property
    def throttle(self) -> int | None:
        """The percentage of its weight while it starts; None at other times."""
        starts = self.state.operation is Operation.STARTING and not self.state.in_maintenance
        return throttle(self.effective, self.weight) if starts else None

    def terms(self) -> Terms:
        """Return what its next state depends on besides its own."""
        tracked = None if self.tracked is None else self.tracked.state.operation
        return Terms(bool(self.server.slowstart), self.server.init_state, tracked)

    def restore(self, saved: SavedServer, now: float) -> ServerState:
        """Become what a state file says; returns the first state on the way there, whose operation may be another."""
        states = list(restored(self.state, saved, self.origin.weight, now, self.terms()))
        self.state = states[-1]
        if saved.initial_weight == self.origin.weight:
            self.weight = saved.weight
        check = self.server.check
        if check is not None:
            address = saved.check_address or check.address
            own_port = check.port != self.server.port
            port = saved.check_port or (check.port if own_port else saved.port or check.port)
            check = replace(check, address=address, port=port)
        self.server = replace(self.server, port=saved.port or self.server.port, check=check)
        self.weigh(now)
        return states[0]

    def moved(self, address: str, port: int) -> None:
        """Have another address; its checks go there, too, unless they have an address of their own."""
        before = self.server
        check = before.check
        if check is not None:
            check = replace(
                check,
                address=address if check.address == before.address else check.address,
                port=port if check.port == before.port else check.port,
            )
        agent = before.agent
        if agent is not None and agent.address == before.address:
            agent = replace(agent, address=address)
        self.server = replace(before, address=address, port=port, check=check, agent=agent)

    def weigh(self, now: float) -> None:
        """Set its effective weight to what it is at this moment."""
        starts = self.state.operation is Operation.STARTING and is_dynamic(self.backend.backend)
        part = share(now - self.state.changed_at, self.server.slowstart) if starts else SCALE
        self.effective = self.weight * part


@dataclass(slots=True, eq=False)
class WatchedBackend:
    """A backend with its servers, and what is known of it."""

    backend: Backend
    place: int
    is_listen: bool
    state: BackendState
    servers: list[WatchedServer] = field(default_factory=list)

    def standing(self) -> Standing:
        """Return how many servers, and how many backups, it can use now."""
        usable = [watched.server for watched in self.servers if watched.state.is_usable and watched.effective]
        backups = sum(server.backup for server in usable)
        return Standing(active=len(usable) - backups, backup=backups)

    def write_weights(self, memory: SharedMemory) -> None:
        """Write the weights at which servers may be picked from now on, and which of them run at all."""
        layout, words = memory.layout, memory.words
        for watched in self.servers:
            words[layout.server_setting(self.place, watched.place, RUNNING)] = int(watched.state.is_up)
            words[layout.server_setting(self.place, watched.place, THROTTLE)] = watched.throttle or 0
        backups = {index for index, watched in enumerate(self.servers) if watched.server.backup}
        usable = [watched.effective if watched.state.is_usable else 0 for watched in self.servers]
        start = layout.weights(self.place).start
        # Who comes in is written before who goes out: who reads in between must not see a backend without any.
        for index, weight in sorted(
            enumerate(eligible(usable, backups, all_backups=self.backend.all_backups)), key=lambda each: not each[1]
        ):
            words[start + self.servers[index].place] = weight
        leaving = any(watched.state.is_draining or watched.state.in_maintenance for watched in self.servers)
        words[layout.backend_setting(self.place, ENDS_WANTED)] = int(leaving)
        memory.ring()  # there may be room now for those who wait


def about(server: WatchedServer, memory: SharedMemory) -> About:
    """Return of whom a line tells, and what is left of its backend."""
    backend = server.backend
    left = backend.standing()
    block = memory.layout.server(backend.place, server.place)
    sessions, queued = memory.sum(block, CURRENT), memory.sum(block, QUEUED)
    return About(
        backend=backend.backend.name,
        server=server.server.name,
        standing=Standing(left.active, left.backup, sessions, queued),
        backup=server.server.backup,
        via="" if server.tracked is None else server.tracked.name,
        host=server.server.host,
    )


def watch_all(configuration: Configuration, now: float) -> list[WatchedBackend]:
    """Return all backends with their servers as they stand at the start, those that track another one after it."""
    backends: list[WatchedBackend] = []
    for place, backend in enumerate(all_backends(configuration)):
        watched = WatchedBackend(backend, place, backend.name in configuration.frontends, BackendState(True, now))
        for slot, server in enumerate(backend.servers):
            watched.servers.append(watch(server, slot, watched, now))
        backends.append(watched)
    by_name = {server.name: server for backend in backends for server in backend.servers}
    for each in by_name.values():
        if each.server.track is not None:
            each.tracked = by_name["/".join(each.server.track)]
            each.tracked.trackers.append(each)
    return backends


def watch(server: Server, place: int, backend: WatchedBackend, now: float) -> WatchedServer:
    """Return a server as it stands when it is new."""
    return WatchedServer(server, place, backend, initial_state(server, now), server.weight, server.weight * SCALE)


def initial_state(server: Server, now: float) -> ServerState:
    """Return the state in which a server begins."""
    check = server.check
    known = None if check is None else CheckState(server.init_state.start(check.rise, check.fall))
    agent = None if server.agent is None else CheckState(RiseFall.barely_up(1, 1))
    state = ServerState.initial(now, check=known, agent=agent, disabled=server.disabled, init_state=server.init_state)
    if server.address:
        return state
    # It never was UP, so nothing has gone down.
    return replace(state.marked(Admin.RESOLUTION, now), down_transitions=0)


def chain(server: WatchedServer) -> Iterator[WatchedServer]:
    """Yield all servers that follow a server by ``track``, directly or not."""
    for tracker in server.trackers:
        yield tracker
        yield from chain(tracker)
