"""What a check may be told of the server that it asks: samples, ``http-check send-state``, an external program.

Laws: looked up when the check begins; nothing here waits.
"""

from __future__ import annotations

import os
import socket
import time
from dataclasses import dataclass
from functools import cache

from tcpbalancer.checks import Surroundings
from tcpbalancer.counters import CURRENT, SharedMemory
from tcpbalancer.dialogue.sample import Facts
from tcpbalancer.watched import WatchedServer


@cache
def _hostname() -> str:
    return socket.gethostname()


@dataclass(frozen=True, slots=True)
class CheckSubject:
    """A server as its check sees it; ``node`` is the name of this balancer, ``bind`` where its clients arrive."""

    server: WatchedServer
    memory: SharedMemory
    node: str | None = None
    bind: tuple[str, int] | None = None

    def facts(self) -> Facts:
        """Return what samples can be about."""
        backend = self.server.backend
        return Facts(
            backend=backend.backend.name,
            server=self.server.server.name,
            backend_id=backend.place + 1,
            server_id=self.server.server.identity or self.server.place + 1,
            hostname=_hostname(),
            now=time.time(),
            environment=os.environ,
            state=self._state(),
            is_up=self.server.state.is_up,
        )

    def _state(self) -> str:
        """Return the value of ``X-Haproxy-Server-State``."""
        backend, server = self.server.backend, self.server.server
        usable = [each for each in backend.servers if each.state.is_usable]
        total = sum(each.shown_weight for each in usable)
        sessions = [self._current(each) for each in backend.servers]
        parts = [
            self.server.shown,
            f"address={server.address}",
            f"port={server.port}",
            f"name={backend.backend.name}/{server.name}",
            f"node={self.node or _hostname()}",
            f"weight={self.server.shown_weight}/{total}",
            f"scur={self._current(self.server)}/{sum(sessions)}",
            "qcur=0",
        ]
        return "; ".join(parts)

    def _current(self, server: WatchedServer) -> int:
        return self.memory.sum(self.memory.layout.server(server.backend.place, server.place), CURRENT)

    def surroundings(self) -> Surroundings:
        """Return what an external check is told."""
        backend, server = self.server.backend, self.server.server
        return Surroundings(
            backend=backend.backend.name,
            backend_id=backend.place + 1,
            server=server.name,
            server_id=self.server.server.identity or self.server.place + 1,
            address=server.address,
            port=server.port,
            bind=self.bind,
            maxconn=server.maxconn,
            current=self._current(self.server),
        )
