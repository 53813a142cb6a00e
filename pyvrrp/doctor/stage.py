"""The LAN that the files describe, in memory: every router with its interfaces, and who is on one wire with whom.

Laws: pure. Interfaces of one virtual router are on one LAN, whatever they are called on each router; others are with
those of the same name. An address that no file tells is invented (192.0.2.N and fe80::N, RFC 5737), in the order of the
files: the later the router, the higher its address.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import IPv4Interface, IPv4Network, IPv6Interface, ip_interface

from pyvrrp.doctor.node import Node
from pyvrrp.doctor.routers import Shared, shared_routers
from pyvrrp.model import Address, Instance, Interface, TrackerKind, Unicast, VirtualAddress
from pyvrrp.simulation.chance import Chance
from pyvrrp.simulation.faults import Start
from pyvrrp.simulation.kernel import Card
from pyvrrp.simulation.lan import Lan
from pyvrrp.simulation.medium import CALM, Conditions
from pyvrrp.simulation.observer import Observer

INVENTED = IPv4Network("192.0.2.0/24")


def lan_of(
    nodes: Sequence[Node],
    chance: Chance | None = None,
    conditions: Conditions = CALM,
    observer: Observer | None = None,
) -> Lan:
    """Return the LAN of ``nodes`` at second 0, when their daemons have just been started."""
    routers = shared_routers(nodes)
    wires, own = _wires(nodes, routers), addresses_of(nodes, routers)
    lan = Lan(chance, conditions=conditions, observer=observer)
    for node in nodes:
        cards = {name: Card(own[node.name, name], wires[node.name, name]) for name in interfaces_of(node)}
        lan.add(node.name, node.configuration, cards)
    for node in nodes:
        lan.inject(Start(node.name))
    return lan


def interfaces_of(node: Node) -> tuple[str, ...]:
    """Return the interfaces that a configuration speaks of, the instances' own first."""
    configuration = node.configuration
    named = [instance.interface for instance in configuration.instances]
    for instance in configuration.instances:
        named += sorted({one.device for one in _carried(instance) if one.device})
    lines = [line for instance in configuration.instances for line, _ in node.tracked_by(instance)]
    named += [line.name for line in lines if line.kind is TrackerKind.INTERFACE]
    return tuple(dict.fromkeys(named))


def _wires(nodes: Iterable[Node], routers: Iterable[Shared]) -> dict[tuple[str, str], str]:
    """Return, by node and interface, the name of the LAN that it is plugged into."""
    wires = {(node.name, name): name for node in nodes for name in interfaces_of(node)}
    for members in routers:
        ends = [(member.node.name, member.instance.interface) for member in members]
        joined = {wires[end] for end in ends}
        if len(joined) > 1:
            wires.update({end: wires[ends[0]] for end, wire in wires.items() if wire in joined and end in ends})
    return wires


def addresses_of(nodes: Sequence[Node], routers: Sequence[Shared]) -> Mapping[tuple[str, str], tuple[Interface, ...]]:
    """Return each interface's own addresses by node and name of the interface: as the files tell, or invented."""
    told = {whose: address for members in routers for whose, address in _told(members)}
    virtual = {one.ip for node in nodes for instance in node.configuration.instances for one in _carried(instance)}
    numbers = (number for number in range(1, 255) if {INVENTED[number], _link_local(number).ip}.isdisjoint(virtual))
    found: dict[tuple[str, str], tuple[Interface, ...]] = {}
    for node, number in zip(nodes, numbers, strict=False):
        for name in interfaces_of(node):
            own = [one.name for one in node.configuration.instances if one.interface == name]
            known = [told[node.name, one] for one in own if (node.name, one) in told]
            placed: list[Interface] = [ip_interface(f"{one}/{24 if one.version == 4 else 64}") for one in known]
            invented: list[Interface] = [IPv4Interface(f"{INVENTED[number]}/24"), _link_local(number)]
            found[node.name, name] = tuple(dict.fromkeys([*placed, *invented]))
    return found


def _carried(instance: Instance) -> tuple[VirtualAddress, ...]:
    return (*instance.addresses, *instance.excluded)


def _link_local(number: int) -> IPv6Interface:
    return IPv6Interface(f"fe80::{number}/64")


def _told(members: Shared) -> Iterator[tuple[tuple[str, str], Address]]:
    """Yield node, instance and address of those members whose address a file tells: their own, or a peer's.

    A peer's file names the addresses of all others: what nobody else is known to have belongs to whoever is left. It
    names its own, too, where one file is meant for all.
    """
    known = {id(one): one.instance.source for one in members}
    for member in members:
        source = known[id(member)]
        if source is None:
            taken = {address for key, address in known.items() if key != id(member)}
            named = [address for other in members if other is not member for address in _peers(other.instance)]
            free, mine = [address for address in named if address not in taken], _peers(member.instance)
            source = next((address for address in free if address not in mine), next(iter(free), None))
            known[id(member)] = source
        if source is not None:
            yield (member.node.name, member.instance.name), source


def _peers(instance: Instance) -> tuple[Address, ...]:
    transport = instance.transport
    return tuple(peer.address for peer in transport.peers) if isinstance(transport, Unicast) else ()
