"""Where connections go: a backend and its servers.

Laws: see ``tcpbalancer.model``.
"""

from __future__ import annotations

from dataclasses import dataclass

from hakit.diagnostics import Location
from tcpbalancer.model.check import Check, Probe, TcpCheck
from tcpbalancer.model.conduct import InitState, OnError
from tcpbalancer.model.log import ProxyLog
from tcpbalancer.model.proxy import NOWHERE, Mode, Timeouts
from tcpbalancer.model.rule import BackRules, StickTable
from tcpbalancer.model.sockets import SocketOptions


@dataclass(frozen=True, slots=True)
class Server:
    """One server of a backend. ``check`` None: not checked, always UP. ``maxconn`` 0: no limit.

    ``track`` names the backend and the server whose state is followed; ``observe`` says whether failed connections
    count against it, ``error_limit`` how many in a row; ``slowstart`` is seconds.
    """

    name: str
    address: str
    port: int
    weight: int = 1
    maxconn: int = 0
    backup: bool = False
    disabled: bool = False
    check: Check | None = None
    shutdown_sessions_when_down: bool = False
    shutdown_backup_sessions_when_up: bool = False
    track: tuple[str, str] | None = None
    observe: bool = False
    error_limit: int = 10
    on_error: OnError = OnError.FAIL_CHECK
    init_state: InitState = InitState.NONE
    slowstart: int = 0
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
    log: ProxyLog = ProxyLog()
    rules: BackRules | None = None
    table: StickTable | None = None
    sockets: SocketOptions = SocketOptions()
    independent_streams: bool = False
    location: Location = NOWHERE
