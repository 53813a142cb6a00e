"""The way from a frontend to a server, as a worker sees it: the configuration with its counters beside it.

Laws: the weights at which servers may be picked are read at the moment of the pick, so a server that has just gone DOWN
gets nothing more. A pick touches the algorithm's memory under its lock if several workers share it.
"""

from __future__ import annotations

import socket
from collections.abc import Collection
from dataclasses import dataclass

from tcpbalancer.balance import ALGORITHMS
from tcpbalancer.counters import BALANCED, Block, Layout, SharedMemory
from tcpbalancer.model import Backend, Configuration, Frontend, Mode, Server


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
    return Layout(
        frontends=len(tcp_frontends(configuration)),
        servers=[len(backend.servers) for backend in backends],
        memory_sizes=[ALGORITHMS[backend.balance]().memory_size(len(backend.servers)) for backend in backends],
        workers=configuration.nbthread,
    )


@dataclass(slots=True)
class Target:
    """A server with this worker's counters of it."""

    server: Server
    index: int
    block: Block
    family: socket.AddressFamily


class Pool:
    """A backend with this worker's counters of it; picks servers."""

    def __init__(self, memory: SharedMemory, worker: int, backend: Backend, index: int) -> None:
        layout = memory.layout
        self.backend = backend
        self.index = index
        self.block = Block(memory, worker, layout.backend(index))
        self.targets = [
            Target(
                server,
                number,
                Block(memory, worker, layout.server(index, number)),
                socket.AF_INET6 if ":" in server.address else socket.AF_INET,
            )
            for number, server in enumerate(backend.servers)
        ]
        self._shared = memory
        self._balancer = ALGORITHMS[backend.balance]()
        self._weights = memory.view(layout.weights(index))
        self._memory = memory.view(layout.memory(index))

    def pick(self, avoid: Collection[int] = ()) -> Target | None:
        """Return the next server, or None if none is usable; counts the choice."""
        if self._shared.layout.workers == 1:
            index = self._balancer.pick(self._memory, self._weights, avoid)
        else:
            with self._shared.locked(self.index):
                index = self._balancer.pick(self._memory, self._weights, avoid)
        if index is None:
            return None
        target = self.targets[index]
        target.block.add(BALANCED)
        self.block.add(BALANCED)
        return target

    def has_other_than(self, target: Target) -> bool:
        """Return whether any other server could be picked now."""
        return any(weight for index, weight in enumerate(self._weights) if index != target.index)


@dataclass(slots=True)
class Route:
    """A frontend with this worker's counters of it, and where it leads: None for a frontend without a backend."""

    frontend: Frontend
    block: Block
    pool: Pool | None


def make_routes(configuration: Configuration, memory: SharedMemory, worker: int) -> list[Route]:
    """Return the routes of the TCP frontends, in the order of the file."""
    pools = {
        backend.name: Pool(memory, worker, backend, index) for index, backend in enumerate(all_backends(configuration))
    }
    return [
        Route(frontend, Block(memory, worker, memory.layout.frontend(index)), pools.get(frontend.default_backend or ""))
        for index, frontend in enumerate(tcp_frontends(configuration))
    ]
