"""Where connections go: a backend and its servers.

Laws: see ``tcpbalancer.model``.
"""

from __future__ import annotations

from dataclasses import dataclass

from hakit.diagnostics import Location
from tcpbalancer.model.check import AgentCheck, Check, Probe
from tcpbalancer.model.conduct import InitState, OnError
from tcpbalancer.model.dialogue import PLAIN_CONNECT
from tcpbalancer.model.log import ProxyLog
from tcpbalancer.model.naming import Naming
from tcpbalancer.model.proxy import NOWHERE, Mode, Timeouts
from tcpbalancer.model.reach import Reach
from tcpbalancer.model.rule import BackRules, StickTable
from tcpbalancer.model.sockets import SocketOptions


@dataclass(frozen=True, slots=True)
class Hashing:
    """``hash-type``: by a map or (``consistent``) by a ring; how a key is hashed.

    ``balance_factor`` is the percentage of the average load that bounds a server's on the ring, 0 for none.
    """

    consistent: bool = False
    function: str = "sdbm"
    avalanche: bool = False
    balance_factor: int = 0


@dataclass(frozen=True, slots=True)
class Server:
    """One server of a backend. ``/path`` and ``abns@NAME`` are addresses, too: then ``port`` is 0.

    ``check`` None: not checked, always UP. ``maxconn`` and ``maxqueue`` 0: no limit.

    ``minconn`` 0: ``maxconn`` does not depend on the backend's load. ``identity`` is its ``id``, 0 for its place.
    ``track`` names the backend and the server whose state is followed; ``observe`` says whether failed connections
    count against it, ``error_limit`` how many in a row; ``slowstart`` is seconds. ``host`` is its name in the file if
    it has one there; ``address`` is empty as long as that is not known, ``naming`` says who looks for it later.
    """

    name: str
    address: str
    port: int
    weight: int = 1
    maxconn: int = 0
    minconn: int = 0
    maxqueue: int = 0
    identity: int = 0
    backup: bool = False
    disabled: bool = False
    check: Check | None = None
    agent: AgentCheck | None = None
    shutdown_sessions_when_down: bool = False
    shutdown_backup_sessions_when_up: bool = False
    track: tuple[str, str] | None = None
    observe: bool = False
    error_limit: int = 10
    on_error: OnError = OnError.FAIL_CHECK
    init_state: InitState = InitState.NONE
    slowstart: int = 0
    host: str = ""
    naming: Naming | None = None
    reach: Reach = Reach()
    location: Location = NOWHERE

    def __post_init__(self) -> None:
        assert 0 <= self.weight <= 256


@dataclass(frozen=True, slots=True)
class Backend:
    """Where connections go. ``retries`` counts attempts after the first one; ``probe`` is what checked servers get.

    ``redispatch`` is the interval of ``option redispatch``, None without it. ``fullconn`` is the number of sessions at
    which servers get their whole ``maxconn``.
    """

    name: str
    servers: tuple[Server, ...]
    mode: Mode = Mode.TCP
    balance: str = "roundrobin"
    hashing: Hashing = Hashing()
    draws: int = 2
    all_backups: bool = False
    probe: Probe = PLAIN_CONNECT
    timeouts: Timeouts = Timeouts()
    retries: int = 3
    redispatch: int | None = None
    persist: bool = False
    abort_on_close: bool = False
    fullconn: int = 1
    log_health_checks: bool = False
    log: ProxyLog = ProxyLog()
    rules: BackRules | None = None
    table: StickTable | None = None
    sockets: SocketOptions = SocketOptions()
    independent_streams: bool = False
    location: Location = NOWHERE
