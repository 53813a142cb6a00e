"""What an instance puts into the kernel while it is master: addresses, routes, rules.

Laws: pure, frozen. Numbers are the kernel's own (rtnetlink(7)); a name that a file may give instead of a number (scope
``link``, table ``main``, protocol ``static``) is resolved by the reader of the configuration. ``text`` is how the thing
is shown in logs, dumps and errors: as keepalived shows it, without what is at its default.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

Address = IPv4Address | IPv6Address
Interface = IPv4Interface | IPv6Interface
Network = IPv4Network | IPv6Network

FOREVER = 0xFFFFFFFF
"""The lifetime of an address that does not end (INFINITY_LIFE_TIME)."""
TABLE_MAIN = 254


@dataclass(frozen=True, slots=True)
class VirtualAddress:
    """One line of ``virtual_ipaddress``, ``_excluded`` or ``static_ipaddress``.

    ``device`` None: the interface of the instance. ``scope``: as rtnetlink(7). ``preferred_lft``: seconds, None for
    forever. ``dad``: duplicate address detection, which keepalived leaves out unless told ``-nodad``. ``tracked``:
    whether the instance is in FAULT while ``device`` is down. ``track_group`` is for static addresses alone.
    """

    interface: Interface
    device: str | None = None
    label: str | None = None
    scope: int = 0
    broadcast: IPv4Address | None = None
    peer: Interface | None = None
    preferred_lft: int | None = None
    home: bool = False
    mngtmpaddr: bool = False
    noprefixroute: bool = False
    autojoin: bool = False
    dad: bool = False
    use_vmac: bool = False
    tracked: bool = True
    track_group: str | None = None

    @property
    def ip(self) -> Address:
        """The address without its prefix length."""
        return self.interface.ip

    def __str__(self) -> str:
        return str(self.interface)


@dataclass(frozen=True, slots=True)
class Nexthop:
    """One ``nexthop`` of a route with several: where to, through what, with what weight (1 .. 256)."""

    via: Address | None = None
    device: str | None = None
    weight: int = 1
    onlink: bool = False


@dataclass(frozen=True, slots=True)
class Route:
    """One line of ``virtual_routes`` or ``static_routes``: ip-route(8).

    ``kind`` is the word for its type (``unicast``, ``blackhole``, ...). ``metrics`` holds RTAX_* by their lower-case
    names (``mtu``, ``advmss``, ...); ``locked`` are those that have ``lock`` before them.
    """

    destination: Network
    text: str
    kind: str = "unicast"
    via: Address | None = None
    device: str | None = None
    source: Address | None = None
    source_network: Network | None = None
    priority: int | None = None
    table: int = TABLE_MAIN
    protocol: int | None = None
    scope: int | None = None
    tos: int = 0
    onlink: bool = False
    preference: int | None = None
    expires: int | None = None
    nexthops: tuple[Nexthop, ...] = ()
    metrics: Mapping[str, int | str] = field(default_factory=lambda: MappingProxyType({}))
    locked: frozenset[str] = frozenset()
    tracked: bool = True
    track_group: str | None = None

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of ``virtual_rules`` or ``static_rules``: ip-rule(8). ``family`` 4 or 6.

    ``action`` is ``table``, ``goto`` or a word such as ``blackhole``. Ranges are inclusive pairs.
    """

    family: int
    text: str
    action: str = "table"
    table: int | None = None
    goto: int | None = None
    priority: int | None = None
    source: Network | None = None
    destination: Network | None = None
    tos: int = 0
    fwmark: int | None = None
    fwmask: int | None = None
    input_interface: str | None = None
    output_interface: str | None = None
    realms: int | None = None
    suppress_prefixlength: int | None = None
    suppress_group: int | None = None
    protocol: int | None = None
    ip_protocol: int | None = None
    source_ports: tuple[int, int] | None = None
    destination_ports: tuple[int, int] | None = None
    uid_range: tuple[int, int] | None = None
    tunnel_id: int | None = None
    l3mdev: bool = False
    inverted: bool = False
    tracked: bool = True
    track_group: str | None = None

    def __str__(self) -> str:
        return self.text
