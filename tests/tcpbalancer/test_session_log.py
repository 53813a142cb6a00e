"""The lines, against those of the real program."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from tcpbalancer.session_log import (
    SessionRecord,
    Standing,
    check_reason,
    format_tcplog,
    health_check,
    log_date,
    no_server_available,
    proxy_stopped,
    server_down,
    server_title,
    server_up,
)


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


RECORD = SessionRecord(
    client="127.0.0.1", client_port=35798, accepted_at=1795374117.334, frontend="swarm_fe", backend="swarm",
    server="m1", wait_ms=1, connect_ms=0, total_ms=0, bytes_to_client=4, bytes_from_client=0, flags="--",
    reason="closed by both sides", actconn=1, feconn=1, beconn=0, srvconn=0, retries=0, redispatched=False,
)  # fmt: skip


def test_the_line_of_tcplog_is_that_of_haproxy() -> None:
    line = "127.0.0.1:35798 [22/Nov/2026:19:01:57.334] swarm_fe swarm/m1 1/0/0 4 -- 1/1/0/0/0 0/0"
    assert format_tcplog(RECORD) == line
    assert format_tcplog(RECORD, pid=577) == f"haproxy[577]: {line}"


def test_without_a_server_and_after_a_redispatch_it_says_so() -> None:
    nobody = replace(RECORD, server=None, wait_ms=-1, connect_ms=-1, flags="SC", backend_queue=1)
    assert format_tcplog(nobody).endswith("swarm_fe swarm/<NOSRV> -1/-1/0 4 SC 1/1/0/0/0 0/1")
    assert format_tcplog(replace(RECORD, retries=3, redispatched=True)).endswith("1/1/0/0/+3 0/0")


def test_a_record_survives_its_way_to_the_supervisor() -> None:
    assert SessionRecord.from_bytes(RECORD.to_bytes()) == RECORD


def test_the_date_has_milliseconds_that_are_cut_not_rounded() -> None:
    assert log_date(0.9999) == "01/Jan/1970:00:00:00.999"


def test_the_lines_of_server_changes_are_those_of_haproxy() -> None:
    reason = check_reason("Layer7 wrong status", 503, "X", 0)
    assert server_down(server_title("postgres", "pg3", backup=False), reason, Standing(2, 0)) == (
        'Server postgres/pg3 is DOWN, reason: Layer7 wrong status, code: 503, info: "X", check duration: 0ms. '
        "2 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue."
    )
    reason = check_reason("Layer4 connection problem", None, "refused", 3)
    assert server_down(server_title("px", "s", backup=True), reason, Standing(0, 1, sessions=1)) == (
        'Backup Server px/s is DOWN, reason: Layer4 connection problem, info: "refused", check duration: 3ms. '
        "0 active and 1 backup servers left. Running on backup. 1 sessions active, 0 requeued, 0 remaining in queue."
    )
    assert server_up("Server px/s", check_reason("Layer4 check passed", None, "", 0), Standing(1, 0)) == (
        "Server px/s is UP, reason: Layer4 check passed, check duration: 0ms. "
        "1 active and 0 backup servers online. 0 sessions requeued, 0 total in queue."
    )


def test_a_change_whose_reason_was_logged_before_has_none() -> None:
    assert server_down("Server px/s", "", Standing(1, 0)).startswith("Server px/s is DOWN. 1 active")
    assert server_up("Server px/s", "", Standing(1, 0)).startswith("Server px/s is UP. 1 active")


def test_a_backend_without_servers_is_an_emergency() -> None:
    assert Standing(0, 0).has_none
    assert not Standing(0, 1).has_none
    assert no_server_available("be1", is_listen=False) == "backend be1 has no server available!"
    assert no_server_available("l1", is_listen=True) == "proxy l1 has no server available!"


def test_the_lines_of_log_health_checks_and_of_the_end_are_those_of_haproxy() -> None:
    reason = check_reason("Layer4 check passed", None, "", 0)
    assert health_check("Backup Server px/s", reason, passed=True, health="1/1 UP") == (
        "Health check for backup server px/s succeeded, reason: Layer4 check passed, check duration: 0ms, "
        "status: 1/1 UP."
    )
    assert health_check("Server px/s", reason, passed=False, health="0/2 DOWN").startswith(
        "Health check for server px/s failed, "
    )
    assert proxy_stopped("F", 1, 0) == "Proxy F stopped (cumulated conns: FE: 1, BE: 0)."
