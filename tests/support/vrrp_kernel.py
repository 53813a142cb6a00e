"""A host's kernel as the daemon's system room sees it, for tests: acts inside the host, and what ip(8) says after."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from hakit.transcript import Value
from halab.namespace import Host
from pyvrrp.model import Instance, Spacing
from pyvrrp.system.addresses import AddressWorker
from pyvrrp.system.announcer import Announcer
from pyvrrp.system.kernel import Kernel
from pyvrrp.system.link import Link
from pyvrrp.system.sysctl import Settings

T = TypeVar("T")


def within(host: Host, work: Callable[[], Awaitable[T]], limit: float = 30) -> T:
    """Run ``work`` in an event loop inside the host's network."""

    async def limited() -> T:
        return await asyncio.wait_for(work(), limit)

    return host.inside(lambda: asyncio.run(limited())).result(limit + 5)


def ip_json(host: Host, *words: str) -> Any:
    """What ``ip -j`` says in the host."""
    return json.loads(host.run(["ip", "-j", *words]).check().output or "[]")


def addresses_of(host: Host, interface: str) -> set[str]:
    """The addresses of an interface, with their prefix lengths."""
    found = ip_json(host, "addr", "show", "dev", interface)
    return {f"{one['local']}/{one['prefixlen']}" for link in found for one in link.get("addr_info", [])}


@dataclass
class Told:
    """What a worker has told: event names, reasons and values, in order; and a wait for one of them."""

    events: list[tuple[str, str, dict[str, Value]]] = field(default_factory=list)

    def __call__(self, event: str, reason: str = "", **values: Value) -> None:
        self.events.append((event, reason, values))

    def reasons(self, event: str) -> list[str]:
        return [reason for name, reason, _ in self.events if name == event]


@dataclass
class Standing:
    """A kernel that is watched, and one worker that runs, as the daemon has them."""

    kernel: Kernel
    worker: AddressWorker
    told: Told
    announcer: Announcer
    changes: int = 0
    _now: float = field(default_factory=time.monotonic)

    async def renew(self, instance: Instance) -> OSError | None:
        """Have half a lease pass, and the worker renew what it holds; returns why the kernel has refused to."""
        assert instance.vip_lease is not None
        self._now += instance.vip_lease / 2
        assert self.worker.renew(self._now) is None
        lease = self.worker._lease
        if lease._renewal is not None:
            await lease._renewal.ended.wait()
        return lease._refused

    async def until(self, true: Callable[[], bool], seconds: float = 5) -> None:
        async with asyncio.timeout(seconds):
            while not true():  # noqa: ASYNC110 - what is waited for is the kernel's, not the loop's
                await asyncio.sleep(0.01)


@asynccontextmanager
async def standing(
    instance: Instance, *, spacing: Spacing | None = None, settings: Settings | None = None, vmac: str | None = None
) -> AsyncIterator[Standing]:
    """Run a worker for ``instance`` that puts back what others take away, as the daemon lets it."""
    told, links = Told(), dict[str, Link]()
    announcer = Announcer({"": spacing} if spacing is not None else None)
    async with Kernel() as kernel:
        links.update(await kernel.links())
        worker = AddressWorker(instance, kernel, announcer, links.get, told, settings=settings, vmac=vmac)
        made = Standing(kernel, worker, told, announcer)

        async def changed() -> None:
            made.changes += 1
            now = await kernel.links()
            links.clear()
            links.update(now)
            if worker.misses():
                worker.restore(1)

        tasks = [asyncio.ensure_future(kernel.watch(changed)), asyncio.ensure_future(worker.run())]
        try:
            yield made
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            announcer.close()
