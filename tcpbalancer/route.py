"""The way from a frontend to a backend, as a worker sees it, and where the counters of a configuration lie.

Laws: supervisor and workers compute the same places from the same configuration, and nobody tells the other one.
"""

from __future__ import annotations

from dataclasses import dataclass

from tcpbalancer.balance import make_balancer
from tcpbalancer.block import Block
from tcpbalancer.counters import (
    FRONTEND_SETTINGS,
    FULLCONN,
    GLOBAL_CONNECTION_RATE,
    GLOBAL_MAXCONN,
    GLOBAL_SESSION_RATE,
    MAXCONN,
    SERVER_MAXCONN,
    SERVER_MAXQUEUE,
    SERVER_MINCONN,
    SESSION_RATE,
    SLOTS_USED,
    SPARE_SERVERS,
    Layout,
    SharedMemory,
)
from tcpbalancer.model import Backend, Configuration, Frontend, Mode, Server
from tcpbalancer.pool import Pool
from tcpbalancer.rules.stick_table import rows_of
from tcpbalancer.silence import first_limit


def tcp_frontends(configuration: Configuration) -> list[Frontend]:
    """Return the frontends that workers serve, in the order of the file."""
    named = (configuration.frontends[name] for name in configuration.order if name in configuration.frontends)
    return [frontend for frontend in named if frontend.mode is Mode.TCP]


def all_backends(configuration: Configuration) -> list[Backend]:
    """Return the backends in the order of the file."""
    return [configuration.backends[name] for name in configuration.order if name in configuration.backends]


def make_layout(configuration: Configuration) -> Layout:
    """Return where the counters of this configuration lie; the same in the supervisor and in every worker."""
    backends = all_backends(configuration)
    servers = [len(backend.servers) for backend in backends]
    return Layout(
        frontends=len(tcp_frontends(configuration)),
        servers=servers,
        memory_sizes=[
            make_balancer(backend).memory_size(count + SPARE_SERVERS)
            for backend, count in zip(backends, servers, strict=True)
        ],
        workers=configuration.nbthread,
        spare=SPARE_SERVERS,
        tables=[rows_of(backend.table) for backend in backends],
        kernel=any(frontend.kernel_relay for frontend in configuration.frontends.values()),
    )


def make_memory(configuration: Configuration) -> SharedMemory:
    """Make the memory that supervisor and workers share, with the limits of the file; no server is usable yet."""
    memory = SharedMemory(make_layout(configuration))
    layout, words = memory.layout, memory.words
    for setting, value in (
        (GLOBAL_MAXCONN, configuration.maxconn),
        (GLOBAL_CONNECTION_RATE, configuration.connection_rate),
        (GLOBAL_SESSION_RATE, configuration.session_rate),
    ):
        words[layout.settings.start + setting] = value
    for place, frontend in enumerate(tcp_frontends(configuration)):
        words[layout.frontend_setting(place, MAXCONN)] = frontend.maxconn
        words[layout.frontend_setting(place, SESSION_RATE)] = frontend.session_rate
    for place, backend in enumerate(all_backends(configuration)):
        words[layout.backend_setting(place, SLOTS_USED)] = len(backend.servers)
        words[layout.backend_setting(place, FULLCONN)] = backend.fullconn
        for slot, server in enumerate(backend.servers):
            write_limits(memory, place, slot, server)
    return memory


def write_limits(memory: SharedMemory, backend: int, slot: int, server: Server) -> None:
    """Write the limits of a server as its definition has them."""
    for setting, value in (
        (SERVER_MAXCONN, server.maxconn),
        (SERVER_MINCONN, server.minconn),
        (SERVER_MAXQUEUE, server.maxqueue),
    ):
        memory.words[memory.layout.server_setting(backend, slot, setting)] = value


@dataclass(slots=True)
class Route:
    """A frontend with this worker's counters and settings of it, and where it leads: None for one without a backend."""

    frontend: Frontend
    block: Block
    settings: memoryview
    pool: Pool | None
    patience: float | None = None
    """For how many seconds a connection that was just established may be silent; None: for ever."""


def make_pools(configuration: Configuration, memory: SharedMemory, worker: int) -> dict[str, Pool]:
    """Return a worker's view of each backend, by its name."""
    return {
        backend.name: Pool(memory, worker, backend, index) for index, backend in enumerate(all_backends(configuration))
    }


def make_routes(configuration: Configuration, memory: SharedMemory, worker: int, pools: dict[str, Pool]) -> list[Route]:
    """Return the routes of the TCP frontends, in the order of the file."""
    routes = []
    for place, frontend in enumerate(tcp_frontends(configuration)):
        start = memory.layout.frontend_setting(place, 0)
        settings = memory.view(slice(start, start + FRONTEND_SETTINGS))
        block = Block(memory, worker, memory.layout.frontend(place))
        pool = pools.get(frontend.default_backend or "")
        patience = None if pool is None else first_limit(frontend.timeouts, pool.backend.timeouts)
        routes.append(Route(frontend, block, settings, pool, patience))
    return routes
