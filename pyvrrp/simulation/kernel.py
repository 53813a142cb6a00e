"""The part of a node that outlives its daemon: links, addresses, and who may send.

Laws: pure. It holds what it was given until somebody takes it away, or a lease ends; a daemon that dies takes nothing
along. An address that is there already, or is not there any more, is no error (EEXIST, EADDRNOTAVAIL).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from ipaddress import ip_interface

from pyvrrp.model import Address, Interface
from pyvrrp.system.link import Link

LOOKS = 3
FOREVER = float("inf")


@dataclass(frozen=True, slots=True)
class Card:
    """An interface of a node: its own addresses, primary first, and the LAN that it is plugged into."""

    addresses: tuple[Interface, ...]
    lan: str = "lan"

    @classmethod
    def of(cls, *addresses: str, lan: str = "lan") -> Card:
        """Return a card with these addresses, each written as address and prefix length."""
        return cls(tuple(ip_interface(one) for one in addresses), lan)


class Kernel:
    """The kernel of one node. ``links`` as netlink would show them, without the virtual addresses.

    ``refuses_addresses``: adding and removing fail. ``looks_since_refusal``: how often the daemon has compared all
    since then: after ``LOOKS`` times nothing can be left of it. ``send_error``: an errno for sendmsg, or 0.
    ``orphans``: addresses that nobody knows of any more: their removal was refused, or the daemon has died.
    """

    def __init__(self, cards: Mapping[str, Card], clock: Callable[[], float]) -> None:
        self.cards = dict(cards)
        self.links = {
            name: Link(index, name, bytes([2, 0, 0, 0, 0, index]), is_up=True, addresses=card.addresses)
            for index, (name, card) in enumerate(cards.items(), 1)
        }
        self._clock = clock
        self._until: dict[str, dict[Address, float]] = {name: {} for name in cards}
        self.refuses_addresses = False
        self.looks_since_refusal = LOOKS
        self.orphans: set[tuple[str, Address]] = set()
        self.send_error = 0
        self._made = len(cards)

    @property
    def virtual(self) -> dict[str, set[Address]]:
        """The virtual addresses by interface, but for those whose lease is over."""
        now = self._clock()
        return {name: {one for one, until in found.items() if until > now} for name, found in self._until.items()}

    def add(self, interface: str, address: Address, lease: float | None = None) -> bool:
        """Put a virtual address on an interface for ``lease`` seconds (None: for ever); returns whether it is there."""
        if self.refuses_addresses:
            self.looks_since_refusal = 0
        if self.refuses_addresses or interface not in self.links:
            return False
        self._until[interface][address] = FOREVER if lease is None else self._clock() + lease
        return True

    def left(self, interface: str, address: Address) -> float:
        """Return for how many seconds the kernel will keep a virtual address if nobody renews it."""
        return self._until.get(interface, {}).get(address, 0.0) - self._clock()

    def remove(self, interface: str, address: Address) -> bool:
        """Take a virtual address from an interface; returns whether it is gone now."""
        if self.refuses_addresses and interface in self.links:
            self.looks_since_refusal = 0
            self.orphans.add((interface, address))
            return False
        self.orphans.discard((interface, address))
        self._until.get(interface, {}).pop(address, None)
        return True

    def take_away(self, interface: str, address: Address) -> None:
        """Have somebody else remove a virtual address."""
        self._until[interface].pop(address, None)

    def orphan(self) -> None:
        """Nobody knows of what is there any more: the daemon has died, and the next one may be configured otherwise."""
        self.orphans |= {(name, address) for name, left in self.virtual.items() for address in left}

    def has(self, interface: str, address: Address) -> bool:
        """Return whether a virtual address is on an interface."""
        return self.left(interface, address) > 0

    def set_carrier(self, interface: str, *, is_up: bool) -> None:
        """Plug the cable in, or pull it out; the addresses stay."""
        if interface in self.links:
            self.links[interface] = replace(self.links[interface], is_up=is_up)

    def delete(self, interface: str) -> None:
        """Delete an interface, with all that is on it."""
        self.links.pop(interface, None)
        self._until[interface] = {}

    def create(self, interface: str) -> None:
        """Make a deleted interface anew: another index, another MAC address, its own addresses."""
        if interface in self.links:
            return
        self._made += 1
        hardware_address = bytes([2, 0, 0, 0, 1, self._made % 256])
        addresses = self.cards[interface].addresses
        self.links[interface] = Link(self._made, interface, hardware_address, is_up=True, addresses=addresses)

    def set_own_addresses(self, interface: str, addresses: tuple[Interface, ...]) -> None:
        """Give an interface other addresses of its own, or none."""
        if interface in self.links:
            self.links[interface] = replace(self.links[interface], addresses=addresses)
