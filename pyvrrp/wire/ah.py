"""The integrity check value of keepalived's ``auth_type AH``.

Laws: pure. RFC 2402 with HMAC-MD5-96 (RFC 2403) over IP header, AH header and message, as far as they do not change on
the way: type of service, fragment word and header checksum count as zero, and so does the integrity check value itself.
The TTL counts as zero in unicast only, which departs from RFC 2402 section 3.3.3.1.1.1; keepalived does it so. The key
is the password, padded with zeros.
"""

from __future__ import annotations

import hmac
from dataclasses import replace

from pyvrrp.wire import ipv4
from pyvrrp.wire.packet import AuthenticationHeader, Packet

ICV_LENGTH = 12
_NONE = bytes(ICV_LENGTH)


def sealed(packet: Packet, sequence: int, key: bytes) -> Packet:
    """Return ``packet`` with an AH header of this sequence number, 1 .. 2^32 - 1, and its integrity check value."""
    header = AuthenticationHeader(int(packet.source), sequence, _NONE)
    opened = replace(packet, authentication=header)
    return replace(opened, authentication=replace(header, integrity_check=integrity_check(opened, key)))


def integrity_check(packet: Packet, key: bytes) -> bytes:
    """Return the 12 bytes that the AH header of ``packet`` has to carry."""
    assert packet.authentication is not None
    ttl = packet.ttl if packet.destination.is_multicast else 0
    header = replace(packet.authentication, integrity_check=_NONE).encode()
    return hmac.digest(key, ipv4.header(packet, 0, ttl) + header + packet.payload, "md5")[:ICV_LENGTH]
