"""Gratuitous ARP on the wire.

Laws: a packet socket that only sends: it is bound to protocol 0, so the kernel never queues a frame for it.
packet(7); the frame is ``wire/arp.py``'s.
"""

from __future__ import annotations

import socket
from ipaddress import IPv4Address

from pyvrrp.system.errors import NoPermissionError
from pyvrrp.wire.arp import gratuitous_arp


class Announcer:
    """Sends gratuitous ARP on any interface."""

    def __init__(self) -> None:
        try:
            kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
            self._socket = socket.socket(socket.AF_PACKET, kind, 0)
        except PermissionError:
            raise NoPermissionError("CAP_NET_RAW", "to open a packet socket for gratuitous ARP") from None

    def announce(self, interface: str, hardware_address: bytes, address: IPv4Address) -> None:
        """Broadcast one gratuitous ARP for ``address``; raises OSError if it did not leave."""
        self._socket.sendto(gratuitous_arp(hardware_address, address), (interface, 0))

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
