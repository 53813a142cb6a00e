"""What the statistics show: one picture of the whole balancer at one moment.

Laws: pure and frozen; a snapshot is made by the supervisor and read by everyone else (page, CSV, metrics, status). The
fields are HAProxy's CSV columns in TCP mode (its management guide, "Statistics and monitoring") under readable names,
the column's own name behind each. Nothing here is formatted: None stands where the column stays empty. Durations are
seconds unless the name ends in ``_ms``; what was read carries its age.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tcpbalancer.model import Mode


@dataclass(frozen=True, slots=True)
class Traffic:
    """Sessions and bytes of a frontend, a server or a backend. ``limit`` None: no limit of its own."""

    current: int = 0  # scur
    peak: int = 0  # smax
    limit: int | None = None  # slim
    total: int = 0  # stot
    bytes_in: int = 0  # bin: from the client
    bytes_out: int = 0  # bout: to the client
    rate: int = 0  # sessions in the last second
    rate_peak: int = 0  # rate_max


@dataclass(frozen=True, slots=True)
class Times:
    """Averages over the last 1024 sessions, and the largest values, in milliseconds."""

    queue_ms: int = 0  # qtime
    connect_ms: int = 0  # ctime
    response_ms: int = 0  # rtime: always 0 in TCP mode
    total_ms: int = 0  # ttime
    queue_peak_ms: int = 0  # qtime_max
    connect_peak_ms: int = 0  # ctime_max
    response_peak_ms: int = 0  # rtime_max
    total_peak_ms: int = 0  # ttime_max


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What went wrong, and what was done about it, on the way to servers."""

    connection_errors: int = 0  # econ: given up
    response_errors: int = 0  # eresp
    retries: int = 0  # wretr: again to the same server
    redispatches: int = 0  # wredis: on to another server
    client_aborts: int = 0  # cli_abrt
    server_aborts: int = 0  # srv_abrt
    connects: int = 0  # connect: attempts to connect


@dataclass(frozen=True, slots=True)
class CheckStatistics:
    """The checks of one server. ``age`` is the seconds since the last one ended, None before the first."""

    status: str  # check_status: INI, L4OK, L7STS, ...
    description: str  # check_desc
    code: int | None  # check_code: the HTTP status
    info: str  # last_chk
    duration_ms: int | None  # check_duration
    in_progress: bool  # shown as "* " before the code
    failed: int  # chkfail: failures while it was up
    down_transitions: int  # chkdown
    downtime: float  # downtime
    rise: int  # check_rise
    fall: int  # check_fall
    health: int  # check_health
    age: float | None
    paused: bool = False  # by maintenance: only what has been counted is shown
    observed: int | None = None  # hanafail: how often traffic showed too many errors, None if it is not observed


@dataclass(frozen=True, slots=True)
class HttpStatistics:
    """What a frontend in HTTP mode counts besides."""

    requests: int = 0  # req_tot
    request_rate: int = 0  # req_rate
    request_rate_peak: int = 0  # req_rate_max
    intercepted: int = 0  # intercepted: answered by the page, the metrics or a rule
    answers: tuple[int, int, int, int, int] = (0, 0, 0, 0, 0)  # hrsp_1xx to hrsp_5xx


@dataclass(frozen=True, slots=True)
class FrontendStatistics:
    """The FRONTEND row of a proxy."""

    status: str  # OPEN or STOP
    traffic: Traffic
    connection_rate: int = 0  # conn_rate
    connection_rate_peak: int = 0  # conn_rate_max
    connections_total: int = 0  # conn_tot
    rate_limit: int = 0  # rate_lim: rate-limit sessions
    denied_requests: int = 0  # dreq
    denied_responses: int = 0  # dresp
    request_errors: int = 0  # ereq
    denied_connections: int = 0  # dcon
    denied_sessions: int = 0  # dses
    internal_errors: int = 0  # eint
    http: HttpStatistics | None = None


@dataclass(frozen=True, slots=True)
class ServerStatistics:
    """The row of one server. ``check``, ``agent`` None: not asked, and the columns stay empty."""

    name: str  # svname
    identity: int  # sid, from 1
    address: str  # addr: "192.0.2.1:5432", "[2001:db8::1]:5432"
    status: str  # UP, UP 1/3, DOWN, DOWN 1/2, no check, MAINT, DRAIN, NOLB, ... (server_state.shown)
    usable: bool  # gets new connections now
    backup: bool  # act and bck are 1 and 0, or 0 and 1
    weight: int  # weight: the effective one
    user_weight: int  # uweight: the configured one
    traffic: Traffic
    outcomes: Outcomes
    times: Times
    balanced: int  # lbtot: times it was chosen
    last_change: float  # lastchg: seconds since the status changed
    last_session: int  # lastsess: seconds since the last session came, -1 for never
    queued: int = 0  # qcur
    queued_peak: int = 0  # qmax
    queue_limit: int | None = None  # qlimit
    check: CheckStatistics | None = None
    agent: CheckStatistics | None = None  # what its agent said last
    throttle: int | None = None  # throttle: percent of its weight while it starts
    tracked: str | None = None  # tracked: "backend/server"


@dataclass(frozen=True, slots=True)
class BackendStatistics:
    """The BACKEND row of a proxy."""

    status: str  # UP or DOWN
    algorithm: str  # algo
    traffic: Traffic
    outcomes: Outcomes
    times: Times
    weight: int  # the sum over the usable servers
    user_weight: int  # uweight
    active: int  # act: usable servers that are no backups
    backup: int  # bck: usable backups
    balanced: int  # lbtot
    down_transitions: int  # chkdown
    last_change: float  # lastchg
    downtime: float
    last_session: int  # lastsess
    queued: int = 0  # qcur
    queued_peak: int = 0  # qmax
    denied_requests: int = 0  # dreq
    denied_responses: int = 0  # dresp


@dataclass(frozen=True, slots=True)
class ProxyStatistics:
    """One proxy: a frontend, a backend with its servers, or (a listen section) both. ``identity`` counts from 2."""

    name: str  # pxname
    identity: int  # iid
    mode: Mode
    frontend: FrontendStatistics | None
    servers: tuple[ServerStatistics, ...]
    backend: BackendStatistics | None

    def server(self, name: str) -> ServerStatistics:
        """Return one server's row; raises KeyError if there is none of that name."""
        for server in self.servers:
            if server.name == name:
                return server
        raise KeyError(name)


@dataclass(frozen=True, slots=True)
class WorkerStatistics:
    """One worker process. ``alive`` False: it died and its successor has not started yet."""

    number: int
    pid: int
    alive: bool
    restarts: int
    current: int  # connections it holds


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything at one moment. ``taken_at`` is seconds since 1970; ``counters_age`` is the age of its oldest value."""

    taken_at: float
    counters_age: float
    pid: int
    version: str
    uptime: float
    node: str
    description: str | None
    maxconn: int
    current: int  # CurrConns: connections of all TCP frontends
    idle_percent: int  # Idle_pct: how much of the last full second the workers waited, on average
    dropped_records: int  # DroppedLogs: session records that found no room on their way to the log
    workers: tuple[WorkerStatistics, ...]
    proxies: tuple[ProxyStatistics, ...]  # in the order of the file
    inexact_picks: int = 0  # servers picked without the lock that keeps the order exact over all workers

    def proxy(self, name: str) -> ProxyStatistics:
        """Return one proxy; raises KeyError if there is none of that name."""
        for proxy in self.proxies:
            if proxy.name == name:
                return proxy
        raise KeyError(name)

    def servers(self) -> Iterator[tuple[ProxyStatistics, ServerStatistics]]:
        """Yield every server with its proxy, in the order of the file."""
        return ((proxy, server) for proxy in self.proxies for server in proxy.servers)
