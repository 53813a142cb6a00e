"""The statistics as one table: a row per frontend, server and backend, with HAProxy's column names.

Laws: pure. Columns 0 to 102 never move; every row has a value or an empty string for each. CSV and page are both made
from these rows, so they cannot disagree.

Source: HAProxy's management guide, section 9.1 "CSV format", and ``show stat`` of 3.5 (which columns a kind fills).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from tcpbalancer.model import Mode
from tcpbalancer.statistics import (
    BackendStatistics,
    CheckStatistics,
    FrontendStatistics,
    HttpStatistics,
    Outcomes,
    ProxyStatistics,
    ServerStatistics,
    Snapshot,
    Times,
    Traffic,
)

_HEADER = """
    pxname svname qcur qmax scur smax slim stot bin bout dreq dresp ereq econ eresp wretr wredis status weight act
    bck chkfail chkdown lastchg downtime qlimit pid iid sid throttle lbtot tracked type rate rate_lim rate_max
    check_status check_code check_duration hrsp_1xx hrsp_2xx hrsp_3xx hrsp_4xx hrsp_5xx hrsp_other hanafail req_rate
    req_rate_max req_tot cli_abrt srv_abrt comp_in comp_out comp_byp comp_rsp lastsess last_chk last_agt qtime ctime
    rtime ttime agent_status agent_code agent_duration check_desc agent_desc check_rise check_fall check_health
    agent_rise agent_fall agent_health addr cookie mode algo conn_rate conn_rate_max conn_tot intercepted dcon dses
    wrew connect reuse cache_lookups cache_hits srv_icur src_ilim qtime_max ctime_max rtime_max ttime_max eint
    idle_conn_cur safe_conn_cur used_conn_cur need_conn_est uweight agg_server_status agg_server_check_status
    agg_check_status srid sess_other h1sess h2sess h3sess req_other h1req h2req h3req proto priv_idle_cur reqbin
    reqbout resbin resbout cache_hint_hits - h2_headers_rcvd h2_data_rcvd h2_settings_rcvd h2_rst_stream_rcvd
    h2_goaway_rcvd h2_detected_conn_protocol_errors h2_detected_strm_protocol_errors h2_rst_stream_resp
    h2_goaway_resp h2_open_connections h2_backend_open_streams h2_total_connections h2_backend_total_streams
    ssl_sess ssl_reused_sess ssl_failed_handshake ssl_ocsp_staple ssl_failed_ocsp_staple h1_open_connections
    h1_open_streams h1_total_connections h1_total_streams h1_bytes_in h1_bytes_out h1_spliced_bytes_in
    h1_spliced_bytes_out
"""
COLUMNS = tuple(_HEADER.split())
"""The header of 3.5, in its order."""

Value = int | str
_MODULES = COLUMNS[COLUMNS.index("-") + 1 :]
_HTTP_COUNTS = ("hrsp_1xx", "hrsp_2xx", "hrsp_3xx", "hrsp_4xx", "hrsp_5xx", "hrsp_other")
_FRONTEND_ZEROS = (
    "rate_lim", "comp_in", "comp_out", "comp_byp", "comp_rsp", "wrew", "sess_other", "h1sess", "h2sess", "h3sess",
    "req_other", "h1req", "h2req", "h3req", "req_rate", "req_rate_max", "req_tot", *_MODULES,
)  # fmt: skip
_BACKEND_ZEROS = ("comp_in", "comp_out", "comp_byp", "comp_rsp", "wrew", "reuse", "eint", *_MODULES)
_SERVER_ZEROS = (
    "dresp", "wrew", "reuse", "srv_icur", "eint", "idle_conn_cur", "safe_conn_cur", "used_conn_cur", "need_conn_est",
    "srid", "priv_idle_cur", *(name for name in _MODULES if name.startswith("ssl_")),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """One row; ``kind`` is FRONTEND, BACKEND or SERVER, ``values`` holds what is not empty."""

    kind: str
    values: Mapping[str, Value]

    def __getitem__(self, column: str) -> str:
        return str(self.values.get(column, ""))


def rows(snapshot: Snapshot) -> Iterator[Row]:
    """Yield the rows in HAProxy's order: per proxy its frontend, its servers, its backend."""
    for proxy in snapshot.proxies:
        if proxy.frontend is not None:
            yield Row("FRONTEND", {**_common(proxy, "FRONTEND", 0, 0), **_frontend(proxy.frontend)})
        for server in proxy.servers:
            yield Row("SERVER", {**_common(proxy, server.name, server.identity, 2), **_server(server)})
        if proxy.backend is not None:
            yield Row("BACKEND", {**_common(proxy, "BACKEND", 0, 1), **_backend(proxy, proxy.backend)})


def _common(proxy: ProxyStatistics, name: str, identity: int, kind: int) -> dict[str, Value]:
    return {
        "pxname": proxy.name,
        "svname": name,
        "pid": 1,
        "iid": proxy.identity,
        "sid": identity,
        "type": kind,
        "mode": proxy.mode.value,
        "-": "-",
    }


def _traffic(traffic: Traffic) -> dict[str, Value]:
    return {
        "scur": traffic.current,
        "smax": traffic.peak,
        **({} if traffic.limit is None else {"slim": traffic.limit}),
        "stot": traffic.total,
        "bin": traffic.bytes_in,
        "bout": traffic.bytes_out,
        "rate": traffic.rate,
        "rate_max": traffic.rate_peak,
        # TCP mode: what comes in on one side goes out on the other.
        "reqbin": traffic.bytes_in,
        "reqbout": traffic.bytes_in,
        "resbin": traffic.bytes_out,
        "resbout": traffic.bytes_out,
    }


def _times(times: Times) -> dict[str, Value]:
    return {
        "qtime": times.queue_ms,
        "ctime": times.connect_ms,
        "rtime": times.response_ms,
        "ttime": times.total_ms,
        "qtime_max": times.queue_peak_ms,
        "ctime_max": times.connect_peak_ms,
        "rtime_max": times.response_peak_ms,
        "ttime_max": times.total_peak_ms,
    }


def _outcomes(outcomes: Outcomes) -> dict[str, Value]:
    return {
        "econ": outcomes.connection_errors,
        "eresp": outcomes.response_errors,
        "wretr": outcomes.retries,
        "wredis": outcomes.redispatches,
        "cli_abrt": outcomes.client_aborts,
        "srv_abrt": outcomes.server_aborts,
        "connect": outcomes.connects,
    }


def _frontend(frontend: FrontendStatistics) -> dict[str, Value]:
    return {
        **dict.fromkeys(_FRONTEND_ZEROS, 0),
        **({} if frontend.http is None else _http(frontend.http)),
        **_traffic(frontend.traffic),
        "status": frontend.status,
        "dreq": frontend.denied_requests,
        "dresp": frontend.denied_responses,
        "ereq": frontend.request_errors,
        "conn_rate": frontend.connection_rate,
        "conn_rate_max": frontend.connection_rate_peak,
        "conn_tot": frontend.connections_total,
        "rate_lim": frontend.rate_limit,
        "dcon": frontend.denied_connections,
        "dses": frontend.denied_sessions,
        "eint": frontend.internal_errors,
    }


def _http(http: HttpStatistics) -> dict[str, Value]:
    return {
        **dict.fromkeys(("cache_lookups", "cache_hits", "cache_hint_hits", "hrsp_other"), 0),
        **dict(zip(_HTTP_COUNTS, http.answers, strict=False)),
        "req_tot": http.requests,
        "req_rate": http.request_rate,
        "req_rate_max": http.request_rate_peak,
        "intercepted": http.intercepted,
    }


def _server(server: ServerStatistics) -> dict[str, Value]:
    return {
        **dict.fromkeys(_SERVER_ZEROS, 0),
        **_traffic(server.traffic),
        **_outcomes(server.outcomes),
        **_times(server.times),
        "qcur": server.queued,
        "qmax": server.queued_peak,
        **({} if server.queue_limit is None else {"qlimit": server.queue_limit}),
        "status": server.status,
        "weight": server.weight,
        "uweight": server.user_weight,
        "act": 0 if server.backup else 1,
        "bck": 1 if server.backup else 0,
        "lastchg": int(server.last_change),
        "lbtot": server.balanced,
        "lastsess": server.last_session,
        "addr": server.address,
        **({} if server.throttle is None else {"throttle": server.throttle}),
        **({} if server.tracked is None else {"tracked": server.tracked}),
        **({} if server.check is None else _check(server.check)),
        **({} if server.agent is None or server.agent.paused else _agent(server.agent)),
    }


def _check(check: CheckStatistics) -> dict[str, Value]:
    counted: dict[str, Value] = {
        "chkfail": check.failed,
        "chkdown": check.down_transitions,
        "downtime": int(check.downtime),
        **({} if check.observed is None else {"hanafail": check.observed}),
    }
    if check.paused:
        return counted
    return {
        **counted,
        "check_status": f"* {check.status}" if check.in_progress else check.status,
        **({} if check.code is None else {"check_code": check.code}),
        **({} if check.duration_ms is None else {"check_duration": check.duration_ms}),
        "last_chk": check.info,
        "check_desc": check.description,
        "check_rise": check.rise,
        "check_fall": check.fall,
        "check_health": check.health,
    }


def _agent(agent: CheckStatistics) -> dict[str, Value]:
    return {
        "agent_status": agent.status,
        **({} if agent.code is None else {"agent_code": agent.code}),
        **({} if agent.duration_ms is None else {"agent_duration": agent.duration_ms}),
        "last_agt": agent.info,
        "agent_desc": agent.description,
        "agent_rise": agent.rise,
        "agent_fall": agent.fall,
        "agent_health": agent.health,
    }


def _backend(proxy: ProxyStatistics, backend: BackendStatistics) -> dict[str, Value]:
    http = (
        (*_HTTP_COUNTS, "req_tot", "cache_lookups", "cache_hits", "cache_hint_hits") if proxy.mode is Mode.HTTP else ()
    )
    return {
        **dict.fromkeys((*_BACKEND_ZEROS, *http), 0),
        **_traffic(backend.traffic),
        **_outcomes(backend.outcomes),
        **_times(backend.times),
        "qcur": backend.queued,
        "qmax": backend.queued_peak,
        "dreq": backend.denied_requests,
        "dresp": backend.denied_responses,
        "status": backend.status,
        "weight": backend.weight,
        "uweight": backend.user_weight,
        "act": backend.active,
        "bck": backend.backup,
        "chkdown": backend.down_transitions,
        "lastchg": int(backend.last_change),
        **({"downtime": int(backend.downtime)} if proxy.servers else {}),
        "lbtot": backend.balanced,
        "lastsess": backend.last_session,
        "algo": backend.algorithm,
        "agg_server_status": 0,
        "agg_server_check_status": 0,
        "agg_check_status": 0,
    }


def csv(snapshot: Snapshot) -> str:
    """Return the whole table as HAProxy's CSV: header with ``# ``, a comma at the end of every line, no empty line."""
    return as_csv(rows(snapshot))


def as_csv(selected: Iterable[Row]) -> str:
    """Return some of the rows as CSV, with the header."""
    lines = [f"# {','.join(COLUMNS)},"]
    lines += [",".join(_quoted(row[column]) for column in COLUMNS) + "," for row in selected]
    return "\n".join(lines) + "\n"


def _quoted(value: str) -> str:
    flat = " ".join(value.splitlines())  # newlines inside a field have corrupted readers
    return '"' + flat.replace('"', '""') + '"' if any(character in flat for character in ',"') else flat
