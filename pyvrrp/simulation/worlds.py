"""Worlds by chance: two to seven routers, their instances, groups and trackers, as somebody might configure them.

Laws: pure; whatever is drawn comes from the one source. What has to be the same on all nodes (version, interval,
authentication, addresses) is; what may differ (priority, preemption, gratuitous ARP, names of checks that fail) does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address, ip_interface

from pyvrrp.model import (
    VRRP_GROUP,
    VRRP_GROUP6,
    Address,
    Authentication,
    AuthType,
    Configuration,
    GlobalSettings,
    GratuitousArp,
    HmacAuthentication,
    Instance,
    Multicast,
    Script,
    SyncGroup,
    Tracked,
    TrackerKind,
    TrackFile,
    TrackScript,
    Unicast,
    UnicastPeer,
    VirtualAddress,
    usual_lease,
)
from pyvrrp.simulation.chance import Chance
from pyvrrp.simulation.kernel import Card

LANS = ("lan0", "lan1")
CHECKS = (("fatal", 0), ("minus", -30), ("plus", 20))
"""Scripts that instances track, with their weights: FAULT, 30 less while it fails, 20 more while it works."""


@dataclass(frozen=True, slots=True)
class NodePlan:
    """A node: its name, what its daemon reads, and its interfaces by name."""

    name: str
    configuration: Configuration
    cards: dict[str, Card]


@dataclass(frozen=True, slots=True)
class World:
    """All nodes of a simulation. ``interval``: seconds between two advertisements."""

    nodes: tuple[NodePlan, ...]
    interval: float

    def __str__(self) -> str:
        first = self.nodes[0].configuration.instances[0]
        kind = "unicast" if isinstance(first.transport, Unicast) else "multicast"
        said = [f"{len(self.nodes)} nodes, VRRPv{first.version} over IPv{first.family}, {self.interval:g} s, {kind}"]
        for node in self.nodes:
            for one in node.configuration.instances:
                preempts = "preempts" if one.preempt else "nopreempt"
                said.append(f"{node.name}/{one.name}: priority {one.priority}, {preempts}, on {one.interface}")
            said += [f"{node.name}: group of {', '.join(one.members)}" for one in node.configuration.groups]
        return "\n".join(said)


def a_world(chance: Chance) -> World:
    """Return a world by chance."""
    size = chance.pick((2, 2, 2, 3, 3, 4, 5, 6, 7))
    version, family = chance.pick(((2, 4), (2, 4), (3, 4), (3, 6)))
    interval = chance.pick((1.0, 1.0, 2.0, 3.0)) if version == 2 else chance.pick((0.05, 0.3, 1.0, 2.0))
    routers = chance.pick((1, 1, 2, 3))
    common = _shared(chance, size, version, family, interval, routers)
    grouped = routers > 1 and chance.happens(0.5)
    nodes = tuple(_node(chance, n, common, grouped=grouped) for n in range(size))
    return World(nodes, interval)


def _shared(chance: Chance, size: int, version: int, family: int, interval: float, routers: int) -> list[Instance]:
    """Return the instances as they are on every node; the second of them is on the other LAN."""
    unicast = chance.happens(0.25)
    authentication, signing = Authentication(), None
    if version == 2:
        kind = chance.pick((AuthType.NONE, AuthType.NONE, AuthType.PASS, AuthType.AH))
        authentication = Authentication(kind, b"secret" if kind is not AuthType.NONE else b"")
    elif chance.happens(0.15):
        signing = HmacAuthentication({1: bytes(range(32))}, 1, monotonic=True)
    lease = usual_lease(interval) if chance.happens(0.6) else None
    found = []
    for number in range(routers):
        card = number % 2
        peers = tuple(UnicastPeer(own_address(n, card, family)) for n in range(size))
        group = VRRP_GROUP if family == 4 else VRRP_GROUP6
        found.append(
            Instance(
                f"V{number + 1}",
                f"eth{card}",
                51 + number,
                version=version,
                family=family,
                advert_interval=interval,
                transport=Unicast(peers) if unicast else Multicast(group),
                authentication=authentication,
                hmac=signing,
                addresses=_virtual(number, chance.pick((1, 1, 2, 3)), family),
                vip_lease=lease,
            )
        )
    return found


def own_address(node: int, card: int, family: int) -> Address:
    """Return the address of a node's interface; in IPv6 a link-local one, from which advertisements leave."""
    return IPv4Address(f"10.0.{card}.{node + 1}") if family == 4 else IPv6Address(f"fe80::{card}:{node + 1}")


def _virtual(number: int, count: int, family: int) -> tuple[VirtualAddress, ...]:
    texts = [f"10.0.{number % 2}.{100 + 10 * number + n}/24" for n in range(count)]
    if family == 6:
        texts = [f"2001:db8:{number}::{100 + n}/64" for n in range(count)]
    return tuple(VirtualAddress(ip_interface(text)) for text in texts)


def _node(chance: Chance, number: int, common: list[Instance], *, grouped: bool) -> NodePlan:
    priority = chance.pick((50, 90, 100, 100, 150, 200, 254, 1))
    mine = [_mine(chance, number, one, priority) for one in common]
    groups: tuple[SyncGroup, ...] = ()
    if grouped:
        groups = (SyncGroup("G", tuple(one.name for one in mine[:2]), uses_weights=chance.happens(0.3)),)
        mine[1] = replace(mine[1], priority=mine[0].priority, preempt=mine[0].preempt)
    scripts = tuple(
        TrackScript(
            name,
            Script(("/bin/true",)),
            interval=chance.pick((1.0, 2.0)),
            timeout=chance.pick((None, 0.5)),
            weight=weight,
            rise=chance.pick((1, 2)),
            fall=chance.pick((1, 2, 3)),
        )
        for name, weight in CHECKS
    )
    settings = GlobalSettings(startup_delay=chance.pick((0.0, 0.0, 0.0, 4.0)))
    files = (TrackFile("number", "/run/number", weight=1, initial=0),)
    configuration = Configuration(tuple(mine), scripts=scripts, groups=groups, files=files, settings=settings)
    family = common[0].family
    own = [ip_interface(f"{own_address(number, card, family)}/{24 if family == 4 else 64}") for card in (0, 1)]
    cards = {f"eth{card}": Card((address,), LANS[card]) for card, address in enumerate(own)}
    return NodePlan(f"n{number + 1}", configuration, cards)


def _mine(chance: Chance, number: int, common: Instance, priority: int) -> Instance:
    """Return what this node makes of an instance."""
    if number == 0 and chance.happens(0.08):
        priority = 255
    elif chance.happens(0.3):
        priority = chance.pick((50, 90, 100, 150, 200))
    is_owner = priority == 255
    preempt = is_owner or chance.happens(0.75)
    transport = common.transport
    if isinstance(transport, Unicast):
        own = own_address(number, int(common.interface[-1]), common.family)
        transport = replace(transport, peers=tuple(one for one in transport.peers if one.address != own))
    return replace(
        common,
        priority=priority,
        preempt=preempt,
        preempt_delay=chance.pick((0.0, 0.0, 3.0)) if preempt and not is_owner else 0.0,
        transport=transport,
        tracked=_tracked(chance, common, is_owner=is_owner),
        garp=GratuitousArp(
            repeat=chance.pick((1, 5)),
            delay=chance.pick((0.0, 5.0)),
            refresh=chance.pick((0.0, 0.0, 10.0)),
            lower_prio_repeat=chance.pick((0, 5)),
            lower_prio_delay=chance.pick((0.0, 5.0)),
        ),
        answers_lower_priority=chance.happens(0.85),
        answers_higher_priority=chance.pick((None, None, None, True, False)),
        timer_expired_backup=chance.pick((0.0, 0.0, 0.0, 4 * common.advert_interval)),
        notify_priority_changes=chance.happens(0.2),
    )


def _tracked(chance: Chance, common: Instance, *, is_owner: bool) -> tuple[Tracked, ...]:
    lines = [Tracked(name, weight, reverse=chance.happens(0.1) and weight != 0) for name, weight in CHECKS]
    lines.append(Tracked("number", 1, kind=TrackerKind.FILE))
    other = "eth1" if common.interface == "eth0" else "eth0"
    lines.append(Tracked(other, chance.pick((0, -40)), kind=TrackerKind.INTERFACE))
    kept = (one for one in lines if chance.happens(0.25))
    return tuple(one for one in kept if not (is_owner and one.weight))
