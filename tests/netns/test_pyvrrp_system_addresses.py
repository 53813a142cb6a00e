"""Addresses, routes and rules in a real kernel: as keepalived sets them, kept there, changed by the difference."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_interface
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from vrrp_kernel import addresses_of, ip_json, standing, within

from halab.capture import Capture
from halab.namespace import Host
from halab.parts.daemons import Speaker
from halab.topology import Lab, ip_batch, simple
from halab.wait import hold, poll
from pyvrrp.model import GratuitousArp, Instance, Nexthop, Route, Rule, Spacing, VirtualAddress, Vmac

pytestmark = [pytest.mark.netns, pytest.mark.timeout(90)]

HOSTS = {"a": "10.9.0.1/24", "b": "10.9.0.2/24"}


def address(text: str, **options: Any) -> VirtualAddress:
    return VirtualAddress(ip_interface(text), **options)


ADDRESSES = (
    address("10.9.0.100/32"),
    address("10.9.0.101/24", device="eth0", label="eth0:1"),
    address("10.9.0.102/24", broadcast=IPv4Address("10.9.0.255")),
    address("10.8.0.103/24", broadcast=IPv4Address("10.8.0.255"), noprefixroute=True),
    address("10.7.0.104/24", scope=253),
    address("10.7.0.105/32", peer=ip_interface("10.7.1.1/32")),
    address("10.6.0.106/24", preferred_lft=0),
)
EXCLUDED = (
    address("10.9.1.1/24"),
    address("fd00::5/64"),
    address("fd00::6/128", preferred_lft=0),
    address("fd00::7/64", dad=True),
    address("fd00::8/64", home=True, noprefixroute=True),
    address("fd00::9/128"),
    address("fe80::77/64"),
)


def network(text: str) -> IPv4Network | IPv6Network:
    return IPv6Network(text) if ":" in text else IPv4Network(text)


def route(destination: str, **options: Any) -> Route:
    return Route(network(destination), destination, **options)


VIA = IPv4Address("10.9.0.2")
ROUTES = (
    route("192.168.7.0/24", via=VIA),
    route("192.168.8.0/24", device="eth0"),
    route("192.168.8.0/24", device="eth0", source=IPv4Address("10.9.0.100"), table=7, priority=5),
    route("192.168.9.0/24", kind="blackhole"),
    route("192.168.10.0/24", table=300, nexthops=(Nexthop(VIA, "eth0", 2), Nexthop(IPv4Address("10.9.0.3"), "eth0"))),
    route(
        "192.168.11.0/24",
        via=VIA,
        metrics=MappingProxyType({"mtu": 1400, "advmss": 1300}),
        locked=frozenset({"mtu"}),
    ),
    route("192.168.12.0/24", via=IPv4Address("172.16.0.1"), device="eth0", onlink=True),
    route("fd01::/64", via=IPv6Address("fd00::10"), device="eth0"),
    route("fd02::/64", device="eth0", priority=77),
)
RULES = (
    Rule(4, "from 192.168.7.0/24", source=network("192.168.7.0/24"), table=7, priority=100),
    Rule(4, "to", destination=network("192.168.7.0/24"), fwmark=3, fwmask=0xFF, table=300, priority=101),
    Rule(6, "from fd01::/64", source=network("fd01::/64"), table=7, priority=102),
    Rule(4, "iif eth0 blackhole", action="blackhole", input_interface="eth0", priority=103),
    Rule(4, "not", inverted=True, source=network("10.1.1.1/32"), table=8, priority=104),
    Rule(4, "goto", action="goto", goto=103, source=network("10.1.1.2/32"), priority=90),
    Rule(4, "realms", realms=30 << 16 | 20, source=network("10.1.1.3/32"), table=8, priority=91),
    Rule(4, "suppress", suppress_prefixlength=3, source=network("10.1.1.4/32"), table=8, priority=92),
)
EVERYTHING = Instance("VI_1", "eth0", 51, addresses=ADDRESSES, excluded=EXCLUDED, routes=ROUTES, rules=RULES)
KEEPALIVED = """
global_defs { router_id x }
vrrp_instance VI_1 {
  state MASTER
  interface eth0
  virtual_router_id 51
  priority 255
  virtual_ipaddress {
    10.9.0.100
    10.9.0.101/24 dev eth0 label eth0:1
    10.9.0.102/24 brd +
    10.8.0.103/24 brd 10.8.0.255 noprefixroute
    10.7.0.104/24 scope link
    10.7.0.105/32 peer 10.7.1.1
    10.6.0.106/24 preferred_lft 0
  }
  virtual_ipaddress_excluded {
    10.9.1.1/24
    fd00::5/64
    fd00::6
    fd00::7/64 -nodad
    fd00::8/64 home noprefixroute
    fd00::9/128 preferred_lft forever
    fe80::77/64
  }
  virtual_routes {
    192.168.7.0/24 via 10.9.0.2
    192.168.8.0/24 dev eth0
    192.168.8.0/24 dev eth0 src 10.9.0.100 table 7 metric 5
    blackhole 192.168.9.0/24
    192.168.10.0/24 table 300 nexthop via 10.9.0.2 dev eth0 weight 2 nexthop via 10.9.0.3 dev eth0
    192.168.11.0/24 via 10.9.0.2 mtu lock 1400 advmss 1300
    192.168.12.0/24 via 172.16.0.1 dev eth0 onlink
    fd01::/64 via fd00::10 dev eth0
    fd02::/64 dev eth0 metric 77
  }
  virtual_rules {
    from 192.168.7.0/24 table 7 priority 100
    to 192.168.7.0/24 fwmark 3/0xff table 300 priority 101
    from fd01::/64 table 7 priority 102
    iif eth0 blackhole priority 103
    not from 10.1.1.1 table 8 priority 104
    from 10.1.1.2 goto 103 priority 90
    from 10.1.1.3 realms 30/20 table 8 priority 91
    from 10.1.1.4 suppress_prefixlength 3 table 8 priority 92
  }
}
"""


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab(simple("lan", HOSTS)) as made:
        yield made


def picture(host: Host) -> dict[str, Any]:
    """All that ip(8) shows of what a master holds, without what is the host's own."""
    shown = ip_json(host, "addr", "show", "dev", "eth0")[0]["addr_info"]
    own = [
        one for one in shown if one["local"] != "10.9.0.1" and "mngtmpaddr" not in one and ":ff:" not in one["local"]
    ]
    found: dict[str, Any] = {
        "addresses": [
            {key: value for key, value in one.items() if key not in {"protocol", "tentative"}}
            for one in own
            if not (one["scope"] == "link" and one["family"] == "inet6" and one["local"] != "fe80::77")
        ]
    }
    for family in ("-4", "-6"):
        routes = host.run(["ip", family, "-d", "route", "show", "table", "all", "proto", "keepalived"]).check().output
        rules = host.run(["ip", family, "-d", "rule"]).check().output
        found[f"routes {family}"] = sorted(line.strip() for line in routes.splitlines())
        found[f"rules {family}"] = sorted(line.strip() for line in rules.splitlines())
    return found


def test_addresses_routes_and_rules_are_the_same_as_those_of_keepalived(lab: Lab) -> None:
    """Scenario 26: label, brd, /24, noprefixroute, scope, peer, excluded ones, IPv6; routes and rules with it."""
    host = lab["a"]
    before = picture(host)
    theirs = Speaker(host, "keepalived", KEEPALIVED, {})
    theirs.start()
    poll(lambda: "92:" in host.run(["ip", "rule"]).output, 10, "keepalived's last rule")
    poll(lambda: "tentative" not in host.run(["ip", "addr"]).output, 10, "the end of its duplicate address detection")
    expected = picture(host)
    theirs.stop()
    host.run(["ip", "address", "del", "10.7.0.105/32", "peer", "10.7.1.1", "dev", "eth0"])  # which 2.2.7 leaves
    poll(lambda: picture(host) == before, 10, "the end of what keepalived held")
    seen: list[dict[str, Any]] = []

    async def ours() -> None:
        async with standing(EVERYTHING) as stand:
            stand.worker.add()
            await stand.worker.finish()
            await asyncio.to_thread(
                poll, lambda: "tentative" not in host.run(["ip", "addr"]).output, 10, "the end of our own"
            )
            seen.append(picture(host))
            assert stand.told.reasons("system_error") == []
            assert stand.told.reasons("address_lost") == []
            assert stand.told.reasons("addresses") == [
                "setting VIPs.", "setting E-VIPs.", "setting Virtual Routes", "setting Virtual Rules",
            ]  # fmt: skip
            stand.told.events.clear()
            stand.worker.remove()
            await stand.worker.finish()
            assert stand.told.reasons("addresses") == [
                "removing Virtual Rules", "removing Virtual Routes", "removing VIPs.", "removing E-VIPs.",
            ]  # fmt: skip
            assert stand.told.reasons("system_error") == []

    within(host, ours)
    assert seen[0] == expected
    assert picture(host) == before


def test_what_is_there_already_is_no_error_nor_is_what_is_gone(lab: Lab) -> None:
    async def work() -> None:
        async with standing(EVERYTHING) as stand:
            stand.worker.remove()
            stand.worker.add()
            stand.worker.add()
            stand.worker.remove()
            stand.worker.remove()
            await stand.worker.finish()
            assert stand.told.reasons("system_error") == []

    within(lab["a"], work)
    assert addresses_of(lab["a"], "eth0") == {"10.9.0.1/24", *link_locals(lab["a"])}


def link_locals(host: Host) -> set[str]:
    return {one for one in addresses_of(host, "eth0") if one.startswith("fe80")}


@pytest.mark.parametrize(
    ("removal", "lost"),
    [
        ("address del 10.9.0.100/32 dev eth0", "10.9.0.100/32 was removed from eth0 by process"),
        ("-6 address del fd00::5/64 dev eth0", "fd00::5/64 was removed from eth0 by somebody else"),
        ("route del 192.168.7.0/24", "the route 192.168.7.0/24 was removed by process"),
        ("route del 192.168.10.0/24 table 300", "the route 192.168.10.0/24 was removed by process"),
        ("-6 route del fd01::/64", "the route fd01::/64 was removed by process"),
        ("rule del priority 104", "the rule not was removed by process"),
        ("-6 rule del priority 102", "the rule from fd01::/64 was removed by process"),
    ],
)
def test_what_somebody_else_removes_is_put_back_and_told(lab: Lab, removal: str, lost: str) -> None:
    host = lab["a"]

    async def work() -> None:
        async with standing(EVERYTHING) as stand:
            stand.worker.add()
            await stand.worker.finish()
            before = picture(host)
            host.run(["ip", *removal.split()]).check()
            await stand.until(lambda: any(told.startswith(lost) for told in stand.told.reasons("address_lost")))
            await stand.worker.finish()
            after = picture(host)
            for one in (before, after):
                one["addresses"] = sorted(map(str, one["addresses"]))
            assert after == before

    within(host, work)


def test_an_address_that_somebody_fights_for_is_put_back_each_time_but_told_of_ten_times(lab: Lab) -> None:
    """systemd-networkd and NetworkManager do so (reliability 7.3)."""
    host = lab["a"]
    instance = replace(EVERYTHING, addresses=ADDRESSES[:1], excluded=(), routes=(), rules=())

    async def work() -> None:
        async with standing(instance) as stand:
            stand.worker.add()
            await stand.worker.finish()
            for _ in range(14):
                await stand.until(lambda: "10.9.0.100/32" in addresses_of(host, "eth0"))
                host.run(["ip", "address", "del", "10.9.0.100/32", "dev", "eth0"]).check()
            await stand.until(lambda: "10.9.0.100/32" in addresses_of(host, "eth0"))
            told = stand.told.reasons("address_lost")
            assert len(told) == 10
            assert told[-1].startswith("10.9.0.100/32 eth0 was removed 10 times within 60 s, last by process")

    within(host, work)


def test_what_is_not_tracked_stays_away_until_the_next_transition(lab: Lab) -> None:
    """keepalived.conf(5), ``no_track``: what OpenStack's Neutron marks, because it moves those addresses itself."""
    host = lab["a"]
    instance = replace(EVERYTHING, addresses=(replace(ADDRESSES[0], tracked=False), ADDRESSES[1]), routes=(), rules=())

    async def work() -> None:
        async with standing(instance) as stand:
            stand.worker.add()
            await stand.worker.finish()
            ip_batch(host, ["address del 10.9.0.100/32 dev eth0", "address del 10.9.0.101/24 dev eth0"]).result()
            await stand.until(lambda: "10.9.0.101/24" in addresses_of(host, "eth0"))
            await stand.worker.finish()
            assert "10.9.0.100/32" not in addresses_of(host, "eth0")
            stand.worker.remove()
            stand.worker.add()
            await stand.worker.finish()
            assert "10.9.0.100/32" in addresses_of(host, "eth0")

    within(host, work)


def test_routes_that_the_kernel_drops_with_a_link_or_an_address_come_back(lab: Lab) -> None:
    """In IPv4 the kernel says nothing of the routes that it drops."""
    host = lab["a"]

    async def work() -> None:
        async with standing(EVERYTHING) as stand:
            stand.worker.add()
            await stand.worker.finish()
            before = picture(host)
            ip_batch(host, ["link set eth0 down", "link set eth0 up"]).result()
            await stand.until(lambda: picture(host)["routes -4"] == before["routes -4"], 10)
            await stand.until(lambda: picture(host)["routes -6"] == before["routes -6"], 10)
            host.run(["ip", "address", "del", "10.9.0.100/32", "dev", "eth0"]).check()  # a route's source
            await stand.until(lambda: "10.9.0.100/32" in addresses_of(host, "eth0"))
            await stand.until(lambda: picture(host)["routes -4"] == before["routes -4"], 10)

    within(host, work)


def test_a_reload_sets_and_removes_only_the_difference(lab: Lab) -> None:
    before = replace(EVERYTHING, excluded=(), routes=ROUTES[:2], rules=RULES[:2])
    after = replace(
        before,
        addresses=(*ADDRESSES[1:], address("10.9.0.110/32")),
        excluded=(address("10.9.0.111/32"),),
        routes=ROUTES[1:3],
        rules=RULES[1:3],
    )

    async def work() -> None:
        async with standing(before) as stand:
            stand.worker.add()
            await stand.worker.finish()
            stand.told.events.clear()
            stand.worker.change(before, after)
            await stand.worker.finish()
            done = [
                (name, values["action"], values.get("address") or values.get("route") or values.get("rule"))
                for name, _, values in stand.told.events
                if name in {"address", "route", "rule"}
            ]
            assert done == [
                ("rule", "removed", "from 192.168.7.0/24"),
                ("route", "removed", "192.168.7.0/24"),
                ("address", "removed", "10.9.0.100/32"),
                ("address", "added", "10.9.0.110/32"),
                ("address", "added", "10.9.0.111/32"),
                ("rule", "added", "from fd01::/64"),
            ]
            assert stand.told.reasons("system_error") == [
                "cannot add the route 192.168.8.0/24: Invalid argument"  # its source address has just been removed
            ]
            assert [values["address"] for name, _, values in stand.told.events if name == "announced"] == [
                "10.9.0.110",
                "10.9.0.111",
            ]

    within(lab["a"], work)


def test_a_reload_that_brings_a_vmac_moves_the_addresses_to_it_when_it_has_come(lab: Lab) -> None:
    host = lab["a"]
    before = replace(EVERYTHING, addresses=ADDRESSES[:1], excluded=(), routes=(), rules=())
    after = replace(before, vmac=Vmac())

    async def work() -> None:
        async with standing(before) as stand:
            stand.worker.add()
            await stand.worker.finish()
            stand.worker.move("vrrp.51")
            stand.worker.change(before, after)
            await stand.worker.finish()
            assert "10.9.0.100/32" not in addresses_of(host, "eth0")
            ip_batch(host, ["link add vrrp.51 link eth0 type macvlan mode private"]).result()
            await stand.until(lambda: "10.9.0.100/32" in addresses_of(host, "vrrp.51"))
            stand.worker.move(None)
            stand.worker.change(after, before)
            await stand.worker.finish()
            assert "10.9.0.100/32" in addresses_of(host, "eth0")
            assert "10.9.0.100/32" not in addresses_of(host, "vrrp.51")

    within(host, work)


def test_a_backup_is_changed_without_a_trace(lab: Lab) -> None:
    async def work() -> None:
        async with standing(EVERYTHING) as stand:
            stand.worker.change(EVERYTHING, replace(EVERYTHING, addresses=ADDRESSES[:1], routes=(), rules=()))
            await stand.worker.finish()
            assert not [event for event in stand.told.events if event[0] == "address"]
            stand.worker.add()
            await stand.worker.finish()
            assert stand.worker.held == (ADDRESSES[0], *EXCLUDED)

    within(lab["a"], work)


def test_one_address_that_is_refused_does_not_hold_up_the_others(lab: Lab) -> None:
    odd = (address("10.9.0.100/32", device="none0"), address("10.9.0.101/32", label="x" * 40), address("10.9.0.102/32"))
    instance = replace(EVERYTHING, addresses=odd, excluded=(), rules=(), routes=(route("10.1.0.0/16", device="none0"),))

    async def work() -> None:
        async with standing(instance) as stand:
            stand.worker.add()
            await stand.worker.finish()
            assert "10.9.0.102/32" in addresses_of(lab["a"], "eth0")
            ip_batch(lab["a"], ["link add none0 up type bridge"]).result()
            await stand.until(lambda: "10.9.0.100/32" in addresses_of(lab["a"], "none0"))  # as soon as it can be set
            errors = stand.told.reasons("system_error")
            assert errors[0] == "10.9.0.100/32 is not set: there is no interface none0"
            assert "cannot set 10.1.0.0/16: there is no interface none0" in errors

    within(lab["a"], work)


def announcements(file: Path) -> list[tuple[float, str]]:
    """When which address was announced, as tshark saw it."""
    fields = ["frame.time_epoch", "arp.src.proto_ipv4", "icmpv6.nd.na.target_address"]
    argv = ["tshark", "-n", "-r", str(file), "-Y", "arp.isgratuitous == 1 or icmpv6.type == 136", "-T", "fields"]
    for name in fields:
        argv += ["-e", name]
    lines = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.splitlines()
    rows = [line.split("\t") for line in lines]
    return [(float(at), four or six) for at, four, six in rows]


def test_announcements_go_round_all_addresses_of_both_families(lab: Lab, tmp_path: Path) -> None:
    instance = replace(EVERYTHING, addresses=ADDRESSES[:2], excluded=EXCLUDED[:2], routes=(), rules=())
    capture = Capture(lab, "lan", tmp_path / "lan.pcap", "arp or icmp6")

    async def work() -> None:
        async with standing(instance) as stand:
            stand.worker.add()
            stand.worker.announce(3)
            await stand.worker.finish()
            told = [values for name, _, values in stand.told.events if name == "announced"]
            assert [values["family"] for values in told] == [4, 4, 4, 6]

    within(lab["a"], work)
    one_round = ["10.9.0.100", "10.9.0.101", "10.9.1.1", "fd00::5"]
    poll(lambda: [one for _, one in announcements(capture.file)] == one_round * 3, 5, "three rounds on the wire")


def test_garp_interval_spaces_announcements_and_what_is_given_up_never_leaves(lab: Lab, tmp_path: Path) -> None:
    instance = replace(EVERYTHING, addresses=ADDRESSES[:2], excluded=EXCLUDED[1:2], routes=(), rules=())
    capture = Capture(lab, "lan", tmp_path / "lan.pcap", "arp or icmp6")

    async def work() -> None:
        async with standing(instance, spacing=Spacing(0.2, 0.1)) as stand:
            stand.worker.add()
            stand.worker.announce(9)
            await stand.worker.finish()
            await asyncio.to_thread(poll, lambda: len(announcements(capture.file)) >= 5, 5, "five announcements")
            stand.worker.remove()
            await stand.worker.finish()
            gone = len(announcements(capture.file))
            await asyncio.to_thread(hold, lambda: len(announcements(capture.file)) <= gone + 1, 1, "silence")

    within(lab["a"], work)
    found = announcements(capture.file)
    assert len(found) < 9 * 3
    arps = [at for at, one in found if "." in one]
    nas = [at for at, one in found if ":" in one]
    assert all(later - earlier > 0.19 for earlier, later in pairwise(arps))
    assert 0.09 < nas[1] - nas[0] < 0.19


def test_a_new_mac_address_of_the_link_is_announced(lab: Lab, tmp_path: Path) -> None:
    instance = replace(EVERYTHING, addresses=ADDRESSES[:2], excluded=(), routes=(), rules=())
    capture = Capture(lab, "lan", tmp_path / "lan.pcap", "arp")

    async def work() -> None:
        async with standing(instance) as stand:
            stand.worker.add()
            stand.worker.announce(1)
            await stand.worker.finish()
            ip_batch(lab["a"], ["link set eth0 address 02:00:00:00:00:99"]).result()
            await asyncio.to_thread(poll, lambda: len(announcements(capture.file)) == 4, 5, "both announced again")
            assert not stand.worker.misses()
            stand.worker.announce_source(IPv4Address("10.9.0.1"))
            await asyncio.to_thread(poll, lambda: len(announcements(capture.file)) == 5, 5, "the source announced")

    within(lab["a"], work)
    argv = [
        "tshark",
        "-n",
        "-r",
        str(capture.file),
        "-Y",
        "arp.isgratuitous == 1",
        "-T",
        "fields",
        "-e",
        "arp.src.hw_mac",
    ]
    macs = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split()
    assert macs[2:] == ["02:00:00:00:00:99"] * 3


def test_garp_extra_if_reminds_switches_on_other_interfaces(lab: Lab, tmp_path: Path) -> None:
    away = (address("10.9.0.100/32", device="eth0"), address("10.9.0.101/32"))
    instance = replace(EVERYTHING, interface="lo", addresses=away, excluded=(), routes=(), rules=())
    instance = replace(instance, garp=GratuitousArp(extra_interface=0.2))
    capture = Capture(lab, "lan", tmp_path / "lan.pcap", "arp")

    async def work() -> None:
        async with standing(instance) as stand:
            stand.worker.add()
            await stand.worker.finish()
            await asyncio.to_thread(poll, lambda: len(announcements(capture.file)) >= 3, 5, "three reminders")
            stand.worker.remove()
            await stand.worker.finish()

    within(lab["a"], work)
    assert {one for _, one in announcements(capture.file)} == {"10.9.0.100"}


def test_what_was_put_on_an_interface_is_taken_from_it_under_its_new_name(lab: Lab) -> None:
    host = lab["a"]
    lines = ["link add v0 type veth peer name v1", "link set v0 up", "link set v1 up", "address add 10.3.0.1/24 dev v0"]
    ip_batch(host, lines).result()
    instance = replace(
        EVERYTHING,
        interface="v0",
        addresses=(address("10.3.0.100/24"),),
        excluded=(),
        rules=(),
        routes=(route("192.168.7.0/24", via=IPv4Address("10.3.0.9"), device="v0"),),
    )

    async def work() -> None:
        async with standing(instance) as stand:
            stand.worker.add()
            await stand.worker.finish()
            assert "192.168.7.0/24" in host.run(["ip", "route"]).output
            host.run(["ip", "link", "set", "v0", "name", "v7"]).check()  # without going down (Linux 6.2)
            await asyncio.sleep(0.2)
            stand.worker.remove()
            await stand.worker.finish()

    within(host, work)
    assert {one for one in addresses_of(host, "v7") if "." in one} == {"10.3.0.1/24"}
    assert "192.168.7.0/24" not in host.run(["ip", "route"]).output


def test_promote_secondaries_keeps_the_other_addresses_when_the_primary_goes(lab: Lab) -> None:
    three = tuple(address(f"10.77.0.{number}/24") for number in (1, 2, 3))
    for promote, lost in ((True, 0), (False, 2)):
        instance = replace(EVERYTHING, addresses=three, excluded=(), routes=(), rules=(), promote_secondaries=promote)

        async def work(instance: Instance = instance, lost: int = lost) -> None:
            lab["a"].run(["sysctl", "-w", "net.ipv4.conf.eth0.promote_secondaries=0"]).check()
            async with standing(instance) as stand:
                stand.worker.add()
                await stand.worker.finish()
                stand.worker.change(instance, replace(instance, addresses=three[1:]))
                await stand.worker.finish()
                assert {"10.77.0.2/24", "10.77.0.3/24"} <= addresses_of(lab["a"], "eth0")
                assert len(stand.told.reasons("address_lost")) == lost
                stand.worker.remove()
                await stand.worker.finish()

        within(lab["a"], work)
