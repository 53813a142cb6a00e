"""Gratuitous ARP and unsolicited Neighbour Advertisements on the wire.

Laws: a packet socket that only sends: it is bound to protocol 0, so the kernel never queues a frame for it. Where
``garp_interval`` or ``gna_interval`` asks for a distance, frames wait in a queue an interface and family, in order;
without one they leave at once. What waits for an address that has been given up never leaves. packet(7); the frames
are ``wire/arp.py``'s and ``wire/neighbour.py``'s.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path

from pyvrrp.model import Address, Spacing
from pyvrrp.system.errors import NoPermissionError
from pyvrrp.system.link import Link
from pyvrrp.wire.arp import gratuitous_arp
from pyvrrp.wire.neighbour import unsolicited_na

AT_ONCE = Spacing()
Failed = Callable[[OSError], object]


@dataclass(slots=True)
class _Queue:
    """What waits for one interface and family, and when the next frame may leave (loop time)."""

    waiting: deque[tuple[Link, Address, Failed]] = field(default_factory=deque)
    next_at: float = 0.0
    timer: asyncio.TimerHandle | None = None


class Announcer:
    """Announces addresses on any interface. ``spacing`` by interface, ``""`` for all others."""

    def __init__(self, spacing: Mapping[str, Spacing] | None = None) -> None:
        self.spacing: Mapping[str, Spacing] = spacing or {}
        self._queues: dict[tuple[int, int], _Queue] = {}
        try:
            kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
            self._socket = socket.socket(socket.AF_PACKET, kind, 0)
        except PermissionError:
            raise NoPermissionError("CAP_NET_RAW", "to open a packet socket for gratuitous ARP") from None

    def announce(self, link: Link, address: Address, failed: Failed) -> None:
        """Broadcast that ``address`` lives at ``link`` now, at once or when its turn has come.

        A link that is no Ethernet has nobody to tell. ``failed`` is called with the error if it did not leave.
        """
        if not link.hardware_address:
            return
        gap = self._gap(link, address)
        queue = self._queues.setdefault((link.index, address.version), _Queue())
        if gap <= 0 and not queue.waiting:
            self._send(link, address, failed)
            return
        queue.waiting.append((link, address, failed))
        self._serve(queue)

    def _gap(self, link: Link, address: Address) -> float:
        spacing = self.spacing.get(link.name) or self.spacing.get("", AT_ONCE)
        return spacing.arp if address.version == 4 else spacing.na

    def _serve(self, queue: _Queue) -> None:
        """Send the first in the queue if it may leave, and set the timer for the next."""
        loop = asyncio.get_running_loop()
        while queue.waiting and queue.timer is None:
            now = loop.time()
            if now < queue.next_at:
                queue.timer = loop.call_at(queue.next_at, self._turn, queue)
                return
            link, address, failed = queue.waiting.popleft()
            queue.next_at = now + self._gap(link, address)
            self._send(link, address, failed)

    def _turn(self, queue: _Queue) -> None:
        queue.timer = None
        self._serve(queue)

    def _send(self, link: Link, address: Address, failed: Failed) -> None:
        if isinstance(address, IPv4Address):
            frame = gratuitous_arp(link.hardware_address, address)
        else:
            frame = unsolicited_na(link.hardware_address, address, router=_forwards(link.name))
        try:
            self._socket.sendto(frame, (link.name, 0))
        except OSError as wrong:
            failed(wrong)

    def forget(self, index: int, addresses: Collection[Address]) -> None:
        """Drop what waits for these addresses on the interface of this index: they are not ours any more."""
        for (of, _), queue in self._queues.items():
            if of == index:
                queue.waiting = deque(one for one in queue.waiting if one[1] not in addresses)

    def close(self) -> None:
        """Close the socket; what still waits does not leave."""
        for queue in self._queues.values():
            if queue.timer is not None:
                queue.timer.cancel()
        self._socket.close()


def _forwards(interface: str) -> bool:
    """Return whether this host is an IPv6 router on the interface (RFC 4861 section 4.4, the R flag)."""
    try:
        return Path(f"/proc/sys/net/ipv6/conf/{interface}/forwarding").read_text(encoding="ascii").strip() == "1"
    except OSError:
        return False
