"""What rules ask about the proxies around a connection, answered from the counters.

Laws: every answer is that of the moment; numbers are over all workers, as far as they are counted in shared memory.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable, Mapping

from tcpbalancer.counters import QUEUED
from tcpbalancer.model.rule import Ip
from tcpbalancer.pool import Pool, Target
from tcpbalancer.route import Route
from tcpbalancer.rules.samples import as_address


class WorkerCensus:
    """The census of one worker."""

    def __init__(self, routes: Iterable[Route], pools: Mapping[str, Pool]) -> None:
        self._routes = {route.frontend.name: route for route in routes}
        self._pools = pools

    def frontend_sessions(self, frontend: str) -> int:
        """Return the connections of a frontend."""
        return self._routes[frontend].block.current() if frontend in self._routes else 0

    def backend_sessions(self, backend: str) -> int:
        """Return the connections of a backend."""
        return self._pools[backend].block.current()

    def server_sessions(self, backend: str, server: str) -> int:
        """Return the connections of a server."""
        target = self._target(backend, server)
        return 0 if target is None else target.block.current()

    def usable_servers(self, backend: str) -> int:
        """Return how many servers may be picked: the backups only if there is nobody else (be_usable_srv)."""
        return self._pools[backend].usable()

    def is_usable(self, backend: str, server: str) -> bool:
        """Return whether a server is up."""
        target = self._target(backend, server)
        return target is not None and self._pools[backend].is_running(target.index)

    def queued(self, backend: str) -> int:
        """Return how many connections wait for a server."""
        return self._pools[backend].block.sum(QUEUED)

    def free_slots(self, backend: str) -> int:
        """Return how many more connections its usable servers take; -1: there is no limit."""
        return self._pools[backend].free_slots()

    @staticmethod
    def is_local(address: Ip) -> bool:
        """Return whether an address is one of this host's: whether it can be bound to."""
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6
        with socket.socket(family, socket.SOCK_DGRAM) as trying:
            try:
                trying.bind((str(as_address(address)), 0))
            except OSError as problem:
                return problem.errno == errno.EACCES
        return True

    def _target(self, backend: str, server: str) -> Target | None:
        return next((one for one in self._pools[backend].targets.values() if one.server.name == server), None)
