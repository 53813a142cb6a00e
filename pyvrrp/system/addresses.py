"""The addresses of one virtual router: added, removed and announced in the order in which the machine said so.

Laws: one worker an instance takes the acts from a queue, one after the other, so that gratuitous ARP goes out only
after the kernel has confirmed the addresses, and a removal never overtakes the addition before it. The loop that
receives and sends advertisements never waits for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from hakit.transcript import Value
from pyvrrp.model import Instance, VirtualAddress
from pyvrrp.system.announcer import Announcer
from pyvrrp.system.errors import SystemRefusalError
from pyvrrp.system.kernel import Kernel, Link


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
        self._acts: asyncio.Queue[Callable[[], object]] = asyncio.Queue()

    def add(self) -> None:
        """Put all addresses on their interfaces, in the order of the file."""
        self._acts.put_nowait(self._add)

    def remove(self) -> None:
        """Take all addresses away, in reverse order."""
        self._acts.put_nowait(self._remove)

    def announce(self, rounds: int) -> None:
        """Send ``rounds`` rounds of gratuitous ARP over all addresses."""
        self._acts.put_nowait(lambda: self._announce(rounds))

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            act = await self._acts.get()
            try:
                doing = act()
                if asyncio.iscoroutine(doing):
                    await doing
            except (SystemRefusalError, OSError) as refused:
                self._tell("system_error", str(refused))
            finally:
                self._acts.task_done()

    async def finish(self) -> None:
        """Wait until everything that was asked for has been done."""
        await self._acts.join()

    def _links(self) -> list[tuple[VirtualAddress, Link]]:
        found = [
            (address, self._link(address.device or self._instance.interface)) for address in self._instance.addresses
        ]
        return [(address, link) for address, link in found if link is not None]

    async def _add(self) -> None:
        self._tell("addresses", "setting VIPs.", action="setting")
        for address, link in self._links():
            await self._kernel.add(link, address)
            self._tell("address", action="added", address=str(address), interface=link.name)

    async def _remove(self) -> None:
        self._tell("addresses", "removing VIPs.", action="removing")
        for address, link in reversed(self._links()):
            if await self._kernel.remove(link, address):
                self._tell("address", action="removed", address=str(address), interface=link.name)

    def _announce(self, rounds: int) -> None:
        links = self._links()
        for _ in range(rounds):
            for address, link in links:
                self._announcer.announce(link.name, link.hardware_address, address.interface.ip)
        for address, link in links:
            self._tell("announced", address=str(address.interface.ip), interface=link.name, rounds=rounds)
