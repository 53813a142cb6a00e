"""The LAN in memory: each verb does what it says, and the times are those of the RFC."""

from __future__ import annotations

import errno
from dataclasses import replace
from ipaddress import ip_address, ip_interface

import pytest
from simulated import CHECKED, PLAIN, VIP, columns, configuration, pair, story

from pyvrrp.model import VRRP_GROUP6, Instance, Multicast, TrackerKind, Unicast, UnicastPeer
from pyvrrp.simulation.checks import Outcome
from pyvrrp.simulation.faults import (
    AddressTaken,
    Check,
    ClockStep,
    Cut,
    Demote,
    Freeze,
    Heal,
    Isolate,
    Kill,
    LinkCreated,
    LinkDeleted,
    LinkDown,
    LinkUp,
    Mute,
    OwnAddresses,
    Promote,
    RefuseAddresses,
    RefuseSends,
    Reload,
    Start,
    Stop,
    Thaw,
    Uncut,
    Weather,
)
from pyvrrp.simulation.lan import Lan
from pyvrrp.simulation.medium import Conditions
from pyvrrp.simulation.timeline import render

CHK = (TrackerKind.SCRIPT, "chk")


def settled(*priorities: int, instance: Instance = PLAIN, seed: int | None = None) -> Lan:
    lan = pair(*priorities, instance=instance, seed=seed)
    lan.run_until(10.0)
    return lan


def test_the_better_of_two_is_master_after_its_master_down_interval() -> None:
    lan = pair(100, 90)
    assert story(lan, 10.0) == [(3.609, "lb1", "MASTER")]
    assert lan.masters("VI_1") == ["lb1"]
    assert lan.neighbours["lan", VIP.ip] == "lb1"


def test_a_killed_master_is_followed_within_the_master_down_interval_and_leaves_its_addresses_behind() -> None:
    lan = settled()
    assert story(lan, 20.0, (10.0, Kill("lb1"))) == [(13.258, "lb2", "MASTER")]
    assert lan.nodes["lb1"].kernel.has("eth0", VIP.ip)
    lan.inject(Start("lb1"))
    lan.run_until(20.1)
    assert not lan.nodes["lb1"].kernel.has("eth0", VIP.ip)


def test_with_a_lease_the_addresses_of_a_killed_or_frozen_master_are_gone_when_it_ends() -> None:
    for fault in (Kill("lb1"), Freeze("lb1")):
        lan = settled(instance=replace(PLAIN, vip_lease=3))
        kernel = lan.nodes["lb1"].kernel
        story(lan, 12.0, (10.0, fault))
        assert kernel.has("eth0", VIP.ip)
        story(lan, 13.1)
        assert not kernel.has("eth0", VIP.ip)


def test_who_cannot_renew_the_lease_says_nothing_and_stands_aside() -> None:
    lan = settled(instance=replace(PLAIN, vip_lease=3))
    moved = story(lan, 13.0, (10.0, RefuseAddresses("lb1", True)))
    assert ("lb1", "FAULT") in [one[1:] for one in moved]
    assert lan.masters("VI_1") == ["lb2"]


def test_a_stopped_master_resigns_and_is_followed_within_skew_time() -> None:
    lan = settled()
    assert story(lan, 20.0, (10.1, Stop("lb1"))) == [(10.1, "lb1", "INIT"), (10.749, "lb2", "MASTER")]
    assert not lan.nodes["lb1"].alive
    assert not lan.nodes["lb1"].kernel.virtual["eth0"]


def test_an_isolated_master_stays_one_and_yields_or_wins_when_it_is_healed() -> None:
    lan = settled(100, 90)
    assert story(lan, 20.0, (10.0, Isolate("lb1"))) == [(13.258, "lb2", "MASTER")]
    assert lan.masters("VI_1") == ["lb1", "lb2"]
    assert lan.neighbours["lan", VIP.ip] == "lb2"
    assert story(lan, 30.0, (20.0, Heal("lb1")))[0][1:] == ("lb2", "BACKUP")
    assert lan.masters("VI_1") == ["lb1"]


def test_a_muted_backup_becomes_a_second_master_and_is_one_for_as_long_as_it_hears_nothing() -> None:
    lan = settled()
    assert story(lan, 60.0, (10.0, Mute("lb2"))) == [(13.258, "lb2", "MASTER")]
    assert lan.masters("VI_1") == ["lb1", "lb2"]


def test_a_cut_is_of_one_direction_and_of_one_lan() -> None:
    lan = settled()
    story(lan, 20.0, (10.0, Cut("lb1", "lb2", "lan")))
    assert lan.masters("VI_1") == ["lb1", "lb2"]
    story(lan, 30.0, (20.0, Uncut("lb1", "lb2", "lan")))
    assert lan.masters("VI_1") == ["lb1"]


def test_who_was_frozen_hears_what_has_arrived_before_any_timer_fires() -> None:
    lan = settled()
    assert story(lan, 40.0, (10.0, Freeze("lb1")), (30.0, Thaw("lb1"))) == [
        (13.258, "lb2", "MASTER"),
        (30.0, "lb2", "BACKUP"),
    ]
    assert lan.masters("VI_1") == ["lb1"]


def test_a_link_that_is_down_is_a_fault_and_one_that_comes_up_ends_it() -> None:
    lan = settled()
    moved = story(lan, 20.0, (10.0, LinkDown("lb1", "eth0")))
    assert moved == [(10.0, "lb1", "FAULT"), (13.258, "lb2", "MASTER")]
    assert story(lan, 30.0, (20.0, LinkUp("lb1", "eth0")))[0] == (20.0, "lb1", "BACKUP")
    assert lan.masters("VI_1") == ["lb1"]


def test_an_interface_that_is_deleted_and_made_anew_serves_again() -> None:
    lan = settled()
    story(lan, 20.0, (10.0, LinkDeleted("lb1", "eth0")))
    assert lan.masters("VI_1") == ["lb2"]
    story(lan, 30.0, (20.0, LinkCreated("lb1", "eth0")), (21.0, LinkCreated("lb1", "eth0")))
    assert lan.masters("VI_1") == ["lb1"]
    assert lan.nodes["lb1"].kernel.links["eth0"].index == 2


def test_without_an_address_of_its_own_it_is_in_fault() -> None:
    lan = settled()
    assert story(lan, 11.0, (10.0, OwnAddresses("lb1", "eth0", ())))[0] == (10.0, "lb1", "FAULT")
    moved = story(lan, 20.0, (12.0, OwnAddresses("lb1", "eth0", (ip_interface("192.0.2.7/24"),))))
    assert moved[0] == (12.0, "lb1", "BACKUP")


@pytest.mark.parametrize("outcome", [one for one in Outcome if one is not Outcome.SUCCEEDS])
def test_a_script_that_does_not_succeed_has_failed_however_it_ends(outcome: Outcome) -> None:
    lan = settled(instance=CHECKED)
    assert lan.masters("VI_1") == ["lb1"]
    story(lan, 20.0, (10.5, Check("lb1", CHK, outcome)))
    assert lan.nodes["lb1"].stations["VI_1"].machine.state.name == "FAULT"
    story(lan, 40.0, (30.0, Check("lb1", CHK, Outcome.SUCCEEDS)))
    assert lan.masters("VI_1") == ["lb1"]


def test_an_address_that_somebody_takes_is_put_back_and_announced() -> None:
    lan = settled()
    lan.neighbours.clear()
    assert story(lan, 10.5, (10.0, AddressTaken("lb1", "eth0", VIP.ip))) == []
    assert lan.nodes["lb1"].kernel.has("eth0", VIP.ip)
    assert lan.neighbours["lan", VIP.ip] == "lb1"


def test_a_master_whose_advertisements_do_not_leave_stands_aside_and_tries_again() -> None:
    lan = settled()
    moved = story(lan, 20.0, (10.0, RefuseSends("lb1", errno.ENOBUFS)))
    assert ("lb1", "FAULT") in [one[1:] for one in moved]
    assert lan.masters("VI_1") == ["lb2"]
    story(lan, 60.0, (20.0, RefuseSends("lb1", 0)))
    assert lan.masters("VI_1") == ["lb1"]


def test_a_reload_of_the_same_changes_nothing_and_one_of_another_priority_moves_the_master() -> None:
    lan = settled()
    assert story(lan, 20.0, (10.5, Reload("lb1", configuration(PLAIN, 100)))) == []
    story(lan, 30.0, (20.5, Reload("lb1", configuration(PLAIN, 80))))
    assert lan.masters("VI_1") == ["lb2"]


def test_what_a_reload_takes_away_resigns_and_what_it_brings_begins() -> None:
    lan = settled()
    other = replace(PLAIN, name="VI_2", virtual_router_id=52)
    moved = story(lan, 20.0, (10.0, Reload("lb1", configuration(other))))
    assert moved[:2] == [(10.0, "lb1", "INIT"), (10.0, "lb1", "BACKUP")]
    assert lan.masters("VI_1") == ["lb2"]
    assert lan.masters("VI_2") == ["lb1"]


def test_an_operator_moves_the_master_and_back() -> None:
    lan = settled()
    story(lan, 20.0, (10.5, Demote("lb1", "VI_1")))
    assert lan.masters("VI_1") == ["lb2"]
    story(lan, 30.0, (20.5, Promote("lb1", "VI_1")))
    assert lan.masters("VI_1") == ["lb1"]


def test_unicast_reaches_the_peers_and_nobody_else() -> None:
    peers = tuple(UnicastPeer(ip_address(f"192.0.2.{n}")) for n in (1, 2))
    lan = settled(100, 90, 80, instance=replace(PLAIN, transport=Unicast(peers)))
    assert lan.masters("VI_1") == ["lb1", "lb3"]


def test_version_3_of_ipv6_is_spoken_from_link_local_addresses() -> None:
    addresses = (replace(VIP, interface=ip_interface("2001:db8::100/64")),)
    six = replace(PLAIN, version=3, family=6, addresses=addresses, transport=Multicast(VRRP_GROUP6))
    lan = pair()
    for name in lan.nodes:
        own = (ip_interface(f"fe80::{name[-1]}/64"), ip_interface(f"192.0.2.{name[-1]}/24"))
        lan.inject(OwnAddresses(name, "eth0", own))
        lan.inject(Reload(name, configuration(six, 100 + int(name[-1]))))
    story(lan, 20.0)
    assert lan.masters("VI_1") == ["lb2"]


def test_rain_does_no_harm_and_the_wall_clock_none_at_all() -> None:
    lan = settled(seed=7)
    rain = Conditions(jitter=0.01, duplication=0.3, reordering=0.3, late=0.2, corruption=0.1, truncation=0.1, padding=1)
    assert story(lan, 60.0, (10.0, Weather(rain)), (20.0, ClockStep("lb1", -3600.0))) == []
    assert story(lan, 120.0, (60.0, Weather(Conditions(loss=1.0), "lb1", "lb2")))[0][1:] == ("lb2", "MASTER")


def test_a_kernel_that_refuses_keeps_the_addresses_until_they_are_removed_at_the_second_look() -> None:
    lan = settled()
    story(lan, 20.0, (10.0, RefuseAddresses("lb1", True)), (10.5, LinkDown("lb1", "eth0")))
    assert lan.nodes["lb1"].kernel.has("eth0", VIP.ip)
    story(lan, 35.0, (20.0, RefuseAddresses("lb1", False)))
    assert not lan.nodes["lb1"].kernel.has("eth0", VIP.ip)


def test_the_same_seed_has_the_same_story_and_the_picture_has_a_column_for_each_router() -> None:
    pictures = []
    for _ in range(2):
        lan = pair(100, 90, seed=3)
        story(lan, 10.0, (5.0, Weather(Conditions(jitter=0.1))), (8.0, Kill("lb1")))
        pictures.append(list(render(lan.timeline, columns(lan))))
    assert pictures[0] == pictures[1]
    assert pictures[0] == [
        "         s   lb1     lb2",
        "  0.000000    .       .     -- start lb1",
        "  0.000000  BACKUP    .     lb1: init; waiting Master_Down_Interval 3.609375 s for a master",
        "  0.000000    B       .     -- start lb2",
        "  0.000000    B     BACKUP  lb2: init; waiting Master_Down_Interval 3.648437 s for a master",
        "  3.609375  MASTER    B     lb1: no advertisement for Master_Down_Interval 3.609375 s",
        "  5.000000    M       B     -- weather delay 0.0002 jitter 0.1",
        "  8.000000    x       B     -- kill lb1",
    ]
