"""The raw socket of an interface: advertisements out and in.

Laws: one socket an interface, shared by its virtual routers; bound to the interface, member of 224.0.0.18 there and
only there, never hearing itself. It never blocks. We write the IP header (``wire/ipv4.py``), the kernel routes
nothing (MSG_DONTROUTE). raw(7), ip(7); RFC 3768 section 5.2.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

from pyvrrp.system.errors import NoPermissionError
from pyvrrp.wire import ipv4
from pyvrrp.wire.ipv4 import PROTOCOL_VRRP, VRRP_GROUP, MalformedPacketError, Packet

RECEIVE_SIZE = 2048
"""More than any advertisement: 20 + 8 + 4 x 255 + 8 bytes."""
MOST_AT_ONCE = 64
"""Packets read in one go, so that a flood cannot keep the loop from its timers."""


class AdvertisementSocket:
    """Sends and receives VRRP packets on one interface."""

    def __init__(self, interface: str) -> None:
        self.interface = interface
        self._identification = 0
        self._open()

    def _open(self) -> None:
        try:
            kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
            self._socket = socket.socket(socket.AF_INET, kind, PROTOCOL_VRRP)
        except PermissionError:
            raise NoPermissionError("CAP_NET_RAW", "to open a raw socket for VRRP") from None
        raw = self._socket
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, self.interface.encode())
        self.index = socket.if_nametoindex(self.interface)
        group = struct.pack("4s4si", VRRP_GROUP.packed, bytes(4), self.index)  # struct ip_mreqn
        raw.setsockopt(socket.IPPROTO_IP, socket.IP_HDRINCL, 1)
        raw.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, group)
        raw.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 0)
        raw.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group)

    def fileno(self) -> int:
        """Return the descriptor, for the loop to watch."""
        return self._socket.fileno()

    def send(self, packet: Packet) -> None:
        """Send one packet; its identification is set to the next of 1, 2, 3, ... Raises OSError if it did not leave."""
        self._identification = self._identification % 0xFFFF + 1
        numbered = Packet(packet.source, packet.destination, packet.payload, self._identification)
        self._socket.sendto(numbered.encode(), socket.MSG_DONTROUTE, (str(packet.destination), 0))

    def receive(self) -> Iterator[Packet | MalformedPacketError]:
        """Yield what has arrived, at most MOST_AT_ONCE packets; bytes that are no IPv4 packet come as their error."""
        for _ in range(MOST_AT_ONCE):
            try:
                data = self._socket.recv(RECEIVE_SIZE)
            except BlockingIOError:
                return
            except OSError:  # ENETDOWN, once, when the interface goes down: netlink tells the rest
                return
            try:
                yield ipv4.decode(data)
            except MalformedPacketError as wrong:
                yield wrong

    def reopen(self) -> None:
        """Begin anew on the interface that bears the name now: a socket stays bound to the index that it began with.

        Raises OSError if there is none such.
        """
        self._socket.close()
        self._open()

    def close(self) -> None:
        """Leave the group and close."""
        self._socket.close()
