"""What a configuration of the balancer says, once it is understood.

Laws: pure, frozen, valid by construction. Times are float seconds, 0 or None as each field says. The two front ends
(haproxy.cfg and YAML) build exactly this and nothing else; no other module looks at configuration text. A ``listen``
section becomes a Frontend and a Backend of the same name. Names are HAProxy's keywords.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from hakit.diagnostics import Location
from hakit.schedule import Intervals

NOWHERE = Location("<none>")


class Mode(Enum):
    """What a proxy speaks: bytes, or (for the statistics page only) HTTP."""

    TCP = "tcp"
    HTTP = "http"


@dataclass(frozen=True, slots=True)
class Secret:
    """A password: it compares, but it does not print."""

    value: str = field(repr=False)

    def __str__(self) -> str:
        return "********"


@dataclass(frozen=True, slots=True)
class Bind:
    """One listening address: ``host`` is ``""`` for all IPv4 addresses (``*``), ``"::"`` for IPv6.

    ``only_v6`` says whether ``"::"`` leaves IPv4 alone; None: as the kernel is set (net.ipv6.bindv6only).
    """

    host: str
    port: int
    location: Location = NOWHERE
    only_v6: bool | None = None

    def __post_init__(self) -> None:
        assert 1 <= self.port <= 65535


@dataclass(frozen=True, slots=True)
class HttpCheck:
    """``option httpchk`` with its ``http-check expect status``: no status wanted means any of 2xx and 3xx."""

    method: str = "OPTIONS"
    uri: str = "/"
    version: str = "HTTP/1.0"
    headers: tuple[tuple[str, str], ...] = ()
    expect_status: frozenset[int] | None = None


@dataclass(frozen=True, slots=True)
class TcpCheck:
    """A plain connect, given up before the server's application sees it."""


Probe = HttpCheck | TcpCheck


@dataclass(frozen=True, slots=True)
class Check:
    """How a server is checked; ``address`` and ``port`` are those of the server unless the file says otherwise."""

    address: str
    port: int
    intervals: Intervals = Intervals()
    rise: int = 2
    fall: int = 3


@dataclass(frozen=True, slots=True)
class Server:
    """One server of a backend. ``check`` None: not checked, always UP. ``maxconn`` 0: no limit."""

    name: str
    address: str
    port: int
    weight: int = 1
    maxconn: int = 0
    backup: bool = False
    disabled: bool = False
    check: Check | None = None
    shutdown_sessions_when_down: bool = False
    location: Location = NOWHERE

    def __post_init__(self) -> None:
        assert 0 <= self.weight <= 256


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds; None means no limit. ``check`` None: the whole check has to end within its interval."""

    client: float | None = None
    connect: float | None = None
    server: float | None = None
    check: float | None = None
    queue: float | None = None
    tunnel: float | None = None
    client_fin: float | None = None
    server_fin: float | None = None


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
    tcplog: bool = False
    dontlognull: bool = False
    stats: StatsPage | None = None
    location: Location = NOWHERE


@dataclass(frozen=True, slots=True)
class Backend:
    """Where connections go. ``retries`` counts attempts after the first one; ``probe`` is what checked servers get."""

    name: str
    servers: tuple[Server, ...]
    mode: Mode = Mode.TCP
    balance: str = "roundrobin"
    probe: Probe = TcpCheck()
    timeouts: Timeouts = Timeouts()
    retries: int = 3
    redispatch: bool = False
    log_health_checks: bool = False
    location: Location = NOWHERE


@dataclass(frozen=True, slots=True)
class LogTarget:
    """Where log lines go: ``stdout``, ``stderr``, ``/path`` of a Unix datagram socket, or ``host:port`` for UDP."""

    address: str
    facility: str = "local0"
    format: str = "rfc3164"
    level: str = "debug"


@dataclass(frozen=True, slots=True)
class Configuration:
    """A whole configuration. ``order`` holds the proxies' names in the order of the file, for the statistics."""

    frontends: Mapping[str, Frontend]
    backends: Mapping[str, Backend]
    order: tuple[str, ...]
    log_targets: tuple[LogTarget, ...] = ()
    maxconn: int = 2000
    nbthread: int = 1
    daemon: bool = False
    pidfile: str | None = None
    node: str | None = None
    description: str | None = None
