"""The typed and the JSON form of the statistics: fields, tags and types as HAProxy 3.5 prints them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tcpbalancer.control import info
from tcpbalancer.control.schema import SCHEMA
from tcpbalancer.control.table import Row
from tcpbalancer.control.typed import as_json, typed

GOLDEN = Path(__file__).parent / "golden"
KINDS = {"F": "FRONTEND", "S": "SERVER", "B": "BACKEND"}
INFO = (GOLDEN / "show_info_typed.3.5.txt").read_text()


def golden_rows() -> list[Row]:
    """Return the rows whose typed form the golden file holds."""
    rows: dict[str, dict[str, int | str]] = {}
    for line in (GOLDEN / "show_stat_typed.3.5.txt").read_text().splitlines():
        place, _, kind, value = line.split(":", 3)
        who, _iid, _sid, _position, name, _process = place.split(".")
        rows.setdefault(who, {})[name] = value if kind == "str" else int(value)
    return [Row(KINDS[who], values) for who, values in rows.items()]


def golden_info() -> dict[str, int | str]:
    found: dict[str, int | str] = {}
    for line in INFO.splitlines():
        place, _, kind, value = line.split(":", 3)
        found[place.split(".")[1]] = value if kind == "str" else int(value)
    return found


def test_show_stat_typed_is_to_the_letter_what_haproxy_prints() -> None:
    assert typed(golden_rows()) == (GOLDEN / "show_stat_typed.3.5.txt").read_text()


def test_show_info_typed_is_to_the_letter_what_haproxy_prints() -> None:
    assert info.as_typed(golden_info()) == INFO


def test_show_info_has_exactly_one_colon_a_line() -> None:
    lines = info.as_lines(golden_info() | {"description": "a text\nof two lines"}).splitlines()
    assert all(line.count(":") == 1 for line in lines)
    assert "description: a text of two lines" in lines
    assert lines[7] == "Uptime: 0d 0h00m12s"


def test_show_info_without_a_description_has_no_line_for_it() -> None:
    assert "description" not in info.as_lines(golden_info())


def test_what_nobody_knows_is_0_and_not_missing() -> None:
    assert "SslRate: 0\n" in info.as_lines({})


def test_float_shows_fractions() -> None:
    assert "Uptime_sec: 34.43181\n" in info.as_lines({"Uptime_sec": 34.43181})
    assert "8.Uptime_sec.1:MDPV:flt:34.5\n" in info.as_typed({"Uptime_sec": 34.5})


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.9, "0d 0h00m00s"), (12, "0d 0h00m12s"), (90061, "1d 1h01m01s"), (3600 * 23, "0d 23h00m00s")],
)
def test_the_uptime_in_words(seconds: float, shown: str) -> None:
    assert info.uptime(seconds) == shown


def test_show_stat_json_is_an_array_of_arrays_on_one_line() -> None:
    text = as_json(golden_rows())
    assert text.endswith("\n")
    assert "\n" not in text[:-1]
    rows = json.loads(text)
    assert rows[0][0] == {
        "objType": "Frontend", "proxyId": 3, "id": 0, "field": {"pos": 0, "name": "pxname"}, "processNum": 1,
        "tags": {"origin": "Key", "nature": "Name", "scope": "Service"}, "value": {"type": "str", "value": "postgres"},
    }  # fmt: skip
    assert [row[0]["objType"] for row in rows] == ["Frontend", "Server", "Backend"]


def test_show_info_json_has_an_object_for_each_field() -> None:
    fields = json.loads(info.as_json(golden_info()))
    assert fields[0] == {
        "field": {"pos": 0, "name": "Name"}, "processNum": 1,
        "tags": {"origin": "Product", "nature": "Output", "scope": "Service"},
        "value": {"type": "str", "value": "HAProxy"},
    }  # fmt: skip


def test_descriptions_follow_where_they_are_asked_for() -> None:
    row = Row("FRONTEND", {"pxname": "a", "iid": 2, "sid": 0})
    assert typed([row], {"pxname": "the name"}).splitlines()[0] == 'F.2.0.0.pxname.1:KNSV:str:a:"the name"'
    assert json.loads(as_json([row], {"pxname": "the name"}))[0][0]["desc"] == "the name"
    assert info.as_lines({"Name": "x"}, {"Name": "who"}).startswith('Name: x:"who"\n')
    assert info.as_typed({"Name": "x"}, {}).startswith('0.Name.1:POSV:str:x:""\n')
    assert json.loads(info.as_json({"Name": "x"}, {"Name": "who"}))[0]["desc"] == "who"


def test_the_schema_names_what_a_field_must_have() -> None:
    item = json.loads(SCHEMA)["oneOf"][1]["items"]["items"]
    first = json.loads(as_json(golden_rows()))[0][0]
    assert set(item["required"]) == set(first)
