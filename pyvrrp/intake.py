"""All sockets that advertisements arrive at, and whose router each packet is for.

Laws: the loop watches one descriptor, an epoll over all sockets, so that what is readable is known in one system call
however many there are. Everything that waits is read before a timer fires (a daemon that slept hears the present
first), but for a bounded time: a flood cannot keep the timers waiting. A socket whose interface is gone stays on the
list without a descriptor, until its interface is back.
"""

from __future__ import annotations

import asyncio
import errno
import select
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from hakit.events import EventHub
from pyvrrp.model import Instance
from pyvrrp.protocol.reception import virtual_router_id
from pyvrrp.ration import Ration
from pyvrrp.router import Router
from pyvrrp.system.errors import NoPermissionError
from pyvrrp.system.kernel import Link
from pyvrrp.system.sockets import AdvertisementSocket, Endpoint
from pyvrrp.wire.packet import MalformedPacketError, Packet

PATIENCE = 0.02
"""Seconds that reading may take before timers fire; a flood waits in the kernel, and there it is dropped."""
PATIENCE_AFTER_SLEEP = 0.25
"""The same after a sleep, when more may have gathered and more depends on it."""
_QUIET = 60.0
"""Seconds between two words on the same unknown virtual router."""
_MOST_UNKNOWN = 256
_NO_INTERFACE = {errno.ENXIO, errno.ENODEV, errno.EADDRNOTAVAIL}

Heard = Callable[[Router, Packet], None]


@dataclass(slots=True)
class Listener:
    """An endpoint, its socket (None while there is no such interface), and its routers by VRID."""

    endpoint: Endpoint
    socket: AdvertisementSocket | None = None
    routers: dict[int, Router] = field(default_factory=dict)

    def is_at(self, endpoint: Endpoint) -> bool:
        """Return whether it serves ``endpoint``, with a buffer of whatever size: the first one here has set it."""
        return replace(self.endpoint, buffer=None) == replace(endpoint, buffer=None)


class Intake:
    """Hands every packet to its router."""

    def __init__(self, hub: EventHub, heard: Heard, ration: Ration, *, log_unknown: bool = False) -> None:
        self.log_unknown = log_unknown
        self.listeners: dict[Endpoint, Listener] = {}
        self._hub = hub
        self._heard = heard
        self._ration = ration
        self._by_descriptor: dict[int, Listener] = {}
        self._epoll = select.epoll()
        self._loop = asyncio.get_running_loop()
        self._unknown: dict[tuple[Endpoint, int], float] = {}

    def begin(self) -> None:
        """Read from now on."""
        self._loop.add_reader(self._epoll.fileno(), self.read)

    def end(self) -> None:
        """Read no more, and close everything."""
        self._loop.remove_reader(self._epoll.fileno())
        for listener in self.listeners.values():
            self._close(listener)
        self._epoll.close()

    def add(self, router: Router, endpoint: Endpoint) -> None:
        """Have ``router`` hear what arrives at ``endpoint``.

        Raises OSError if its interface is there but refuses: then it listens as soon as a link changes.
        """
        key = replace(endpoint, buffer=None)
        listener = self.listeners.get(key)
        if listener is None:
            listener = self.listeners[key] = Listener(endpoint)
        listener.routers[router.instance.virtual_router_id] = router
        router.listener = listener
        self._open(listener)

    def restore(self, router: Router) -> None:
        """Have ``router`` hear again what another one of its number may have taken from it."""
        if router.listener is not None:
            router.listener.routers[router.instance.virtual_router_id] = router

    def remove(self, router: Router) -> None:
        """Let ``router`` hear nothing any more; a socket that serves nobody is closed."""
        listener, router.listener = router.listener, None
        if listener is None:
            return
        listener.routers = {number: other for number, other in listener.routers.items() if other is not router}
        if not listener.routers:
            self._close(listener)
            self.listeners.pop(replace(listener.endpoint, buffer=None), None)

    def follow(self, links: Mapping[str, Link]) -> None:
        """Open sockets whose interface has come, and anew those whose interface was deleted and made again."""
        for listener in self.listeners.values():
            link = links.get(listener.endpoint.interface)
            if listener.socket is not None and (link is None or link.index != listener.socket.index):
                self._close(listener)
            if link is not None and listener.socket is None:
                try:
                    self._open(listener)
                except NoPermissionError:
                    raise
                except OSError:
                    continue  # gone again: the next change of a link brings us back here

    def _open(self, listener: Listener) -> None:
        if listener.socket is not None:
            return
        try:
            listener.socket = AdvertisementSocket(listener.endpoint)
        except OSError as wrong:
            if wrong.errno in _NO_INTERFACE:
                return
            raise
        self._by_descriptor[listener.socket.fileno()] = listener
        self._epoll.register(listener.socket.fileno(), select.EPOLLIN)

    def _close(self, listener: Listener) -> None:
        if listener.socket is None:
            return
        self._by_descriptor.pop(listener.socket.fileno(), None)
        self._epoll.unregister(listener.socket.fileno())
        listener.socket.close()
        listener.socket = None

    # --- Reading --------------------------------------------------------------------------------------------------

    def read(self) -> bool:
        """Read once from every socket that has something, at most 64 packets each; returns whether there was any."""
        found = self._epoll.poll(0, 64)
        for descriptor, _ in found:
            listener = self._by_descriptor.get(descriptor)
            if listener is not None and listener.socket is not None:
                self._hear(listener, listener.socket.receive())
        return bool(found)

    def read_all(self, *, after_sleep: bool = False) -> None:
        """Read until nothing waits any more, for PATIENCE seconds at most."""
        until = self._loop.time() + (PATIENCE_AFTER_SLEEP if after_sleep else PATIENCE)
        while self.read() and self._loop.time() < until:
            pass

    def _hear(self, listener: Listener, packets: Iterable[Packet | MalformedPacketError]) -> None:
        for packet in packets:
            if isinstance(packet, MalformedPacketError):
                continue
            number = virtual_router_id(packet)
            if number is None:
                continue
            router = listener.routers.get(number)
            if router is not None:
                self._heard(router, packet)
            elif self.log_unknown:
                self._tell_unknown(listener.endpoint, number, packet)

    def _tell_unknown(self, endpoint: Endpoint, number: int, packet: Packet) -> None:
        now, key = self._loop.time(), (endpoint, number)
        if now < self._unknown.get(key, now) or len(self._unknown) > _MOST_UNKNOWN:
            return
        self._unknown[key] = now + _QUIET
        if not self._ration.admits("unknown_vrid", now):
            return
        text = f"Unknown VRID({number}) received on interface({endpoint.interface}) from {packet.source}. ignoring..."
        self._hub.publish("unknown_vrid", text, virtual_router_id=number, sender=str(packet.source))


def endpoint_of(instance: Instance, interface: str | None = None) -> Endpoint:
    """Return where ``instance`` sends and listens; ``interface``: that of its VMAC."""
    return Endpoint.of(instance, interface)
