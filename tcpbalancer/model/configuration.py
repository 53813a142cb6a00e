"""A whole configuration: the proxies, and what belongs to the process.

Laws: see ``tcpbalancer.model``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tcpbalancer.model.backend import Backend
from tcpbalancer.model.frontend import Frontend
from tcpbalancer.model.log import LogTarget
from tcpbalancer.model.naming import Resolvers
from tcpbalancer.model.process import Process
from tcpbalancer.model.saved import SavedServer
from tcpbalancer.model.stats_socket import StatsSocket


@dataclass(frozen=True, slots=True)
class Configuration:
    """A whole configuration. ``order`` holds the proxies' names in the order of the file, for the statistics.

    ``spread_checks``: percent by which the times of checks are strewn; ``max_spread_checks``: seconds.
    """

    frontends: Mapping[str, Frontend]
    backends: Mapping[str, Backend]
    order: tuple[str, ...]
    log_targets: tuple[LogTarget, ...] = ()
    log_tag: str = "haproxy"
    log_host: str | None = None  # the host name that lines carry; None: as their format has it
    maxconn: int = 2000
    connection_rate: int = 0  # maxconnrate: in a second; 0: no limit
    session_rate: int = 0  # maxsessrate
    nbthread: int = 1
    daemon: bool = False
    pidfile: str | None = None
    node: str | None = None
    description: str | None = None
    stats_sockets: tuple[StatsSocket, ...] = ()
    stats_timeout: float = 10.0
    stats_maxconn: int = 10
    process: Process = Process()
    resolvers: Mapping[str, Resolvers] = field(default_factory=dict)
    saved: Mapping[tuple[str, str], SavedServer] = field(default_factory=dict)  # by backend and server
    spread_checks: int = 0
    max_spread_checks: float | None = None

    @property
    def has_listeners(self) -> bool:
        """Whether clients can arrive at all."""
        return bool(self.stats_sockets) or any(frontend.binds for frontend in self.frontends.values())
