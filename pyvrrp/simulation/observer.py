"""Who watches a simulation: what can be seen, as calls; by default nothing is done about any of it.

Laws: pure. An observer sees everything in the order in which it happens, and changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyvrrp.protocol.effects import Effect
    from pyvrrp.protocol.reception import RejectedError
    from pyvrrp.simulation.checks import Key
    from pyvrrp.simulation.faults import Fault
    from pyvrrp.simulation.node import Node
    from pyvrrp.simulation.station import Station
    from pyvrrp.wire.packet import Packet


class Observer:
    """Sees a LAN. ``node.lan.now`` is when."""

    def happened(self, _fault: Fault) -> None:
        """A fault is injected, or healed."""

    def booted(self, node: Node) -> None:
        """The daemon of a node has started: its routers have begun."""

    def ended(self, node: Node) -> None:
        """The daemon of a node has stopped after SIGTERM: all that it had to do is done."""

    def told(self, node: Node, who: str, effect: Effect) -> None:
        """A machine (or a sync group) of this name wants this done; called in order, before it is."""

    def sent(self, node: Node, station: Station, priority: int, frames: list[bytes]) -> None:
        """An advertisement has left."""

    def hears(self, station: Station) -> None:
        """A packet that may be for a router is about to be looked at."""

    def rejected(self, node: Node, station: Station, packet: Packet, wrong: RejectedError) -> None:
        """A packet has been refused."""

    def announced(self, node: Node, station: Station) -> None:
        """Gratuitous ARP, or its like in IPv6, has left for what a router holds."""

    def worked(self, node: Node, station: Station) -> None:
        """One act on addresses, announcements or notifications is done."""

    def tracked(self, node: Node, station: Station, known: Mapping[Key, bool | int | None]) -> None:
        """A router has been brought up to what trackers and links say."""

    def compared(self, node: Node) -> None:
        """Every few seconds, before the daemon compares what the kernel holds with what the states say."""

    def reloaded(self, node: Node) -> None:
        """The daemon of a node goes on with another configuration."""

    def handled(self, node: Node) -> None:
        """An event is over, with all of its effects."""
