"""The signed trailer behind an advertisement: keepalived 2.4's ``auth_hmac``, draft-cassen-vrrp-auth-hmac.

Laws: pure. 28 bytes right behind the message, in either version and family:

    | ext_type = 1  |    key id     |         reserved = 0          |
    |                       seconds (UTC)                           |
    |     1/65536 of a second       |           counter             |
    |                        tag (16 bytes)                         |

The tag is the first half of HMAC-SHA256 over a header made up of family, version, VRID and source address, the message
with its checksum as zero, the first 12 bytes of the trailer, and 16 zeros. The destination is not in it: one signature
serves all unicast peers. Sequence numbers are 64 bits, seconds << 32 | fraction << 16 | counter, compared as serial
numbers (RFC 1982).
"""

from __future__ import annotations

import hmac
import struct
from dataclasses import dataclass

from pyvrrp.model import Address
from pyvrrp.wire.advertisement import CHECKSUM_AT

EXTENSION_TYPE = 1
TAG_LENGTH = 16
_HEAD = struct.Struct("!BBHQ")
LENGTH = _HEAD.size + TAG_LENGTH
_MODULUS = 1 << 64


class MalformedTrailerError(ValueError):
    """28 bytes that are no trailer of this kind."""


@dataclass(frozen=True, slots=True)
class Trailer:
    """A trailer. ``sequence``: 64 bits, of which the upper 48 are a time."""

    key_id: int
    sequence: int
    tag: bytes = bytes(TAG_LENGTH)

    @property
    def seconds(self) -> int:
        """The time of its sequence number: seconds since 1970, modulo 2^32."""
        return self.sequence >> 32

    def encode(self) -> bytes:
        """Return the trailer as 28 bytes."""
        return _HEAD.pack(EXTENSION_TYPE, self.key_id, 0, self.sequence) + self.tag


def decode(data: bytes) -> Trailer:
    """Return the trailer in these 28 bytes; raises MalformedTrailerError if type or reserved field are not as above."""
    extension_type, key_id, reserved, sequence = _HEAD.unpack_from(data)
    if extension_type != EXTENSION_TYPE or reserved:
        raise MalformedTrailerError(f"extension type {extension_type}, reserved field {reserved}")
    return Trailer(key_id, sequence, data[_HEAD.size : LENGTH])


def tag(trailer: Trailer, message: bytes, source: Address, key: bytes) -> bytes:
    """Return the 16 bytes that ``trailer`` has to carry behind ``message``, sent by ``source``, under ``key``."""
    version, virtual_router_id = message[0] >> 4, message[1]
    about = bytes((source.version, version, virtual_router_id, 0)) + source.packed.ljust(16, b"\0")
    unsummed = message[:CHECKSUM_AT] + b"\0\0" + message[CHECKSUM_AT + 2 :]
    unsigned = Trailer(trailer.key_id, trailer.sequence).encode()
    return hmac.digest(key, about + unsummed + unsigned, "sha256")[:TAG_LENGTH]


def signed(key_id: int, sequence: int, message: bytes, source: Address, key: bytes) -> Trailer:
    """Return the trailer for ``message``, with its tag."""
    return Trailer(key_id, sequence, tag(Trailer(key_id, sequence), message, source, key))


def sequence_at(wall: float) -> int:
    """Return the sequence number of a moment (seconds since 1970, UTC), its counter 0."""
    return int(wall * 65536) << 16 & (_MODULUS - 1)


def is_after(later: int, earlier: int) -> bool:
    """Return whether the sequence number ``later`` comes after ``earlier`` (RFC 1982, 64 bits)."""
    return 0 < (later - earlier) % _MODULUS < _MODULUS // 2


def next_sequence(wall: float, last: int | None, window: int | None) -> int:
    """Return the next sequence number after ``last`` at this moment: the clock, or one more than the last.

    ``window``: seconds by which it may run ahead of the clock before it goes back to it; None: it never goes back
    (``anti_replay monotonic``).
    """
    clock = sequence_at(wall)
    if last is None or is_after(clock, last):
        return clock
    if window is not None and seconds_between(last >> 32, clock >> 32) > window:
        return clock
    return (last + 1) % _MODULUS


def seconds_between(later: int, earlier: int) -> int:
    """Return ``later`` - ``earlier`` for two numbers of seconds modulo 2^32; negative if ``later`` is before."""
    difference = (later - earlier) & 0xFFFFFFFF
    return difference - (1 << 32) if difference >> 31 else difference
