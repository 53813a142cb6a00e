"""Log lines: what people grep for is worded as keepalived 2.2.7 words it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hakit.events import EventHub
from hakit.transcript import Event
from pyvrrp.status import logger
from pyvrrp.status.log_lines import console_stamp, file_stamp, lines


def event(name: str, reason: str = "", source: str = "VI_1", /, **values: str | int | bool) -> Event:
    return Event(1.0, source, name, reason, 1795374760.629328, dict(values))


def texts(told: Event, *, detail: bool = False) -> list[str]:
    return [line.text for line in lines(told) if detail or not line.detail]


@pytest.mark.parametrize(
    ("before", "after", "reason", "expected"),
    [
        ("INIT", "BACKUP", "init", ["(VI_1) Entering BACKUP STATE (init)"]),
        ("BACKUP", "MASTER", "no advertisement", ["(VI_1) Entering MASTER STATE"]),
        ("INIT", "MASTER", "owner", ["(VI_1) Entering MASTER STATE"]),
        ("FAULT", "BACKUP", "over", ["(VI_1) Entering BACKUP STATE"]),
        (
            "MASTER",
            "BACKUP",
            "Master received advert from 10.9.0.2 with higher priority 150, ours 100",
            [
                "(VI_1) Master received advert from 10.9.0.2 with higher priority 150, ours 100",
                "(VI_1) Entering BACKUP STATE",
            ],
        ),
        (
            "BACKUP",
            "FAULT",
            "interface eth0 down",
            ["(VI_1) entering FAULT state (interface eth0 down)", "(VI_1) Entering FAULT STATE"],
        ),
        ("MASTER", "INIT", "shutdown", []),
    ],
)
def test_a_transition_reads_as_in_keepalived(before: str, after: str, reason: str, expected: list[str]) -> None:
    assert texts(event("transition", reason, **{"from": before, "to": after})) == expected


def test_detail_is_written_only_when_asked_for() -> None:
    told = event("transition", "no advertisement", **{"from": "BACKUP", "to": "MASTER"})
    assert texts(told, detail=True) == ["(VI_1) Receive advertisement timeout", "(VI_1) Entering MASTER STATE"]
    assert texts(event("addresses", "setting VIPs.")) == []
    assert texts(event("addresses", "setting VIPs."), detail=True) == ["(VI_1) setting VIPs."]
    assert texts(event("advertised", priority=0), detail=True) == ["(VI_1) sent 0 priority"]
    assert texts(event("advertised", priority=100), detail=True) == []


def test_gratuitous_arps_are_listed_one_by_one() -> None:
    told = event("announced", address="10.9.0.100", interface="eth0", rounds=2)
    assert texts(told, detail=True) == [
        "(VI_1) Sending/queueing gratuitous ARPs on eth0 for 10.9.0.100",
        "Sending gratuitous ARP on eth0 for 10.9.0.100",
        "Sending gratuitous ARP on eth0 for 10.9.0.100",
    ]


def test_unsolicited_neighbour_advertisements_have_keepalived_s_own_words() -> None:
    told = event("announced", address="fd00::100", interface="eth0", rounds=1, family=6)
    assert texts(told, detail=True) == [
        "(VI_1) Sending/queueing Unsolicited Neighbour Adverts on eth0 for fd00::100",
        "Sending unsolicited Neighbour Advert on eth0 for fd00::100",
    ]
    assert texts(told) == []


def test_a_group_is_named_by_itself_and_only_when_it_moves() -> None:
    text = "VRRP_Group(G1) Syncing instances to MASTER state"
    assert texts(event("group_transition", text, "G1", **{"from": "BACKUP", "to": "MASTER"})) == [text]
    assert texts(event("group_transition", text, "G1", **{"from": "INIT", "to": "BACKUP"})) == []
    assert texts(event("group_transition", "VRRP_Group(G1) stopped", "G1", **{"from": "MASTER", "to": "INIT"})) == []
    synced = event("transition", "VRRP_Group(G1) Syncing", **{"from": "MASTER", "to": "BACKUP"})
    assert texts(synced) == ["VRRP_Group(G1) Syncing", "(VI_1) Entering BACKUP STATE"]


def test_a_promotion_says_that_it_was_one() -> None:
    told = event("transition", "promoted by an operator", **{"from": "BACKUP", "to": "MASTER"})
    assert texts(told) == ["(VI_1) promoted by an operator", "(VI_1) Entering MASTER STATE"]


def test_trackers_other_than_scripts_are_told_too() -> None:
    told = event("process", "0 of 1 nginx", "pyvrrp", name="web", status="failed")
    assert texts(told) == ["Quorum lost for tracked process web (0 of 1 nginx)"]
    told = event("http", "answered 503", "pyvrrp", name="patroni", status="failed")
    assert texts(told) == ["VRRP_Http(patroni) failed (answered 503)"]


def test_what_has_a_reason_is_told_of_the_instance_or_of_the_daemon() -> None:
    assert texts(event("split_brain", "10.9.0.2 is master, too")) == ["(VI_1) 10.9.0.2 is master, too"]
    assert texts(event("system_error", "no memory", "pyvrrp")) == ["no memory"]
    assert texts(event("notice", "Registering", "pyvrrp", detail=True)) == []
    assert texts(event("notice", "Registering", "pyvrrp", detail=True), detail=True) == ["Registering"]


def test_scripts_and_priorities_read_as_in_keepalived() -> None:
    assert texts(event("script", "exited with status 0", "pyvrrp", name="s1", status="succeeded")) == [
        "VRRP_Script(s1) succeeded"
    ]
    assert texts(event("script", "exited with status 1", "pyvrrp", name="s1", status="failed")) == [
        "VRRP_Script(s1) failed (exited with status 1)"
    ]
    assert texts(event("priority", "Changing effective priority from 100 to 98")) == [
        "(VI_1) Changing effective priority from 100 to 98"
    ]
    assert texts(event("ready", "Startup complete", "pyvrrp")) == ["Startup complete"]
    assert texts(event("address", action="added")) == []


@pytest.fixture
def utc() -> Iterator[None]:
    before = os.environ.get("TZ")
    os.environ["TZ"] = "UTC"
    time.tzset()
    yield
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


def test_stamps_are_keepalived_s(utc: None) -> None:
    assert console_stamp(event("x")) == "Sun Nov 22 19:12:40 2026"
    assert file_stamp(event("x")).startswith("Sun Nov 22 19:12:40.62932")
    assert file_stamp(event("x")).endswith(" 2026")


def test_a_log_file_gets_every_line_and_is_never_a_link(tmp_path: Path) -> None:
    hub = EventHub("VI_1")
    hub.listen(logger.Logger((logger.file(tmp_path / "log"),), detail=False))
    hub.publish("priority", "Changing effective priority from 100 to 98")
    hub.publish("addresses", "setting VIPs.")
    written = (tmp_path / "log").read_text().splitlines()
    assert [line.partition(": ")[2] for line in written] == ["(VI_1) Changing effective priority from 100 to 98"]
    (tmp_path / "link").symlink_to(tmp_path / "log")
    with pytest.raises(OSError, match="link"):
        logger.file(tmp_path / "link")
