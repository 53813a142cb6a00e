"""The addresses of one virtual router: added, removed and announced in the order in which the machine said so.

Laws: one worker an instance takes the acts from a queue, one after the other, so that gratuitous ARP goes out only
for addresses that the kernel has confirmed, a removal never overtakes the addition before it, and notify scripts run
when the addresses are where they belong. One address that is refused does not hold up the others, and no error ends
the worker. The loop that receives and sends advertisements never waits for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from ipaddress import IPv4Address
from typing import Protocol

from hakit.transcript import Value
from pyvrrp.model import Instance, VirtualAddress
from pyvrrp.system.announcer import Announcer
from pyvrrp.system.errors import SystemRefusalError
from pyvrrp.system.kernel import Kernel, Link

Act = Callable[[], Awaitable[None]]


class Tell(Protocol):
    """How the worker tells what it did: an event's name, a reason, and values."""

    def __call__(self, event: str, reason: str = "", **values: Value) -> object:
        """Publish one event of this instance."""


class AddressWorker:
    """Carries out AddAddresses, RemoveAddresses and Announce for one instance."""

    def __init__(
        self, instance: Instance, kernel: Kernel, announcer: Announcer, link: Callable[[str], Link | None], tell: Tell
    ) -> None:
        self._instance = instance
        self._kernel = kernel
        self._announcer = announcer
        self._link = link
        self._tell = tell
        self._acts: asyncio.Queue[Act] = asyncio.Queue()
        self._held: list[VirtualAddress] = []

    def add(self) -> None:
        """Put all addresses on their interfaces, in the order of the file."""
        self._acts.put_nowait(self._add)

    def remove(self) -> None:
        """Take all addresses away, in reverse order."""
        self._acts.put_nowait(self._remove)

    def announce(self, rounds: int) -> None:
        """Send ``rounds`` rounds of gratuitous ARP over the addresses that are held."""

        async def act() -> None:
            self._announce(rounds)

        self._acts.put_nowait(act)

    def restore(self, rounds: int) -> None:
        """Put back, and announce, what somebody else has taken away."""

        async def act() -> None:
            await self._restore(rounds)

        self._acts.put_nowait(act)

    def then(self, call: Callable[[], None]) -> None:
        """Call ``call`` once everything that was asked for before has been done."""

        async def act() -> None:
            call()

        self._acts.put_nowait(act)

    def misses(self) -> bool:
        """Return whether an address that is held is not on its interface, as far as the links were last read."""
        return any(
            link is not None and address.interface not in link.addresses
            for address, link in ((held, self._where(held)) for held in self._held)
        )

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            act = await self._acts.get()
            try:
                await act()
            except Exception as wrong:  # noqa: BLE001 - told; the next act, perhaps a removal, must still be done
                self._tell("system_error", f"{type(wrong).__name__}: {wrong}")
            finally:
                self._acts.task_done()

    async def finish(self) -> None:
        """Wait until everything that was asked for has been done."""
        await self._acts.join()

    def _where(self, address: VirtualAddress) -> Link | None:
        return self._link(address.device or self._instance.interface)

    async def _add(self) -> None:
        self._tell("addresses", "setting VIPs.", action="setting")
        self._held = [address for address in self._instance.addresses if await self._set(address)]

    async def _set(self, address: VirtualAddress) -> bool:
        link = self._where(address)
        if link is None:
            self._tell("system_error", f"{address} is not set: there is no interface {address.device}")
            return False
        try:
            await self._kernel.add(link, address)
        except SystemRefusalError as refused:
            self._tell("system_error", str(refused))
            return False
        self._tell("address", action="added", address=str(address), interface=link.name)
        return True

    async def _remove(self) -> None:
        self._tell("addresses", "removing VIPs.", action="removing")
        self._held = []
        for address in reversed(self._instance.addresses):
            link = self._where(address)
            if link is None:
                continue
            try:
                was_there = await self._kernel.remove(link, address)
            except SystemRefusalError as refused:
                self._tell("system_error", str(refused))
                continue
            if was_there:
                self._tell("address", action="removed", address=str(address), interface=link.name)

    async def _restore(self, rounds: int) -> None:
        links = await self._kernel.links()  # what is true now, after all that this worker has done itself
        for address in self._held:
            link = links.get(address.device or self._instance.interface)
            if link is not None and address.interface not in link.addresses:
                self._tell("address_lost", f"{address} was removed from {link.name} by somebody else: putting it back")
                if await self._set(address):
                    self._send(address, link, rounds)

    def _announce(self, rounds: int) -> None:
        links = [(address, link) for address in self._held if (link := self._where(address)) is not None]
        for _ in range(rounds):
            for address, link in links:
                self._send(address, link, 1)
        for address, link in links:
            self._tell("announced", address=str(address.interface.ip), interface=link.name, rounds=rounds)

    def _send(self, address: VirtualAddress, link: Link, rounds: int) -> None:
        if not link.hardware_address or not isinstance(address.ip, IPv4Address):
            return
        try:
            for _ in range(rounds):
                self._announcer.announce(link.name, link.hardware_address, address.ip)
        except OSError as failed:
            self._tell("system_error", f"gratuitous ARP for {address} did not leave {link.name}: {failed.strerror}")
