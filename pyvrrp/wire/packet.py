"""One IP packet as far as VRRP looks at it, of either family.

Laws: pure. ``ipv4.py`` and ``ipv6.py`` turn it into bytes and back; ``payload`` is the VRRP message with whatever
stands behind it (padding is gone already).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from pyvrrp.model import Address

PROTOCOL_VRRP = 112
PROTOCOL_AH = 51
TTL = 255
"""The only TTL or hop limit of a packet that came from this link (RFC 5798 sections 5.1.1.3 and 5.1.2.3)."""
INTERNETWORK_CONTROL = 0xC0
"""The type of service, or traffic class, of routing traffic (precedence 6)."""

_AH = struct.Struct("!BBHII12s")
AH_LENGTH = _AH.size
"""24 bytes: 12 of header, 12 of integrity check value."""


class MalformedPacketError(ValueError):
    """The bytes are not one whole packet."""


@dataclass(frozen=True, slots=True)
class AuthenticationHeader:
    """An AH header as keepalived fills it (RFC 2402; SPI = source address), and its 12-byte integrity check value."""

    spi: int
    sequence: int
    integrity_check: bytes
    next_header: int = PROTOCOL_VRRP

    def encode(self) -> bytes:
        """Return the header as bytes; its length field counts 32-bit words beyond the first two."""
        return _AH.pack(self.next_header, AH_LENGTH // 4 - 2, 0, self.spi, self.sequence, self.integrity_check)

    @classmethod
    def decode(cls, data: bytes) -> AuthenticationHeader:
        """Return the header that ``data`` begins with; raises MalformedPacketError if it is not one of this length."""
        if len(data) < AH_LENGTH or data[1] != AH_LENGTH // 4 - 2:
            raise MalformedPacketError("an authentication header that is not of 24 bytes")
        next_header, _, _, spi, sequence, integrity_check = _AH.unpack_from(data)
        return cls(spi, sequence, integrity_check, next_header)


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet. ``identification`` and ``authentication`` (AH) exist in IPv4 alone."""

    source: Address
    destination: Address
    payload: bytes
    identification: int = 0
    ttl: int = TTL
    authentication: AuthenticationHeader | None = None

    @property
    def protocol(self) -> int:
        """The protocol number of the IP header: 112, or 51 with an AH header between."""
        return PROTOCOL_VRRP if self.authentication is None else PROTOCOL_AH
