"""Interop scenarios 1 to 10: who is master, since when, and who gives way, ours beside the real keepalived.

Both read the same configuration. The times are those of the packets on the wire. A row with keepalived on both sides
says that the expectation is the original's own.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from vrrp_pair import CALIBRATED, EARLY, PAIRS, VIP, Lan, Pair, due, instance, master_down, skew, whole

from halab import faults
from halab.wait import hold, poll

pytestmark = [pytest.mark.interop, pytest.mark.netns, pytest.mark.timeout(90)]

THREE = {"left": "10.88.2.11", "middle": "10.88.2.12", "right": "10.88.2.13"}
both = pytest.mark.parametrize(("left", "right"), CALIBRATED)
beside = pytest.mark.parametrize(("left", "right"), PAIRS)


@pytest.mark.parametrize(
    "programs",
    [("pyvrrp", "keepalived", "pyvrrp"), ("keepalived", "pyvrrp", "keepalived"), ("keepalived",) * 3],
)
def test_01_of_three_the_highest_priority_is_master_after_its_master_down_interval(
    programs: tuple[str, ...], tmp_path: Path
) -> None:
    with Lan(tmp_path, THREE, judging=True) as lan:
        for name, program, priority in zip(THREE, programs, (150, 100, 50), strict=True):
            lan.start(name, program, whole(instance(priority, version=2, interval=1)))
        lan.until_held_by("left", within=6)
        first = lan.until_advert(lambda _: True, 1)
        assert first.source == THREE["left"]
        waited = first.at - lan.joined_at("left")
        assert waited == due(master_down(150, version=2, interval=1))
        hold(lambda: lan.watch.holders(VIP) == {"left"}, 1.5, "only the highest holds the address")
        assert {advert.source for advert in lan.adverts()} == {THREE["left"]}
        lan.judge(*THREE)


@both
def test_02_sigterm_resigns_and_the_next_takes_over_after_the_skew_alone(left: str, right: str, tmp_path: Path) -> None:
    with Pair(tmp_path, judging=True) as lan:
        lan.start("right", right, whole(instance(60, version=2, interval=1)))
        first = lan.start("left", left, whole(instance(255, version=2, interval=1)))
        lan.until_held_by("left", within=3)
        lan.until_log("right", "Entering BACKUP STATE")
        first.stop()
        lan.until_held_by("right", within=3)
        resigned = lan.until_advert(lambda advert: advert.priority == 0, 1, "left")
        taken = lan.until_advert(lambda advert: advert.priority == 60, 1, "right")
        assert taken.at - resigned.at == due(skew(60, version=2))
        lan.judge("left", "right")


@both
def test_03_after_kill_9_the_next_takes_over_when_the_master_down_interval_is_over(
    left: str, right: str, tmp_path: Path
) -> None:
    with Pair(tmp_path, judging=True) as lan:
        lan.start("right", right, whole(instance(100)))
        lan.start("left", left, whole(instance(150)))
        lan.until_held_by("left", within=4)
        lan.until_advert(lambda advert: advert.priority == 150, 1, "left")
        lan.kill("left")
        lan.until_held_by("left", "right", within=3)  # its lease of 2 s is longer than the interval of 0.2 s asks for
        last = lan.adverts("left")[-1]
        taken = lan.until_advert(lambda advert: advert.at > last.at, 1, "right")
        assert taken.at - last.at == due(master_down(100))


@both
def test_04_with_equal_priorities_the_first_stays_master(left: str, right: str, tmp_path: Path) -> None:
    with Pair(tmp_path, judging=True) as lan:
        lan.start("left", left, whole(instance(100)))
        lan.until_held_by("left", within=4)
        lan.start("right", right, whole(instance(100)))  # the higher address
        lan.until_log("right", "Entering BACKUP STATE")
        hold(lambda: lan.watch.holders(VIP) == {"left"}, 2, "left holds the address")
        lan.judge("left")


def announced_by_left(lan: Lan) -> list[str]:
    macs = {advert.mac for advert in lan.adverts("left")}
    return [arp["at"] for arp in lan.gratuitous_arps() if arp["mac"] in macs]


@both
def test_05_after_a_split_brain_the_lower_one_steps_down(left: str, right: str, tmp_path: Path) -> None:
    with Pair(tmp_path, judging=True) as lan:
        for host in ("left", "right"):
            faults.mute_vrrp(lan.lab, host)
        lan.start("left", left, whole(instance(150)))
        lan.start("right", right, whole(instance(100)))
        lan.until_held_by("left", "right", within=5)
        before = len(announced_by_left(lan))
        faults.unmute_vrrp(lan.lab, "left")  # the higher one hears the other first: so it knows that there was one
        lan.until_log("left", "with lower priority 100, ours 150, forcing new election")
        poll(lambda: len(announced_by_left(lan)) > before, 3, "an announcement after the heal")
        faults.unmute_vrrp(lan.lab, "right")
        lan.until_held_by("left", within=3)
        lan.until_log("right", "with higher priority 150, ours 100")
        lan.until_log("right", "Entering BACKUP STATE", times=2)
        hold(lambda: lan.watch.holders(VIP) == {"left"}, 1, "left holds the address")
        lan.judge("left", "right")


@both
def test_06_with_nopreempt_the_lower_one_stays_master(left: str, right: str, tmp_path: Path) -> None:
    with Pair(tmp_path, judging=True) as lan:
        lan.start("left", left, whole(instance(90, "nopreempt")))
        lan.until_held_by("left", within=4)
        lan.start("right", right, whole(instance(100, "nopreempt")))
        lan.until_log("right", "Entering BACKUP STATE")
        hold(lambda: lan.watch.holders(VIP) == {"left"}, 2, "left holds the address")


@both
def test_07_preempt_delay_runs_from_the_first_lower_advertisement(left: str, right: str, tmp_path: Path) -> None:
    with Pair(tmp_path, judging=True) as lan:
        lan.start("left", left, whole(instance(90)))
        lan.until_held_by("left", within=4)
        started = time.monotonic()
        lan.start("right", right, whole(instance(100, "preempt_delay 2")))
        lan.until_log("right", "start preempt delay")
        taken = lan.until_held_by("right", within=6) - started
        # Lower advertisements count for 2 s from the first one on; then Master_Down_Interval runs from the last.
        assert 2 + master_down(100) - 0.2 - EARLY <= taken <= 2 + master_down(100) + 0.2 + 1.0


@both
def test_08_an_owner_is_master_at_once(left: str, right: str, tmp_path: Path) -> None:
    with Pair(tmp_path, judging=True) as lan:
        lan.start("right", right, whole(instance(100)))
        lan.until_held_by("right", within=4)
        lan.start("left", left, whole(instance(255)))
        lan.until_held_by("left", within=3)
        first = lan.until_advert(lambda advert: advert.priority == 255, 1, "left")
        assert first.at - lan.joined_at("left") < 0.2
        assert "Entering BACKUP STATE" not in lan.log("left")
        lan.judge("left", "right")


@beside
def test_09_of_two_owners_the_one_with_the_lower_address_says_so_and_gives_way(
    left: str, right: str, tmp_path: Path
) -> None:
    with Pair(tmp_path, judging=True) as lan:
        lan.start("left", left, whole(instance(255)))
        lan.start("right", right, whole(instance(255)))  # the higher address
        lan.until_log("left", "CONFIGURATION ERROR")
        lan.until_held_by("right", within=4)
        hold(lambda: lan.watch.holders(VIP) == {"right"}, 1, "right holds the address")


@both
def test_10_another_interval_in_version_2_makes_two_masters(left: str, right: str, tmp_path: Path) -> None:
    with Pair(tmp_path, judging=True) as lan:
        lan.start("left", left, whole(instance(200, version=2, interval=1)))
        lan.start("right", right, whole(instance(255, version=2, interval=2)))
        lan.until_held_by("left", "right", within=8)
        lan.until_advert(lambda advert: advert.priority == 200, 2, "left")
        for name, program in (("left", left), ("right", right)):
            lan.until_log(name, "advertisement interval mismatch")
            if program == "pyvrrp":
                assert lan.status(name)["statistics"]["advert_interval_err"] >= 1
        lan.judge("left", "right")
