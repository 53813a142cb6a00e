"""The status pages of the VRRP daemon: /health, /ready, /metrics, /events.

Laws: they read, and change nothing. They never hold VRRP up: the kernel is asked in a thread, at most once a second,
and a reader that is slow is dropped. What is told has its age. Imports aiohttp, so the daemon imports this only when
the configuration gives it an address.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Mapping
from ipaddress import ip_address
from typing import TYPE_CHECKING

from aiohttp import web

from hakit.transcript import Value
from hakit.web import NO_CACHE, Site
from pyvrrp.model import Address, Instance
from pyvrrp.status.health import health, readiness
from pyvrrp.status.kernel_look import addresses_held
from pyvrrp.status.metrics import render
from pyvrrp.status.tally import Tally

if TYPE_CHECKING:
    from pyvrrp.daemon import Daemon

MOST_CONNECTIONS = 32
PATIENCE = 30.0
FRESH = 1.0
"""Seconds for which a look at the kernel is used again."""
LARGEST_BODY = 1024
PATHS = ("/health", "/ready", "/metrics", "/events")


class StatusSite:
    """The pages of one daemon at one address."""

    def __init__(self, daemon: Daemon, address: tuple[str, int]) -> None:
        self.address = address
        self._daemon = daemon
        self._tally = Tally(daemon.hub)
        self._site: Site | None = None
        self._held: frozenset[Address] | None = None
        self._looked_at = float("-inf")
        self._looking = asyncio.Lock()

    async def start(self) -> None:
        """Answer from now on; raises OSError, with the address in its text, if it cannot be had."""
        application = web.Application(client_max_size=LARGEST_BODY)
        application.router.add_get("/health", self._health)
        application.router.add_get("/ready", self._ready)
        application.router.add_get("/metrics", self._metrics)
        application.router.add_get("/events", self._events)
        application.router.add_get("/{other:.*}", _other)
        self._site = Site(application, [_listening(*self.address)], most=MOST_CONNECTIONS, patience=PATIENCE)
        await self._site.start()

    async def stop(self) -> None:
        """Close everything."""
        if self._site is not None:
            await self._site.stop()
            self._site = None

    async def _health(self, _request: web.Request) -> web.Response:
        age = await self._look()
        document = health(self._told(), self._instances(), self._held, age)
        return _json(document, ok=document["healthy"] is True)

    async def _ready(self, _request: web.Request) -> web.Response:
        document = readiness(self._status(), self._told())
        return _json(document, ok=document["ready"] is True)

    async def _metrics(self, _request: web.Request) -> web.Response:
        text = render(self._status(), self._instances(), self._tally.counts)
        headers = {**NO_CACHE, "Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
        return web.Response(body=text.encode(), headers=headers)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        assert self._site is not None
        return await self._site.stream(request, self._daemon.hub)

    def _status(self) -> Mapping[str, Value]:
        status = self._daemon.status()
        assert isinstance(status, dict)
        return status

    def _instances(self) -> list[Instance]:
        return [router.instance for router in self._daemon.routers.values()]

    def _told(self) -> dict[str, Mapping[str, Value]]:
        return {router.instance.name: router.status() for router in self._daemon.routers.values()}

    async def _look(self) -> float:
        """Look at the kernel, unless somebody has just done so; returns the age of the look in seconds."""
        loop = asyncio.get_running_loop()
        async with self._looking:
            if loop.time() - self._looked_at > FRESH:
                self._looked_at = loop.time()
                try:
                    self._held = await asyncio.to_thread(addresses_held)
                except OSError:
                    self._held = None
        return loop.time() - self._looked_at


async def _other(_request: web.Request) -> web.Response:
    return web.Response(status=404, text=f"There is {', '.join(PATHS)}.\n", headers=NO_CACHE)


def _json(document: Mapping[str, Value], *, ok: bool) -> web.Response:
    text = json.dumps(document, ensure_ascii=False) + "\n"
    status = 200 if ok else 503
    return web.Response(status=status, text=text, content_type="application/json", headers=NO_CACHE)


def _listening(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ip_address(address).version == 6 else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind((address, port))
        opened.listen(64)
    except OSError as refused:
        opened.close()
        raise OSError(f"the status pages cannot have {address} port {port}: {refused.strerror}") from None
    return opened
