"""A second reader of advertisements, for the judge: from the figures of the RFCs, and sharing nothing with ``wire/``.

Laws: pure. RFC 3768 section 5.1, RFC 5798 section 5.1, RFC 791 section 3.1, RFC 8200 sections 3 and 8.1, RFC 2402 for
the header between. Returns what is wrong, in words, or None.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyvrrp.model import Address


@dataclass(frozen=True, slots=True)
class Expected:
    """What a frame has to say. ``interval``: in the units of the wire; ``addresses``: packed, one after the other."""

    version: int
    virtual_router_id: int
    priority: int
    interval: int
    addresses: bytes
    source: Address
    has_ah: bool = False
    trailer: int = 0
    sum_is_odd: bool = False


def what_is_wrong(frame: bytes, expected: Expected) -> str | None:
    """Return what is wrong with ``frame``, from the IP header on, or None. ``sum_is_odd``: it is not compared."""
    source = expected.source.packed
    if len(source) == 4:
        message, problem = _in_ipv4(frame, source, has_ah=expected.has_ah)
        destination = frame[16:20]
    else:
        message, problem = _in_ipv6(frame, source)
        destination = frame[24:40]
    return problem or _of_message(message, expected, source + destination)


def _in_ipv4(frame: bytes, source: bytes, *, has_ah: bool) -> tuple[bytes, str | None]:
    if frame[0] != 0x45 or int.from_bytes(frame[2:4], "big") != len(frame):
        return b"", "its IPv4 header is not of 20 bytes, or its length is wrong"
    if _sum(frame[:20]) != 0xFFFF:
        return b"", "the checksum of its IPv4 header does not fit"
    if frame[8] != 255 or frame[9] != (51 if has_ah else 112):
        return b"", f"TTL {frame[8]}, protocol {frame[9]}"
    if frame[12:16] != source:
        return b"", "its source is not the primary address"
    return frame[44 if has_ah else 20 :], None


def _in_ipv6(frame: bytes, source: bytes) -> tuple[bytes, str | None]:
    if frame[0] >> 4 != 6 or int.from_bytes(frame[4:6], "big") != len(frame) - 40:
        return b"", "it is no IPv6, or its length is wrong"
    if frame[6] != 112 or frame[7] != 255:
        return b"", f"next header {frame[6]}, hop limit {frame[7]}"
    if frame[8:24] != source:
        return b"", "its source is not the link-local address"
    return frame[40:], None


def _of_message(message: bytes, expected: Expected, ends: bytes) -> str | None:
    size = len(expected.source.packed)
    if message[0] != expected.version << 4 | 1:
        return f"version and type {message[0]:#x}"
    if (message[1], message[2]) != (expected.virtual_router_id, expected.priority):
        return f"VRID {message[1]}, priority {message[2]}; expected {expected.virtual_router_id}, {expected.priority}"
    interval = message[5] if expected.version == 2 else int.from_bytes(message[4:6], "big")
    if interval != expected.interval or interval == 0:
        return f"an interval of {interval} instead of {expected.interval}"
    end = 8 + message[3] * size
    if message[8:end] != expected.addresses:
        return "other addresses than those of its instance"
    whole = end + (8 if expected.version == 2 else 0) + expected.trailer
    if len(message) != whole:
        return f"{len(message)} bytes instead of {whole}"
    if expected.sum_is_odd or _sum(_summed(message, expected, ends)) == 0xFFFF:
        return None
    return "its checksum does not fit"


def _summed(message: bytes, expected: Expected, ends: bytes) -> bytes:
    if expected.version == 2:
        return message
    if len(ends) == 8:
        own = message[: len(message) - expected.trailer]
        return ends + bytes([0, 112]) + len(own).to_bytes(2, "big") + own
    return ends + len(message).to_bytes(4, "big") + bytes([0, 0, 0, 112]) + message


def _sum(data: bytes) -> int:
    """Return the one's complement sum: 0xFFFF over what has its own valid checksum in it (RFC 1071)."""
    total = sum(data[0::2]) * 256 + sum(data[1::2])
    while total >> 16:
        total = (total >> 16) + (total & 0xFFFF)
    return total
