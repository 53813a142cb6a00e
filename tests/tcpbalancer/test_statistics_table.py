"""The table behind CSV and page: HAProxy's columns, in its order, filled where it fills them."""

from __future__ import annotations

import csv as csv_format
import json
from dataclasses import replace

from statistics_pictures import CHECK, SERVER, SNAPSHOT

from tcpbalancer.control.status import status
from tcpbalancer.control.table import COLUMNS, csv, rows
from tcpbalancer.model import Mode
from tcpbalancer.statistics import ProxyStatistics


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


def test_the_status_is_the_snapshot_as_json() -> None:
    document = json.loads(json.dumps(status(SNAPSHOT)))
    assert document["proxies"][1]["servers"][0]["check"]["code"] == 503
    assert document["proxies"][0]["mode"] == "http"
    assert document["workers"][1]["alive"] is False
