"""The end of a trial: a healthy core is left, everything else is broken for good, and the core has to serve.

Laws: pure. Who is in the core is whole, hears the others of the core and is heard by them; whoever is outside is dead,
frozen, cut off or deaf, and stays so. What VRRP cannot promise is not asked for: while an outsider that hears nobody is
master and the core hears it, the core may have none: RFC 5798 knows no other way to tell who lives.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pyvrrp.model import TrackerKind
from pyvrrp.protocol.states import Backup
from pyvrrp.simulation.chance import Chance
from pyvrrp.simulation.checks import Outcome
from pyvrrp.simulation.faults import (
    Check,
    Fault,
    Freeze,
    Heal,
    Isolate,
    Kill,
    LinkCreated,
    LinkUp,
    Mute,
    OwnAddresses,
    Reading,
    RefuseAddresses,
    RefuseSends,
    Reload,
    Start,
    Stop,
    Thaw,
    Weather,
)
from pyvrrp.simulation.invariants import hold
from pyvrrp.simulation.lan import Lan
from pyvrrp.simulation.medium import CALM
from pyvrrp.simulation.node import MOST_ASIDE
from pyvrrp.simulation.station import Station
from pyvrrp.simulation.worlds import NodePlan, World


@dataclass(frozen=True, slots=True)
class Core:
    """Who is whole, by name, and the faults (and what heals them) after which it is so."""

    names: tuple[str, ...]
    faults: tuple[Fault, ...]


def a_core(world: World, chance: Chance) -> Core:
    """Return a core by chance."""
    names = [node.name for node in world.nodes if chance.happens(0.7)] or [world.nodes[0].name]
    faults: list[Fault] = [Weather(CALM), *(Heal(node.name) for node in world.nodes)]
    for node in world.nodes:
        faults += _whole(node) if node.name in names else _broken(node.name, chance)
    return Core(tuple(names), tuple(faults))


def _broken(name: str, chance: Chance) -> Iterator[Fault]:
    breaks: tuple[tuple[Fault, ...], ...] = (
        (Kill(name),), (Freeze(name),), (Isolate(name),), (Mute(name),), (Thaw(name), Stop(name)),
    )  # fmt: skip
    yield from chance.pick(breaks)


def _whole(node: NodePlan) -> Iterator[Fault]:
    name, configuration = node.name, node.configuration
    yield RefuseAddresses(name, refuses=False)
    yield RefuseSends(name, 0)
    for card, found in node.cards.items():
        yield LinkCreated(name, card)
        yield LinkUp(name, card)
        yield OwnAddresses(name, card, found.addresses)
    for script in configuration.scripts:
        yield Check(name, (TrackerKind.SCRIPT, script.name), Outcome.SUCCEEDS)
    for file in configuration.files:
        yield Reading(name, (TrackerKind.FILE, file.name), 0)
    yield Thaw(name)
    yield Reload(name, configuration)
    yield Start(name)


def longest_down(world: World) -> float:
    """Return the longest Master_Down_Interval that any router can have, in seconds: that of priority 1."""
    first = world.nodes[0].configuration.instances[0]
    return first.down_timer_adverts * world.interval + (1.0 if first.version == 2 else world.interval)


def settle(lan: Lan, world: World, core: Core) -> None:
    """Make the core whole and give it the time that everything takes which it may have to wait for."""
    for fault in core.faults:
        lan.inject(fault)
    until = lan.now + MOST_ASIDE
    while lan.now < until and _is_somebody_aside(lan, core):
        lan.run_until(lan.now + world.interval)
    checks = max((one.rise * one.interval for node in world.nodes for one in node.configuration.scripts), default=0.0)
    delays = [node.configuration.settings.startup_delay for node in world.nodes]
    delays += [one.preempt_delay for node in world.nodes for one in node.configuration.instances]
    announced = [one.garp.delay for node in world.nodes for one in node.configuration.instances]
    lan.run_until(lan.now + checks + 2 * max(delays) + max(announced) + 5 * longest_down(world) + 1.0)


def _is_somebody_aside(lan: Lan, core: Core) -> bool:
    return any(station.aside for name in core.names for station in lan.nodes[name].stations.values())


def is_quiet(lan: Lan, world: World, core: Core) -> None:
    """L7: nothing moves in the core any more, for as long as it takes two takeovers."""
    before = len(lan.timeline)
    lan.run_until(lan.now + 2 * longest_down(world))
    moved = [one for one in lan.timeline[before:] if one.kind == "transition" and one.node in core.names]
    told = "; ".join(f"{one.node}/{one.router} {one.after}: {one.text}" for one in moved[:3])
    hold(not moved, "L7", f"{len(moved)} transitions though nothing changes: {told}")


def stations(lan: Lan, core: Core, router: str) -> dict[str, Station]:
    """Return the routers of this name in the core, by node."""
    return {name: lan.nodes[name].stations[router] for name in core.names if router in lan.nodes[name].stations}


def is_disturbed(lan: Lan, core: Core, router: str) -> bool:
    """Return whether the core hears an outsider that is master and hears nobody (a group: on any of its LANs)."""
    group = next(iter(lan.nodes.values())).configuration.group_of(router)
    members = group.members if group is not None else (router,)
    loud = (node for name, node in lan.nodes.items() if name not in core.names and node.alive and not node.frozen)
    masters = [one for node in loud for name, one in node.stations.items() if name in members and one.is_master]
    return bool(masters)


def has_one_master(lan: Lan, core: Core) -> None:
    """L1 and L3: one Master of each router, on one node for a group; the best that preempts; the client knows it."""
    for router in [one.name for one in lan.nodes[core.names[0]].configuration.instances]:
        found = stations(lan, core, router)
        masters = [name for name, station in found.items() if station.is_master]
        hold(len(masters) <= 1, "L1", f"{router}: {masters} are all Master")
        if is_disturbed(lan, core, router) or any(station.faults for station in found.values()):
            continue
        hold(masters, "L1", f"{router}: nobody is Master in {core.names}")
        _is_the_best(found, masters[0])
        is_known(lan, found[masters[0]], masters[0])


def _is_the_best(found: dict[str, Station], master: str) -> None:
    ours = found[master].machine.priority
    for name, station in found.items():
        state = station.machine.state
        gives_way = isinstance(state, Backup) and (state.gives_way or station.machine.grouped)
        better = station.instance.preempt and not gives_way and station.machine.priority > ours
        text = f"{name}/{station.name} has {station.machine.priority} and preempts; {master} is Master with {ours}"
        hold(not better, "L1", text)


def is_known(lan: Lan, station: Station, master: str) -> None:
    """L3: the client has the addresses of a router where its Master is."""
    node = lan.nodes[master]
    for address in station.carried:
        place = node.kernel.cards[station.interface_of(address)].lan
        at = lan.neighbours.get((place, address.ip))
        hold(at == master, "L3", f"{address} is on {master}; the client has it on {at}")
