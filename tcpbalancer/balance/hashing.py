"""The hash functions of ``hash-type``, and what of a connection is hashed.

Laws: pure. All are of 32 bits. sdbm and djb2 are the functions of these names by Ozan Yigit and by Daniel J. Bernstein,
crc32 is that of Ethernet, avalanche is one of Bob Jenkins' integer hashes, spread by a multiplication; wt6 is
HAProxy's own (``hash.c``, ``intops.h``).
"""

from __future__ import annotations

import ipaddress
import re
import zlib
from collections.abc import Callable, Mapping
from types import MappingProxyType

_MASK = 0xFFFFFFFF


def sdbm(data: bytes) -> int:
    """Return the hash of sdbm."""
    value = 0
    for byte in data:
        value = (byte + (value << 6) + (value << 16) - value) & _MASK
    return value


def djb2(data: bytes) -> int:
    """Return Bernstein's hash, the one that adds."""
    value = 5381
    for byte in data:
        value = (value * 33 + byte) & _MASK
    return value


def wt6(data: bytes) -> int:
    """Return HAProxy's own: two words that are complemented, turned and exchanged by each byte."""
    one, other = 0xA53C965A, 0x5CA6953A
    turn_one, turn_other = 6, 18
    for byte in data:
        one, other = ~(one ^ byte) & _MASK, ~(other + byte) & _MASK
        one, other = _turned(other, turn_one), _turned(one, turn_other)
        mixed = ((one >> 16) ^ other) & 0xFFFF
        turn_one, turn_other = mixed & 0x1F, mixed >> 11
    return one ^ other


def _turned(word: int, bits: int) -> int:
    return (word << bits | word >> (32 - bits)) & _MASK


def number(data: bytes) -> int:
    """Return the number that the text is (``none``: the key is used as it is); 0 if it is none."""
    found = re.match(rb"[+-]?\d+", data)
    return int(found[0]) & _MASK if found else 0


FUNCTIONS: Mapping[str, Callable[[bytes], int]] = MappingProxyType(
    {"sdbm": sdbm, "djb2": djb2, "wt6": wt6, "crc32": zlib.crc32, "none": number}
)
"""By their names behind ``hash-type``."""


def avalanche(value: int) -> int:
    """Return a number in which every bit of ``value`` has changed about half of the bits."""
    value = (value + 0x7ED55D16 + (value << 12)) & _MASK
    value = (value ^ 0xC761C23C) ^ (value >> 19)
    value = (value + 0x165667B1 + (value << 5)) & _MASK
    value = ((value + 0xD3A2646C) ^ (value << 9)) & _MASK
    value = (value + 0xFD7046C5 + (value << 3)) & _MASK
    value = (value ^ 0xB55A4F09) ^ (value >> 16)
    return value * 3221225473 & _MASK


def folded(address: bytes) -> int:
    """Return the 32-bit words of an address, combined by exclusive or: what ``balance source`` hashes, in all cases."""
    value = 0
    for start in range(0, len(address) - 3, 4):
        value ^= int.from_bytes(address[start : start + 4])
    return value


def packed_address(text: str) -> bytes | None:
    """Return an address as its 4 or 16 bytes, or None for what is none (the client of a Unix socket)."""
    try:
        return ipaddress.ip_address(text.partition("%")[0]).packed
    except ValueError:
        return None
