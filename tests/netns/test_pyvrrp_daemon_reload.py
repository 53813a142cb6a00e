"""Reloads of a running daemon: what is the same is not touched, what differs changes, and it is all or nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from vrrp_pair import VIP, VRRP, Lan
from vrrp_running import Running, instance

from hakit.diagnostics import Location
from hakit.transcript import Event
from halab.wait import hold
from pyvrrp.model import (
    Configuration,
    GlobalSettings,
    NotifyScripts,
    Script,
    SyncGroup,
    Tracked,
    TrackScript,
)
from pyvrrp.system.errors import SystemRefusalError

pytestmark = [pytest.mark.netns, pytest.mark.timeout(60)]

OTHER = "10.88.2.60"
SCRIPTED = {"transition", "addresses", "address", "announced", "priority", "script", "notify_failed", "system_error"}


@pytest.fixture
def lan(tmp_path: Path) -> Iterator[Lan]:
    with Lan(tmp_path) as made:
        yield made


@pytest.fixture
def executable(tmp_path: Path) -> Callable[[str, str], str]:
    def make(name: str, text: str) -> str:
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return str(path)

    return make


def touched(running: Running, since: float, whose: str = "VI_1") -> list[Event]:
    return [
        event for event in running.events if event.at >= since and event.source == whose and event.event in SCRIPTED
    ]


def test_a_reload_of_the_same_configuration_misses_no_advertisement_and_tells_nothing(lan: Lan) -> None:
    """reliability.md, S15: no transition, no netlink write, no notification, no gap of more than 1.5 intervals."""
    with Running(lan.host("left"), instance(100)) as left:
        left.until_master()
        at = time.monotonic()
        moved = replace(instance(100), location=Location("elsewhere.conf", 77))
        for _ in range(10):
            left.reload(moved)
            hold(lambda: True, 0.07, "time passes")
        assert touched(left, at) == []
        assert left.status()["state"] == "MASTER"
    sent = [one.at for one in lan.adverts("left")]
    assert max(after - before for before, after in pairwise(sent)) < 0.15


def test_an_address_is_added_and_another_removed_without_leaving_master(lan: Lan) -> None:
    with Running(lan.host("left"), instance(100)) as left:
        left.until_master()
        lan.until_held_by("left", within=3)
        at = left.reload(instance(100, "VI_1", 51, f"{VIP}/24", f"{OTHER}/24"))
        lan.until_held_by("left", within=3, address=OTHER)
        left.until_event("announced", since=at, address=OTHER)
        assert [event["address"] for event in left.events if event.event == "announced" and event.at > at] == [OTHER]
        at = left.reload(instance(100, "VI_1", 51, f"{OTHER}/24"))
        lan.until_held_by(within=3, address=VIP)
        hold(lambda: lan.watch.holders(OTHER) == {"left"}, 0.5, "the other address stays")
        assert left.count("transition") == 2


def test_a_changed_priority_keeps_the_master_and_changes_what_it_says(lan: Lan) -> None:
    with Running(lan.host("left"), instance(100)) as left:
        left.until_master()
        left.reload(replace(instance(100), priority=120))
        lan.until_advert(lambda one: one.priority == 120, 3, "left")
        assert left.count("transition") == 2


def test_an_instance_is_known_by_its_number_whatever_its_name(lan: Lan) -> None:
    with Running(lan.host("left"), instance(100)) as left:
        left.until_master()
        at = left.reload(replace(instance(100), name="VI_NEW"))
        hold(lambda: left.status("VI_NEW")["state"] == "MASTER", 0.5, "it is master under its new name")
        assert touched(left, at, "VI_NEW") == []
        assert max(after - before for before, after in pairwise([one.at for one in lan.adverts("left")])) < 0.15


def test_an_instance_that_is_gone_resigns_releases_and_is_told_as_a_fault(
    lan: Lan, executable: Callable[[str, str], str], tmp_path: Path
) -> None:
    script = Script((executable("notify", f'echo "$2 $3" >> {tmp_path}/told'),))
    fault = Script((executable("fault", f"echo notify_fault >> {tmp_path}/told"),))
    both = [
        instance(100, notify=NotifyScripts(any=script, fault=fault)),
        instance(100, "VI_2", 52, f"{OTHER}/24", notify=NotifyScripts(any=script), notify_deleted=True),
        instance(100, "VI_3", 53, "10.88.2.70/24"),
    ]
    settings = GlobalSettings(script_security=False)
    with Running(lan.host("left"), Configuration(tuple(both), settings=settings)) as left:
        left.until_master("VI_1", "VI_2", "VI_3")
        lan.until_held_by("left", within=3, address=OTHER)
        at = left.reload(both[2], settings=settings)
        lan.until_held_by(within=3)
        lan.until_held_by(within=3, address=OTHER)
        resigned = lan.until_advert(lambda one: (one.vrid, one.priority) == (51, 0), 3)
        assert resigned.vrid == 51
        assert touched(left, at, "VI_3") == []
        hold(lambda: lan.watch.holders("10.88.2.70") == {"left"}, 0.3, "the third one stays")
    lines = (tmp_path / "told").read_text().splitlines()
    assert lines.count("VI_1 FAULT") == 1
    assert lines.count("VI_2 DELETED") == 1
    assert not any("STOP" in line for line in lines)
    assert "notify_fault" not in lines  # as in keepalived: there is no fault


def test_a_new_instance_begins_as_at_a_start_and_the_old_one_does_not_notice(lan: Lan) -> None:
    with Running(lan.host("left"), instance(100)) as left:
        left.until_master()
        at = left.reload(instance(100), instance(100, "VI_2", 52, f"{OTHER}/24"))
        began = left.until_state("BACKUP", "VI_2", since=at)
        became = left.until_state("MASTER", "VI_2", since=at)
        assert became.at - began.at == pytest.approx(0.3 + 0.1 * 156 / 256, abs=0.05)
        assert [event.event for event in touched(left, at)] == []


def test_an_address_moves_from_one_instance_to_another_in_one_reload(lan: Lan) -> None:
    with Running(lan.host("left"), Configuration((
        instance(100, "VI_1", 51, f"{VIP}/24", f"{OTHER}/24"), instance(100, "VI_2", 52, "10.88.2.70/24"),
    ))) as left:  # fmt: skip
        left.until_master("VI_1", "VI_2")
        lan.until_held_by("left", within=3, address=OTHER)
        at = left.reload(
            instance(100, "VI_1", 51, f"{VIP}/24"), instance(100, "VI_2", 52, "10.88.2.70/24", f"{OTHER}/24")
        )
        left.until_event("announced", since=at, whose="VI_2", address=OTHER)
        lan.until_held_by("left", within=1, address=OTHER)  # the watch hears of it later than the daemon
        hold(lambda: lan.watch.holders(OTHER) == {"left"}, 1, "the address is there")
        assert left.count("address_lost") == 0


def test_a_reload_that_this_machine_does_not_allow_changes_nothing(lan: Lan) -> None:
    with Running(lan.host("left"), instance(100)) as left:
        left.until_master()
        at = time.monotonic()
        elsewhere = replace(instance(100, "VI_2", 52, f"{OTHER}/24"), interface="eth7")
        with pytest.raises(SystemRefusalError, match=r"interface eth7 for vrrp_instance VI_2 doesn't exist"):
            left.reload(instance(50), elsewhere)
        hold(lambda: left.status()["base_priority"] == 100, 0.3, "the old one runs on")
        assert touched(left, at) == []
    assert {one.priority for one in lan.adverts("left")} == {100, 0}


def test_a_script_keeps_its_result_if_it_is_the_same_and_stands_in_for_its_successor(
    lan: Lan, executable: Callable[[str, str], str], tmp_path: Path
) -> None:
    settings = GlobalSettings(script_security=False)
    runs = tmp_path / "runs"
    check = TrackScript("check", Script((executable("check", f"echo >> {runs}"),)), interval=60)
    slow = replace(check, script=Script((executable("slow", "sleep 1"),)), timeout=5.0)
    tracked = instance(100, tracked=(Tracked("check", 10),))
    first = Configuration((tracked,), scripts=(check,), settings=settings)
    with Running(lan.host("left"), first) as left:
        left.until_event("priority", new=110)
        left.until_master()
        at = left.reload(tracked, scripts=(replace(check, weight=7),), settings=settings)
        hold(lambda: left.status()["effective_priority"] == 110, 0.3, "its result is kept")
        assert len(runs.read_text().splitlines()) == 1
        left.reload(tracked, scripts=(slow,), settings=settings)
        hold(lambda: left.status()["effective_priority"] == 110, 1.5, "the old result stands in for the new script's")
        assert touched(left, at) == []
        at = left.reload(tracked, scripts=(replace(slow, script=Script(("/usr/bin/false",))),), settings=settings)
        left.until_event("priority", since=at, new=100)


def test_a_group_that_comes_with_a_reload_binds_its_members(lan: Lan) -> None:
    one, two = instance(100), instance(100, "VI_2", 52, f"{OTHER}/24")
    with Running(lan.host("left"), Configuration((one, two))) as left:
        left.until_master("VI_1", "VI_2")
        at = left.reload(one, two, groups=(SyncGroup("G1", ("VI_1", "VI_2")),))
        assert left.call(lambda daemon: dict(daemon.groups)) == {"G1": "MASTER"}
        assert touched(left, at) == touched(left, at, "VI_2") == []


def test_a_hundred_reloads_a_second_do_not_stop_the_advertisements(lan: Lan) -> None:
    with Running(lan.host("left"), instance(100)) as left, Running(lan.host("right"), instance(90)) as right:
        left.until_master()
        right.until_event("master_heard")
        at = time.monotonic()
        while time.monotonic() < at + 1:
            left.reload(instance(100))
            left.reload(instance(101))
        assert left.status()["state"] == "MASTER"
        assert right.status()["state"] == "BACKUP"
        assert [one for one in lan.seen(VRRP) if one.priority == 0] == []
