"""The raw sockets that advertisements leave and arrive through.

Laws: one socket an endpoint (interface, family, protocol, group), shared by all virtual routers there, up to 255 of
them. It is bound to the interface, member of its group there and only there, and never hears itself. It yields only
what was sent to where it listens: a multicast endpoint its group's packets, a unicast one those to an address of the
host, so that two sockets on one interface never hand out the same packet twice. It never blocks.

IPv4: we write the IP header (``wire/ipv4.py``), since the identification counts and AH lies between. IPv6: the kernel
writes it from what goes beside each message (source, hop limit, traffic class); the checksum is ours and is already
in the message. What goes to a group is not routed (MSG_DONTROUTE); what goes to a peer may be. raw(7), ip(7),
ipv6(7), RFC 3542; RFC 3768 section 5.2, RFC 5798 section 5.1.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from ipaddress import IPv6Address

from pyvrrp.model import VRRP_GROUP, Address, Instance, Multicast
from pyvrrp.system.errors import NoPermissionError
from pyvrrp.wire import ipv4, ipv6
from pyvrrp.wire.packet import INTERNETWORK_CONTROL, PROTOCOL_AH, PROTOCOL_VRRP, MalformedPacketError, Packet

RECEIVE_SIZE = 8192
"""More than any advertisement: in IPv6 8 + 16 x 255 bytes, and a trailer."""
ANCILLARY_SIZE = 256
MOST_AT_ONCE = 64
"""Packets read in one go, so that a flood cannot keep the loop from its timers."""

_IP_MULTICAST_ALL = 49  # linux/in.h
_IPV6_MULTICAST_ALL = 29  # linux/in6.h
_SO_RCVBUFFORCE = 33  # asm-generic/socket.h


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where advertisements leave and arrive. ``group`` None: unicast. ``buffer``: its size in bytes, None: as it is."""

    interface: str
    family: int = 4
    protocol: int = PROTOCOL_VRRP
    group: Address | None = None
    buffer: int | None = None

    @classmethod
    def of(cls, instance: Instance, interface: str | None = None) -> Endpoint:
        """Return the endpoint of an instance; ``interface``: another one than its own (its VMAC, say)."""
        transport = instance.transport
        return cls(
            interface or instance.interface,
            instance.family,
            PROTOCOL_AH if instance.authentication.type.name == "AH" else PROTOCOL_VRRP,
            transport.group if isinstance(transport, Multicast) else None,
            instance.receive_buffer,
        )

    def takes(self, destination: Address) -> bool:
        """Return whether a packet to ``destination`` is for this endpoint."""
        return not destination.is_multicast if self.group is None else destination == self.group


class AdvertisementSocket:
    """Sends and receives VRRP packets at one endpoint. ``index``: of the interface that it is bound to."""

    def __init__(self, endpoint: Endpoint | str) -> None:
        self.endpoint = endpoint if isinstance(endpoint, Endpoint) else Endpoint(endpoint, group=VRRP_GROUP)
        self._identification = 0
        self._open()

    @property
    def interface(self) -> str:
        """The name of the interface."""
        return self.endpoint.interface

    def _open(self) -> None:
        family = socket.AF_INET if self.endpoint.family == 4 else socket.AF_INET6
        kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        try:
            self._socket = socket.socket(family, kind, self.endpoint.protocol)
        except PermissionError:
            raise NoPermissionError("CAP_NET_RAW", "to open a raw socket for VRRP") from None
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, self.endpoint.interface.encode())
            self.index = socket.if_nametoindex(self.endpoint.interface)
            self._size_buffer()
            if self.endpoint.family == 4:
                self._prepare4()
            else:
                self._prepare6()
        except OSError:
            self._socket.close()
            raise

    def _size_buffer(self) -> None:
        if self.endpoint.buffer is None:
            return
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, self.endpoint.buffer)
        except PermissionError:  # without CAP_NET_ADMIN as much as net.core.rmem_max allows
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.endpoint.buffer)

    def _prepare4(self) -> None:
        raw, group = self._socket, self.endpoint.group
        raw.setsockopt(socket.IPPROTO_IP, socket.IP_HDRINCL, 1)
        raw.setsockopt(socket.IPPROTO_IP, _IP_MULTICAST_ALL, 0)
        if group is not None:
            member = struct.pack("4s4si", group.packed, bytes(4), self.index)  # struct ip_mreqn
            raw.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, member)
            raw.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 0)
            raw.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)

    def _prepare6(self) -> None:
        raw, group = self._socket, self.endpoint.group
        raw.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        raw.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1)
        raw.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, INTERNETWORK_CONTROL)
        raw.setsockopt(socket.IPPROTO_IPV6, _IPV6_MULTICAST_ALL, 0)
        if group is not None:
            raw.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, self.index)
            raw.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 0)
            member = struct.pack("16si", group.packed, self.index)  # struct ipv6_mreq
            raw.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, member)

    def fileno(self) -> int:
        """Return the descriptor, for the loop to watch."""
        return self._socket.fileno()

    def send(self, packet: Packet) -> None:
        """Send one packet; raises OSError if it did not leave.

        A packet without an identification gets the next of 1, 2, 3, ... of this socket.
        """
        flags = socket.MSG_DONTROUTE if packet.destination.is_multicast else 0
        if isinstance(packet.destination, IPv6Address):
            self._send6(packet, flags)
        else:
            self._socket.sendto(self._encode4(packet), flags, (str(packet.destination), 0))

    def _encode4(self, packet: Packet) -> bytes:
        if not packet.identification:
            self._identification = self._identification % 0xFFFF + 1
            packet = replace(packet, identification=self._identification)
        return ipv4.encode(packet)

    def _send6(self, packet: Packet, flags: int) -> None:
        # The interface goes along only where it must (a link-local source, or a group): a peer may be behind a router.
        bound = packet.destination.is_multicast or packet.source.is_link_local
        beside = ipv6.ancillary(packet, self.index if bound else 0)
        scope = self.index if packet.destination.is_link_local or packet.destination.is_multicast else 0
        self._socket.sendmsg([packet.payload], beside, flags, (str(packet.destination), 0, 0, scope))

    def receive(self) -> Iterator[Packet | MalformedPacketError]:
        """Yield what has arrived here, at most MOST_AT_ONCE packets; bytes that are no packet come as their error."""
        for _ in range(MOST_AT_ONCE):
            try:
                data, beside, _, sender = self._socket.recvmsg(RECEIVE_SIZE, ANCILLARY_SIZE)
            except BlockingIOError:
                return
            except OSError:  # ENETDOWN, once, when the interface goes down: netlink tells the rest
                return
            try:
                packet = ipv4.decode(data) if self.endpoint.family == 4 else ipv6.received(data, sender[0], beside)
            except MalformedPacketError as wrong:
                yield wrong
                continue
            if self.endpoint.takes(packet.destination):
                yield packet

    def reopen(self) -> None:
        """Begin anew on the interface that bears the name now: a socket stays bound to the index that it began with.

        Raises OSError if there is none such.
        """
        self.close()
        self._open()

    def close(self) -> None:
        """Leave the group and close; once is enough, twice is no error."""
        self._socket.close()
