"""The daemon in this process, on hosts of a lab: versions, families, unicast, groups, trackers, operators."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address, ip_interface
from pathlib import Path

import pytest
from vrrp_pair import ADDRESSES, VRRP, Lan
from vrrp_running import VIP, Running, instance

from halab.host_mounts import ENVIRONMENT
from halab.wait import hold, poll
from pyvrrp.model import (
    Configuration,
    GlobalSettings,
    Multicast,
    Settling,
    SyncGroup,
    Tracked,
    TrackerKind,
    TrackFile,
    TrackGroup,
    TrackHttp,
    TrackProcess,
    Unicast,
    UnicastPeer,
    VirtualAddress,
    Vmac,
)
from pyvrrp.model.instance import VRRP_GROUP6

pytestmark = [pytest.mark.netns, pytest.mark.timeout(60)]

LEFT, RIGHT = ADDRESSES["left"], ADDRESSES["right"]


@pytest.fixture
def lan(tmp_path: Path) -> Iterator[Lan]:
    with Lan(tmp_path) as made:
        yield made


def test_of_two_daemons_the_higher_one_is_master_and_its_stop_is_an_election_of_one_skew_time(lan: Lan) -> None:
    with Running(lan.host("right"), instance(90)) as right:
        with Running(lan.host("left"), instance(100)) as left:
            left.until_state("MASTER")
            lan.until_held_by("left", within=3)
            stopped = time.monotonic()
        became = right.until_state("MASTER", since=stopped)
        assert became.at - stopped < 0.1 * (256 - 90) / 256 + 0.1
        assert "6.4.2" in str(became["rule"])


def test_ipv6_advertisements_go_to_the_group_with_a_checksum_that_others_find_right(lan: Lan) -> None:
    addresses = (VirtualAddress(ip_interface("fe80::100/64")), VirtualAddress(ip_interface("fd00::100/64")))
    six = instance(100, family=6, addresses=addresses, transport=Multicast(VRRP_GROUP6))
    with Running(lan.host("left"), six) as left, Running(lan.host("right"), replace(six, priority=90)) as right:
        left.until_state("MASTER", within=8)  # duplicate address detection of the link-local address comes first
        right.until_event("master_heard", within=5)
        assert right.status()["state"] == "BACKUP"
    lan.judge("left")


def test_unicast_peers_hear_each_other_and_nobody_else_does(lan: Lan) -> None:
    def one(priority: int, own: str, other: str) -> Unicast:
        return Unicast((UnicastPeer(ip_address(other)),))

    left_one = instance(100, transport=one(100, LEFT, RIGHT), source=ip_address(LEFT))
    right_one = instance(90, transport=one(90, RIGHT, LEFT), source=ip_address(RIGHT))
    with Running(lan.host("right"), right_one) as right:
        right.until_state("MASTER")
        with Running(lan.host("left"), left_one) as left:
            left.until_state("MASTER")
            right.until_state("BACKUP", since=left.events[0].at)
            assert {one.destination for one in lan.seen(VRRP)} <= {LEFT, RIGHT}
            assert right.status()["peers"][0]["address"] == LEFT
        right.until_state("MASTER", since=time.monotonic() - 1)


def test_a_group_is_master_together_and_falls_together(lan: Lan) -> None:
    lan.host("left").run(["ip", "link", "add", "mv0", "link", "eth0", "type", "macvlan"]).check()
    lan.host("left").run(["ip", "address", "add", "10.77.0.1/24", "dev", "mv0"]).check()
    lan.host("left").run(["ip", "link", "set", "mv0", "up"]).check()
    inner = replace(instance(100, "VI_2", 52, "10.77.0.50/24"), interface="mv0")
    both = Configuration((instance(100), inner), groups=(SyncGroup("G1", ("VI_1", "VI_2")),))
    with Running(lan.host("left"), both) as left:
        left.until_state("MASTER", "VI_1")
        left.until_state("MASTER", "VI_2")
        left.until_event("group_transition", to_="MASTER")
        at = time.monotonic()
        lan.host("left").run(["ip", "link", "set", "mv0", "down"]).check()
        left.until_state("FAULT", "VI_1", since=at)
        left.until_state("FAULT", "VI_2", since=at)
        assert left.call(lambda daemon: dict(daemon.groups)) == {"G1": "FAULT"}
        lan.until_held_by(within=3)
        at = time.monotonic()
        lan.host("left").run(["ip", "link", "set", "mv0", "up"]).check()
        lan.host("left").run(["ip", "address", "replace", "10.77.0.1/24", "dev", "mv0"]).check()
        left.until_state("MASTER", "VI_1", since=at)
        left.until_event("group_transition", to_="MASTER", since=at)


def test_a_tracked_file_and_a_tracked_process_change_the_priority(lan: Lan, tmp_path: Path) -> None:
    path = tmp_path / "weight"
    path.write_text("3")
    tracked = (
        Tracked("f", 2, kind=TrackerKind.FILE),
        Tracked("p", 10, kind=TrackerKind.PROCESS),
    )
    sleeping = ("sleep", f"3600.{os.getpid()}")  # this daemon sees the processes of all labs, other tests' among them
    files, processes = (TrackFile("f", str(path)),), (TrackProcess("p", sleeping),)
    configuration = Configuration((instance(100, tracked=tracked),), files=files, processes=processes)
    with Running(lan.host("left"), configuration) as left:
        left.until_event("priority", new=106)
        path.write_text("-4")
        left.until_event("priority", new=92)
        running = lan.host("left").spawn(sleeping)
        left.until_event("priority", new=102)
        at = time.monotonic()
        lan.host("left").run(["kill", str(running.pid)]).check()
        left.until_event("priority", since=at, new=92)
        path.write_text("-200")  # times 2: beyond -253 it is a fault
        left.until_state("FAULT")


def test_a_backup_file_without_weight_is_a_fault_until_its_number_is_0(lan: Lan, tmp_path: Path) -> None:
    path = tmp_path / "fault"
    path.write_text("1")
    tracked = (Tracked("f", 0, kind=TrackerKind.FILE),)
    configuration = Configuration((instance(100, tracked=tracked),), files=(TrackFile("f", str(path)),))
    with Running(lan.host("left"), configuration) as left:
        left.until_state("FAULT")
        path.write_text("0")
        left.until_state("MASTER")


def test_an_operator_demotes_releases_and_sets_maintenance(lan: Lan) -> None:
    with Running(lan.host("left"), instance(100)) as left, Running(lan.host("right"), instance(90)) as right:
        left.until_state("MASTER")
        at = time.monotonic()
        left.call(lambda daemon: daemon.demote("VI_1"))
        right.until_state("MASTER", since=at)
        assert left.status()["held"] is True
        hold(lambda: left.status()["state"] == "BACKUP", 1, "left lets the lower one be master")
        left.call(lambda daemon: daemon.release("VI_1"))
        left.until_state("MASTER", since=at + 0.9)
        at = time.monotonic()
        left.call(lambda daemon: daemon.maintenance(True))
        left.until_state("FAULT", since=at)
        right.until_state("MASTER", since=at)
        left.call(lambda daemon: daemon.maintenance(False))
        left.until_state("MASTER", since=at)


def test_during_the_startup_delay_a_router_only_listens(lan: Lan) -> None:
    configuration = Configuration((instance(255),), settings=GlobalSettings(startup_delay=1.0))
    with Running(lan.host("left"), configuration) as left:
        began = left.until_state("BACKUP")
        became = left.until_state("MASTER")
        assert 0.95 < became.at - began.at < 1.4


def test_a_link_that_is_down_for_less_than_its_delay_was_never_down(lan: Lan) -> None:
    settings = GlobalSettings(settling={"": Settling(down=1.0, up=0.0)})
    with Running(lan.host("left"), Configuration((instance(100),), settings=settings)) as left:
        left.until_state("MASTER")
        at = time.monotonic()
        lan.host("left").run(["ip", "link", "set", "eth0", "down"]).check()
        lan.host("left").run(["ip", "link", "set", "eth0", "up"]).check()
        lan.host("left").run(["ip", "address", "replace", f"{LEFT}/24", "dev", "eth0"]).check()
        hold(lambda: not any(e.event == "transition" and e["to"] == "FAULT" for e in left.events), 0.5, "no fault")
        lan.host("left").run(["ip", "link", "set", "eth0", "down"]).check()
        fell = left.until_state("FAULT", since=at)
        assert fell.at - at > 0.9


def test_a_master_whose_advertisements_do_not_leave_is_none_and_tries_again(lan: Lan) -> None:
    host = lan.host("left")
    with Running(host, instance(100)) as left:
        left.until_state("MASTER")
        host.run(["nft", "add table ip t; add chain ip t o { type filter hook output priority 0; }"]).check()
        host.run(["nft", "add rule ip t o ip protocol 112 reject"]).check()
        at = time.monotonic()
        told = left.until_event("not_heard", since=at)
        assert told.reason.startswith("2 advertisements in a row did not leave")
        left.until_state("FAULT", since=at)
        lan.until_held_by(within=2)
        host.run(["nft", "delete table ip t"]).check()
        left.until_state("MASTER", since=at, within=8)


def test_two_masters_who_hear_each_other_again_say_so(lan: Lan) -> None:
    right = lan.host("right")
    with Running(lan.host("left"), instance(100)) as one, Running(right, instance(90)) as other:
        one.until_state("MASTER")
        right.run(["nft", "add table ip t; add chain ip t i { type filter hook input priority 0; }"]).check()
        right.run(["nft", "add rule ip t i ip protocol 112 drop"]).check()
        other.until_state("MASTER")  # it hears nothing, and is heard
        stale = other.until_event("peer_stale")
        assert stale["peer"] == LEFT
        split = one.until_event("split_brain")
        assert (split["peer"], split["priority"]) == (RIGHT, 90)
        at = time.monotonic()
        right.run(["nft", "delete table ip t"]).check()
        other.until_state("BACKUP", since=at)
        one.until_event("split_brain_healed", since=at)
        assert one.status()["split_brains"] == 1
        other.until_event("peer_back", since=at)


def test_another_group_with_the_same_number_is_named(lan: Lan) -> None:
    with Running(lan.host("left"), instance(100)) as left:
        left.until_state("MASTER")
        with Running(lan.host("right"), instance(120, "VI_1", 51, "10.88.2.77/24")) as right:
            right.until_state("MASTER")
            told = left.until_event("duplicate_vrid")
            assert told["sender"] == RIGHT
            left.until_event("address_list_differs")


def test_an_unknown_number_is_told_if_it_is_asked_for(lan: Lan) -> None:
    settings = GlobalSettings(log_unknown_vrids=True)
    curious = Configuration((instance(100),), settings=settings)
    other = instance(120, "VI_9", 9, "10.88.2.77/24")
    with Running(lan.host("left"), curious) as left, Running(lan.host("right"), other):
        told = left.until_event("unknown_vrid")
        assert told.reason.startswith("Unknown VRID(9) received on interface(eth0)")


def test_an_address_that_a_backup_should_not_have_is_taken_away(lan: Lan) -> None:
    with Running(lan.host("left"), instance(100)) as left, Running(lan.host("right"), instance(90)) as right:
        left.until_state("MASTER")
        right.until_event("master_heard")
        lan.host("right").run(["ip", "address", "add", f"{VIP}/24", "dev", "eth0"]).check()
        right.until_event("address_left_behind", within=15)
        lan.until_held_by("left", within=3)


def test_whoever_takes_an_address_away_again_and_again_finds_no_master_in_the_end(lan: Lan) -> None:
    host = lan.host("left")
    with Running(host, instance(100)) as left, Running(lan.host("right"), instance(90)) as right:
        left.until_master()
        right.until_event("master_heard")
        take = f"while :; do ip address del {VIP}/24 dev eth0 2>/dev/null; sleep 0.13; done"
        thief = host.spawn(["sh", "-c", take])
        at = time.monotonic()
        left.until_event("addresses_fought_over", within=15)
        left.until_state("FAULT", since=at)
        right.until_state("MASTER", since=at)
        host.run(["kill", str(thief.pid)]).check()
        left.until_state("MASTER", since=time.monotonic())
        assert left.count("address_lost") >= 1


def test_an_absent_interface_is_a_fault_until_it_comes_and_a_new_name_is_another_interface(lan: Lan) -> None:
    host = lan.host("left")
    later = replace(instance(100), interface="mv0")
    settings = GlobalSettings(dynamic_interfaces=True)
    with Running(host, Configuration((later,), settings=settings)) as left:
        fell = left.until_state("FAULT")
        assert "interface mv0 down" in fell.reason
        host.run(["ip", "link", "add", "mv0", "link", "eth0", "type", "macvlan"]).check()
        host.run(["ip", "address", "add", "10.77.0.1/24", "dev", "mv0"]).check()
        host.run(["ip", "link", "set", "mv0", "up"]).check()
        left.until_state("MASTER")
        at = time.monotonic()
        host.run(["ip", "link", "set", "mv0", "down"]).check()
        host.run(["ip", "link", "set", "mv0", "name", "mv1"]).check()
        host.run(["ip", "link", "set", "mv1", "up"]).check()
        left.until_state("FAULT", since=at)
        at = time.monotonic()
        host.run(["ip", "link", "set", "mv1", "down"]).check()
        host.run(["ip", "link", "set", "mv1", "name", "mv0"]).check()
        host.run(["ip", "link", "set", "mv0", "up"]).check()
        left.until_state("MASTER", since=at)
        at = time.monotonic()
        host.run(["ip", "link", "del", "mv0"]).check()
        left.until_state("FAULT", since=at)


def test_a_new_mac_address_and_a_link_that_is_back_are_announced_again(lan: Lan) -> None:
    host = lan.host("left")
    lasting = replace(instance(100), track_primary=False)
    with Running(host, lasting) as left:
        left.until_master()
        at = time.monotonic()
        host.run(["ip", "link", "set", "eth0", "address", "02:00:00:00:00:77"]).check()
        left.until_event("announced", since=at)
        poll(lambda: [one for one in lan.gratuitous_arps() if one["mac"] == "02:00:00:00:00:77"], 3, "ARP, new MAC")
        at = time.monotonic()
        host.run(["ip", "link", "set", "eth0", "down"]).check()
        left.until_event("link", since=at, up=False)
        host.run(["ip", "link", "set", "eth0", "up"]).check()
        back = left.until_event("link", since=at, up=True)
        left.until_event("announced", since=back.at)
        assert left.count("transition") == 2


def test_a_vmac_speaks_and_announces_with_the_address_of_the_virtual_router(lan: Lan) -> None:
    with Running(lan.host("left"), instance(100, vmac=Vmac())) as left:
        left.until_master()
        sent = lan.until_advert(lambda one: one.priority == 100, 3, "left")
        assert (sent.mac, sent.source) == ("00:00:5e:00:01:33", LEFT)
        mac = "00:00:5e:00:01:33"
        poll(lambda: [one for one in lan.gratuitous_arps() if one["mac"] == mac and one["opcode"] == "1"], 3, "ARP")
        lan.host("left").run(["ip", "link", "del", "vrrp.51"]).check()
        at = time.monotonic()
        left.until_state("MASTER", since=at)
        assert "vrrp.51" in lan.host("left").run(["ip", "link"]).output
    assert "vrrp.51" not in lan.host("left").run(["ip", "link"]).output


def test_a_vmac_that_comes_with_a_reload_is_there_before_its_router_begins(lan: Lan) -> None:
    with Running(lan.host("left"), instance(100)) as left:
        left.until_master()
        at = left.reload(instance(100), instance(100, "VI_2", 52, "10.88.2.60/24", vmac=Vmac()))
        left.until_state("MASTER", "VI_2", since=at)
        assert left.count("system_error") == 0
        assert not any(event.event == "transition" and event["to"] == "FAULT" for event in left.events)


def test_static_addresses_are_there_without_a_master_and_their_loss_is_a_fault_of_their_track_group(lan: Lan) -> None:
    static = VirtualAddress(ip_interface("10.66.0.1/24"), device="eth0", track_group="T")
    host = lan.host("left")
    configuration = Configuration(
        (instance(100),), static_addresses=(static,), track_groups=(TrackGroup("T", ("VI_1",)),)
    )
    with Running(host, configuration) as left:
        assert "10.66.0.1/24" in host.run(["ip", "address"]).output
        left.until_master()
        at = time.monotonic()
        host.run(["ip", "address", "del", "10.66.0.1/24", "dev", "eth0"]).check()
        left.until_state("FAULT", since=at)
        left.until_state("MASTER", since=at)  # it was put back
        assert "10.66.0.1/24" in host.run(["ip", "address"]).output
    assert "10.66.0.1/24" not in host.run(["ip", "address"]).output


def test_a_url_that_answers_otherwise_than_it_should_is_a_fault(lan: Lan) -> None:
    host = lan.host("left")
    serve = "import http.server as h; h.test(h.SimpleHTTPRequestHandler, port=8008, bind='127.0.0.1')"
    host.run(["ip", "link", "set", "lo", "up"]).check()
    url = TrackHttp("patroni", "http://127.0.0.1:8008/", interval=0.2, timeout=0.2)
    tracked = instance(100, tracked=(Tracked("patroni", 0, kind=TrackerKind.HTTP),))
    with Running(host, Configuration((tracked,), urls=(url,))) as left:
        left.until_state("FAULT")
        served = host.spawn([f"{ENVIRONMENT}/bin/python", "-c", serve])
        left.until_state("MASTER")
        at = time.monotonic()
        host.run(["kill", str(served.pid)]).check()
        left.until_state("FAULT", since=at)


def test_a_tracked_interface_that_is_not_there_is_down(lan: Lan) -> None:
    host = lan.host("left")
    with Running(host, instance(100, tracked=(Tracked("mv0", 0, kind=TrackerKind.INTERFACE),))) as left:
        left.until_state("FAULT")
        host.run(["ip", "link", "add", "mv0", "link", "eth0", "type", "macvlan"]).check()
        host.run(["ip", "link", "set", "mv0", "up"]).check()
        left.until_state("MASTER")


def test_a_source_address_that_is_tracked_and_gone_is_a_fault(lan: Lan) -> None:
    host = lan.host("left")
    host.run(["ip", "address", "add", "10.88.2.99/32", "dev", "lo"]).check()
    with Running(host, instance(100, source=ip_address("10.88.2.99"), track_source=True)) as left:
        left.until_state("MASTER")
        host.run(["ip", "address", "del", "10.88.2.99/32", "dev", "lo"]).check()
        left.until_state("FAULT")


def test_a_hundred_instances_start_together_and_each_waits_its_master_down_interval(lan: Lan) -> None:
    """Never early, and the first in time; how late the last one is, ``./run bench vrrp`` tells."""
    many = [instance(100, f"VI_{n}", n, f"10.88.3.{n}/32", advert_interval=1.0) for n in range(1, 101)]
    begun = time.monotonic()
    with Running(lan.host("left"), Configuration(tuple(many))) as left:
        assert time.monotonic() - begun < 0.5
        poll(
            lambda: sum(event.event == "transition" and event["to"] == "MASTER" for event in left.events) == 100,
            8,
            "100 masters",
        )
        began = {
            event.source: event.at for event in left.events if event.event == "transition" and event["to"] == "BACKUP"
        }
        waited = [
            event.at - began[event.source]
            for event in left.events
            if event.event == "transition" and event["to"] == "MASTER"
        ]
        assert min(waited) == pytest.approx(3 + 156 / 256, abs=0.05)
        assert min(waited) >= 3 + 156 / 256 - 0.001
        assert max(waited) < 3 + 156 / 256 + 1.0
