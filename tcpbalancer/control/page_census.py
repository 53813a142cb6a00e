"""What the rules of a page ask about proxies and servers, answered from the statistics.

Laws: no socket. See ``rules.facts.Census``; a name that is not there counts nothing.
"""

from __future__ import annotations

from collections.abc import Callable

from tcpbalancer.census import WorkerCensus
from tcpbalancer.model.rule import Ip
from tcpbalancer.statistics import BackendStatistics, ServerStatistics, Snapshot


class PageCensus:
    """The census of the supervisor; a snapshot is taken when a rule first wants to know."""

    def __init__(self, snapshot: Callable[[], Snapshot]) -> None:
        self._take = snapshot
        self._taken: Snapshot | None = None

    def _backend(self, name: str) -> BackendStatistics | None:
        return next((proxy.backend for proxy in self._snapshot.proxies if proxy.name == name), None)

    def _servers(self, backend: str) -> tuple[ServerStatistics, ...]:
        found = (proxy.servers for proxy in self._snapshot.proxies if proxy.name == backend)
        return next(found, ())

    @property
    def _snapshot(self) -> Snapshot:
        if self._taken is None:
            self._taken = self._take()
        return self._taken

    def frontend_sessions(self, frontend: str) -> int:
        """Return the connections of a frontend."""
        fronts = (proxy.frontend for proxy in self._snapshot.proxies if proxy.name == frontend)
        return sum(front.traffic.current for front in fronts if front is not None)

    def backend_sessions(self, backend: str) -> int:
        """Return the connections of a backend."""
        found = self._backend(backend)
        return 0 if found is None else found.traffic.current

    def server_sessions(self, backend: str, server: str) -> int:
        """Return the connections of a server."""
        return sum(each.traffic.current for each in self._servers(backend) if each.name == server)

    def usable_servers(self, backend: str) -> int:
        """Return how many servers may be picked: the backups only if there is nobody else (be_usable_srv)."""
        found = self._backend(backend)
        return 0 if found is None else found.active or found.backup

    def is_usable(self, backend: str, server: str) -> bool:
        """Return whether a server is up."""
        return any(each.usable for each in self._servers(backend) if each.name == server)

    def queued(self, backend: str) -> int:
        """Return how many connections wait for a server."""
        found = self._backend(backend)
        return 0 if found is None else found.queued

    def free_slots(self, backend: str) -> int:
        """Return how many more connections its usable servers take; -1: there is no limit."""
        usable = [each for each in self._servers(backend) if each.usable]
        if any(each.traffic.limit is None for each in usable):
            return -1
        return sum((each.traffic.limit or 0) - each.traffic.current for each in usable)

    @staticmethod
    def is_local(address: Ip) -> bool:
        """Return whether an address is one of this host's."""
        return WorkerCensus.is_local(address)
