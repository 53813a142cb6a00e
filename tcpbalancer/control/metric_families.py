"""The families of HAProxy's exporter: their names, their types, and the value that each shows.

Laws: pure, data. A line is a name without ``haproxy_`` and scope, ``g`` (gauge) or ``c`` (counter), and the column of
the CSV, or the name in ``show info``, that it shows. A test holds them against what 3.5 exported.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum


class Shape(Enum):
    """How a value becomes series."""

    PLAIN = "one, as it is"
    MILLISECONDS = "one, in seconds"
    CODES = "one for each class of HTTP statuses"
    PROXY_STATE = "one for each state of a proxy"
    SERVER_STATE = "one for each state of a server"
    CHECK_STATE = "one for each end of a check"
    SERVER_COUNTS = "how many servers are in each state"
    CHECK_COUNTS = "how many servers have had each end of a check"
    NAMED = "1, the value is a label"


@dataclass(frozen=True, slots=True)
class Family:
    """One family; ``label`` is that of a ``NAMED`` one."""

    name: str
    type: str
    source: str
    shape: Shape = Shape.PLAIN
    label: str = ""


_PROCESS = """
nbthread g Nbthread
nbproc g Nbproc
relative_process_id g Process_num
uptime_seconds g Uptime_sec
pool_failures_total c PoolFailed
max_fds g Ulimit-n
max_sockets g Maxsock
max_connections g Maxconn
hard_max_connections g Hard_maxconn
current_connections g CurrConns
connections_total c CumConns
requests_total c CumReq
max_ssl_connections g MaxSslConns
current_ssl_connections g CurrSslConns
ssl_connections_total c CumSslConns
max_pipes g Maxpipes
pipes_used_total c PipesUsed
pipes_free_total c PipesFree
current_connection_rate g ConnRate
limit_connection_rate g ConnRateLimit
max_connection_rate g MaxConnRate
current_session_rate g SessRate
limit_session_rate g SessRateLimit
max_session_rate g MaxSessRate
current_ssl_rate g SslRate
limit_ssl_rate g SslRateLimit
max_ssl_rate g MaxSslRate
current_frontend_ssl_key_rate g SslFrontendKeyRate
max_frontend_ssl_key_rate g SslFrontendMaxKeyRate
frontend_ssl_reuse g SslFrontendSessionReuse_pct
current_backend_ssl_key_rate g SslBackendKeyRate
max_backend_ssl_key_rate g SslBackendMaxKeyRate
ssl_cache_lookups_total c SslCacheLookups
ssl_cache_misses_total c SslCacheMisses
http_comp_bytes_in_total c CompressBpsIn
http_comp_bytes_out_total c CompressBpsOut
limit_http_comp g CompressBpsRateLim
current_zlib_memory g ZlibMemUsage
max_zlib_memory g MaxZlibMemUsage
current_tasks g Tasks
current_run_queue g Run_queue
idle_time_percent g Idle_pct
node g node
description g description
stopping g Stopping
jobs g Jobs
unstoppable_jobs g Unstoppable~Jobs
listeners g Listeners
active_peers g ActivePeers
connected_peers g ConnectedPeers
dropped_logs_total c DroppedLogs
busy_polling_enabled g BusyPolling
failed_resolutions c FailedResolutions
bytes_out_total c TotalBytesOut
spliced_bytes_out_total c TotalSplicedBytesOut
bytes_out_rate g BytesOutRate
recv_logs_total c CumRecvLogs
build_info g Version
max_memory_bytes g Memmax_bytes
pool_allocated_bytes g PoolAlloc_bytes
pool_used_bytes g PoolUsed_bytes
start_time_seconds g Start_time_sec
total_warnings c TotalWarnings
patterns_added_total g PatternsAdded
patterns_freed_total g PatternsFreed
nb_thread_groups g NbThreadGroups
"""
_FRONTEND = """
current_sessions g scur
max_sessions g smax
limit_sessions g slim
sessions_total c stot
bytes_in_total c bin
bytes_out_total c bout
requests_denied_total c dreq
responses_denied_total c dresp
request_errors_total c ereq
status g status
current_session_rate g rate
limit_session_rate g rate_lim
max_session_rate g rate_max
http_responses_total c hrsp
http_requests_rate_max g req_rate_max
http_requests_total c req_tot
http_comp_bytes_in_total c comp_in
http_comp_bytes_out_total c comp_out
http_comp_bytes_bypassed_total c comp_byp
http_comp_responses_total c comp_rsp
connections_rate_max g conn_rate_max
connections_total c conn_tot
intercepted_requests_total c intercepted
denied_connections_total c dcon
denied_sessions_total c dses
failed_header_rewriting_total c wrew
http_cache_lookups_total c cache_lookups
http_cache_hits_total c cache_hits
internal_errors_total c eint
req_bytes_in_total c reqbin
req_bytes_out_total c reqbout
res_bytes_in_total c resbin
res_bytes_out_total c resbout
http_cache_hint_hits_total c cache_hint_hits
"""
_BACKEND = """
current_queue g qcur
max_queue g qmax
current_sessions g scur
max_sessions g smax
limit_sessions g slim
sessions_total c stot
bytes_in_total c bin
bytes_out_total c bout
requests_denied_total c dreq
responses_denied_total c dresp
connection_errors_total c econ
response_errors_total c eresp
retry_warnings_total c wretr
redispatch_warnings_total c wredis
status g status
weight g weight
active_servers g act
backup_servers g bck
check_up_down_total c chkdown
check_last_change_seconds g lastchg
downtime_seconds_total g downtime
loadbalanced_total c lbtot
current_session_rate g rate
max_session_rate g rate_max
http_responses_total c hrsp
http_requests_total c req_tot
client_aborts_total c cli_abrt
server_aborts_total c srv_abrt
http_comp_bytes_in_total c comp_in
http_comp_bytes_out_total c comp_out
http_comp_bytes_bypassed_total c comp_byp
http_comp_responses_total c comp_rsp
last_session_seconds g lastsess
queue_time_average_seconds g qtime
connect_time_average_seconds g ctime
response_time_average_seconds g rtime
total_time_average_seconds g ttime
failed_header_rewriting_total c wrew
connection_attempts_total c connect
connection_reuses_total c reuse
http_cache_lookups_total c cache_lookups
http_cache_hits_total c cache_hits
max_queue_time_seconds g qtime_max
max_connect_time_seconds g ctime_max
max_response_time_seconds g rtime_max
max_total_time_seconds g ttime_max
internal_errors_total c eint
uweight g uweight
agg_server_status g agg_server_status
agg_server_check_status g agg_server_check_status
agg_check_status g agg_check_status
req_bytes_in_total c reqbin
req_bytes_out_total c reqbout
res_bytes_in_total c resbin
res_bytes_out_total c resbout
http_cache_hint_hits_total c cache_hint_hits
"""
_SERVER = """
current_queue g qcur
max_queue g qmax
current_sessions g scur
max_sessions g smax
limit_sessions g slim
sessions_total c stot
bytes_in_total c bin
bytes_out_total c bout
responses_denied_total c dresp
connection_errors_total c econ
response_errors_total c eresp
retry_warnings_total c wretr
redispatch_warnings_total c wredis
status g status
weight g weight
active g act
backup g bck
check_failures_total c chkfail
check_up_down_total c chkdown
check_last_change_seconds g lastchg
downtime_seconds_total c downtime
queue_limit g qlimit
current_throttle g throttle
loadbalanced_total c lbtot
current_session_rate g rate
max_session_rate g rate_max
check_status g check_status
check_code g check_code
check_duration_seconds g check_duration
client_aborts_total c cli_abrt
server_aborts_total c srv_abrt
last_session_seconds g lastsess
queue_time_average_seconds g qtime
connect_time_average_seconds g ctime
response_time_average_seconds g rtime
total_time_average_seconds g ttime
failed_header_rewriting_total c wrew
connection_attempts_total c connect
connection_reuses_total c reuse
idle_connections_current g srv_icur
idle_connections_limit g src_ilim
max_queue_time_seconds g qtime_max
max_connect_time_seconds g ctime_max
max_response_time_seconds g rtime_max
max_total_time_seconds g ttime_max
internal_errors_total c eint
unsafe_idle_connections_current g idle_conn_cur
safe_idle_connections_current g safe_conn_cur
used_connections_current g used_conn_cur
need_connections_current g need_conn_est
uweight g uweight
private_idle_connections_current g priv_idle_cur
req_bytes_in_total c reqbin
req_bytes_out_total c reqbout
res_bytes_in_total c resbin
res_bytes_out_total c resbout
"""
_NAMED = {"node": "node", "description": "desc", "build_info": "version"}
_TIMES = frozenset({"qtime", "ctime", "rtime", "ttime", "qtime_max", "ctime_max", "rtime_max", "ttime_max",
                    "check_duration"})  # fmt: skip
_SHAPED = {
    "hrsp": Shape.CODES,
    "check_status": Shape.CHECK_STATE,
    "agg_server_status": Shape.SERVER_COUNTS,
    "agg_server_check_status": Shape.SERVER_COUNTS,
    "agg_check_status": Shape.CHECK_COUNTS,
}


def _families(text: str, status: Shape = Shape.PLAIN) -> Iterator[Family]:
    for line in text.split("\n"):
        if not line:
            continue
        name, kind, source = line.split()
        shape = Shape.MILLISECONDS if source in _TIMES else _SHAPED.get(source, Shape.PLAIN)
        if source == "status":
            shape = status
        if name in _NAMED and status is Shape.PLAIN:
            shape = Shape.NAMED
        yield Family(name, "gauge" if kind == "g" else "counter", source.replace("~", " "), shape, _NAMED.get(name, ""))


PROCESS = tuple(_families(_PROCESS))
FRONTEND = tuple(_families(_FRONTEND, Shape.PROXY_STATE))
BACKEND = tuple(_families(_BACKEND, Shape.PROXY_STATE))
SERVER = tuple(_families(_SERVER, Shape.SERVER_STATE))
