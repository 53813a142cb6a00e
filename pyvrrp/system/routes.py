"""Addresses, routes and rules as the messages that the kernel takes.

Laws: it builds messages, it sends none. What the configuration leaves out is what ip(8) would put there, save that
routes and rules carry the protocol number of keepalived (18), by which an operator knows whose they are.
rtnetlink(7), linux/fib_rules.h.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import Any

from pyroute2.netlink.rtnl import rt_type
from pyroute2.netlink.rtnl.fibmsg import fibmsg
from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg

from pyvrrp.model import FOREVER, Address, Interface, Nexthop, Route, Rule, VirtualAddress
from pyvrrp.system.errors import SystemRefusalError
from pyvrrp.system.link import PROTOCOL_KEEPALIVED, Link

_NODAD, _HOME, _MNGTMPADDR, _NOPREFIXROUTE, _AUTOJOIN = 0x02, 0x10, 0x100, 0x200, 0x400
RTM_NEWADDR = 20
NLM_F_REQUEST, NLM_F_REPLACE = 0x1, 0x100
_ONLINK = 4
_INVERT = 2
_TABLE_IN_ATTRIBUTE = 252
"""What stands in the one byte of the header when the table's number needs the attribute (RT_TABLE_COMPAT)."""
_ACTIONS = {"table": 1, "goto": 2, "nop": 3, "blackhole": 6, "unreachable": 7, "prohibit": 8}


def family_number(version: int) -> int:
    """Return AF_INET or AF_INET6 for 4 or 6."""
    return int(socket.AF_INET if version == 4 else socket.AF_INET6)


def as_kept(address: VirtualAddress) -> Interface:
    """Return an address as the kernel lists it: with a peer, the prefix length is the peer's."""
    if address.peer is None:
        return address.interface
    return type(address.interface)((address.ip, address.peer.network.prefixlen))


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """Seconds for which new connections may begin from an address, and for which it is there at all."""

    preferred: int = FOREVER
    valid: int = FOREVER


def lifetimes(address: VirtualAddress, lease: int | None = None, age: float = 0.0) -> Lifetimes:
    """Return what is left to ``address``, ``age`` seconds old, of its ``preferred_lft``, within a ``lease`` if any.

    In IPv4 keepalived sets no limit. The kernel takes no address that is preferred for longer than it is valid.
    """
    valid = FOREVER if lease is None else lease
    if address.preferred_lft is None or address.ip.version == 4:
        return Lifetimes(valid, valid)
    return Lifetimes(min(valid, max(0, address.preferred_lft - int(age))), valid)


def brings_route(address: VirtualAddress, link: Link) -> bool:
    """Return whether a leased ``address`` has to bring the route of its prefix along.

    In IPv6 that route is one for all addresses of the prefix, and ends with the shortest lifetime that was given to
    it: a lease would take the route of an address that a router has advertised (SLAAC) away. Where that route stands
    without us, and where the prefix is the address alone, the lease leaves it be.
    """
    kept = as_kept(address)
    return kept.version == 4 or (kept.network.prefixlen < 128 and kept.network not in link.prefixes)


def lease_request(address: VirtualAddress, link: Link, lives: Lifetimes) -> bytes:
    """Return the whole request, as the kernel reads it, that gives ``address`` on ``link`` other lifetimes."""
    routed = lives.valid == FOREVER or brings_route(address, link)
    message = address_message(link.index, address, lives=lives, routed=routed)
    message["header"]["type"] = RTM_NEWADDR
    message["header"]["flags"] = NLM_F_REQUEST | NLM_F_REPLACE
    message.encode()
    return bytes(message.data)


def address_message(
    index: int, address: VirtualAddress, *, whole: bool = True, lives: Lifetimes | None = None, routed: bool = True
) -> Any:
    """Return the message that adds ``address``; not ``whole``: that removes it.

    ``lives``: None for what the configuration says alone. Not ``routed``: its prefix gets no route by it (IPv6).
    """
    kept = as_kept(address)
    message = ifaddrmsg()
    message["family"] = family_number(kept.version)
    message["prefixlen"] = kept.network.prefixlen
    message["index"] = index
    other = str(address.peer.ip) if address.peer is not None else str(kept.ip)
    attributes: list[tuple[str, object]] = [("IFA_LOCAL", str(kept.ip)), ("IFA_ADDRESS", other)]
    if whole:
        message["scope"] = address.scope if kept.version == 4 else 0
        flags = _flags(address) | (0 if routed else _NOPREFIXROUTE)
        message["flags"] = flags & 0xFF
        attributes += [("IFA_FLAGS", flags), ("IFA_PROTO", PROTOCOL_KEEPALIVED)]
        if address.broadcast is not None:
            attributes.append(("IFA_BROADCAST", str(address.broadcast)))
        if address.label is not None:
            attributes.append(("IFA_LABEL", address.label))
        lives = lives or lifetimes(address)
        if lives != Lifetimes():
            attributes.append(("IFA_CACHEINFO", {"ifa_preferred": lives.preferred, "ifa_valid": lives.valid}))
    message["attrs"] = attributes
    return message


def _flags(address: VirtualAddress) -> int:
    flags = _NOPREFIXROUTE if address.noprefixroute else 0
    flags |= _AUTOJOIN if address.autojoin else 0
    if address.ip.version == 6:
        flags |= 0 if address.dad else _NODAD
        flags |= _HOME if address.home else 0
        flags |= _MNGTMPADDR if address.mngtmpaddr else 0
    return flags


def route_message(route: Route, links: Mapping[str, Link]) -> Any:
    """Return the message for ``route``; raises SystemRefusalError if an interface that it names is not there."""
    version = route.destination.version
    message = rtmsg()
    message["family"] = family_number(version)
    message["dst_len"] = route.destination.prefixlen
    message["src_len"] = route.source_network.prefixlen if route.source_network is not None else 0
    message["tos"] = route.tos
    message["table"] = route.table if route.table <= 0xFF else _TABLE_IN_ATTRIBUTE
    message["proto"] = route.protocol if route.protocol is not None else PROTOCOL_KEEPALIVED
    message["type"] = rt_type[route.kind]
    message["scope"] = route.scope or 0  # keepalived leaves it global, even where ip(8) would say link
    message["flags"] = _ONLINK if route.onlink else 0
    attributes: list[tuple[str, object]] = [("RTA_TABLE", route.table)]
    if route.destination.prefixlen:
        attributes.append(("RTA_DST", str(route.destination.network_address)))
    if route.source_network is not None and route.source_network.prefixlen:
        attributes.append(("RTA_SRC", str(route.source_network.network_address)))
    if route.device is not None:
        attributes.append(("RTA_OIF", _index(route.device, links, route)))
    attributes += _gateway(route.via, version)
    if route.priority is not None:
        attributes.append(("RTA_PRIORITY", route.priority))
    if route.source is not None:
        attributes.append(("RTA_PREFSRC", str(route.source)))
    if route.preference is not None:
        attributes.append(("RTA_PREF", route.preference))
    if route.expires is not None:
        attributes.append(("RTA_EXPIRES", route.expires.to_bytes(4, "little").hex(":")))
    attributes += _metrics(route)
    if route.nexthops:
        attributes.append(("RTA_MULTIPATH", [_nexthop(hop, version, links, route) for hop in route.nexthops]))
    message["attrs"] = attributes
    return message


def _index(device: str, links: Mapping[str, Link], wanted: Route) -> int:
    if device not in links:
        raise SystemRefusalError(f"cannot set {wanted}: there is no interface {device}")
    return links[device].index


def _gateway(via: Address | None, version: int) -> list[tuple[str, object]]:
    if via is None:
        return []
    if via.version == version:
        return [("RTA_GATEWAY", str(via))]
    number = family_number(6 if isinstance(via, IPv6Address) else 4)
    return [("RTA_VIA", {"family": number, "addr": str(via)})]


def _nexthop(hop: Nexthop, version: int, links: Mapping[str, Link], route: Route) -> dict[str, object]:
    return {
        "oif": _index(hop.device, links, route) if hop.device is not None else 0,
        "hops": hop.weight - 1,
        "flags": _ONLINK if hop.onlink else 0,
        "attrs": _gateway(hop.via, version),
    }


def _metrics(route: Route) -> list[tuple[str, object]]:
    if not route.metrics:
        return []
    known = rtmsg.metrics.nla_map
    values: list[tuple[str, object]] = []
    numbers = {name: place for place, (name, _) in enumerate(known)}
    locked = 0
    for name, value in route.metrics.items():
        attribute = f"RTAX_{name.upper()}"
        if attribute not in numbers:
            raise SystemRefusalError(f"cannot set {route}: the metric {name} is not known here")
        values.append((attribute, value))
        locked |= 1 << numbers[attribute] if name in route.locked else 0
    if locked:
        values.insert(0, ("RTAX_LOCK", locked))
    return [("RTA_METRICS", {"attrs": values})]


def rule_message(rule: Rule) -> Any:
    """Return the message for ``rule``."""
    message = fibmsg()
    message["family"] = family_number(rule.family)
    message["tos"] = rule.tos
    message["action"] = _ACTIONS[rule.action]
    message["flags"] = _INVERT if rule.inverted else 0
    table = rule.table or 0
    message["table"] = table if table <= 0xFF else _TABLE_IN_ATTRIBUTE
    attributes: list[tuple[str, object]] = [
        ("FRA_PROTOCOL", rule.protocol if rule.protocol is not None else PROTOCOL_KEEPALIVED)
    ]
    if table:
        attributes.append(("FRA_TABLE", table))
    for name, length, network in (("FRA_SRC", "src_len", rule.source), ("FRA_DST", "dst_len", rule.destination)):
        if network is not None and network.prefixlen:
            message[length] = network.prefixlen
            attributes.append((name, str(network.network_address)))
    attributes += [(name, value) for name, value in _selectors(rule).items() if value is not None]
    message["attrs"] = attributes
    return message


def _selectors(rule: Rule) -> dict[str, object]:
    def span(pair: tuple[int, int] | None) -> str | None:
        return None if pair is None else f"{pair[0]}:{pair[1]}"

    return {
        "FRA_PRIORITY": rule.priority,
        "FRA_GOTO": rule.goto,
        "FRA_FWMARK": rule.fwmark,
        "FRA_FWMASK": rule.fwmask,
        "FRA_IIFNAME": rule.input_interface,
        "FRA_OIFNAME": rule.output_interface,
        "FRA_FLOW": rule.realms,
        "FRA_TUN_ID": rule.tunnel_id,
        "FRA_SUPPRESS_PREFIXLEN": rule.suppress_prefixlength,
        "FRA_SUPPRESS_IFGROUP": rule.suppress_group,
        "FRA_IP_PROTO": rule.ip_protocol,
        "FRA_SPORT_RANGE": span(rule.source_ports),
        "FRA_DPORT_RANGE": span(rule.destination_ports),
        "FRA_UID_RANGE": span(rule.uid_range),
        "FRA_L3MDEV": 1 if rule.l3mdev else None,
    }
