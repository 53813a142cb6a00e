"""RFC 3768 and RFC 5798, sections 6 and 8: timers, the state machine, and what a master says to hosts."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface

import pytest
from rfc import departs, elsewhere, holds

from pyvrrp.model import VRRP_GROUP6, Address, Instance, Multicast, VirtualAddress
from pyvrrp.protocol.effects import AddAddresses, Announce, Effect, RemoveAddresses, SendAdvertisement
from pyvrrp.protocol.events import AdvertisementReceived, Shutdown, Startup, Tick
from pyvrrp.protocol.machine import VirtualRouter
from pyvrrp.protocol.timers import master_down_interval, skew_time
from pyvrrp.wire.advertisement import Advertisement
from pyvrrp.wire.arp import gratuitous_arp
from pyvrrp.wire.neighbour import unsolicited_na

V2 = Instance("VI_1", "eth0", 51, priority=100, addresses=(VirtualAddress(IPv4Interface("192.0.2.100/24")),))
V3 = replace(V2, version=3)
V6 = replace(
    V3, family=6, addresses=(VirtualAddress(IPv6Interface("fe80::100/128")),), transport=Multicast(VRRP_GROUP6)
)
ALL, VERSION_3 = [V2, V3, V6], [V3, V6]
NOW = 1000.0


def ours(instance: Instance) -> Address:
    return IPv4Address("192.0.2.10") if instance.family == 4 else IPv6Address("fe80::10")


def theirs(instance: Instance, step: int = 1) -> Address:
    """The address of another router, ``step`` above ours or below."""
    return ours(instance) + step


def began(instance: Instance) -> tuple[VirtualRouter, list[Effect]]:
    router = VirtualRouter(instance, ours(instance))
    return router, router.handle(Startup(), NOW)


def backup(instance: Instance) -> VirtualRouter:
    router, _ = began(instance)
    assert router.state.name == "BACKUP"
    return router


def master(instance: Instance) -> VirtualRouter:
    router = backup(instance)
    router.handle(Tick(), due(router))
    assert router.state.name == "MASTER"
    return router


def due(router: VirtualRouter) -> float:
    assert router.deadline is not None
    return router.deadline


def heard(instance: Instance, priority: int, step: int = 1, interval: float = 1.0) -> AdvertisementReceived:
    addresses = tuple(one.ip for one in instance.addresses)
    found = Advertisement(instance.version, 51, priority, interval, addresses)
    return AdvertisementReceived(found, theirs(instance, step))


def done(effects: list[Effect]) -> list[type[Effect]]:
    """What is done to the network: the rest of the effects is telling."""
    acts = (SendAdvertisement, AddAddresses, RemoveAddresses, Announce)
    return [type(effect) for effect in effects if isinstance(effect, acts)]


def advertised(effects: list[Effect]) -> list[int]:
    return [effect.priority for effect in effects if isinstance(effect, SendAdvertisement)]


# --- Section 6.1: timers ----------------------------------------------------------------------------------------------


@holds("3768", "6.1", "MUST", "Skew_Time is (256 - priority) / 256 seconds.")
@holds("3768", "6.1", "MUST", "Master_Down_Interval is 3 x Advertisement_Interval + Skew_Time.")
@pytest.mark.parametrize(
    ("priority", "interval", "skew", "down"),
    [
        (100, 1, 0.609375, 3.609375),
        (254, 1, 0.007812, 3.007812),
        (1, 2, 0.996093, 6.996093),
        (77, 2, 0.699218, 6.699218),
    ],
)
def test_the_timers_of_version_2(priority: int, interval: float, skew: float, down: float) -> None:
    assert skew_time(priority, 2, interval) == pytest.approx(skew, abs=1e-6)
    assert master_down_interval(priority, interval) == pytest.approx(down, abs=1e-6)


@holds("5798", "6.1", "MUST", "Skew_Time is (256 - priority) x Master_Adver_Interval / 256.")
@holds("5798", "6.1", "MUST", "Master_Down_Interval is 3 x Master_Adver_Interval + Skew_Time.")
@pytest.mark.parametrize(
    ("priority", "interval", "skew", "down"),
    [(100, 1, 0.609375, 3.609375), (100, 0.5, 0.304687, 1.804687), (254, 40.95, 0.319921, 123.169921)],
)
def test_the_timers_of_version_3(priority: int, interval: float, skew: float, down: float) -> None:
    assert skew_time(priority, 3, interval) == pytest.approx(skew, abs=1e-6)
    assert master_down_interval(priority, interval, version=3) == pytest.approx(down, abs=1e-6)


# --- Section 6.4.1: Initialize ----------------------------------------------------------------------------------------


@holds("3768", "6.4.1", "MUST", "Startup of the owner: advertise, announce the addresses, set the Adver_Timer, Master.")
@holds("5798", "6.4.1", "MUST", "Startup of the owner: advertise, announce the addresses, set the Adver_Timer, Master.")
@pytest.mark.parametrize("instance", ALL)
@pytest.mark.parametrize("preempt", [True, False])
def test_the_owner_is_master_at_once(instance: Instance, preempt: bool) -> None:
    router, effects = began(replace(instance, priority=255, preempt=preempt))
    assert router.state.name == "MASTER"
    assert done(effects) == [SendAdvertisement, AddAddresses, Announce]
    assert advertised(effects) == [255]
    assert due(router) == NOW + 1


@holds("3768", "6.4.1", "MUST", "Startup of any other: set the Master_Down_Timer to Master_Down_Interval, Backup.")
@holds("5798", "6.4.1", "MUST", "Startup of any other: set the Master_Down_Timer to Master_Down_Interval, Backup.")
@pytest.mark.parametrize("instance", ALL)
def test_any_other_waits_a_master_down_interval(instance: Instance) -> None:
    router, effects = began(instance)
    assert router.state.name == "BACKUP"
    assert advertised(effects) == []
    assert due(router) == NOW + 3.609375


# --- Section 6.4.2: Backup --------------------------------------------------------------------------------------------


@holds("3768", "6.4.2", "MUST", "Shutdown: cancel the Master_Down_Timer, Initialize.")
@holds("5798", "6.4.2", "MUST", "Shutdown: cancel the Master_Down_Timer, Initialize.")
@pytest.mark.parametrize("instance", ALL)
def test_a_backup_that_is_shut_down_says_nothing(instance: Instance) -> None:
    router = backup(instance)
    assert done(router.handle(Shutdown(), NOW + 1)) == []
    assert (router.state.name, router.deadline) == ("INIT", None)


@holds("3768", "6.4.2", "MUST", "The Master_Down_Timer fires: advertise, announce each address, Adver_Timer, Master.")
@holds("5798", "6.4.2", "MUST", "The Master_Down_Timer fires: advertise, announce each address, Adver_Timer, Master.")
@pytest.mark.parametrize("instance", ALL)
def test_a_backup_takes_over_when_its_timer_fires_and_not_before(instance: Instance) -> None:
    router = backup(instance)
    assert router.handle(Tick(), due(router) - 0.001) == []
    at = due(router)
    effects = router.handle(Tick(), at)
    assert done(effects) == [SendAdvertisement, AddAddresses, Announce]
    assert advertised(effects) == [100]
    assert (router.state.name, due(router)) == ("MASTER", at + 1)


@holds("3768", "6.4.2", "MUST", "Priority 0: set the Master_Down_Timer to Skew_Time.")
@holds("5798", "6.4.2", "MUST", "Priority 0: set the Master_Down_Timer to Skew_Time.")
@pytest.mark.parametrize("instance", ALL)
def test_after_priority_0_a_backup_waits_the_skew(instance: Instance) -> None:
    router = backup(instance)
    router.handle(heard(instance, 0), NOW + 1)
    assert due(router) == NOW + 1 + 0.609375


@holds("3768", "6.4.2", "MUST", "Priority at least ours: reset the Master_Down_Timer.")
@holds("5798", "6.4.2", "MUST", "Priority at least ours: reset the Master_Down_Timer.")
@pytest.mark.parametrize("instance", ALL)
@pytest.mark.parametrize("priority", [100, 101, 254, 255])
@pytest.mark.parametrize("step", [-1, 1])
def test_a_backup_follows_a_priority_of_at_least_its_own_whatever_the_address(
    instance: Instance, priority: int, step: int
) -> None:
    router = backup(instance)
    router.handle(heard(instance, priority, step), NOW + 1)
    assert (router.state.name, due(router)) == ("BACKUP", NOW + 1 + 3.609375)


@holds("3768", "6.4.2", "MUST", "Preempt_Mode false: any priority resets the Master_Down_Timer.")
@holds("5798", "6.4.2", "MUST", "Preempt_Mode false: any priority resets the Master_Down_Timer.")
@pytest.mark.parametrize("instance", ALL)
def test_without_preemption_a_backup_follows_any_priority(instance: Instance) -> None:
    router = backup(replace(instance, preempt=False))
    router.handle(heard(instance, 1), NOW + 1)
    assert due(router) == NOW + 1 + 3.609375


@holds("3768", "6.4.2", "MUST", "A lower priority, with Preempt_Mode: discard the advertisement.")
@holds("5798", "6.4.2", "MUST", "A lower priority, with Preempt_Mode: discard the advertisement.")
@pytest.mark.parametrize("instance", ALL)
def test_a_backup_discards_a_lower_priority(instance: Instance) -> None:
    router = backup(instance)
    assert done(router.handle(heard(instance, 99), NOW + 1)) == []
    assert due(router) == NOW + 3.609375


@holds("5798", "6.4.2", "MUST", "Master_Adver_Interval is the one advertised; Skew_Time and the timer follow from it.")
@pytest.mark.parametrize("instance", VERSION_3)
def test_a_backup_learns_the_interval_of_its_master(instance: Instance) -> None:
    router = backup(instance)
    router.handle(heard(instance, 100, interval=0.5), NOW + 1)
    assert due(router) == pytest.approx(NOW + 1 + 1.804687, abs=1e-6)
    router.handle(heard(instance, 0, interval=0.5), NOW + 2)
    assert due(router) == pytest.approx(NOW + 2 + 0.304687, abs=1e-6)
    at = due(router)
    router.handle(Tick(), at)
    assert due(router) == at + 1, "a master advertises with its own"


# --- Section 6.4.3: Master --------------------------------------------------------------------------------------------


@holds("3768", "6.4.3", "MUST", "Shutdown: cancel the Adver_Timer, advertise priority 0, Initialize.")
@holds("5798", "6.4.3", "MUST", "Shutdown: cancel the Adver_Timer, advertise priority 0, Initialize.")
@pytest.mark.parametrize("instance", ALL)
def test_a_master_that_is_shut_down_resigns(instance: Instance) -> None:
    router = master(instance)
    effects = router.handle(Shutdown(), NOW + 10)
    assert done(effects) == [SendAdvertisement, RemoveAddresses]
    assert advertised(effects) == [0]
    assert (router.state.name, router.deadline) == ("INIT", None)


@holds("3768", "6.4.3", "MUST", "The Adver_Timer fires: advertise, reset it.")
@holds("5798", "6.4.3", "MUST", "The Adver_Timer fires: advertise, reset it.")
@pytest.mark.parametrize("instance", ALL)
def test_a_master_advertises_once_an_interval(instance: Instance) -> None:
    router = master(instance)
    at = due(router)
    assert router.handle(Tick(), at - 0.001) == []
    assert advertised(router.handle(Tick(), at)) == [100]
    assert due(router) == at + 1


@holds("3768", "6.4.3", "MUST", "Priority 0: advertise, reset the Adver_Timer.")
@holds("5798", "6.4.3", "MUST", "Priority 0: advertise, reset the Adver_Timer.")
@pytest.mark.parametrize("instance", ALL)
def test_a_master_answers_priority_0(instance: Instance) -> None:
    router = master(instance)
    at = due(router) - 0.4
    assert advertised(router.handle(heard(instance, 0), at)) == [100]
    assert (router.state.name, due(router)) == ("MASTER", at + 1)


@departs(
    "3768", "6.4.3", "MUST", "Every priority 0 is answered.",
    "one answer an interval: nobody may make a master send faster than it would by itself.",
)  # fmt: skip
@departs(
    "5798", "6.4.3", "MUST", "Every priority 0 is answered.",
    "one answer an interval: nobody may make a master send faster than it would by itself.",
)  # fmt: skip
@pytest.mark.parametrize("instance", ALL)
def test_a_flood_of_priority_0_is_answered_once_an_interval(instance: Instance) -> None:
    router = master(instance)
    at = due(router) - 0.4
    answers = [advertised(router.handle(heard(instance, 0), at + step / 100)) for step in range(10)]
    assert answers == [[100]] + [[]] * 9
    assert due(router) == at + 1


@holds("3768", "6.4.3", "MUST", "A higher priority, or equal and a greater address: set the Master_Down_Timer, Backup.")
@holds("5798", "6.4.3", "MUST", "A higher priority, or equal and a greater address: set the Master_Down_Timer, Backup.")
@pytest.mark.parametrize("instance", ALL)
@pytest.mark.parametrize(("priority", "step"), [(101, -1), (101, 1), (255, -1), (100, 1)])
def test_a_master_yields_to_the_greater_priority_and_address(instance: Instance, priority: int, step: int) -> None:
    router = master(replace(instance, answers_higher_priority=False))
    assert done(router.handle(heard(instance, priority, step), NOW + 10)) == [RemoveAddresses]
    assert (router.state.name, due(router)) == ("BACKUP", NOW + 10 + 3.609375)


@departs(
    "3768", "6.4.3", "MUST", "A master that yields cancels the Adver_Timer: it sends no more.",
    "one that took over in silence sends one more: the other may have been master all the time, behind a partition, and"
    " would not announce its addresses again; `higher_prio_send_advert off` and `strict_mode` keep it back.",
)  # fmt: skip
@departs(
    "5798", "6.4.3", "MUST", "A master that yields cancels the Adver_Timer: it sends no more.",
    "as in version 2.",
)  # fmt: skip
@pytest.mark.parametrize("instance", ALL)
def test_a_master_that_took_over_in_silence_has_a_last_word(instance: Instance) -> None:
    assert done(master(instance).handle(heard(instance, 101), NOW + 10)) == [SendAdvertisement, RemoveAddresses]


@holds("5798", "6.4.3", "MUST", "A master that yields takes Master_Adver_Interval from that advertisement.")
@pytest.mark.parametrize("instance", VERSION_3)
def test_a_master_that_yields_learns_the_interval(instance: Instance) -> None:
    router = master(instance)
    router.handle(heard(instance, 200, interval=0.5), NOW + 10)
    assert due(router) == pytest.approx(NOW + 10 + 1.804687, abs=1e-6)


@holds("9568", "6.4.3", "MUST", "Of another: discard it and advertise at once, so that switches learn the way back.")
@departs(
    "3768", "6.4.3", "MUST", "Of another: discard the advertisement.",
    "keepalived answers it at once and announces the addresses anew; `lower_prio_no_advert` keeps the advertisement"
    " back, `garp_lower_prio_repeat 0` the announcement.",
)  # fmt: skip
@departs(
    "5798", "6.4.3", "MUST", "Of another: discard the advertisement.",
    "as in version 2; RFC 9568 asks for the answer.",
)  # fmt: skip
@pytest.mark.parametrize("instance", ALL)
@pytest.mark.parametrize(("priority", "step"), [(99, 1), (1, 1), (100, -1)])
def test_a_master_of_lower_rank_is_answered(instance: Instance, priority: int, step: int) -> None:
    router = master(instance)
    effects = router.handle(heard(instance, priority, step), NOW + 4)
    assert done(effects) == [SendAdvertisement, Announce]
    assert router.state.name == "MASTER"
    quiet = replace(instance, answers_lower_priority=False, garp=replace(instance.garp, lower_prio_repeat=0))
    assert done(master(quiet).handle(heard(instance, priority, step), NOW + 4)) == []


# --- What hosts are told: sections 6.4.2 and 8 ------------------------------------------------------------------------


VIRTUAL_MAC = bytes.fromhex("00005e000133")


@holds("3768", "6.4.2", "MUST", "Gratuitous ARP is broadcast, a request with the virtual MAC for each address.")
@holds("5798", "6.4.2", "MUST", "IPv4: gratuitous ARP is broadcast, a request with the virtual MAC for each address.")
def test_gratuitous_arp_is_a_broadcast_request_with_the_address_twice() -> None:
    frame = gratuitous_arp(VIRTUAL_MAC, IPv4Address("192.0.2.100"))
    assert frame[:6] == b"\xff" * 6
    assert frame[6:12] == frame[22:28] == VIRTUAL_MAC
    assert frame[20:22] == b"\x00\x01"
    assert frame[28:32] == frame[38:42] == IPv4Address("192.0.2.100").packed


@holds("5798", "6.4.2", "MUST", "IPv6: an unsolicited NA for each address, S clear, O set; the link-layer address.")
@departs(
    "5798", "6.4.2", "MUST", "IPv6: that NA has the R flag set.",
    "R is set where the host forwards IPv6, as keepalived does: a host is no router for having a virtual address.",
)  # fmt: skip
def test_the_unsolicited_neighbour_advertisement_overrides() -> None:
    address = IPv6Address("fe80::100")
    host, router = (unsolicited_na(VIRTUAL_MAC, address, router=flag) for flag in (False, True))
    assert (host[54], host[58] >> 5, router[58] >> 5) == (136, 0b001, 0b101)
    assert host[62:78] == address.packed
    assert host[78:] == b"\x02\x01" + VIRTUAL_MAC


VMAC_TEST = "test_scenarios_tracking.py: test_25_a_virtual_mac_is_that_of_the_virtual_router"
MAC_REASON = "as in keepalived only with `use_vmac`; otherwise it is the interface's own."

for _rfc, _section in (("3768", "8.2"), ("5798", "8.1.2")):
    elsewhere(
        _rfc, _section, "MUST", "A master answers ARP for a virtual address with the virtual MAC.",
        "departs", MAC_REASON, VMAC_TEST,
    )  # fmt: skip
    elsewhere(
        _rfc, _section, "MUST NOT", "A master never answers ARP for a virtual address with its own MAC.",
        "departs", MAC_REASON, VMAC_TEST,
    )  # fmt: skip
elsewhere(
    "5798", "8.2.2", "MUST", "A master answers Neighbour Solicitations with the virtual MAC.",
    "departs", MAC_REASON, VMAC_TEST,
)  # fmt: skip
elsewhere(
    "5798", "7.4", "MUST NOT", "Interface identifiers are never made of the virtual MAC.",
    "the kernel's", "link-local addresses are those of the interface below; a VMAC makes none of its own.",
)  # fmt: skip
for _rfc in ("3768", "5798"):
    elsewhere(
        _rfc, "6.4.2", "MUST NOT", "A backup never answers ARP or Neighbour Solicitations for the virtual addresses.",
        "the kernel's", "the addresses are not there: they are removed at the start, and before anything else when a"
        " master yields.", "test_scenarios_tracking.py: test_24_what_a_killed_one_left_behind_is_removed_at_the_start",
    )  # fmt: skip
    elsewhere(
        _rfc, "6.4.2", "MUST", "A backup discards packets to the virtual MAC, and to the virtual addresses.",
        "the kernel's", "they are not ours while we are backup.",
    )  # fmt: skip
    elsewhere(
        _rfc, "6.4.3", "MUST", "A master answers ARP or Neighbour Solicitations for the virtual addresses.",
        "the kernel's", "the addresses are on the interface.",
        "test_scenarios_tracking.py: test_26_addresses_look_the_same_to_ip_whoever_put_them_there",
    )  # fmt: skip
    elsewhere(
        _rfc, "6.4.3", "MUST", "A master forwards packets to the virtual MAC.",
        "the kernel's", "if the host forwards at all.",
    )  # fmt: skip
    elsewhere(
        _rfc, "6.4.3", "MUST NOT", "A master that is not the owner never accepts packets to the virtual addresses.",
        "departs", "keepalived accepts them unless told `no_accept` (or `vrrp_strict`): most virtual addresses are for"
        " a service on this host.",
    )  # fmt: skip
elsewhere(
    "5798", "6.4.3", "MUST", "IPv6: a master sends Router Advertisements for the virtual router.",
    "not done", "neither does keepalived: that is radvd's, started and stopped by a notify script.",
)  # fmt: skip
elsewhere(
    "5798", "6.4.3", "MUST", "IPv6: a master is a member of the solicited-node groups of the virtual addresses.",
    "the kernel's", "it joins them with each address.",
)  # fmt: skip
elsewhere(
    "5798", "6.1", "MUST NOT", "With Accept_Mode false, Neighbour Solicitations and Advertisements are never dropped.",
    "the kernel's", "the rules of `no_accept` let them pass.",
)  # fmt: skip
for _rfc, _section in (("3768", "8.1"), ("5798", "8.1.1")):
    elsewhere(
        _rfc, _section, "SHOULD", "ICMP redirects come from the address that the host used as its next hop.",
        "not done", "Linux chooses their source; keepalived leaves it at that, too.",
    )  # fmt: skip
elsewhere(
    "5798", "8.4.2", "MAY", "Versions 2 and 3 are mixed on one virtual router while it is upgraded.",
    "not done", "an instance is of one version, as in keepalived; the other one is counted as `version_err`.",
    "test_scenarios_wire.py: test_11_version_2_beside_version_3_makes_two_masters",
)  # fmt: skip
