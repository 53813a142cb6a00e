"""The worker behind the advertisements, with a kernel that is slow, or refuses, and no network."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from ipaddress import ip_interface
from typing import Any

from pyvrrp.model import Address, Instance, VirtualAddress
from pyvrrp.system.addresses import AddressWorker
from pyvrrp.system.errors import SystemRefusalError
from pyvrrp.system.link import Link

VIP = VirtualAddress(ip_interface("192.0.2.100/24"))
INSTANCE = Instance("VI_1", "eth0", 51, addresses=(VIP,))
ETH0 = Link(2, "eth0", bytes(6), is_up=True, addresses=(ip_interface("192.0.2.1/24"),))


class SlowKernel:
    """Does what it is asked for when it is told to; refuses while ``refuses``."""

    def __init__(self) -> None:
        self.may_go_on = asyncio.Event()
        self.may_go_on.set()
        self.asked = asyncio.Event()
        self.refuses = False
        self.has: list[VirtualAddress] = []

    async def add(self, link: Link, address: VirtualAddress, lease: int | None) -> bool:
        self.asked.set()
        await self.may_go_on.wait()
        if self.refuses:
            raise SystemRefusalError("no buffer space")
        self.has.append(address)
        return True

    async def remove(self, link: Link, address: VirtualAddress) -> bool:
        is_there = address in self.has
        self.has = [one for one in self.has if one != address]
        return is_there

    async def links(self) -> dict[str, Link]:
        return {"eth0": ETH0}

    def forget(self, call: Callable[[], None]) -> None:
        """Nobody listens."""


class Announcements:
    """Remembers what was announced."""

    def __init__(self) -> None:
        self.made: list[Address] = []

    def announce(self, link: Link, address: Address, failed: object) -> None:
        self.made.append(address)

    def forget(self, index: int, addresses: object) -> None:
        """Nothing waits here."""


Scene = Callable[[AddressWorker, SlowKernel, Announcements], Coroutine[Any, Any, None]]


def play(scene: Scene) -> list[str]:
    """Let a worker work while ``scene`` is played; return what it told of, by name."""
    told: list[str] = []

    async def story() -> None:
        kernel, announcements = SlowKernel(), Announcements()

        def tell(event: str, reason: str = "", **values: object) -> None:
            told.append(event)

        worker = AddressWorker(INSTANCE, kernel, announcements, {"eth0": ETH0}.get, tell)  # type: ignore[arg-type]
        running = asyncio.ensure_future(worker.run())
        try:
            await scene(worker, kernel, announcements)
        finally:
            running.cancel()

    asyncio.run(story())
    return told


def test_who_gives_its_addresses_up_announces_none_of_them_however_late_the_kernel_is() -> None:
    async def scene(worker: AddressWorker, kernel: SlowKernel, announcements: Announcements) -> None:
        kernel.may_go_on.clear()
        worker.add()
        worker.announce(5)
        await kernel.asked.wait()
        worker.remove()  # another router has the addresses by now
        worker.restore(5)
        kernel.may_go_on.set()
        await worker.finish()
        assert (announcements.made, kernel.has) == ([], [])
        worker.add()
        worker.announce(1)
        await worker.finish()
        assert (announcements.made, kernel.has) == ([VIP.ip], [VIP])

    play(scene)


def test_what_is_given_up_before_the_kernel_is_asked_is_not_even_added() -> None:
    async def scene(worker: AddressWorker, kernel: SlowKernel, announcements: Announcements) -> None:
        worker.add()
        worker.remove()
        await worker.finish()
        assert not kernel.asked.is_set()

    play(scene)


def test_an_address_that_the_kernel_refuses_is_asked_for_again_and_announced_when_it_is_there() -> None:
    async def scene(worker: AddressWorker, kernel: SlowKernel, announcements: Announcements) -> None:
        kernel.refuses = True
        worker.add()
        worker.announce(1)
        await worker.finish()
        assert (worker.is_incomplete, worker.held, announcements.made) == (True, (), [])
        worker.restore(2)
        await worker.finish()
        assert worker.is_incomplete
        kernel.refuses = False
        worker.restore(2)
        await worker.finish()
        assert (worker.is_incomplete, worker.held, announcements.made) == (False, (VIP,), [VIP.ip, VIP.ip])

    assert play(scene).count("system_error") == 1, "told once"


def test_what_was_refused_is_forgotten_with_what_is_given_up() -> None:
    async def scene(worker: AddressWorker, kernel: SlowKernel, announcements: Announcements) -> None:
        kernel.refuses = True
        worker.add()
        await worker.finish()
        worker.remove()
        assert not worker.is_incomplete
        await worker.finish()
        kernel.refuses = False
        worker.restore(1)
        await worker.finish()
        assert kernel.has == []

    play(scene)
