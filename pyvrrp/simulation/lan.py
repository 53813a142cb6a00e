"""A LAN in memory: nodes, what lies between them, one clock, and everything that happens in its order.

Laws: pure. Time is a number that jumps from event to event. All chance comes from one source, so the same nodes, faults
and source have the same story to the last byte. What is simultaneous happens in the order in which it was asked for.

    lan = Lan(Chance(random.Random(seed).random))
    lan.add("lb1", configuration1, {"eth0": Card.of("192.0.2.1/24")})
    lan.add("lb2", configuration2, {"eth0": Card.of("192.0.2.2/24")})
    lan.inject(Start("lb1")), lan.inject(Start("lb2"))
    lan.inject_at(5.0, Check("lb1", (TrackerKind.SCRIPT, "chk"), Outcome.FAILS))
    lan.run_until(30.0)
    lan.timeline                       # entries: transitions with their reasons, faults, checks, remarks
    lan.masters("VI_1")                # names of the nodes on which this instance is Master
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from heapq import heappop, heappush
from typing import Any

from pyvrrp.model import Address, Configuration, Instance, VirtualAddress
from pyvrrp.protocol.effects import Observed, Transitioned
from pyvrrp.protocol.machine import VirtualRouter
from pyvrrp.simulation.chance import Chance
from pyvrrp.simulation.checks import Check, Outcome
from pyvrrp.simulation.faults import Fault, Kill, inject
from pyvrrp.simulation.kernel import Card, Kernel
from pyvrrp.simulation.medium import CALM, Conditions, Medium
from pyvrrp.simulation.node import Node
from pyvrrp.simulation.observer import Observer
from pyvrrp.simulation.station import Station
from pyvrrp.simulation.timeline import DEAD, Entry

CLIENT = "*client*"
"""Somebody on every LAN who runs no VRRP: he knows where an address lives by the last announcement that reached him."""
ACT_TIME = 0.001
"""Seconds that the kernel takes for one act on addresses."""

Machine = Callable[[Instance, Address], VirtualRouter]


class Lan:
    """All nodes and segments. ``machine``: makes the machines (a judge's, say); ``observer``: sees everything.

    ``most_lag``: by how many seconds a timer fires late at most. ``remarks``: whether observations, too, are entered in
    the timeline. ``events`` counts what has happened to daemons: frames that arrived, timers that fired, acts, runs of
    checks, faults.
    """

    def __init__(
        self,
        chance: Chance | None = None,
        *,
        conditions: Conditions = CALM,
        machine: Machine = VirtualRouter,
        observer: Observer | None = None,
        most_lag: float = 0.0,
        remarks: bool = True,
    ) -> None:
        self.chance = chance or Chance()
        self.machine = machine
        self.observer = observer or Observer()
        self.now = 0.0
        self.events = 0
        self.nodes: dict[str, Node] = {}
        self.media: dict[str, Medium] = {}
        self.timeline: list[Entry] = []
        self.neighbours: dict[tuple[str, Address], str] = {}
        """By LAN and address: the node that the client believes it to be at."""
        self.most_lag = most_lag
        self.remarks = remarks
        self._conditions = conditions
        self._attached: dict[str, list[tuple[Node, str]]] = {}
        self._queue: list[tuple[float, int, Callable[[Any], None], Any]] = []
        self._count = 0

    def add(self, name: str, configuration: Configuration, cards: Mapping[str, Card]) -> Node:
        """Add a node whose daemon does not run yet. ``cards`` by the names that ``configuration`` gives them."""
        node = self.nodes[name] = Node(self, name, configuration, Kernel(cards, lambda: self.now))
        for interface, card in cards.items():
            self.media.setdefault(card.lan, Medium(self.chance, self._conditions))
            self._attached.setdefault(card.lan, []).append((node, interface))
        return node

    # --- Time -----------------------------------------------------------------------------------------------------

    def call_at(self, at: float, call: Callable[[Any], None], argument: object) -> None:
        """Have ``call(argument)`` happen at ``at`` (seconds)."""
        self._count += 1
        heappush(self._queue, (at, self._count, call, argument))

    def run_until(self, end: float) -> None:
        """Let everything happen that is due until ``end`` (seconds)."""
        queue = self._queue
        while queue and queue[0][0] <= end:
            at, _, call, argument = heappop(queue)
            self.now = max(self.now, at)
            call(argument)
        self.now = max(self.now, end)

    def lag(self) -> float:
        """Return by how many seconds a timer will fire late."""
        return self.most_lag * self.chance.draw() if self.most_lag else 0.0

    def act_time(self) -> float:
        """Return how many seconds an act of the kernel takes."""
        return ACT_TIME * 2 * self.chance.draw()

    # --- Faults ---------------------------------------------------------------------------------------------------

    def inject(self, fault: Fault) -> None:
        """Let ``fault`` happen now. Raises KeyError if it names what is not there."""
        self.events += 1
        after = DEAD if isinstance(fault, Kill) else ""
        self.timeline.append(Entry(self.now, getattr(fault, "node", ""), "", "fault", str(fault), after=after))
        self.observer.happened(fault)
        inject(self, fault)

    def inject_at(self, at: float, fault: Fault) -> None:
        """Let ``fault`` happen at ``at`` (seconds)."""
        self.call_at(at, self.inject, fault)

    @property
    def everybody(self) -> tuple[str, ...]:
        """The names of all nodes, and the client."""
        return (*self.nodes, CLIENT)

    def cut(self, senders: Collection[str], receivers: Collection[str], lan: str | None = None) -> None:
        """Let nothing pass from any of these to any of those, on the LAN of this name or (None) on all."""
        for name in self.media if lan is None else (lan,):
            self.media[name].cut |= {(one, other) for one in senders for other in receivers}

    def uncut(self, senders: Collection[str], receivers: Collection[str], lan: str | None = None) -> None:
        """Undo ``cut``."""
        for name in self.media if lan is None else (lan,):
            self.media[name].cut -= {(one, other) for one in senders for other in receivers}

    def set_conditions(self, conditions: Conditions, sender: str | None = None, receiver: str | None = None) -> None:
        """Have other conditions on all LANs: for everybody, or from ``sender`` to ``receiver``."""
        for medium in self.media.values():
            if sender is None or receiver is None:
                medium.conditions = conditions
                medium.between.clear()
            else:
                medium.between[sender, receiver] = conditions

    # --- What nodes do --------------------------------------------------------------------------------------------

    def transmit(self, node: Node, interface: str, destination: Address, frame: bytes) -> None:
        """Bring a frame to everybody on the LAN of ``interface`` who may hear it."""
        name = node.kernel.cards[interface].lan
        medium, sender, family = self.media[name], node.name, destination.version
        for other, card in self._attached[name]:
            if other is node or not (destination.is_multicast or other.owns(card, destination)):
                continue
            for delay, copy in medium.copies(sender, other.name, frame):
                self.call_at(self.now + delay, other.arrive, (card, family, copy))

    def announced(self, node: Node, station: Station, addresses: list[VirtualAddress]) -> None:
        """Have the client learn where ``addresses`` live, if the announcement reaches him."""
        for address in addresses:
            name = node.kernel.cards[station.interface_of(address)].lan
            if (node.name, CLIENT) not in self.media[name].cut:
                self.neighbours[name, address.ip] = node.name

    def note_transition(self, node: Node, router: str, told: Transitioned) -> None:
        """Enter a transition."""
        reason = told.reason
        entry = Entry(self.now, node.name, router, "transition", reason.text, reason.rule, told.before, told.after)
        self.timeline.append(entry)

    def note_observed(self, node: Node, router: str, told: Observed) -> None:
        """Enter an observation."""
        if self.remarks:
            self.timeline.append(Entry(self.now, node.name, router, told.name, told.reason.text, told.reason.rule))

    def note_check(self, node: Node, check: Check, outcome: Outcome) -> None:
        """Enter that a check has come up or gone down."""
        kind, name = check.key
        text = f"{kind.value.removeprefix('track_')} {name} {'works' if check.works else 'has failed'}: {outcome.value}"
        self.timeline.append(Entry(self.now, node.name, "", "check", text))

    def masters(self, instance: str) -> list[str]:
        """Return the nodes whose daemon runs and has the instance of this name as Master, frozen or not."""
        found = (node for node in self.nodes.values() if instance in node.stations)
        return [node.name for node in found if node.stations[instance].is_master]
