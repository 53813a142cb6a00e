"""The IPv6 header around an ADVERTISEMENT, and what a raw socket says of it.

Laws: pure. RFC 8200 section 3; RFC 5798 section 5.1.2: hop limit 255, next header 112, from the link-local address of
the interface to ff02::12. A raw IPv6 socket never hands out the header: what belongs to it comes beside the message
(RFC 3542 section 6), and goes out beside it. The checksum is in the message already.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from ipaddress import IPv6Address

from pyvrrp.wire.packet import INTERNETWORK_CONTROL, PROTOCOL_VRRP, MalformedPacketError, Packet

LEVEL = 41
"""IPPROTO_IPV6: the level of the three kinds below."""
PACKET_INFO, HOP_LIMIT, TRAFFIC_CLASS = 50, 52, 67
"""IPV6_PKTINFO, IPV6_HOPLIMIT, IPV6_TCLASS (linux/in6.h): kinds of ancillary data."""

_HEADER = struct.Struct("!IHBB16s16s")
_PACKET_INFO = struct.Struct("=16si")
_INT = struct.Struct("=i")


def encode(packet: Packet) -> bytes:
    """Return the whole packet as bytes, flow label 0."""
    first = 6 << 28 | INTERNETWORK_CONTROL << 20
    source, destination = packet.source.packed, packet.destination.packed
    return _HEADER.pack(first, len(packet.payload), PROTOCOL_VRRP, packet.ttl, source, destination) + packet.payload


def decode(data: bytes) -> Packet:
    """Return the packet in ``data``; what follows its length (Ethernet padding) is left out.

    Raises MalformedPacketError if it is not IPv6, cut short, or not VRRP right behind the header.
    """
    if len(data) < _HEADER.size or data[0] >> 4 != 6:
        raise MalformedPacketError(f"{len(data)} bytes that are no IPv6 packet")
    _, length, next_header, hop_limit, source, destination = _HEADER.unpack_from(data)
    if _HEADER.size + length > len(data):
        raise MalformedPacketError(f"{length} bytes behind the header, of which {len(data) - _HEADER.size} came")
    if next_header != PROTOCOL_VRRP:
        raise MalformedPacketError(f"next header {next_header}, not VRRP")
    payload = data[_HEADER.size : _HEADER.size + length]
    return Packet(IPv6Address(source), IPv6Address(destination), payload, ttl=hop_limit)


def received(message: bytes, sender: str, beside: Iterable[tuple[int, int, bytes]]) -> Packet:
    """Return the packet that a raw socket has handed out.

    ``sender``: its address as recvmsg gives it, with or without ``%scope``; ``beside``: its ancillary data, of which
    IPV6_PKTINFO (the destination) and IPV6_HOPLIMIT have to be there. Raises MalformedPacketError if they are not.
    """
    told = {kind: value for level, kind, value in beside if level == LEVEL}
    try:
        destination = IPv6Address(_PACKET_INFO.unpack(told[PACKET_INFO])[0])
        (hop_limit,) = _INT.unpack(told[HOP_LIMIT])
    except (KeyError, struct.error):
        raise MalformedPacketError("an IPv6 packet of which neither destination nor hop limit is known") from None
    return Packet(IPv6Address(sender.partition("%")[0]), destination, message, ttl=hop_limit)


def ancillary(packet: Packet, interface_index: int) -> list[tuple[int, int, bytes]]:
    """Return what has to go beside ``packet.payload`` in sendmsg, so that the kernel writes this packet's header.

    ``interface_index`` 0: the kernel's routes choose the interface.
    """
    return [
        (LEVEL, PACKET_INFO, _PACKET_INFO.pack(packet.source.packed, interface_index)),
        (LEVEL, HOP_LIMIT, _INT.pack(packet.ttl)),
        (LEVEL, TRAFFIC_CLASS, _INT.pack(INTERNETWORK_CONTROL)),
    ]
