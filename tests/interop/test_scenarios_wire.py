"""Interop scenarios 11 to 17 and 29: what of the other is believed, and what is on the wire."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from vrrp_pair import ADDRESSES, AH, CALIBRATED, PAIRS, VIP, Lan, Pair, due, forged, instance, master_down, skew, whole

from halab.wait import hold, poll

pytestmark = [pytest.mark.interop, pytest.mark.netns, pytest.mark.timeout(90)]

WITH_PROBE = {**ADDRESSES, "probe": "10.88.2.66"}
VIP6, VIP6_LINK = "fd88:2::50", "fe80::50"
both = pytest.mark.parametrize(("left", "right"), CALIBRATED)
beside = pytest.mark.parametrize(("left", "right"), PAIRS)


def password(kind: str, word: str) -> str:
    return f"authentication {{ \n auth_type {kind} \n auth_pass {word} \n }}"


def counted(lan: Lan, left: str, right: str, *counters: str) -> None:
    """Whichever of the two is ours has counted what it refused."""
    for name, program in (("left", left), ("right", right)):
        if program == "pyvrrp":
            statistics = lan.status(name)["statistics"]
            assert any(statistics[counter] for counter in counters), (counters, statistics)


@both
def test_11_version_2_beside_version_3_makes_two_masters(left: str, right: str, tmp_path: Path) -> None:
    with Pair(tmp_path, judging=True) as lan:
        lan.start("left", left, whole(instance(100, version=2, interval=1)))
        lan.start("right", right, whole(instance(200)))
        lan.until_held_by("left", "right", within=6)
        hold(lambda: lan.watch.holders(VIP) == {"left", "right"}, 1.2, "both hold the address")
        counted(lan, left, right, "version_err")
        lan.judge("left", "right")


@pytest.mark.parametrize(
    ("mine", "theirs", "counters"),
    [
        (password("PASS", "mine"), password("PASS", "theirs"), ("auth_failure",)),
        (password("PASS", "mine"), "", ("authtype_mismatch",)),
    ],
    ids=["another", "none"],
)
@beside
def test_12_another_password_or_none_makes_two_masters(
    left: str, right: str, mine: str, theirs: str, counters: tuple[str, ...], tmp_path: Path
) -> None:
    with Pair(tmp_path, judging=True) as lan:
        lan.start("left", left, whole(instance(100, mine, version=2, interval=1)))
        lan.start("right", right, whole(instance(255, theirs, version=2, interval=1)))
        lan.until_held_by("left", "right", within=6)
        lan.until_advert(lambda advert: advert.priority == 100, 3, "left")
        hold(lambda: lan.watch.holders(VIP) == {"left", "right"}, 1.2, "both hold the address")
        counted(lan, left, right, *counters)
        lan.judge("left", "right")


@both
def test_13_with_ah_they_understand_each_other_and_a_replayed_packet_counts_for_nothing(
    left: str, right: str, tmp_path: Path
) -> None:
    with Lan(tmp_path, WITH_PROBE, judging=True) as lan:
        lan.start("right", right, whole(instance(100, password("AH", "secret"), version=2, interval=1)))
        lan.start("left", left, whole(instance(255, password("AH", "secret"), version=2, interval=1)))
        lan.until_held_by("left", within=4)
        lan.until_log("right", "Entering BACKUP STATE")
        last = lan.until_advert(lambda advert: len(lan.adverts("left")) >= 3, 5, "left")
        assert last.protocol == AH
        hold(lambda: lan.watch.holders(VIP) == {"left"}, 1.5, "left holds the address")
        lan.kill("left")
        end = lan.adverts("left")[-1]
        lan.send_raw("probe", end.raw, times=20, pause=0.2)  # as long as Master_Down_Interval
        taken = lan.until_advert(lambda advert: advert.priority == 100, 2, "right")
        assert taken.at - end.at == due(master_down(100, version=2, interval=1))
        lan.judge("left", "right")


@beside
def test_14_another_list_of_addresses_is_told_and_accepted(left: str, right: str, tmp_path: Path) -> None:
    """keepalived 2.2.7 drops it, and there are two masters if it is the lower one; its successor does as ours."""
    ours = "left" if left == "pyvrrp" else "right"
    more = (f"{VIP}/24", "10.88.2.51/24")
    with Pair(tmp_path, judging=True) as lan:
        priorities = (100, 150) if ours == "left" else (150, 100)  # ours is the lower one
        lan.start("left", left, whole(instance(priorities[0])))
        lan.start("right", right, whole(instance(priorities[1], addresses=more)))
        theirs = "right" if ours == "left" else "left"
        lan.until_held_by(theirs, within=4)
        hold(lambda: lan.watch.holders(VIP) == {theirs}, 2, "one holds the address")
        counted(lan, left, right, "addr_list_err")


@both
def test_15_a_wrong_checksum_is_ignored(left: str, right: str, tmp_path: Path) -> None:
    with Lan(tmp_path, WITH_PROBE, judging=True) as lan:
        lan.start("left", left, whole(instance(150)))
        lan.start("right", right, whole(instance(100)))
        lan.until_held_by("left", within=4)
        lan.send_raw("probe", forged(WITH_PROBE["probe"], 255, good=False), times=20, pause=0.05)
        assert lan.watch.holders(VIP) == {"left"}
        counted(lan, left, right, "checksum_err")
        lan.send_raw("probe", forged(WITH_PROBE["probe"], 255))
        lan.until_held_by(within=2)  # the same one with a right checksum is believed


@pytest.mark.parametrize(("version", "interval"), [(2, 1), (3, 0.2)])
@both
def test_16_unicast_elects_as_multicast_does(
    left: str, right: str, version: int, interval: float, tmp_path: Path
) -> None:
    def block(own: str, peer: str, priority: int) -> str:
        unicast = f"unicast_src_ip {ADDRESSES[own]}\n unicast_peer {{\n {ADDRESSES[peer]}\n }}"
        return whole(instance(priority, unicast, version=version, interval=interval))

    with Pair(tmp_path, judging=True) as lan:
        lan.start("right", right, block("right", "left", 60))
        first = lan.start("left", left, block("left", "right", 200))
        lan.until_held_by("left", within=6)
        lan.until_advert(lambda advert: advert.source == ADDRESSES["left"], 2)
        lan.until_log("right", "Entering BACKUP STATE")
        first.stop()
        lan.until_held_by("right", within=4)
        resigned = lan.until_advert(lambda advert: advert.priority == 0, 1, "left")
        taken = lan.until_advert(lambda advert: advert.at > resigned.at, 1, "right")
        assert taken.at - resigned.at == due(skew(60, version=version, interval=interval))
        ways = {(advert.source, advert.destination) for advert in lan.adverts()}
        assert ways <= {(ADDRESSES["left"], ADDRESSES["right"]), (ADDRESSES["right"], ADDRESSES["left"])}
        assert {advert.ttl for advert in lan.adverts()} == {255}
        lan.judge("left", "right")


@both
def test_17_over_ipv6_addresses_are_announced_by_neighbour_advertisements(
    left: str, right: str, tmp_path: Path
) -> None:
    addresses = (f"{VIP6_LINK}/64", f"{VIP6}/64")
    with Pair(tmp_path, judging=True) as lan:
        lan.start("right", right, whole(instance(60, addresses=addresses)))
        first = lan.start("left", left, whole(instance(200, addresses=addresses)))
        lan.until_held_by("left", within=5, address=VIP6)
        lan.until_held_by("left", within=1, address=VIP6_LINK)
        held = lan.host("left").run(["ip", "-6", "address", "show", "dev", "eth0"]).output
        assert all("nodad" in line for line in held.splitlines() if f"{VIP6}/" in line or f"{VIP6_LINK}/" in line)
        lan.until_log("right", "Entering BACKUP STATE")
        first.stop()
        lan.until_held_by("right", within=3, address=VIP6)
        resigned = lan.until_advert(lambda advert: advert.priority == 0, 1, "left")
        taken = lan.until_advert(lambda advert: advert.at > resigned.at, 1, "right")
        assert taken.at - resigned.at == due(skew(60))
        assert {(advert.destination, advert.ttl) for advert in lan.adverts()} == {("ff02::12", 255)}
        announced = lan.by_tshark(
            "icmpv6.type == 136 and ipv6.dst == ff02::1",
            "icmpv6.nd.na.target_address", "icmpv6.nd.na.flag.o", "ipv6.hlim", "icmpv6.checksum.status", "ipv6.src",
        )  # fmt: skip
        mine = [one for one in announced if one["icmpv6.nd.na.target_address"] in {VIP6, VIP6_LINK}]
        assert len(mine) >= 4 * 5  # five rounds over two addresses, twice
        assert {(one["icmpv6.nd.na.flag.o"], one["ipv6.hlim"]) for one in mine} == {("1", "255")}
        assert {one["icmpv6.checksum.status"] for one in mine} == {"1"}
        lan.judge("left", "right")


def arps(lan: Lan, address: str) -> list[float]:
    return sorted(float(one["at"]) for one in lan.gratuitous_arps() if one["address"] == address)


def test_29_gratuitous_arp_comes_as_often_and_as_late_as_from_keepalived(tmp_path: Path) -> None:
    """Each is alone with its virtual router; both get the same packets from a third host."""
    timers = (
        "garp_master_repeat 2\n garp_master_delay 1\n garp_master_refresh 2\n garp_master_refresh_repeat 3\n"
        "garp_lower_prio_repeat 4\n garp_lower_prio_delay 1\n"
    )
    with Lan(tmp_path, WITH_PROBE, judging=True) as lan:
        vips = {"left": (VIP, 51), "right": ("10.88.2.60", 52)}
        for name, program in (("left", "pyvrrp"), ("right", "keepalived")):
            vip, vrid = vips[name]
            lan.start(name, program, whole(instance(255, timers, addresses=(f"{vip}/24",), vrid=vrid)))
        for name, (vip, _) in vips.items():
            lan.until_held_by(name, within=4, address=vip)
        began = {vip: poll(lambda vip=vip: arps(lan, vip), 3, "an announcement")[0] for vip, _ in vips.values()}
        # the burst, the second one after the delay, and the first refresh, apart from what comes behind it
        for vip, start in began.items():
            poll(
                lambda vip=vip, start=start: any(1.9 < at - start < time.time() - start - 0.4 for at in arps(lan, vip)),
                5,
                "the refresh",
            )
        for vip, vrid in vips.values():
            lan.send_raw("probe", forged(WITH_PROBE["probe"], 50, vrid=vrid, vip=vip))
        for vip, _ in vips.values():
            before = began[vip] + 2.05
            poll(
                lambda vip=vip, before=before: len([at for at in arps(lan, vip) if at > before]) >= 8, 5, "both bursts"
            )
        shapes = {vip: rounds(arps(lan, vip), start) for vip, start in began.items()}
        mine, theirs = shapes[VIP], shapes["10.88.2.60"]
        assert [at for at, _ in mine[:3]] == pytest.approx([at for at, _ in theirs[:3]], abs=0.15)
        assert [count for _, count in mine[:3]] == [2, 2, 3]
        assert [count for _, count in mine[3:]].count(4) >= 2


def rounds(times: list[float], start: float) -> list[tuple[float, int]]:
    """Bursts of packets: when each began, in tenths of a second from the start, and how many there were."""
    found: list[tuple[float, int]] = []
    for at in times:
        if found and at - start - found[-1][0] < 0.3:
            found[-1] = (found[-1][0], found[-1][1] + 1)
        else:
            found.append((at - start, 1))
    return [(round(at, 1), count) for at, count in found]
