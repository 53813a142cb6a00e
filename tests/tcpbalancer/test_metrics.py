"""What Prometheus reads: HAProxy's names, types and labels, in a text that its readers understand."""

from __future__ import annotations

import csv
import re
from dataclasses import replace
from pathlib import Path

import pytest
from statistics_pictures import BACKEND, CHECK, FRONTEND, PAGE, SERVER, SNAPSHOT

from tcpbalancer.control.info import FIELDS
from tcpbalancer.control.metric_families import BACKEND as BACKENDS
from tcpbalancer.control.metric_families import FRONTEND as FRONTENDS
from tcpbalancer.control.metric_families import PROCESS
from tcpbalancer.control.metric_families import SERVER as SERVERS
from tcpbalancer.control.metrics import SCOPES, Choice, ChoiceError, render, server_state
from tcpbalancer.control.table import COLUMNS, Row, rows
from tcpbalancer.model import Mode
from tcpbalancer.statistics import ProxyStatistics, Snapshot, Traffic

GOLDEN = Path(__file__).parent / "golden" / "metric_names.3.5-dev5.tsv"
INFO = {"Nbthread": 2, "Version": "3.0.0", "node": "lb1", "description": 'with "quotes" and \\', "Uptime_sec": 7}
OF_NAME_SERVERS = "haproxy_resolver_"
SAMPLE = re.compile(r'([a-z_0-9]+)(?:\{((?:[a-z]+="(?:[^"\\\n]|\\.)*",?)*)\})? (NaN|-?\d+(?:\.\d+)?)')


def text(snapshot: Snapshot = SNAPSHOT, choice: Choice = Choice()) -> str:  # noqa: B008 - frozen
    return render(list(rows(snapshot)), INFO, choice)


def families(shown: str) -> dict[str, tuple[str, set[str], list[tuple[str, str]]]]:
    """Return type, label names and samples by family; fails on what Prometheus would refuse."""
    found: dict[str, tuple[str, set[str], list[tuple[str, str]]]] = {}
    name = ""
    for line in shown.splitlines():
        if line.startswith("# HELP "):
            name = line.split()[2]
            assert name not in found, "a family stands in one place"
            assert len(line.split()) > 3
        elif line.startswith("# TYPE "):
            assert line.split()[2] == name
            found[name] = (line.split()[3], set(), [])
        else:
            sample = SAMPLE.fullmatch(line)
            assert sample is not None, line
            assert sample[1] == name, "samples stand behind their own family"
            found[name][1].update(re.findall(r'([a-z]+)="', sample[2] or ""))
            found[name][2].append((sample[2] or "", sample[3]))
    return found


def everything() -> Snapshot:
    server = replace(SERVER, queue_limit=5, throttle=50)
    back = replace(BACKEND, traffic=Traffic(limit=10))
    proxies = (
        ProxyStatistics("stats", 2, Mode.HTTP, PAGE, (), BACKEND),
        ProxyStatistics("pg", 3, Mode.TCP, FRONTEND, (server, replace(server, name="pg2", status="MAINT")), back),
    )
    return replace(SNAPSHOT, proxies=proxies)


def test_every_family_of_haproxys_exporter_is_there_with_its_type_and_labels() -> None:
    seen = families(text(everything()))
    lines = csv.DictReader(GOLDEN.read_text().splitlines(), delimiter="\t")
    golden = {line["name"]: (line["type"], set(filter(None, (line["labels"] or "").split(",")))) for line in lines}
    wanted = {name: kind for name, kind in golden.items() if not name.startswith(OF_NAME_SERVERS)}
    assert {name: (kind, labels) for name, (kind, labels, _) in seen.items()} == wanted


def test_every_family_shows_a_column_or_a_value_that_exists() -> None:
    values = {name for _, name, _, _ in FIELDS} | {"ZlibMemUsage", "MaxZlibMemUsage"}
    assert {family.source for family in PROCESS} <= values
    columns = {*COLUMNS, "hrsp"}
    assert {family.source for family in (*FRONTENDS, *BACKENDS, *SERVERS)} <= columns


def test_values_are_those_of_the_statistics_and_times_are_seconds() -> None:
    seen = families(text())
    assert seen["haproxy_process_uptime_seconds"][2] == [("", "7")]
    assert ('proxy="pg",server="pg1"', "4") in seen["haproxy_server_sessions_total"][2]
    assert ('proxy="pg",server="pg1"', "0.012") in seen["haproxy_server_check_duration_seconds"][2]
    assert ('proxy="pg",server="pg1"', "0.001") in seen["haproxy_server_queue_time_average_seconds"][2]
    assert seen["haproxy_process_build_info"][2] == [('version="3.0.0"', "1")]
    assert seen["haproxy_process_description"][2] == [(r'desc="with \"quotes\" and \\"', "1")]


def test_a_description_is_shown_if_there_is_one() -> None:
    assert "haproxy_process_description" not in render(list(rows(SNAPSHOT)), {**INFO, "description": ""}, Choice())


def test_what_is_empty_is_not_a_number_and_what_makes_no_sense_is_not_there() -> None:
    seen = families(text())
    assert seen["haproxy_server_queue_limit"][2] == [
        ('proxy="pg",server="pg1"', "NaN"), ('proxy="pg",server="pg2"', "NaN"),
    ]  # fmt: skip
    assert seen["haproxy_server_check_code"][2] == [('proxy="pg",server="pg1"', "503")]
    assert seen["haproxy_server_check_duration_seconds"][2] == [('proxy="pg",server="pg1"', "0.012")]
    assert [labels for labels, _ in seen["haproxy_frontend_intercepted_requests_total"][2]] == ['proxy="stats"']
    fresh = replace(SERVER, check=replace(CHECK, code=None, duration_ms=None, status="INI"))
    snapshot = replace(SNAPSHOT, proxies=(ProxyStatistics("pg", 2, Mode.TCP, None, (fresh,), BACKEND),))
    assert families(text(snapshot))["haproxy_server_check_code"][2] == [('proxy="pg",server="pg1"', "0")]
    assert families(text(snapshot))["haproxy_server_check_duration_seconds"][2] == [('proxy="pg",server="pg1"', "NaN")]


def test_of_all_states_the_one_that_is_has_a_1() -> None:
    states = dict(families(text())["haproxy_server_status"][2])
    mine = {labels: value for labels, value in states.items() if '"pg1"' in labels}
    assert {labels.rpartition("=")[2]: value for labels, value in mine.items()} == {
        '"DOWN"': "1", '"UP"': "0", '"MAINT"': "0", '"DRAIN"': "0", '"NOLB"': "0",
    }  # fmt: skip
    checks = families(text())["haproxy_server_check_status"][2]
    assert [labels for labels, value in checks if value == "1"] == ['proxy="pg",server="pg1",state="L7STS"']
    fronts = families(text())["haproxy_frontend_status"][2]
    assert ('proxy="pg",state="UP"', "1") in fronts


@pytest.mark.parametrize(
    ("status", "state"),
    [("UP 1/3", "UP"), ("no check", "UP"), ("DOWN 1/2", "DOWN"), ("DOWN (agent)", "DOWN"), ("MAINT (via b/s)", "MAINT"),
     ("DRAIN (agent)", "DRAIN"), ("NOLB 1/2", "NOLB")],
)  # fmt: skip
def test_a_server_is_in_one_of_five_states(status: str, state: str) -> None:
    assert server_state(Row("SERVER", {"status": status})) == state


def test_a_backend_counts_its_servers_by_state_and_by_the_end_of_their_checks() -> None:
    seen = families(text())
    assert ('proxy="pg",state="DOWN"', "2") in seen["haproxy_backend_agg_server_status"][2]
    assert ('proxy="pg",state="L7STS"', "1") in seen["haproxy_backend_agg_check_status"][2]
    assert not any('"stats"' in labels for labels, _ in seen["haproxy_backend_agg_server_status"][2])


def test_names_cannot_break_out_of_a_label() -> None:
    bad = 'a"b\\c\nd'
    server = replace(SERVER, name=bad, check=replace(CHECK, status="L7OK"))
    snapshot = replace(SNAPSHOT, proxies=(ProxyStatistics("pg", 2, Mode.TCP, None, (server,), BACKEND),))
    assert r'server="a\"b\\c\nd"' in text(snapshot)
    families(text(snapshot))


@pytest.mark.parametrize(
    ("scopes", "wanted"),
    [
        ([], set(SCOPES)), (["global"], {"global"}), (["server", "global"], {"server", "global"}), ([""], set()),
        (["*"], set(SCOPES)), (["frontend", ""], set()), (["", "backend"], {"backend"}), (["listener"], {"listener"}),
    ],
)  # fmt: skip
def test_scope_chooses_families(scopes: list[str], wanted: set[str]) -> None:
    choice = Choice.read(scopes, without_maintenance=False)
    assert choice.scopes == wanted
    shown = {name.split("_")[1] for name in families(text(choice=choice))}
    assert shown == {"process" if scope == "global" else scope for scope in wanted - {"listener"}}


def test_a_scope_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ChoiceError):
        Choice.read(["foo"], without_maintenance=False)


def test_no_maint_leaves_out_servers_in_maintenance() -> None:
    assert 'server="pg2"' in text(everything())
    assert 'server="pg2"' not in text(everything(), Choice(without_maintenance=True))
