"""The lines, against those of the real program."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from tcpbalancer.session_log import SessionRecord, format_tcplog, log_date, proxy_stopped


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


def test_the_line_of_the_end_is_that_of_haproxy() -> None:
    assert proxy_stopped("F", 1, 0) == "Proxy F stopped (cumulated conns: FE: 1, BE: 0)."
