"""The Internet checksum, and what VRRPv3 sums beside the message.

Laws: pure. RFC 1071: the one's complement of the one's complement sum of 16-bit words; an odd last byte counts as the
high half of a word. The order of words does not matter, so a pseudo-header may stand behind what it belongs to.
"""

from __future__ import annotations

import struct

from pyvrrp.model import Address
from pyvrrp.wire.packet import PROTOCOL_VRRP


def internet_checksum(data: bytes) -> int:
    """Return the checksum of ``data``, 0 .. 65535; over data that holds its own valid checksum it is 0."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def pseudo_header(source: Address, destination: Address, length: int, protocol: int = PROTOCOL_VRRP) -> bytes:
    """Return the pseudo-header of ``length`` bytes of ``protocol``, in the form of the addresses' family.

    IPv6: RFC 8200 section 8.1. IPv4: RFC 793 section 3.1, which RFC 5798 section 5.2.8 asks VRRPv3 for as well.
    """
    addresses = source.packed + destination.packed
    if source.version == 4:
        return addresses + struct.pack("!BBH", 0, protocol, length)
    return addresses + struct.pack("!IxxxB", length, protocol)
