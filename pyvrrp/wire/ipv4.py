"""The IPv4 header around an ADVERTISEMENT.

Laws: pure. We write the header ourselves, since the source must be the primary address of the interface and the
identification counts 1, 2, 3 as keepalived's does. RFC 791 section 3.1; RFC 3768 section 5.2: TTL 255, destination
224.0.0.18, protocol 112; with authentication of type AH protocol 51, its header between IP and VRRP.
"""

from __future__ import annotations

import struct
from ipaddress import IPv4Address

from pyvrrp.model import VRRP_GROUP
from pyvrrp.wire.checksum import internet_checksum
from pyvrrp.wire.packet import (
    AH_LENGTH,
    INTERNETWORK_CONTROL,
    PROTOCOL_AH,
    PROTOCOL_VRRP,
    TTL,
    AuthenticationHeader,
    MalformedPacketError,
    Packet,
)

__all__ = ["PROTOCOL_VRRP", "TTL", "VRRP_GROUP", "MalformedPacketError", "Packet", "decode", "encode", "header"]

_HEADER = struct.Struct("!BBHHHBBH4s4s")


def encode(packet: Packet) -> bytes:
    """Return the packet as bytes, header checksum included."""
    authentication = b"" if packet.authentication is None else packet.authentication.encode()
    checksum = internet_checksum(header(packet, INTERNETWORK_CONTROL, packet.ttl))
    return header(packet, INTERNETWORK_CONTROL, packet.ttl, checksum) + authentication + packet.payload


def header(packet: Packet, type_of_service: int, ttl: int, checksum: int = 0) -> bytes:
    """Return the 20 bytes of the header with these values in it, no fragment and without options."""
    authentication = 0 if packet.authentication is None else AH_LENGTH
    return _HEADER.pack(
        0x45,
        type_of_service,
        _HEADER.size + authentication + len(packet.payload),
        packet.identification,
        0,
        ttl,
        packet.protocol,
        checksum,
        packet.source.packed,
        packet.destination.packed,
    )


def decode(data: bytes) -> Packet:
    """Return the packet in ``data``; what follows its total length (Ethernet padding) is left out.

    Raises MalformedPacketError if it is not IPv4, cut short, a fragment, or neither VRRP nor AH.
    """
    if len(data) < _HEADER.size or data[0] >> 4 != 4:
        raise MalformedPacketError(f"{len(data)} bytes that are no IPv4 packet")
    first, _, total, identification, fragment, ttl, protocol, _, source, destination = _HEADER.unpack_from(data)
    header_length = (first & 0xF) * 4
    if header_length < _HEADER.size or not header_length <= total <= len(data):
        raise MalformedPacketError(f"header of {header_length} in {total} bytes, of which {len(data)} came")
    if fragment & 0x3FFF:
        raise MalformedPacketError("a fragment")
    if protocol not in {PROTOCOL_VRRP, PROTOCOL_AH}:
        raise MalformedPacketError(f"protocol {protocol}, neither VRRP nor AH")
    payload, authentication = data[header_length:total], None
    if protocol == PROTOCOL_AH:
        authentication = AuthenticationHeader.decode(payload)
        payload = payload[AH_LENGTH:]
    return Packet(IPv4Address(source), IPv4Address(destination), payload, identification, ttl, authentication)
