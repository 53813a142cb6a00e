"""Links, addresses, routes and rules of the kernel: read, changed, watched.

Laws: what is already as it should be is no error: adding says False if it was there, removing if it was not. The
picture of the links is read once and then follows the kernel's notifications (``monitor.py``); only when some of those
were lost, or while somebody asks for it, everything is read again, at most every 50 ms. Commands go through pyroute2's
asynchronous netlink. rtnetlink(7).
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Iterable
from pathlib import Path
from typing import Any, Self

from pyroute2 import AsyncIPRoute
from pyroute2.netlink.exceptions import NetlinkError

from pyvrrp.model import Route, Rule, VirtualAddress
from pyvrrp.system.errors import NoPermissionError, SystemRefusalError
from pyvrrp.system.link import Link, Picture
from pyvrrp.system.monitor import ADDRESS4, ADDRESS6, BUFFER, LINK, ROUTE4, ROUTE6, RULE4, RULE6, Monitor
from pyvrrp.system.renewals import Renewals
from pyvrrp.system.routes import address_message, brings_route, lifetimes, route_message, rule_message

__all__ = ["SPACING", "Kernel", "Link"]

SPACING = 0.05
"""Seconds between two reports of changes, unless a link went up or down: that is said at once."""
_REQUEST_ACK, _CREATE, _EXCLUSIVE = 0x5, 0x400, 0x200
_NEWADDR, _DELADDR, _NEWROUTE, _DELROUTE, _NEWRULE, _DELRULE = 20, 21, 24, 25, 32, 33
_BREATH = 32
"""Messages of a dump that are taken apart in one go."""
_REMOVALS = frozenset({"RTM_DELADDR", "RTM_DELROUTE", "RTM_DELRULE"})
_MOST_REMOVERS = 4096
_GONE = (errno.EADDRNOTAVAIL, errno.ENODEV, errno.ESRCH, errno.ENOENT)

Changed = Callable[[], Awaitable[None]]
Loss = Hashable
"""What may be lost: ("route", family, table, destination), ("rule",), ("address", text), ("link",)."""


class Kernel:
    """The kernel's links, addresses, routes and rules; an asynchronous context manager.

    ``buffer``: bytes in which notifications wait until they are read.
    """

    def __init__(self, buffer: int = BUFFER) -> None:
        self.commands: Any = AsyncIPRoute()
        self.renewals = Renewals()
        self._monitor = Monitor(LINK, ADDRESS4, ADDRESS6, buffer=buffer)
        self._picture: Picture | None = None
        self._reading = asyncio.Lock()
        self._lost = False
        self._changed = asyncio.Event()
        self._urgent = asyncio.Event()
        self._losses: dict[Loss, list[Callable[[], None]]] = {}
        self._removers: dict[Loss, str] = {}
        self._named_by_routes: dict[str, Link] = {}

    async def __aenter__(self) -> Self:
        await self.commands.__aenter__()
        return self

    async def __aexit__(self, *ending: object) -> None:
        self._monitor.close()
        self.renewals.close()
        await self.commands.__aexit__(*ending)

    # --- Reading --------------------------------------------------------------------------------------------------

    async def links(self) -> dict[str, Link]:
        """Return all links by name, as they are now: what was told until this moment is taken in first."""
        self._listen()
        async with self._reading:
            if self._picture is None or self._lost:
                await self._read_all()
        self._listen()
        assert self._picture is not None
        return self._picture.by_name()

    def known(self) -> dict[str, Link]:
        """Return all links by name, as far as they are known without waiting: after an overrun, as they were."""
        self._listen()
        return {} if self._picture is None else self._picture.by_name()

    async def read(self) -> dict[str, Link]:
        """Return all links by name, everything read anew: a check of the picture, and a doubt in what is not in it."""
        self._lost = True
        return await self.links()

    async def _read_all(self) -> None:
        self._lost = False
        addresses: list[Any] = []
        for family in (socket.AF_INET, socket.AF_INET6):
            await _gather(await self.commands.get_addr(family=family), addresses)
        links: list[Any] = []
        await _gather(await self.commands.get_links(), links)
        self._picture = Picture(links, addresses)
        self._lose(*self._losses)
        self._changed.set()

    def _listen(self) -> None:
        """Take in what the kernel has told; not while everything is read: it would be overwritten."""
        if self._reading.locked():
            return
        messages, lost = self._monitor.read()
        if lost:
            self._lost = True
            self._changed.set()
        for message in messages:
            self._take_in(message)

    def _take_in(self, message: Any) -> None:
        kind = message["event"]
        if kind in _REMOVALS:
            self._note_who(message)
        if kind in {"RTM_DELROUTE", "RTM_DELRULE"}:
            self._take_in_loss(message)
            return
        if self._picture is None:
            return
        before = self._picture.link(message["index"]) if kind in {"RTM_NEWLINK", "RTM_DELLINK"} else None
        if not self._picture.apply(message):
            return
        self._changed.set()
        if kind in {"RTM_NEWLINK", "RTM_DELLINK"}:
            after = self._picture.link(message["index"])
            if after is None or before is None or before.is_up != after.is_up:
                self._urgent.set()
                self._lose(("link",))  # the kernel drops routes then, in IPv4 without a word
        elif kind == "RTM_DELADDR":
            self._lose(_what(message))
            if not self._picture.has_addresses(message["index"], 4):
                self._lose(("link",))

    def _take_in_loss(self, message: Any) -> None:
        self._lose(_what(message))

    def _note_who(self, message: Any) -> None:
        """Remember which process has removed something: netlink(7) gives the sender of the request (its port)."""
        process = message["header"]["pid"]
        if process in {0, os.getpid()}:
            return
        try:
            name = Path(f"/proc/{process}/comm").read_text(encoding="utf-8", errors="replace").strip()
        except OSError:
            name = "which has ended since"
        if len(self._removers) >= _MOST_REMOVERS:
            self._removers.clear()
        self._removers[_what(message)] = f"process {process}, {name}"

    def who_removed(self, loss: Loss) -> str:
        """Return who has removed this, as far as the kernel has told; asked once, it is forgotten."""
        return self._removers.pop(loss, "somebody else")

    # --- Watching -------------------------------------------------------------------------------------------------

    async def watch(self, changed: Changed) -> None:
        """Call ``changed`` whenever links, addresses, or watched routes have changed; runs until cancelled."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._monitor.fileno(), self._listen)
        try:
            while True:
                await self._changed.wait()
                if self._lost:
                    await self.links()
                self._changed.clear()
                self._urgent.clear()
                await changed()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._urgent.wait(), SPACING)
        finally:
            loop.remove_reader(self._monitor.fileno())

    def on_loss(self, losses: Iterable[Loss], call: Callable[[], None]) -> None:
        """Call ``call`` whenever one of these may have been lost, until ``forget``; it must only take note."""
        for loss in losses:
            self._losses.setdefault(loss, []).append(call)
            if loss[0] == "route":  # type: ignore[index]
                self._monitor.join(ROUTE4)
                self._monitor.join(ROUTE6)
            elif loss[0] == "rule":  # type: ignore[index]
                self._monitor.join(RULE4)
                self._monitor.join(RULE6)

    def forget(self, call: Callable[[], None]) -> None:
        """Call ``call`` no more."""
        for loss, calls in list(self._losses.items()):
            left = [one for one in calls if one != call]
            if left:
                self._losses[loss] = left
            else:
                del self._losses[loss]

    def _lose(self, *losses: Loss) -> None:
        for loss in losses:
            for call in self._losses.get(loss, ()):
                call()
                self._changed.set()

    # --- Changing -------------------------------------------------------------------------------------------------

    async def add(self, link: Link, address: VirtualAddress, lease: int | None = None) -> bool:
        """Put ``address`` on ``link``, for ``lease`` seconds if that is given; returns False if it was there.

        Raises SystemRefusalError if refused.
        """
        routed = lease is None or brings_route(address, link)
        message = address_message(link.index, address, lives=lifetimes(address, lease), routed=routed)
        return await self._request(message, _NEWADDR, f"add {address} on {link.name}", _EXCLUSIVE | _CREATE)

    async def remove(self, link: Link, address: VirtualAddress) -> bool:
        """Take ``address`` from ``link``; returns False if it was not there. Raises SystemRefusalError if refused."""
        message = address_message(link.index, address, whole=False)
        return await self._request(message, _DELADDR, f"remove {address} on {link.name}")

    async def add_route(self, route: Route) -> bool:
        """Add ``route``; returns False if exactly this one was there. Raises SystemRefusalError if refused.

        A different route to the same destination stays, behind ours (IPv4), or shares with it (IPv6).
        """
        links = await self.links()
        message = route_message(route, links)
        self._named_by_routes.update({name: links[name] for name in _devices(route)})
        return await self._request(message, _NEWROUTE, f"add the route {route}", _CREATE)

    async def remove_route(self, route: Route) -> bool:
        """Remove ``route``; returns False if it was not there. Raises SystemRefusalError if refused."""
        try:  # an interface that has another name by now is found by its index
            message = route_message(route, {**self._named_by_routes, **await self.links()})
        except SystemRefusalError:  # its interface is gone, and all its routes with it
            return False
        return await self._request(message, _DELROUTE, f"remove the route {route}")

    async def add_rule(self, rule: Rule) -> bool:
        """Add ``rule``; returns False if it was there. Raises SystemRefusalError if refused."""
        return await self._request(rule_message(rule), _NEWRULE, f"add the rule {rule}", _EXCLUSIVE | _CREATE)

    async def remove_rule(self, rule: Rule) -> bool:
        """Remove ``rule``; returns False if it was not there. Raises SystemRefusalError if refused."""
        return await self._request(rule_message(rule), _DELRULE, f"remove the rule {rule}")

    async def _request(self, message: Any, kind: int, act: str, flags: int = 0) -> bool:
        harmless = (errno.EEXIST,) if flags & _CREATE else _GONE
        try:
            async for _ in await self.commands.nlm_request(message, msg_type=kind, msg_flags=_REQUEST_ACK | flags):
                pass
        except NetlinkError as refused:
            if refused.code in harmless:
                return False
            if refused.code == errno.EPERM:
                raise NoPermissionError("CAP_NET_ADMIN", f"to {act}") from None
            words = os.strerror(refused.code) if refused.code else str(refused)
            raise SystemRefusalError(f"cannot {act}: {words}") from None
        except OSError as refused:  # the request did not even fit (pyroute2 passes some errors on as they are)
            raise SystemRefusalError(f"cannot {act}: {refused}") from None
        return True


async def _gather(answer: AsyncIterator[Any], into: list[Any]) -> None:
    """Collect a long answer, and let the loop breathe meanwhile: advertisements do not wait for it."""
    async for found in answer:
        into.append(found)
        if len(into) % _BREATH == 0:
            await asyncio.sleep(0)


def _devices(route: Route) -> set[str]:
    """Return the names of the interfaces that a route goes through."""
    return {name for name in (route.device, *(hop.device for hop in route.nexthops)) if name is not None}


def _what(message: Any) -> Loss:
    """Return what a message says is gone."""
    match message["event"]:
        case "RTM_DELADDR":
            return "address", message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS")
        case "RTM_DELRULE":
            return ("rule",)
        case _:
            empty = "0.0.0.0" if message["family"] == socket.AF_INET else "::"
            destination = f"{message.get_attr('RTA_DST') or empty}/{message['dst_len']}"
            return "route", message["family"], message.get_attr("RTA_TABLE") or message["table"], destination
