"""Interop scenarios 18 to 21: what is tracked moves the addresses, and what is taken away comes back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from vrrp_pair import CALIBRATED, PAIRS, VIP, Lan, Pair, instance, whole

from halab import faults
from halab.wait import hold, poll

pytestmark = [pytest.mark.interop, pytest.mark.netns, pytest.mark.timeout(90)]

CHECK = {"check.sh": "#!/bin/sh\ntest ! -e /run/fail\n"}
FIFO = "/tmp/vrrp.fifo"  # noqa: S108 - the host's own
both = pytest.mark.parametrize(("left", "right"), CALIBRATED)
beside = pytest.mark.parametrize(("left", "right"), PAIRS)


def script(weight: int) -> str:
    return f"""
    vrrp_script check {{
        script "/usr/local/bin/check.sh"
        interval 1
        weight {weight}
    }}
    """


def break_check(lan: Lan, name: str) -> None:
    lan.host(name).write_file("/run/fail", "")


def mend_check(lan: Lan, name: str) -> None:
    lan.host(name).run(["rm", "/run/fail"]).check()


@both
def test_18_a_failing_script_with_a_weight_moves_the_address_and_its_recovery_brings_it_back(
    left: str, right: str, tmp_path: Path
) -> None:
    with Pair(tmp_path, judging=True) as lan:
        lan.start("right", right, whole(instance(100)))
        lan.start("left", left, whole(script(-60), instance(150, "track_script { \n check \n }")), CHECK)
        lan.until_held_by("left", within=5)
        break_check(lan, "left")
        lan.until_held_by("right", within=5)
        lan.until_log("left", "(VI_1) Changing effective priority from 150 to 90")
        mend_check(lan, "left")
        lan.until_held_by("left", within=5)
        lan.until_log("left", "(VI_1) Changing effective priority from 90 to 150")
        lan.judge("left", "right")


def transcript(lan: Lan, name: str) -> list[str]:
    return lan.host(name).read_file(f"{FIFO}.log").splitlines()


@both
def test_19_a_failing_script_without_a_weight_puts_the_whole_sync_group_into_fault(
    left: str, right: str, tmp_path: Path
) -> None:
    def text(priority: int) -> str:
        group = "vrrp_sync_group G1 { \n group { \n VI_1 \n VI_2 \n } \n }"
        second = instance(priority, name="VI_2", vrid=52, addresses=("10.88.2.60/24",))
        first = instance(priority, "track_script { \n check \n }")
        return whole(script(0), group, first, second, settings=f"vrrp_notify_fifo {FIFO}")

    with Pair(tmp_path, judging=True) as lan:
        lan.listen_to_fifo("left", FIFO)
        lan.start("right", right, text(100), CHECK)
        lan.start("left", left, text(150), CHECK)
        for address in (VIP, "10.88.2.60"):
            lan.until_held_by("left", within=8, address=address)
        break_check(lan, "left")
        for address in (VIP, "10.88.2.60"):
            lan.until_held_by("right", within=5, address=address)
        poll(lambda: 'GROUP "G1" FAULT 0' in transcript(lan, "left"), 3, "the group in FAULT")
        told = transcript(lan, "left")
        faulty = [line for line in told if "FAULT" in line]
        assert {line.split()[1] for line in faulty[:2]} == {'"VI_1"', '"VI_2"'}
        assert faulty[2] == 'GROUP "G1" FAULT 0'
        mend_check(lan, "left")
        for address in (VIP, "10.88.2.60"):
            lan.until_held_by("left", within=6, address=address)
        poll(lambda: transcript(lan, "left").count('GROUP "G1" MASTER 0') == 2, 3, "the group as MASTER again")


@both
def test_20_a_link_that_goes_down_is_fault_and_its_return_an_election(left: str, right: str, tmp_path: Path) -> None:
    with Pair(tmp_path, judging=True) as lan:
        lan.start("right", right, whole(instance(100)))
        lan.start("left", left, whole(instance(150)))
        lan.until_held_by("left", within=5)
        faults.link_down(lan.lab, "left")
        lan.until_held_by("right", within=3)
        lan.until_log("left", "Entering FAULT STATE")
        faults.link_up(lan.lab, "left")
        lan.until_held_by("left", within=5)
        told = [word for line in lan.log("left").splitlines() for word in line.split() if word in STATES]
        assert told[-3:] == ["FAULT", "BACKUP", "MASTER"]


STATES = ("MASTER", "BACKUP", "FAULT")


@beside
def test_21_an_address_that_somebody_deletes_is_put_back_by_ours_which_stays_master(
    left: str, right: str, tmp_path: Path
) -> None:
    """keepalived goes to BACKUP, resigns with priority 0, and is master again after its skew."""
    with Pair(tmp_path, judging=True) as lan:
        lan.start("left", left, whole(instance(150)))
        lan.until_held_by("left", within=5)
        lan.start("right", right, whole(instance(100)))
        lan.until_log("right", "Entering BACKUP STATE")
        before = len([arp for arp in lan.gratuitous_arps() if arp["address"] == VIP])
        lan.host("left").run(["ip", "address", "del", f"{VIP}/24", "dev", "eth0"]).check()
        poll(lambda: len([change for change in lan.watch.changes if change.address == VIP]) >= 2, 2, "the deletion")
        lan.until_held_by("left", within=3)
        if left == "pyvrrp":
            hold(lambda: lan.watch.holders(VIP) == {"left"}, 1, "left holds the address")
            assert 0 not in {advert.priority for advert in lan.adverts("left")}
            assert not lan.adverts("right")
            assert lan.log("left").count("Entering MASTER STATE") == 1
        else:
            lan.until_log("left", "Entering MASTER STATE", times=2)
        assert len([arp for arp in lan.gratuitous_arps() if arp["address"] == VIP]) > before  # it is announced again


@both
def test_24_what_a_killed_one_left_behind_is_removed_at_the_start(left: str, right: str, tmp_path: Path) -> None:
    with Pair(tmp_path, judging=True) as lan:
        lan.host("left").run(["ip", "address", "add", f"{VIP}/24", "dev", "eth0"]).check()
        lan.until_held_by("left", within=2)
        lan.start("right", right, whole(instance(150)))
        lan.start("left", left, whole(instance(100)))
        lan.until_held_by("right", within=5)
        if left == "pyvrrp":
            assert lan.log("left").count("Entering MASTER STATE") == 0
        assert {advert.source for advert in lan.adverts()} <= {lan.addresses["left"], lan.addresses["right"]}


def macvlans(lan: Lan, name: str) -> list[dict[str, str]]:
    links = json.loads(lan.host(name).run(["ip", "-j", "-d", "link"]).output)
    return [link for link in links if link.get("linkinfo", {}).get("info_kind") == "macvlan"]


@pytest.mark.parametrize("xmit_base", [False, True], ids=["vmac", "xmit_base"])
@both
def test_25_a_virtual_mac_is_that_of_the_virtual_router(left: str, right: str, xmit_base: bool, tmp_path: Path) -> None:
    virtual = "00:00:5e:00:01:33"
    extra = "use_vmac" + ("\n vmac_xmit_base" if xmit_base else "")
    with Pair(tmp_path, judging=True) as lan:
        lan.start("right", right, whole(instance(60, extra)))
        first = lan.start("left", left, whole(instance(200, extra)))
        lan.until_held_by("left", within=5)
        made = macvlans(lan, "left")
        assert [(link["ifname"], link["address"]) for link in made] == [("vrrp.51", virtual)]
        lan.until_log("right", "Entering BACKUP STATE")
        first.stop()
        lan.until_held_by("right", within=3)
        assert not macvlans(lan, "left")
        macs = {advert.mac for advert in lan.adverts("left")}
        assert (macs == {virtual}) is not xmit_base
        announced = {arp["mac"] for arp in lan.gratuitous_arps() if arp["address"] == VIP}
        assert announced == {virtual}
        lan.judge("left", "right")


def test_26_addresses_look_the_same_to_ip_whoever_put_them_there(tmp_path: Path) -> None:
    """Excluded ones, label, broadcast, /24, noprefixroute, scope, lifetimes: each program alone on its host."""
    addresses = (
        f"{VIP}/24", "10.88.2.51", "10.88.2.52/24 label eth0:1", "10.88.2.53/24 brd +", "10.88.3.54/24 noprefixroute",
        "10.88.2.55/32 scope link", "10.88.2.56/24 brd 10.88.2.255",
    )  # fmt: skip
    excluded = (
        "virtual_ipaddress_excluded { \n 10.88.4.1/24 \n fd88:2::70/64 \n fd88:2::71 \n fd88:2::72/64 -nodad \n }"
    )

    def shown(lan: Lan, name: str) -> list[dict[str, object]]:
        links = json.loads(lan.host(name).run(["ip", "-j", "address", "show", "dev", "eth0"]).check().output)
        own = lan.sources(name)
        found = [one for one in links[0]["addr_info"] if one["local"] not in own]
        return sorted(found, key=lambda one: str(one["local"]))

    with Pair(tmp_path, judging=True) as lan:
        for number, (name, program) in enumerate((("left", "pyvrrp"), ("right", "keepalived"))):
            settings = "vip_lease off" if program == "pyvrrp" else ""
            block = instance(255, excluded, addresses=addresses, vrid=51 + number)
            lan.start(name, program, whole(block, settings=settings))
        wanted = len(addresses) + 4
        for name in ("left", "right"):
            poll(lambda name=name: len(shown(lan, name)) == wanted, 5, f"all addresses of {name}")
        mine, theirs = shown(lan, "left"), shown(lan, "right")
        for one in (*mine, *theirs):
            one.pop("tentative", None)  # of the one with -nodad: for a second or two
            one.pop("protocol", None)  # keepalived tells the kernel its name from 2.2.8 on
        assert mine == theirs
