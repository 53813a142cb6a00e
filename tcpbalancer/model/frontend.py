"""Where clients arrive: a frontend, its addresses, its statistics page.

Laws: see ``tcpbalancer.model``.
"""

from __future__ import annotations

from dataclasses import dataclass

from hakit.diagnostics import Location
from tcpbalancer.model.log import ConnectionLog, ProxyLog
from tcpbalancer.model.proxy import NOWHERE, Mode, Secret, Timeouts
from tcpbalancer.model.rule import FrontRules
from tcpbalancer.model.sockets import SocketOptions


@dataclass(frozen=True, slots=True)
class Bind:
    """One listening address: ``host`` is ``""`` for all IPv4 addresses (``*``), ``"::"`` for IPv6.

    ``only_v6`` says whether ``"::"`` leaves IPv4 alone; None: as the kernel is set (net.ipv6.bindv6only).
    ``accept_proxy``: every connection begins with a PROXY header. ``id`` counts from 1 within a frontend.
    """

    host: str
    port: int
    location: Location = NOWHERE
    only_v6: bool | None = None
    accept_proxy: bool = False
    id: int = 1
    name: str | None = None

    def __post_init__(self) -> None:
        assert 1 <= self.port <= 65535


@dataclass(frozen=True, slots=True)
class StatsPage:
    """The statistics page of a proxy in HTTP mode; ``users`` empty: open to everyone."""

    uri: str = "/haproxy?stats"
    realm: str = "HAProxy Statistics"
    users: tuple[tuple[str, Secret], ...] = ()
    refresh: float | None = None
    hide_version: bool = False


@dataclass(frozen=True, slots=True)
class Frontend:
    """Where clients arrive. ``default_backend`` names a Backend of the same configuration, or is None for a page."""

    name: str
    binds: tuple[Bind, ...]
    mode: Mode = Mode.TCP
    default_backend: str | None = None
    timeouts: Timeouts = Timeouts()
    maxconn: int = 2000
    session_rate: int = 0  # rate-limit sessions: in a second; 0: no limit
    connection_log: ConnectionLog | None = None
    log: ProxyLog = ProxyLog()
    sockets: SocketOptions = SocketOptions()
    independent_streams: bool = False
    stats: StatsPage | None = None
    rules: FrontRules | None = None
    location: Location = NOWHERE
