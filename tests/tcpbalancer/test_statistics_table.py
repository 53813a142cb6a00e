"""The table behind CSV and page: HAProxy's columns, in its order, filled where it fills them."""

from __future__ import annotations

import csv as csv_format
import json
from dataclasses import replace
from pathlib import Path

import pytest

from tcpbalancer.control import page
from tcpbalancer.control.page import render
from tcpbalancer.control.status import status
from tcpbalancer.control.table import COLUMNS, csv, rows
from tcpbalancer.model import Mode, StatsPage
from tcpbalancer.statistics import (
    BackendStatistics,
    CheckStatistics,
    FrontendStatistics,
    Outcomes,
    ProxyStatistics,
    ServerStatistics,
    Snapshot,
    Times,
    Traffic,
    WorkerStatistics,
)

TEMPLATE = (Path(page.__file__).parent / "page.html").read_text()
CHECK = CheckStatistics(
    "L7STS", "Layer7 wrong status", 503, 'Service\nGone, "now"', 12, False, 3, 1, 61.9, 2, 3, 0, 0.5
)
SERVER = ServerStatistics(
    name="pg1", identity=1, address="192.0.2.1:5432", status="DOWN", usable=False, backup=False, weight=1,
    user_weight=1,
    traffic=Traffic(1, 2, 100, 4, 5, 6, 7, 8), outcomes=Outcomes(1, 2, 3, 4, 5, 6, 7),
    times=Times(1, 2, 3, 4, 5, 6, 7, 8), balanced=9, last_change=3700.9, last_session=-1, check=CHECK,
)  # fmt: skip
BACKUP = replace(SERVER, name="pg2", backup=True, check=None)
BACKEND = BackendStatistics("DOWN", "roundrobin", Traffic(), Outcomes(), Times(), 0, 2, 0, 0, 9, 1, 3.0, 4.0, 5)
FRONTEND = FrontendStatistics("OPEN", Traffic(limit=2000))
SNAPSHOT = Snapshot(
    taken_at=86400.0 + 3661, counters_age=0.25, pid=42, version="3.0.0", uptime=93784.0, node="lb<1>",
    description="a & b", maxconn=2000, current=3, idle_percent=93, dropped_records=0,
    workers=(WorkerStatistics(0, 43, True, 0, 3), WorkerStatistics(1, 0, False, 1, 0)),
    proxies=(
        ProxyStatistics("stats", 2, Mode.HTTP, FRONTEND, (), BACKEND),
        ProxyStatistics("pg", 3, Mode.TCP, FRONTEND, (SERVER, BACKUP), BACKEND),
    ),
)  # fmt: skip


def parsed() -> dict[str, dict[str, str]]:
    header, *lines = list(csv_format.reader(csv(SNAPSHOT).removeprefix("# ").splitlines()))
    return {f"{line[0]}/{line[1]}": dict(zip(header, line, strict=True)) for line in lines}


def test_the_columns_stand_where_clients_look_for_them() -> None:
    places = {"pxname": 0, "svname": 1, "scur": 4, "slim": 6, "stot": 7, "status": 17, "weight": 18, "lastchg": 23,
              "type": 32, "rate": 33, "check_status": 36, "check_duration": 38, "hrsp_1xx": 39, "req_tot": 48,
              "qtime": 58, "ttime": 61, "addr": 73, "mode": 75, "algo": 76, "conn_tot": 79, "agg_check_status": 102,
              "srid": 103, "-": 119}  # fmt: skip
    assert {name: COLUMNS.index(name) for name in places} == places
    assert len(COLUMNS) == len(set(COLUMNS)) == 146


def test_every_line_ends_with_a_comma_and_has_as_many_columns_as_the_header() -> None:
    text = csv(SNAPSHOT)
    assert text.startswith("# pxname,svname,")
    lines = text.splitlines()
    assert all(line.endswith(",") for line in lines)
    assert {len(line) for line in csv_format.reader(lines)} == {len(COLUMNS) + 1}
    assert text.endswith(",\n")


def test_rows_come_in_the_order_of_the_file_frontend_servers_backend() -> None:
    assert list(parsed()) == ["stats/FRONTEND", "stats/BACKEND", "pg/FRONTEND", "pg/pg1", "pg/pg2", "pg/BACKEND"]


def test_a_field_with_commas_quotes_or_newlines_stays_one_field() -> None:
    assert parsed()["pg/pg1"]["last_chk"] == 'Service Gone, "now"'


def test_a_checked_server_shows_its_check_and_another_one_leaves_it_empty() -> None:
    checked, unchecked = parsed()["pg/pg1"], parsed()["pg/pg2"]
    columns = (
        "check_status",
        "check_code",
        "check_duration",
        "chkfail",
        "chkdown",
        "downtime",
        "check_health",
        "check_rise",
    )
    assert [checked[column] for column in columns] == ["L7STS", "503", "12", "3", "1", "61", "0", "2"]
    assert [unchecked[column] for column in columns] == [""] * len(columns)
    assert [(row["act"], row["bck"]) for row in (checked, unchecked)] == [("1", "0"), ("0", "1")]
    assert (checked["slim"], checked["qlimit"], checked["lastsess"], checked["lastchg"]) == ("100", "", "-1", "3700")


def test_a_check_under_way_is_marked() -> None:
    busy = replace(SERVER, check=replace(CHECK, in_progress=True, code=None, duration_ms=None), queue_limit=5)
    snapshot = replace(SNAPSHOT, proxies=(ProxyStatistics("pg", 2, Mode.TCP, None, (busy,), None),))
    row = next(iter(rows(snapshot)))
    assert (row["check_status"], row["check_code"], row["check_duration"], row["qlimit"]) == ("* L7STS", "", "", "5")


def test_http_columns_are_filled_in_http_mode_only() -> None:
    seen = parsed()
    assert [seen[name]["hrsp_2xx"] for name in ("stats/FRONTEND", "stats/BACKEND", "pg/FRONTEND", "pg/BACKEND")] == [
        "0", "0", "", "",
    ]  # fmt: skip


def shown(**page: object) -> str:
    return render(TEMPLATE, SNAPSHOT, StatsPage("/stats", **page))  # type: ignore[arg-type] # fields by name


def test_the_page_says_what_clients_read_from_it() -> None:
    text = shown()
    assert "HAProxy version 3.0.0, " in text
    assert "uptime = </b>1d 2h03m04s" in text
    assert "idle = 93 %" in text
    assert "tcpbalancer" in text
    assert "1 of 2 alive" in text
    assert "01:01:01 UTC" in text


def test_the_page_can_hide_the_version_and_reload_itself() -> None:
    assert "3.0.0" not in shown(hide_version=True)
    assert 'http-equiv="refresh" content="5"' in shown(refresh=5.0)
    assert "http-equiv" not in shown()
    assert "http-equiv" not in render(TEMPLATE, SNAPSHOT, StatsPage(refresh=5.0), refresh=False)


def test_everything_on_the_page_is_escaped() -> None:
    text = shown()
    assert "lb&lt;1&gt;" in text
    assert "a &amp; b" in text
    assert "lb<1>" not in text


@pytest.mark.parametrize(
    ("status_word", "colour"),
    [
        ("UP", "up"), ("OPEN", "up"), ("no check", "up"), ("UP 1/3", "going"), ("DRAIN", "going"),
        ("DOWN 1/2", "going"),
        ("DOWN", "down"), ("MAINT", "off"), ("STOP", "off"),
    ],
)  # fmt: skip
def test_a_state_is_told_by_word_and_colour(status_word: str, colour: str) -> None:
    server = replace(SERVER, status=status_word)
    snapshot = replace(SNAPSHOT, proxies=(ProxyStatistics("pg", 2, Mode.TCP, None, (server,), None),))
    assert f'<td class="{colour}">{status_word}</td>' in render(TEMPLATE, snapshot, StatsPage())


def test_a_backup_server_is_called_one() -> None:
    assert "DOWN backup</td>" in shown()


@pytest.mark.parametrize(
    ("seconds", "text"), [("", ""), ("0", "0s"), ("59", "59s"), ("61", "1m1s"), ("3700", "1h1m"), ("90000", "1d1h")]
)
def test_an_age_has_two_units(seconds: str, text: str) -> None:
    assert page.age(seconds) == text


def test_csv_and_page_show_the_same_servers() -> None:
    text = shown()
    for name in parsed():
        proxy, server = name.split("/")
        assert f'<h2 id="{proxy}">' in text
        assert f'<td class="word">{server}</td>' in text


def test_the_status_is_the_snapshot_as_json() -> None:
    document = json.loads(json.dumps(status(SNAPSHOT)))
    assert document["proxies"][1]["servers"][0]["check"]["code"] == 503
    assert document["proxies"][0]["mode"] == "http"
    assert document["workers"][1]["alive"] is False
