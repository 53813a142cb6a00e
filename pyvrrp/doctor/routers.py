"""Which instances of several routers are one virtual router.

Laws: pure. All files are of one LAN. Two instances belong together if they share an address; those that share none with
anybody, if they have the same family and VRID, and the same interface or name. So a wrong VRID and a wrong list of
addresses are both found, each by the other.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from itertools import product

from pyvrrp.doctor.node import Node
from pyvrrp.model import Address, Instance


@dataclass(frozen=True, slots=True)
class Member:
    """One router's part in a virtual router."""

    node: Node
    instance: Instance

    @property
    def addresses(self) -> frozenset[Address]:
        """The virtual addresses that are in its advertisements."""
        return frozenset(address.ip for address in self.instance.addresses)


Shared = list[Member]
"""The members of one virtual router, in the order of the files."""


def shared_routers(nodes: Sequence[Node]) -> list[Shared]:
    """Return the virtual routers, in the order in which the files name them."""
    by_address: list[Shared] = []
    for node in nodes:
        for instance in node.configuration.instances:
            _place(Member(node, instance), by_address)
    found: list[Shared] = []
    for group in by_address:
        alike = (other for also in (_interface, _name) for other in found if _is_one(other, group, also))
        home = next(alike, None)
        if home is None:
            found.append(group)
        else:
            home += group
    return found


def _place(member: Member, groups: list[Shared]) -> None:
    home = next((group for group in groups if any(member.addresses & other.addresses for other in group)), None)
    if home is None:
        groups.append([member])
    else:
        home.append(member)


def _is_one(some: Shared, others: Shared, also: Callable[[Instance], Hashable]) -> bool:
    if {member.node.name for member in some} & {member.node.name for member in others}:
        return False
    pairs = product((one.instance for one in some), (one.instance for one in others))
    return any(_number(one) == _number(other) and also(one) == also(other) for one, other in pairs)


def _number(instance: Instance) -> tuple[int, int]:
    return instance.family, instance.virtual_router_id


def _interface(instance: Instance) -> str:
    return instance.interface


def _name(instance: Instance) -> str:
    return instance.name
