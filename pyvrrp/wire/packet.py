"""One IP packet as far as VRRP looks at it, of either family.

Laws: pure. ``ipv4.py`` and ``ipv6.py`` turn it into bytes and back; ``payload`` is the VRRP message, with whatever
stands
behind it (padding is gone already).
"""

from __future__ import annotations

from dataclasses import dataclass

from pyvrrp.model import Address

PROTOCOL_VRRP = 112
PROTOCOL_AH = 51
TTL = 255
"""The only TTL or hop limit of a packet that came from this link (RFC 5798 sections 5.1.1.3 and 5.1.2.3)."""
INTERNETWORK_CONTROL = 0xC0
"""The type of service, or traffic class, of routing traffic (precedence 6)."""


class MalformedPacketError(ValueError):
    """The bytes are not one whole packet."""


@dataclass(frozen=True, slots=True)
class AuthenticationHeader:
    """An AH header as keepalived fills it (RFC 2402; SPI = source address), and its 12-byte integrity check value."""

    spi: int
    sequence: int
    integrity_check: bytes
    next_header: int = PROTOCOL_VRRP


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
