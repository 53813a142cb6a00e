"""The IPv4 header around an ADVERTISEMENT.

Laws: pure. We write the header ourselves, since the source must be the primary address of the interface and the
identification counts 1, 2, 3 as keepalived's does. RFC 791 section 3.1; RFC 3768 section 5.2: TTL 255, destination
224.0.0.18, protocol 112.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address

from pyvrrp.wire.checksum import internet_checksum

PROTOCOL_VRRP = 112
VRRP_GROUP = IPv4Address("224.0.0.18")
TTL = 255
INTERNETWORK_CONTROL = 0xC0
"""The type of service of routing traffic (precedence 6)."""

_HEADER = struct.Struct("!BBHHHBBH4s4s")


class MalformedPacketError(ValueError):
    """The bytes are not one whole IPv4 packet."""


@dataclass(frozen=True, slots=True)
class Packet:
    """One IPv4 packet without options, as far as VRRP looks at it."""

    source: IPv4Address
    destination: IPv4Address
    payload: bytes
    identification: int = 0
    ttl: int = TTL
    protocol: int = PROTOCOL_VRRP

    def encode(self) -> bytes:
        """Return the packet as bytes, header checksum included."""
        return self._header(internet_checksum(self._header(0))) + self.payload

    def _header(self, checksum: int) -> bytes:
        return _HEADER.pack(
            0x45,
            INTERNETWORK_CONTROL,
            _HEADER.size + len(self.payload),
            self.identification,
            0,
            self.ttl,
            self.protocol,
            checksum,
            self.source.packed,
            self.destination.packed,
        )


def decode(data: bytes) -> Packet:
    """Return the packet in ``data``; what follows its total length (Ethernet padding) is left out.

    Raises MalformedPacketError if it is not IPv4, cut short, or a fragment.
    """
    if len(data) < _HEADER.size or data[0] >> 4 != 4:
        raise MalformedPacketError(f"{len(data)} bytes that are no IPv4 packet")
    first, _, total, identification, fragment, ttl, protocol, _, source, destination = _HEADER.unpack_from(data)
    header_length = (first & 0xF) * 4
    if header_length < _HEADER.size or not header_length <= total <= len(data):
        raise MalformedPacketError(f"header of {header_length} in {total} bytes, of which {len(data)} came")
    if fragment & 0x3FFF:
        raise MalformedPacketError("a fragment")
    payload = data[header_length:total]
    return Packet(IPv4Address(source), IPv4Address(destination), payload, identification, ttl, protocol)
