"""Links and addresses of the kernel, through pyroute2's asynchronous netlink.

Laws: what is already as it should be is no error (EEXIST on adding, EADDRNOTAVAIL on removing). The monitor has a
socket of its own; whenever it says that something changed, the whole is read again, so that a lost message costs
nothing but time. rtnetlink(7).
"""

from __future__ import annotations

import errno
import os
import re
import socket
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface
from typing import Any, Self

from pyroute2 import AsyncIPRoute
from pyroute2.netlink.exceptions import NetlinkError

from pyvrrp.model import Address, VirtualAddress
from pyvrrp.system.errors import NoPermissionError, SystemRefusalError

_GROUPS = 0x1 | 0x10  # RTMGRP_LINK | RTMGRP_IPV4_IFADDR
_IFF_UP, _IFF_RUNNING = 0x1, 0x40
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")


@dataclass(frozen=True, slots=True)
class Link:
    """A network interface as it is now. ``addresses`` in the kernel's order: the first one is the primary.

    ``hardware_address`` is 6 bytes, or none where the link is no Ethernet (a tunnel): then there is no ARP either.
    """

    index: int
    name: str
    hardware_address: bytes
    is_up: bool
    addresses: tuple[IPv4Interface, ...]

    def source(self, virtual: Collection[Address]) -> IPv4Address | None:
        """Return the address to send from: the first that is none of the virtual ones, whoever left those there."""
        return next((address.ip for address in self.addresses if address.ip not in virtual), None)


def _hardware_address(found: object) -> bytes:
    """Return a MAC address as bytes; the address of a link that is no Ethernet is none (pyroute2 gives it as it is)."""
    return bytes.fromhex(found.replace(":", "")) if isinstance(found, str) and _MAC.fullmatch(found) else b""


class Kernel:
    """The kernel's links and addresses: read, change, watch."""

    def __init__(self) -> None:
        self._commands: Any = AsyncIPRoute()
        self._monitor: Any = AsyncIPRoute()

    async def __aenter__(self) -> Self:
        await self._commands.__aenter__()
        await self._monitor.__aenter__()
        await self._monitor.bind(groups=_GROUPS)
        return self

    async def __aexit__(self, *ending: object) -> None:
        await self._monitor.__aexit__(*ending)
        await self._commands.__aexit__(*ending)

    async def links(self) -> dict[str, Link]:
        """Return all links by name."""
        addresses: dict[int, list[IPv4Interface]] = {}
        async for found in await self._commands.get_addr(family=socket.AF_INET):
            own = IPv4Interface(f"{found.get('local')}/{found['prefixlen']}")
            addresses.setdefault(found["index"], []).append(own)
        links = {}
        async for found in await self._commands.get_links():
            flags = found["flags"]
            links[found.get("ifname")] = Link(
                index=found["index"],
                name=found.get("ifname"),
                hardware_address=_hardware_address(found.get("address")),
                is_up=bool(flags & _IFF_UP and flags & _IFF_RUNNING),
                addresses=tuple(addresses.get(found["index"], ())),
            )
        return links

    async def add(self, link: Link, address: VirtualAddress) -> bool:
        """Put ``address`` on ``link``; returns False if it was there. Raises SystemRefusalError if refused."""
        options: dict[str, object] = {}
        if address.broadcast is not None:
            options["broadcast"] = str(address.broadcast)
        if address.label is not None:
            options["label"] = address.label
        if address.scope:
            options["scope"] = address.scope
        return await self._change("add", link, address, errno.EEXIST, **options)

    async def remove(self, link: Link, address: VirtualAddress) -> bool:
        """Take ``address`` from ``link``; returns False if it was not there. Raises SystemRefusalError if refused."""
        return await self._change("del", link, address, errno.EADDRNOTAVAIL, errno.ENODEV)

    async def _change(self, act: str, link: Link, address: VirtualAddress, *harmless: int, **options: object) -> bool:
        wanted = {
            "index": link.index,
            "address": str(address.interface.ip),
            "prefixlen": address.interface.network.prefixlen,
        }
        try:
            await self._commands.addr(act, **wanted, **options)
        except NetlinkError as refused:
            if refused.code in harmless:
                return False
            if refused.code == errno.EPERM:
                raise NoPermissionError("CAP_NET_ADMIN", f"to change the addresses of {link.name}") from None
            words = os.strerror(refused.code) if refused.code else str(refused)
            raise SystemRefusalError(f"cannot {act} {address} on {link.name}: {words}") from None
        except OSError as refused:  # the request did not even fit the link (pyroute2 passes some errors on as they are)
            raise SystemRefusalError(f"cannot {act} {address} on {link.name}: {refused}") from None
        return True

    async def watch(self, changed: Callable[[], Awaitable[None]]) -> None:
        """Call ``changed`` whenever a link or an IPv4 address has changed; runs until cancelled."""
        while True:
            try:
                async for _ in self._monitor.get():
                    pass
            except OSError as lost:
                if lost.errno != errno.ENOBUFS:  # messages were lost: what follows reads everything anew anyway
                    raise
            await changed()
