"""Who watches a simulation: what can be seen, as calls; by default nothing is done about any of it.

Laws: pure. An observer sees everything in the order in which it happens, and changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyvrrp.model import VirtualAddress
    from pyvrrp.protocol.effects import Effect
    from pyvrrp.protocol.reception import RejectedError
    from pyvrrp.simulation.faults import Fault
    from pyvrrp.simulation.node import Node
    from pyvrrp.simulation.station import Station
    from pyvrrp.wire.packet import Packet


class Observer:
    """Sees a LAN. ``node.lan.now`` is when."""

    def happened(self, fault: Fault, at: float) -> None:
        """A fault is injected, or healed."""

    def booted(self, node: Node) -> None:
        """The daemon of a node has started: its routers have begun."""

    def ended(self, node: Node) -> None:
        """The daemon of a node has stopped after SIGTERM: all that it had to do is done."""

    def told(self, node: Node, who: str, effect: Effect) -> None:
        """A machine (or a sync group) of this name wants this done; called in order, before it is."""

    def sent(self, node: Node, station: Station, priority: int, frames: list[bytes]) -> None:
        """An advertisement has left."""

    def rejected(self, node: Node, station: Station, packet: Packet, wrong: RejectedError) -> None:
        """A packet has been refused."""

    def announced(self, node: Node, station: Station, addresses: list[VirtualAddress], rounds: int) -> None:
        """Gratuitous ARP, or its like in IPv6, has left for these addresses."""

    def worked(self, node: Node, station: Station) -> None:
        """One act on addresses, announcements or notifications is done."""

    def handled(self, node: Node) -> None:
        """An event is over, with all of its effects."""
