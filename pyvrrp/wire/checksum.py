"""The Internet checksum.

Laws: pure. RFC 1071: the one's complement of the one's complement sum of 16-bit words; an odd last byte counts as the
high half of a word.
"""

from __future__ import annotations

import struct


def internet_checksum(data: bytes) -> int:
    """Return the checksum of ``data``, 0 .. 65535; over data that holds its own valid checksum it is 0."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
