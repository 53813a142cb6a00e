"""What moves with the master, and whether all agree on it: addresses, routes, rules, and for how long they stay.

Laws: pure. Only the addresses in ``virtual_ipaddress`` are in the packets; that the rest differs shows in no log, and
after a takeover it is missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import ceil

from hakit.diagnosis import Finding, Level, Rule
from pyvrrp.doctor.node import listed
from pyvrrp.doctor.routers import Member, Shared
from pyvrrp.model import Address, Instance, VirtualAddress, usual_lease
from pyvrrp.protocol.timers import master_down_interval

VRID_SHARED = Rule("vrid-used-twice", Level.ERROR, "Two groups of addresses use one VRID on one LAN.")
ADDRESSES_DIFFER = Rule("addresses-differ", Level.ERROR, "Routers have different lists of virtual addresses.")
UNSEEN_DIFFER = Rule(
    "unseen-differs", Level.WARNING, "Excluded addresses, virtual routes or rules differ, which no packet shows."
)
PREFIX_DIFFERS = Rule("prefix-differs", Level.NOTE, "A virtual address has different prefix lengths.")
LEASE_IS_LONG = Rule(
    "lease-too-long",
    Level.WARNING,
    "vip_lease outlasts the takeover: a killed master holds its addresses beside the next.",
)
LEASE_IS_OFF = Rule("lease-off", Level.NOTE, "vip_lease is off: a killed master keeps its addresses for good.")
RULES = (VRID_SHARED, ADDRESSES_DIFFER, UNSEEN_DIFFER, PREFIX_DIFFERS, LEASE_IS_LONG, LEASE_IS_OFF)


def examine(first: Member, other: Member) -> Iterator[Finding]:
    """Yield in what two members of one virtual router carry different things."""
    ours, theirs = first.addresses, other.addresses
    if ours != theirs:
        yield _two_groups(first, other) if ours and theirs and not ours & theirs else _lists_differ(first, other)
    yield from _unseen(first, other)
    yield from _prefixes(first, other)


def _two_groups(first: Member, other: Member) -> Finding:
    node, instance = other.node, other.instance
    lists = f"{listed(_in_order(other.addresses))} or {listed(_in_order(first.addresses))}"
    return node.finding(
        VRID_SHARED,
        node.at(instance, "virtual_router_id"),
        f"{instance.name} uses VRID {instance.virtual_router_id} for other addresses than {first.instance.name} on"
        f" {first.node.name}",
        why="one number on one LAN is one virtual router: whoever has the higher priority silences the other, and"
        f" {lists} is nowhere",
        remedy=f"another virtual_router_id here, or the same virtual_ipaddress at"
        f" {first.node.at(first.instance, 'virtual_ipaddress')}",
    )


def _lists_differ(first: Member, other: Member) -> Finding:
    node, instance = other.node, other.instance
    missing, extra = first.addresses - other.addresses, other.addresses - first.addresses
    told = [f"{listed(_in_order(missing))} is missing here"] if missing else []
    told += [f"{listed(_in_order(extra))} is missing on {first.node.name}"] if extra else []
    return node.finding(
        ADDRESSES_DIFFER,
        node.at(instance, "virtual_ipaddress"),
        f"{instance.name} has other addresses than on {first.node.name}: {' and '.join(told)}",
        why="an address that the new master does not know is gone after a takeover; and keepalived 2.2 refuses such"
        " advertisements, so that both are MASTER",
        remedy=f"the same virtual_ipaddress here and at {first.node.at(first.instance, 'virtual_ipaddress')};"
        " what has no room belongs into virtual_ipaddress_excluded",
    )


def _in_order(addresses: Iterable[Address]) -> list[Address]:
    return sorted(addresses, key=int)


def _unseen(first: Member, other: Member) -> Iterator[Finding]:
    for block, ours, theirs in (
        ("virtual_ipaddress_excluded", _excluded(first.instance), _excluded(other.instance)),
        ("virtual_routes", _texts(first.instance.routes), _texts(other.instance.routes)),
        ("virtual_rules", _texts(first.instance.rules), _texts(other.instance.rules)),
    ):
        if ours == theirs:
            continue
        told = [f"{listed(sorted(ours - theirs))} is missing here"] if ours - theirs else []
        told += [f"{listed(sorted(theirs - ours))} is missing on {first.node.name}"] if theirs - ours else []
        yield other.node.finding(
            UNSEEN_DIFFER,
            other.node.at(other.instance, block),
            f"{other.instance.name} has other {block} than on {first.node.name}: {' and '.join(told)}",
            why="they are in no packet, so no router notices; after a takeover something is missing",
            remedy=f"the same {block} here and at {first.node.at(first.instance, block)}",
        )


def _excluded(instance: Instance) -> frozenset[str]:
    return frozenset(str(one.ip) for one in instance.excluded)


def _texts(lines: Iterable[object]) -> frozenset[str]:
    return frozenset(map(str, lines))


def _prefixes(first: Member, other: Member) -> Iterator[Finding]:
    ours = {one.ip: one for one in _carried(first.instance)}
    for address in _carried(other.instance):
        same = ours.get(address.ip)
        if same is not None and same.interface != address.interface:
            yield other.node.finding(
                PREFIX_DIFFERS,
                other.node.line_of(other.instance, address),
                f"{address.ip} is a /{address.interface.network.prefixlen} here, and on {first.node.name} a"
                f" /{same.interface.network.prefixlen}",
                why="with the prefix comes the route to its network: traffic takes another way after a takeover",
                remedy=f"the same prefix length here and at {first.node.line_of(first.instance, same)}",
            )


def _carried(instance: Instance) -> tuple[VirtualAddress, ...]:
    return (*instance.addresses, *instance.excluded)


def examine_leases(members: Shared) -> Iterator[Finding]:
    """Yield which members keep their addresses for longer than the others wait, if their daemon is killed."""
    for member in members:
        node, instance, waits = member.node, member.instance, _shortest_wait(member, members)
        if waits is None:
            continue
        if instance.vip_lease is None:
            yield node.finding(
                LEASE_IS_OFF,
                node.at(instance, "vip_lease"),
                f"if the daemon of {node.name} is killed, it keeps the addresses of {instance.name} for good",
                why="vip_lease is off, as keepalived has no other way; another router is MASTER beside it",
                remedy="vip_lease on, unless something on this machine cannot stand an address with a lifetime",
            )
        elif instance.vip_lease > max(ceil(waits), usual_lease(instance.advert_interval, instance.down_timer_adverts)):
            yield node.finding(
                LEASE_IS_LONG,
                node.at(instance, "vip_lease"),
                f"if the daemon of {node.name} is killed, two routers have the addresses for"
                f" {instance.vip_lease - waits:.1f} s or more",
                why=f"vip_lease is {instance.vip_lease} s, and another router takes over after {waits:.1f} s",
                remedy=f"vip_lease {ceil(waits)} or less, or none: the usual one fits",
            )


def _shortest_wait(member: Member, members: Shared) -> float | None:
    """Return the seconds after which the first of the others takes over from a master that fell silent."""
    others = [one.instance for one in members if one.node is not member.node]
    waits = (
        master_down_interval(one.priority, member.instance.advert_interval, one.down_timer_adverts, one.version)
        for one in others
    )
    return min(waits, default=None)
