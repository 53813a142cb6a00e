"""A line of ``virtual_ipaddress``, ``virtual_ipaddress_excluded`` or ``static_ipaddress``: ip-address(8)'s words.

Laws: pure. What keepalived corrects is corrected, with its message in ``remarks``; what leaves no address raises
ValueError.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv6Interface, ip_interface

from pyvrrp.config.surroundings import SCOPES
from pyvrrp.config.values import interface_name, whole
from pyvrrp.model import Interface, VirtualAddress

_FLAGS = {
    "home": "home",
    "mngtmpaddr": "mngtmpaddr",
    "noprefixroute": "noprefixroute",
    "autojoin": "autojoin",
    "-nodad": "dad",
}
_VALUES = frozenset({"dev", "scope", "label", "brd", "broadcast", "peer", "preferred_lft"})
_NOTHING_ELSE = "a multicast, loopback or zero address"


@dataclass(frozen=True, slots=True)
class AddressLine:
    """A line once understood, and what was corrected in it."""

    address: VirtualAddress
    remarks: tuple[str, ...] = ()


@dataclass(slots=True)
class _Words:
    flags: set[str] = field(default_factory=set)
    values: dict[str, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)


def address_line(words: Sequence[str], scopes: Mapping[str, int] = SCOPES, *, static: bool = False) -> AddressLine:
    """Return what ``ADDRESS[/LENGTH] [options]`` stands for; /32 or /128 if no length is given."""
    interface = virtual_interface(words[0])
    found = _collect(words, static=static)
    remarks = found.remarks
    peer = _peer(interface, found.values.get("peer"), remarks)
    if peer is not None and interface.network.prefixlen != interface.max_prefixlen:
        remarks.append("Cannot specify address prefix when specifying peer address - ignoring")
        interface = type(interface)(interface.ip)
    label, scope = found.values.get("label"), _scope(found.values.get("scope"), words[0], scopes, remarks)
    if label is not None and len(label) > 15:
        raise ValueError(f"Address label {label} is longer than maximum length 15 - removing address")
    if isinstance(interface, IPv6Interface):
        if "brd" in found.values:
            raise ValueError(f"{interface} is an IPv6 address: it cannot have a broadcast address")
        if scope:
            remarks.append(f"Cannot specify scope for IPv6 addresses ({words[0]}) - ignoring scope")
        if label is not None:
            remarks.append(f"Cannot specify label for IPv6 addresses ({words[0]}) - ignoring label")
        scope, label = 0, None
    address = VirtualAddress(
        interface,
        device=interface_name(found.values["dev"]) if "dev" in found.values else None,
        label=None if label is None else interface_name(label),
        scope=scope,
        broadcast=None
        if isinstance(interface, IPv6Interface)
        else _broadcast(interface, peer, found.values.get("brd"), remarks),
        peer=peer,
        preferred_lft=_preferred_lft(interface, found.values.get("preferred_lft"), remarks),
        home="home" in found.flags,
        mngtmpaddr="mngtmpaddr" in found.flags,
        noprefixroute="noprefixroute" in found.flags,
        autojoin="autojoin" in found.flags,
        dad="dad" in found.flags,
        use_vmac="use_vmac" in found.flags,
        tracked="no_track" not in found.flags,
        track_group=found.values.get("track_group"),
    )
    return AddressLine(address, tuple(remarks))


def _collect(words: Sequence[str], *, static: bool) -> _Words:
    found = _Words()
    with_value = _VALUES | ({"track_group"} if static else set())
    rest = list(words[1:])
    while rest:
        option = rest.pop(0)
        if option in with_value:
            if not rest:
                raise ValueError(f"{words[0]}: a value is missing after '{option}'")
            name = "brd" if option == "broadcast" else option
            if name in found.values and name == "dev":
                raise ValueError(f"Cannot specify ipaddress device more than once for {words[0]}")
            found.values[name] = rest.pop(0)
        elif option in _FLAGS:
            found.flags.add(_FLAGS[option])
        elif option == "no_track" or (option == "use_vmac" and not static):
            found.flags.add(option)
        else:
            found.remarks.append(f"Unknown configuration entry '{option}' for ip address - ignoring")
    return found


def virtual_interface(text: str) -> Interface:
    """Return the address and prefix length that ``text`` stands for, if it can be a virtual address."""
    if ("/" in text and not text.rpartition("/")[2].isdecimal()) or "%" in text:
        raise ValueError(f"'{text}' is not an address with a prefix length, such as 192.168.50.10/24")
    try:
        interface = ip_interface(text)
    except ValueError as wrong:
        raise ValueError(f"'{text}' is not an IP address, such as 192.168.50.10/24") from wrong
    if interface.ip.is_multicast or interface.ip.is_unspecified or interface.ip.is_loopback:
        raise ValueError(f"'{text}' cannot be a virtual address: it is {_NOTHING_ELSE}")
    return interface


def _scope(text: str | None, address: str, scopes: Mapping[str, int], remarks: list[str]) -> int:
    if text is None:
        return 0
    if text in scopes:
        return scopes[text]
    try:
        return whole(text, 0, 255)
    except ValueError:
        remarks.append(f"Invalid scope '{text}' specified for {address} - ignoring")
        return 0


def _peer(interface: Interface, text: str | None, remarks: list[str]) -> Interface | None:
    if text is None:
        return None
    try:
        peer = ip_interface(text)
    except ValueError:
        remarks.append(f"Invalid peer address {text}")
        return None
    if peer.version != interface.version:
        remarks.append(f"Peer address {text} does not match address family")
        return None
    return peer


def _broadcast(
    interface: IPv4Interface, peer: Interface | None, text: str | None, remarks: list[str]
) -> IPv4Address | None:
    if text is None:
        return None
    if peer is not None:
        remarks.append("Cannot specify broadcast and peer addresses - ignoring broadcast address")
        return None
    if text in {"+", "-"}:
        if interface.network.prefixlen > 30:
            remarks.append(f"Address prefix length {interface.network.prefixlen} too long for broadcast")
            return None
        return interface.network.broadcast_address if text == "+" else interface.network.network_address
    try:
        return IPv4Address(text)
    except ValueError as wrong:
        raise ValueError(f"'{text}' is not a broadcast address: an IPv4 address, + or -") from wrong


def _preferred_lft(interface: Interface, text: str | None, remarks: list[str]) -> int | None:
    """Return seconds, or None for forever: an IPv6 host address is deprecated from the start, unless it says more."""
    host = interface.version == 6 and interface.network.prefixlen == 128
    if text == "forever":
        return None
    if text is not None:
        try:
            seconds = whole(text, 0, 2**32 - 1)
        except ValueError as wrong:
            remarks.extend((str(wrong), f"preferred_lft {text} is invalid"))
        else:
            return None if seconds == 2**32 - 1 else seconds
    return 0 if host else None
