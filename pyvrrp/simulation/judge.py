"""Holds a whole LAN against the invariants that one machine cannot see: frames, groups, kernels, ends.

Laws: pure. It watches and changes nothing; the first invariant that breaks ends the simulation with its name. What it
compares with is its own: a second reader of frames, its own sum of weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pyvrrp.model import AuthType, HmacMode, Instance, Tracked, TrackerKind
from pyvrrp.protocol.effects import Effect, Transitioned
from pyvrrp.protocol.reception import RejectedError
from pyvrrp.simulation.checks import Key
from pyvrrp.simulation.faults import Fault
from pyvrrp.simulation.frames import Expected, what_is_wrong
from pyvrrp.simulation.invariants import BrokenInvariantError, hold
from pyvrrp.simulation.judged_router import TOLERANCE
from pyvrrp.simulation.kernel import LOOKS
from pyvrrp.simulation.node import Node
from pyvrrp.simulation.observer import Observer
from pyvrrp.simulation.station import Station
from pyvrrp.wire.packet import Packet

MOST_ACTS = 64
MOST_SENT = 4
"""Advertisements within one interval without a transition or a fault: a regular one, answers, one before a reload."""
SIGNED = 28
"""Bytes of a signed trailer: 12, and a tag of 16."""


@dataclass(slots=True)
class _Sent:
    """How often a router has sent since ``begun``."""

    begun: float = 0.0
    count: int = 0


class Judge(Observer):
    """Raises BrokenInvariantError at the first event after which something does not hold."""

    def __init__(self) -> None:
        self._sent: dict[Station, _Sent] = {}
        self._before: tuple[object, ...] = ()
        self._at_one: set[tuple[Node, int, tuple[str, ...]]] = set()

    # --- What leaves ----------------------------------------------------------------------------------------------

    def sent(self, node: Node, station: Station, priority: int, frames: list[bytes]) -> None:
        """S3, S4, S5 and S18, of every advertisement."""
        is_its_last = priority == 0 or station.machine.instance.answers_higher_priority is not False
        hold(is_its_last or station.is_master, "S3", f"{station.machine.state.name} has sent {priority}")
        expected = _expected(station, priority)
        for frame in frames:
            wrong = what_is_wrong(frame, expected)
            if wrong is not None:
                raise BrokenInvariantError("S5", f"{node.name}/{station.name}: {wrong}: {frame.hex()}")
        self._not_too_often(node, station)
        lease = station.instance.vip_lease
        if lease is not None and priority:
            there = [one for one in station.held if node.kernel.has(station.interface_of(one), one.ip)]
            left = min((node.kernel.left(station.interface_of(one), one.ip) for one in there), default=lease)
            hold(left >= lease / 2 - TOLERANCE, "S4", f"{node.name}/{station.name}: the lease ends in {left:.3f} s")

    def _not_too_often(self, node: Node, station: Station) -> None:
        seen = self._sent.setdefault(station, _Sent())
        now = node.lan.now
        if now - seen.begun >= station.machine.instance.advert_interval:
            seen.begun, seen.count = now, 0
        seen.count += 1
        hold(seen.count <= MOST_SENT, "S18", f"{node.name}/{station.name}: {seen.count} sent within an interval")

    def happened(self, _fault: Fault) -> None:
        """Whatever an operator or a fault does may make everybody speak."""
        self._sent.clear()

    def told(self, node: Node, who: str, effect: Effect) -> None:
        """A transition begins a new count."""
        if isinstance(effect, Transitioned):
            self._sent.pop(node.stations[who], None)

    # --- What arrives ---------------------------------------------------------------------------------------------

    def hears(self, station: Station) -> None:
        """Remember what a packet that is refused must not change."""
        self._before = _what_is_known(station)

    def rejected(self, node: Node, station: Station, packet: Packet, wrong: RejectedError) -> None:
        """S6: nothing has changed."""
        unchanged = _what_is_known(station) == self._before
        hold(unchanged, "S6", f"{node.name}/{station.name}: {packet.source}, {wrong.counter}")

    def announced(self, node: Node, station: Station) -> None:
        """S10: nobody but a Master says where the addresses are."""
        hold(station.is_master, "S10", f"{node.name}/{station.name}: announces as {station.machine.state.name}")

    def reloaded(self, node: Node) -> None:
        """Whoever has joined a group by a reload may need a Master_Down_Interval to be where the others are."""
        self._at_one = {one for one in self._at_one if one[0] is not node}
        self._sent.clear()

    # --- After every event ----------------------------------------------------------------------------------------

    def handled(self, node: Node) -> None:
        """S11 and S18 for those who were touched, S12 for the groups of the node."""
        stations = node.stations
        for name in node.ensemble.touched:
            station = stations[name]
            deadline = station.machine.deadline
            if deadline is not None and not node.stopping:
                hold(station.due <= deadline, "S11", f"{node.name}/{name}: no timer for its deadline")
            hold(len(station.acts) <= MOST_ACTS, "S18", f"{node.name}/{name}: {len(station.acts)} acts wait")
        for group in node.configuration.groups if not node.reloading else ():
            states = {stations[name].machine.state.name for name in group.members if name in stations}
            hold("MASTER" not in states or "FAULT" not in states, "S12", f"{node.name}: {sorted(states)}")
            if len(states) == 1:
                self._at_one.add((node, node.boot, group.members))
            elif (node, node.boot, group.members) in self._at_one and not node.stopping:  # a reload may begin apart
                hold("MASTER" not in states, "S12", f"{node.name}: {sorted(states)}")

    # --- The kernel -----------------------------------------------------------------------------------------------

    def worked(self, node: Node, station: Station) -> None:
        """S1 and S2: once nothing waits to be done, the kernel holds what the state says."""
        kernel = node.kernel
        if station.acts or station.gone or not station.started or kernel.looks_since_refusal < LOOKS:
            return
        there = [kernel.has(station.interface_of(one), one.ip) for one in station.carried]
        if station.is_master:
            able = [station.interface_of(one) in kernel.links for one in station.carried]
            complete = all(is_there or not can for is_there, can in zip(there, able, strict=True))
            hold(complete, "S2", f"{node.name}/{station.name} is Master without its addresses")
        else:
            others = {one.ip for other in node.stations.values() if other.is_master for one in other.carried}
            left = [one for one, is_there in zip(station.carried, there, strict=True) if is_there]
            known = [one for one in left if (station.interface_of(one), one.ip) not in kernel.orphans]
            stray = [str(one) for one in known if one.ip not in others]
            hold(not stray, "S1", f"{node.name}/{station.name} still has {stray}")

    def compared(self, node: Node) -> None:
        """S1 and S2 again, of everybody: what was refused was to be tried again by now."""
        for station in node.stations.values():
            self.worked(node, station)

    def ended(self, node: Node) -> None:
        """S14: nothing is left."""
        if node.kernel.looks_since_refusal >= LOOKS:
            there = {(name, address) for name, found in node.kernel.virtual.items() for address in found}
            left = [str(address) for name, address in sorted(there - node.kernel.orphans, key=str)]
            hold(not left, "S14", f"{node.name} has ended, and {left} are left")

    # --- Tracking -------------------------------------------------------------------------------------------------

    def tracked(self, node: Node, station: Station, known: Mapping[Key, bool | int | None]) -> None:
        """S13 and S17: from scratch, by a sum of its own."""
        instance, machine = station.instance, station.machine
        group = node.configuration.group_of(station.name)
        if group is not None and (group.tracked or not group.uses_weights):
            return  # which weights count in a group is a table of its own: tests/pyvrrp/test_tracking.py
        expected = _sum_of_weights(instance, known)
        found = machine.priority
        is_right = found in {255, 254} if instance.is_owner else found == expected
        hold(is_right, "S13", f"{node.name}/{station.name}: priority {found} instead of {expected}")
        must_fail = any(_is_failed(one, known) for one in instance.tracked)
        in_fault = machine.state.name == "FAULT"
        hold(not must_fail or in_fault or machine.state.name == "INIT", "S17", f"{node.name}: {machine.state.name}")


def _what_is_known(station: Station) -> tuple[object, ...]:
    """Return all that a packet can change of a router."""
    machine, learned = station.machine, station.transmission.learned
    return machine.state, machine.priority, learned.ah_sequence, learned.old_checksum


def _sum_of_weights(instance: Instance, known: Mapping[Key, bool | int | None]) -> int:
    total = instance.priority
    for one in instance.tracked:
        reading = known.get(one.key)
        if reading is None:
            continue
        if one.kind is TrackerKind.FILE:
            total += max(-253, min(253, int(reading) * one.weight))
            continue
        works = bool(reading)
        weight = -one.weight if one.reverse else one.weight
        if works is (one.weight > 0):
            total += weight
    return min(254, max(1, total))


def _is_failed(one: Tracked, known: Mapping[Key, bool | int | None]) -> bool:
    return one.weight == 0 and one.kind is TrackerKind.SCRIPT and known.get(one.key) is one.reverse


def _expected(station: Station, priority: int) -> Expected:
    """Return what the advertisement of ``station`` has to say, from its configuration alone."""
    instance = station.machine.instance
    per_second = 1 if instance.version == 2 else 100
    return Expected(
        version=instance.version,
        virtual_router_id=instance.virtual_router_id,
        priority=priority,
        interval=int(instance.advert_interval * per_second + 0.5),
        addresses=b"".join(one.ip.packed for one in instance.addresses if one.ip.version == instance.family),
        source=station.machine.source,
        has_ah=instance.authentication.type is AuthType.AH and instance.version == 2,
        trailer=0 if instance.hmac is None or instance.hmac.mode is HmacMode.RECEIVE_ONLY else SIGNED,
        sum_is_odd=station.transmission.learned.old_checksum,
    )
