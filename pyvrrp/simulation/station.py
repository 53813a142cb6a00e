"""What stands around one machine in a simulated node, as ``pyvrrp/router.py`` does in the daemon.

Laws: pure; it holds, it does not act. Machine, reception and transmission are those of production.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from pyvrrp.model import AuthType, Instance, Multicast, VirtualAddress
from pyvrrp.protocol.effects import AddAddresses, Announce, Notify, RemoveAddresses
from pyvrrp.protocol.machine import VirtualRouter
from pyvrrp.protocol.reception import Reception
from pyvrrp.protocol.transmission import Transmission
from pyvrrp.wire.packet import PROTOCOL_AH, PROTOCOL_VRRP, Packet

NEVER = float("inf")


@dataclass(frozen=True, slots=True)
class Restore:
    """Put back, and announce, what somebody else has taken away."""


@dataclass(frozen=True, slots=True)
class Change:
    """Go over to other addresses: those of ``after`` instead of those of ``before``."""

    before: Instance
    after: Instance


Act = AddAddresses | RemoveAddresses | Announce | Notify | Restore | Change
"""What is done behind the advertisements, in the order in which it was asked."""


@dataclass(slots=True, eq=False)
class Station:
    """One virtual router of a node.

    ``acts``: what its worker has still to do. ``held``: the addresses that it has put into the kernel. ``due``: when
    its timer is entered for. ``failures``: advertisements in a row that did not leave. ``aside``: why it cannot serve
    for a while, for the ``times_aside``-th time. ``mended_at``: when addresses were put back lately.
    ``stray``: it had addresses at the last look without being Master. ``given_up``: its addresses are to be removed.
    ``renewed_at``: when the lease of its addresses was renewed.
    """

    machine: VirtualRouter
    reception: Reception
    transmission: Transmission
    acts: deque[Act] = field(default_factory=deque)
    held: list[VirtualAddress] = field(default_factory=list)
    due: float = NEVER
    started: bool = False
    gone: bool = False
    faults: frozenset[str] = frozenset()
    failures: int = 0
    aside: str = ""
    times_aside: int = 0
    mended_at: list[float] = field(default_factory=list)
    stray: bool = False
    given_up: bool = False
    renewed_at: float = 0.0

    @classmethod
    def of(cls, machine: VirtualRouter) -> Station:
        """Return the station of a machine that has not begun."""
        transmission = Transmission(machine.instance)
        return cls(machine, Reception(machine.instance, transmission.learned), transmission)

    @property
    def instance(self) -> Instance:
        """The configuration of this router."""
        return self.machine.instance

    @property
    def name(self) -> str:
        """The name of its instance."""
        return self.machine.instance.name

    @property
    def is_master(self) -> bool:
        """Whether it is Master now."""
        return self.machine.state.name == "MASTER"

    @property
    def carried(self) -> tuple[VirtualAddress, ...]:
        """The addresses that it has while it is Master."""
        return (*self.instance.addresses, *self.instance.excluded)

    def interface_of(self, address: VirtualAddress) -> str:
        """Return the name of the interface where ``address`` belongs."""
        return address.device or self.instance.interface

    def hears(self, packet: Packet) -> bool:
        """Return whether its socket hands out ``packet``: of its protocol, sent to where it listens."""
        instance = self.machine.instance
        expected = PROTOCOL_AH if instance.authentication.type is AuthType.AH else PROTOCOL_VRRP
        if packet.protocol != expected:
            return False
        transport = instance.transport
        if isinstance(transport, Multicast):
            return packet.destination == transport.group
        return not packet.destination.is_multicast
