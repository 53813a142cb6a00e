"""Where connections go: a backend and its servers.

Laws: see ``tcpbalancer.model``.
"""

from __future__ import annotations

from dataclasses import dataclass

from hakit.diagnostics import Location
from tcpbalancer.model.check import Check, Probe, TcpCheck
from tcpbalancer.model.proxy import NOWHERE, Mode, Timeouts


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
