"""Servers as lines of columns: the state file's form, and the one of ``show servers conn``.

Laws: pure. An absent name or address is ``-``. Columns are only ever added at the end.

Source: HAProxy's management guide, section 9.3 "show servers state"; ``server-t.h``, ``proxy.c``.
"""

from __future__ import annotations

from tcpbalancer.check_status import CheckStatus
from tcpbalancer.server_state import CheckState
from tcpbalancer.watched import WatchedServer

STATE_HEADER = (
    "# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight "
    "srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state "
    "bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr "
    "srv_agent_addr srv_agent_port"
)
CONNECTIONS_HEADER = (
    "# bkname/svname bkid/svid addr port - purge_delay served used_cur used_max need_est idle_sess unsafe_nb safe_nb "
    "idle_lim idle_cur idle_per_thr[{}]"
)
_CHECK_RUNS = 1
_AGENT = 16


def state_line(server: WatchedServer, backend_number: int, now: float) -> str:
    """Return one server's line of ``show servers state``; ``now`` is the monotonic clock."""
    told, state, check = server.server, server.state, server.server.check
    check_port = 0 if check is None or check.port == told.port else check.port
    check_address = "-" if check is None or check.address == told.address else check.address
    return _joined(
        backend_number,
        server.backend.backend.name,
        server.place + 1,
        told.name,
        told.address or "-",
        int(state.operation),
        int(state.admin),
        server.weight,
        server.origin.weight,
        int(now - state.changed_at),
        state.check.last.status.number,
        _result(state.check),
        state.check.counter.health,
        state.check.bits + _CHECK_RUNS * server.is_being_checked,
        state.agent.bits + _AGENT if state.agent.configured else state.agent.bits,
        0,
        0,
        "-",
        told.port,
        "-",
        0,
        check_port,
        check_address,
        "-",
        check_port,
    )


def connections_line(server: WatchedServer, backend_number: int, used: int, most: int, threads: int) -> str:
    """Return one server's line of ``show servers conn``; a connection is never kept idle here."""
    told = server.server
    most = max(most, int(server.state.check.checked_at is not None))  # a check is a connection, too
    names = f"{server.name} {backend_number}/{server.place + 1} {told.address} {told.port} - 5000"
    return _joined(names, used, used, most, min(most, 1), 0, 0, 0, -1, 0, *([0] * threads))


def _result(check: CheckState) -> int:
    """Return ``srv_check_result``: 0 unknown, 1 neutral, 2 failed, 3 passed, 4 passed conditionally."""
    status = check.last.status
    if status in {CheckStatus.INI, CheckStatus.UNK}:
        return 0
    if status is CheckStatus.CHECKED:
        return 1
    if status.is_conditional:
        return 4
    return 3 if status.passed else 2


def _joined(*columns: object) -> str:
    return " ".join(map(str, columns))
