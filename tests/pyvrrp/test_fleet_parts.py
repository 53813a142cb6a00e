"""The parts around the machines that need no network: deadlines, links, other routers, the difference of two files."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_interface

import pytest

from hakit.diagnostics import Location
from pyvrrp.detection import MOST_PEERS, Watcher, foreign
from pyvrrp.difference import difference
from pyvrrp.link_faults import Settled, view_of
from pyvrrp.model import (
    Configuration,
    Instance,
    Multicast,
    NotifyScripts,
    Script,
    Settling,
    TrackerKind,
    Unicast,
    UnicastPeer,
    VirtualAddress,
    Vmac,
)
from pyvrrp.protocol.transmission import own_advertisement
from pyvrrp.system.link import Link
from pyvrrp.timetable import Timetable

ONE = Instance("VI_1", "eth0", 51, addresses=(VirtualAddress(ip_interface("10.0.0.100/24")),))
LEFT, RIGHT = IPv4Address("10.0.0.1"), IPv4Address("10.0.0.2")


def link(name: str = "eth0", *addresses: str, is_up: bool = True, index: int = 2) -> Link:
    return Link(index, name, b"\x02\0\0\0\0\1", is_up, tuple(ip_interface(one) for one in addresses))


# --- Deadlines ----------------------------------------------------------------------------------------------------


def test_routers_that_are_due_together_are_called_together_and_moved_ones_later() -> None:
    called: list[tuple[list[str], float]] = []

    async def story() -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        table = Timetable(loop, lambda names, late: called.append((names, late)))
        table.set("a", now + 0.05)
        table.set("b", now + 0.05)
        table.set("c", now + 0.05)
        table.set("c", now + 0.15)  # moves away, as a backup's does with every advertisement
        table.set("d", now + 9)
        table.set("d", now + 0.1)  # comes nearer
        table.set("e", now + 0.05)
        table.set("e", None)
        await asyncio.sleep(0.25)
        table.set("f", loop.time())
        table.stop()
        await asyncio.sleep(0.02)

    asyncio.run(story())
    assert [names for names, _ in called] == [["a", "b"], ["d"], ["c"]]
    assert all(0 <= late < 0.1 for _, late in called)


def test_a_router_that_is_not_entered_anew_is_called_once_only() -> None:
    called: list[str] = []

    async def story() -> None:
        loop = asyncio.get_running_loop()
        table = Timetable(loop, lambda names, _: called.extend(names))
        for _ in range(100):
            table.set("a", loop.time() + 0.01)
        await asyncio.sleep(0.05)

    asyncio.run(story())
    assert called == ["a"]


# --- Links --------------------------------------------------------------------------------------------------------


def settled(*links: Link, **settling: Settling) -> Settled:
    made = Settled({name.removeprefix("_"): one for name, one in settling.items()})
    made.observe({one.name: one for one in links}, 0.0)
    return made


def faults(instance: Instance, *links: Link, has_socket: bool = True) -> set[str]:
    by_name = {one.name: one for one in links}
    virtual = {address.ip for address in instance.addresses}
    view = view_of(instance, by_name, settled(*links), virtual, interface=instance.interface, has_socket=has_socket)
    return set(view.faults)


def test_a_link_that_is_down_or_absent_is_a_fault_and_so_is_no_source_address() -> None:
    assert faults(ONE, link("eth0", "10.0.0.1/24")) == set()
    assert faults(ONE, link("eth0", "10.0.0.1/24", is_up=False)) == {"interface eth0 down"}
    assert faults(ONE, has_socket=False) == {
        "interface eth0 down", "no socket on eth0", "no IPv4 address on eth0",
    }  # fmt: skip
    assert faults(ONE, link("eth0")) == {"no IPv4 address on eth0"}


def test_a_virtual_address_that_was_left_behind_is_never_a_source_address() -> None:
    assert faults(ONE, link("eth0", "10.0.0.100/24")) == {"no IPv4 address on eth0"}


def test_the_device_of_a_tracked_address_counts_and_that_of_an_untracked_one_does_not() -> None:
    away = VirtualAddress(ip_interface("10.1.0.1/24"), device="eth1")
    own = link("eth0", "10.0.0.1/24")
    assert faults(replace(ONE, addresses=(away,)), own) == {"interface eth1 down"}
    assert faults(replace(ONE, addresses=(replace(away, tracked=False),)), own) == set()


def test_dont_track_primary_leaves_the_own_link_out() -> None:
    assert faults(replace(ONE, track_primary=False), link("eth0", "10.0.0.1/24", is_up=False)) == set()


def test_a_source_address_that_is_configured_is_a_fault_only_if_it_is_tracked_and_gone() -> None:
    elsewhere = replace(ONE, source=ip_address("10.9.9.9"))
    assert faults(elsewhere, link("eth0")) == set()
    tracked = replace(elsewhere, track_source=True)
    assert faults(tracked, link("eth0")) == {"source address 10.9.9.9 is not there"}
    assert faults(tracked, link("eth0"), link("lo", "10.9.9.9/32", index=1)) == set()


def test_unicast_without_peers_is_a_fault_only_if_it_is_asked_for() -> None:
    own = link("eth0", "10.0.0.1/24")
    assert faults(replace(ONE, transport=Unicast(())), own) == set()
    assert faults(replace(ONE, transport=Unicast((), fault_no_peer=True)), own) == {"no unicast peer"}


def test_ipv6_sends_from_the_link_local_address_and_unicast_also_from_a_global_one() -> None:
    six = replace(ONE, version=3, family=6, addresses=(), transport=Multicast(IPv6Address("ff02::12")))
    assert faults(six, link("eth0", "fd00::1/64")) == {"no IPv6 address on eth0"}
    assert faults(six, link("eth0", "fd00::1/64", "fe80::1/64")) == set()
    assert (
        faults(replace(six, transport=Unicast((UnicastPeer(IPv6Address("fd00::2")),))), link("eth0", "fd00::1/64"))
        == set()
    )


def test_a_link_counts_as_changed_once_its_delay_has_passed() -> None:
    up, down = {"eth0": link()}, {"eth0": link(is_up=False)}
    found = settled(link(), _eth0=Settling(down=2.0, up=1.0))
    assert found.observe(down, 10.0) == 12.0
    assert found.is_up("eth0")
    assert found.observe(up, 11.0) is None  # it was never down
    assert found.observe(down, 20.0) == 22.0
    assert found.observe(down, 22.0) is None
    assert not found.is_up("eth0")
    assert found.readings() == {(TrackerKind.INTERFACE, "eth0"): False}
    assert found.observe(up, 30.0) == 31.0
    assert found.observe({}, 30.5) is None
    assert not found.is_up("never heard of")


# --- Other routers ------------------------------------------------------------------------------------------------


def test_another_master_is_told_once_and_its_end_too() -> None:
    watcher, advert = Watcher(), own_advertisement(ONE, 90)
    first = list(watcher.heard(RIGHT, advert, 0.0, still_master=True))
    again = list(watcher.heard(RIGHT, advert, 1.0, still_master=True))
    assert ([one.event for one in first], again) == (["split_brain"], [])
    assert watcher.rivals == [RIGHT]
    assert list(watcher.look(2.0, is_master=True)) == []
    assert [one.event for one in watcher.look(6.0, is_master=True)] == ["split_brain_healed"]
    assert watcher.splits == 1


def test_the_last_word_of_one_that_has_just_been_replaced_is_no_split_brain() -> None:
    watcher, advert = Watcher(), own_advertisement(ONE, 90)
    assert list(watcher.took_over(10.0)) == []
    assert list(watcher.heard(RIGHT, advert, 10.01, still_master=True)) == []
    assert [one.event for one in watcher.heard(RIGHT, advert, 11.02, still_master=True)] == ["split_brain"]


def test_a_rival_who_resigns_is_none() -> None:
    watcher = Watcher()
    list(watcher.heard(RIGHT, own_advertisement(ONE, 90), 0.0, still_master=True))
    assert list(watcher.heard(RIGHT, own_advertisement(ONE, 0), 1.0, still_master=True)) == []
    assert watcher.rivals == []


def test_a_master_in_whose_place_one_came_was_silent_unless_it_has_resigned_or_was_overruled() -> None:
    watcher = Watcher()
    list(watcher.heard(RIGHT, own_advertisement(ONE, 200), 0.0, still_master=False))
    list(watcher.heard(LEFT, own_advertisement(ONE, 50), 3.0, still_master=False))
    assert [(one.event, one.values["peer"]) for one in watcher.took_over(3.5)] == [("peer_stale", "10.0.0.2")]
    assert [one.event for one in watcher.heard(RIGHT, own_advertisement(ONE, 200), 9.0, still_master=False)] == [
        "peer_back"
    ]
    list(watcher.look(10.0, is_master=False))  # it yields to RIGHT, who then resigns, as does LEFT
    list(watcher.heard(RIGHT, own_advertisement(ONE, 0), 11.0, still_master=False))
    list(watcher.heard(LEFT, own_advertisement(ONE, 0), 11.0, still_master=False))
    assert list(watcher.look(20.0, is_master=False)) == []
    assert list(watcher.took_over(20.5)) == []


def stale_at(watcher: Watcher, now: float, *, is_master: bool = False) -> list[object]:
    return [one.values["peer"] for one in watcher.look(now, is_master=is_master) if one.event == "peer_stale"]


def test_a_peer_is_silent_only_from_when_it_should_have_spoken() -> None:
    """A backup says nothing: not while this router is master, and not while another one is."""
    watcher = Watcher()
    list(watcher.heard(RIGHT, own_advertisement(ONE, 90), 0.0, still_master=False))
    assert list(watcher.took_over(1.0)) == []
    assert stale_at(watcher, 100.0, is_master=True) == []
    assert stale_at(watcher, 101.0) == []  # FAULT: from here on somebody should speak
    assert stale_at(watcher, 104.0) == []
    assert stale_at(watcher, 105.5) == [str(RIGHT)]
    assert stale_at(watcher, 106.0) == []  # that has been said
    list(watcher.heard(LEFT, own_advertisement(ONE, 200), 106.2, still_master=False))
    list(watcher.heard(RIGHT, own_advertisement(ONE, 90), 106.5, still_master=False))
    list(watcher.heard(LEFT, own_advertisement(ONE, 200), 112.0, still_master=False))
    assert stale_at(watcher, 113.0) == []  # RIGHT has yielded to LEFT
    assert {*stale_at(watcher, 117.0)} == {str(LEFT), str(RIGHT)}


def test_who_becomes_master_again_at_once_does_not_wonder_about_its_backups() -> None:
    watcher = Watcher()
    list(watcher.heard(RIGHT, own_advertisement(ONE, 90), 0.0, still_master=False))
    assert list(watcher.took_over(1.0)) == []
    assert list(watcher.took_over(100.0)) == []


def test_no_more_peers_are_kept_than_a_few() -> None:
    watcher = Watcher()
    for number in range(100):
        list(watcher.heard(IPv4Address(number + 1), own_advertisement(ONE, 90), 0.0, still_master=False))
    assert len(watcher.status(1.0)) == MOST_PEERS
    list(watcher.heard(IPv4Address(1000), own_advertisement(ONE, 90), 60.0, still_master=False))
    assert len(watcher.peers) == MOST_PEERS
    assert IPv4Address(1000) in watcher.peers


@pytest.mark.parametrize(("theirs", "is_foreign"), [("10.0.0.100/24", False), ("10.0.0.200/24", True)])
def test_quite_other_addresses_under_the_same_number_are_another_group_s(theirs: str, is_foreign: bool) -> None:
    other = replace(ONE, addresses=(VirtualAddress(ip_interface(theirs)),))
    assert foreign(own_advertisement(other, 90), ONE) is is_foreign


# --- The difference of two configurations -------------------------------------------------------------------------


def test_where_a_line_stands_is_no_difference_and_a_name_is_one() -> None:
    notify = NotifyScripts(any=Script(("/bin/true",), location=Location("a", 1)))
    before = Configuration((replace(ONE, notify=notify, location=Location("a", 1)),))
    moved = replace(notify, any=Script(("/bin/true",), location=Location("a", 9)))
    same = difference(before, Configuration((replace(ONE, notify=moved, location=Location("a", 9)),)))
    assert (same.gone, same.kept, same.come) == ((), (), ())
    renamed = difference(before, Configuration((replace(ONE, name="VI_2"),)))
    assert [will.name for _, will in renamed.kept] == ["VI_2"]


def test_another_number_or_another_vmac_is_another_router() -> None:
    for after in (replace(ONE, virtual_router_id=52), replace(ONE, vmac=Vmac())):
        found = difference(Configuration((ONE,)), Configuration((after,)))
        assert (found.gone, found.come) == ((ONE,), (after,))
