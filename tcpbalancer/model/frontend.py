"""Where clients arrive: a frontend, its addresses, its statistics page.

Laws: see ``tcpbalancer.model``.
"""

from __future__ import annotations

from dataclasses import dataclass

from hakit.diagnostics import Location
from tcpbalancer.model.log import ConnectionLog, ProxyLog
from tcpbalancer.model.page import HttpFront, StatsPage
from tcpbalancer.model.proxy import NOWHERE, Mode, Timeouts
from tcpbalancer.model.rule import FrontRules
from tcpbalancer.model.sockets import SocketOptions


@dataclass(frozen=True, slots=True)
class Bind:
    """One listening address: ``host`` is ``""`` for all IPv4 addresses (``*``), ``"::"`` for IPv6.

    ``only_v6`` says whether ``"::"`` leaves IPv4 alone; None: as the kernel is set (net.ipv6.bindv6only).
    ``/path``, ``abns@NAME`` and ``fd@N`` are a Unix socket, an abstract one, an inherited descriptor: their ``port`` is
    0. ``accept_proxy``: every connection begins with a PROXY header. ``id`` counts from 1 within a frontend.
    ``backlog`` 0: as large as may be. ``maxconn`` 0: no limit of its own. ``file_mode``, ``uid`` and ``gid`` are those
    of a Unix socket's file. ``held``: the port is kept and not listened on, since the kernel relays what arrives.
    """

    host: str
    port: int
    location: Location = NOWHERE
    only_v6: bool | None = None
    accept_proxy: bool = False
    id: int = 1
    name: str | None = None
    interface: str | None = None
    namespace: str | None = None
    transparent: bool = False
    mss: int = 0
    tcp_user_timeout: float | None = None
    fast_open: bool = False
    defer_accept: bool = False
    backlog: int = 0
    maxconn: int = 0
    file_mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    held: bool = False

    def __post_init__(self) -> None:
        assert 1 <= self.port <= 65535 or (self.port == 0 and self.has_no_port)

    @property
    def has_no_port(self) -> bool:
        """Whether it is something else than an address of IP."""
        return self.host.startswith(("/", "abns@", "fd@"))

    @property
    def title(self) -> str:
        """The address as HAProxy prints it."""
        return self.host if self.has_no_port else f"{self.host or '0.0.0.0'}:{self.port}"


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
    http: HttpFront | None = None  # only in HTTP mode
    rules: FrontRules | None = None
    kernel_relay: bool = False  # nftables lead its connections to servers: no process sees them
    location: Location = NOWHERE
