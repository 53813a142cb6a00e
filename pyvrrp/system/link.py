"""Network interfaces as they are now: a picture that grows with what the kernel tells.

Laws: made from netlink messages alone, of a dump or of a notification; it asks nothing and changes nothing. An
interface is known by its index, whatever its name becomes. A message that tells nothing new changes nothing, so that
a lifetime that is renewed once a second costs no one anything. rtnetlink(7).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from ipaddress import ip_interface
from typing import Any

from pyvrrp.model import Address, Interface, Network

PROTOCOL_KEEPALIVED = 18
"""RTPROT_KEEPALIVED, and its counterpart for addresses (rt_protos and rt_addrprotos of iproute2)."""
IFF_UP, IFF_RUNNING = 0x1, 0x40
IFA_F_SECONDARY, IFA_F_DADFAILED, IFA_F_TENTATIVE = 0x01, 0x08, 0x40
_AF_INET, _AF_INET6 = 2, 10
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")


@dataclass(frozen=True, slots=True)
class Link:
    """A network interface as it is now. ``addresses`` in the kernel's order: the first of a family is the primary.

    ``hardware_address`` is 6 bytes, or none where the link is no Ethernet (a tunnel): then there is no ARP either.
    ``base``: the index of the interface below (macvlan, VLAN). ``master``: the index of its bridge, bond or VRF.
    ``kind``: ``macvlan``, ``veth``, ... or "". ``unusable``: IPv6 addresses that are still being checked for
    duplicates, or are some. ``ours``: addresses with our protocol number (keepalived's), whoever of us has left them.
    ``present``: ``addresses`` as a set, see ``has``. ``prefixes``: the IPv6 networks of addresses that are not ours.
    """

    index: int
    name: str
    hardware_address: bytes
    is_up: bool
    addresses: tuple[Interface, ...] = ()
    mtu: int = 1500
    base: int | None = None
    master: int | None = None
    kind: str = ""
    flags: int = 0
    unusable: frozenset[Address] = frozenset()
    ours: frozenset[Interface] = frozenset()
    present: frozenset[Interface] = field(default=frozenset(), compare=False, repr=False)
    prefixes: frozenset[Network] = field(default=frozenset(), compare=False, repr=False)

    def has(self, address: Interface) -> bool:
        """Return whether ``address``, with this prefix length, is on the link."""
        return address in self.present or (not self.present and address in self.addresses)

    def source(self, virtual: Collection[Address] = (), family: int = 4) -> Address | None:
        """Return the address to send from: the first that is none of the virtual ones, whoever left those there.

        In IPv6 the first link-local one that may be used (RFC 5798 section 5.1.2.1).
        """
        if family == 4:
            return next((one.ip for one in self.addresses if one.version == 4 and one.ip not in virtual), None)
        wanted = (one.ip for one in self.addresses if one.version == 6 and one.ip.is_link_local)
        return next((ip for ip in wanted if ip not in virtual and ip not in self.unusable), None)


@dataclass(frozen=True, slots=True)
class _Held:
    """An address of a link, as the kernel orders it."""

    interface: Interface
    secondary: bool
    unusable: bool
    ours: bool


def hardware_address(found: object) -> bytes:
    """Return a MAC address as bytes; the address of a link that is no Ethernet is none (pyroute2 gives it as it is)."""
    return bytes.fromhex(found.replace(":", "")) if isinstance(found, str) and _MAC.fullmatch(found) else b""


def _address_of(message: Any) -> _Held | None:
    """Return the address that a message speaks of: with a peer, the own one with the prefix length of the peer."""
    own = message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS")
    if own is None or message["family"] not in {_AF_INET, _AF_INET6}:
        return None
    flags = message.get_attr("IFA_FLAGS") or message["flags"]
    return _Held(
        ip_interface(f"{own}/{message['prefixlen']}"),
        message["family"] == _AF_INET and bool(flags & IFA_F_SECONDARY),
        message["family"] == _AF_INET6 and bool(flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED)),
        message.get_attr("IFA_PROTO") == PROTOCOL_KEEPALIVED,
    )


def _link_of(message: Any) -> Link:
    flags = message["flags"]
    below = message.get_attr("IFLA_LINK")
    information = message.get_attr("IFLA_LINKINFO")
    return Link(
        index=message["index"],
        name=message.get_attr("IFLA_IFNAME"),
        hardware_address=hardware_address(message.get_attr("IFLA_ADDRESS")),
        is_up=bool(flags & IFF_UP and flags & IFF_RUNNING),
        mtu=message.get_attr("IFLA_MTU") or 0,
        # An interface below that is in another namespace (a veth's peer) is none that we could name.
        base=below if below and message.get_attr("IFLA_LINK_NETNSID") is None else None,
        master=message.get_attr("IFLA_MASTER"),
        kind=(information.get_attr("IFLA_INFO_KIND") if information is not None else None) or "",
        flags=flags,
    )


class Picture:
    """All links with their addresses, brought up to date by one message after the other."""

    def __init__(self, links: Iterable[Any] = (), addresses: Iterable[Any] = ()) -> None:
        self._links: dict[int, Link] = {found.index: found for found in map(_link_of, links)}
        self._addresses: dict[int, list[_Held]] = {}
        self._whole_links: dict[int, Link] = {}
        self._by_name: dict[str, Link] | None = None
        for message in addresses:
            held = _address_of(message)
            if held is not None:
                self._addresses.setdefault(message["index"], []).append(held)

    def by_name(self) -> dict[str, Link]:
        """Return all links by their names; the same object until something changes."""
        if self._by_name is None:
            self._by_name = {link.name: self._whole(link) for link in self._links.values()}
        return self._by_name

    def _whole(self, link: Link) -> Link:
        if link.index not in self._whole_links:
            self._whole_links[link.index] = self._with_addresses(link)
        return self._whole_links[link.index]

    def _with_addresses(self, link: Link) -> Link:
        held = self._addresses.get(link.index, [])
        unusable = frozenset(one.interface.ip for one in held if one.unusable)
        ours = frozenset(one.interface for one in held if one.ours)
        addresses = tuple(one.interface for one in held)
        prefixes = frozenset(one.interface.network for one in held if one.interface.version == 6 and not one.ours)
        present = frozenset(addresses)
        return replace(link, addresses=addresses, unusable=unusable, ours=ours, present=present, prefixes=prefixes)

    def link(self, index: int) -> Link | None:
        """Return the link of this index, without its addresses."""
        return self._links.get(index)

    def has_addresses(self, index: int, family: int) -> bool:
        """Return whether the link has an address of this family left."""
        return any(one.interface.version == family for one in self._addresses.get(index, ()))

    def apply(self, message: Any) -> bool:
        """Take in a notification of a link or an address; returns whether anything is different now."""
        match message["event"]:
            case "RTM_NEWLINK" if message["family"] == 0:
                changed = self._new_link(_link_of(message))
            case "RTM_DELLINK" if message["family"] == 0:
                self._addresses.pop(message["index"], None)
                changed = self._links.pop(message["index"], None) is not None
            case "RTM_NEWADDR":
                changed = self._new_address(message["index"], _address_of(message))
            case "RTM_DELADDR":
                changed = self._lost_address(message["index"], _address_of(message))
            case _:
                changed = False
        if changed:
            self._by_name = None
            self._whole_links.pop(message["index"], None)
        return changed

    def _new_link(self, link: Link) -> bool:
        if self._links.get(link.index) == link:
            return False
        self._links[link.index] = link
        return True

    def _new_address(self, index: int, held: _Held | None) -> bool:
        if held is None:
            return False
        there = self._addresses.setdefault(index, [])
        for place, one in enumerate(there):
            if one.interface == held.interface:
                there[place] = held
                return one != held
        if held.secondary or held.interface.version == 6:
            there.append(held)
        else:  # the kernel keeps the primary addresses before the secondary ones
            there.insert(next((place for place, one in enumerate(there) if one.secondary), len(there)), held)
        return True

    def _lost_address(self, index: int, held: _Held | None) -> bool:
        there = self._addresses.get(index, [])
        left = [one for one in there if held is None or one.interface != held.interface]
        self._addresses[index] = left
        return len(left) != len(there)
