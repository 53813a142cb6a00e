"""Samples: what a fetch method finds, its kind, and what one kind is worth as another.

Laws: pure. A kind is known when the configuration is read, so what can never be compared is an error there. Text is
bytes, as it came.

Source: HAProxy's ``sample.c``, the table ``sample_casts``.
"""

from __future__ import annotations

import ipaddress
from enum import Enum

from tcpbalancer.model.rule import Ip

Sample = bool | int | bytes | Ip


class Kind(Enum):
    """What a sample is."""

    BOOL = "bool"
    INT = "int"
    ADDRESS = "addr"
    TEXT = "str"
    BINARY = "bin"


CASTS = {
    Kind.BOOL: {Kind.BOOL, Kind.INT, Kind.TEXT, Kind.BINARY},
    Kind.INT: {Kind.BOOL, Kind.INT, Kind.ADDRESS, Kind.TEXT, Kind.BINARY},
    Kind.ADDRESS: {Kind.ADDRESS, Kind.TEXT, Kind.BINARY},
    Kind.TEXT: {Kind.BOOL, Kind.INT, Kind.ADDRESS, Kind.TEXT, Kind.BINARY},
    Kind.BINARY: {Kind.TEXT, Kind.BINARY},
}
"""What a kind can be used as."""
LARGEST_IPV4 = 0xFFFFFFFF


def cast(sample: Sample, kind: Kind) -> Sample | None:
    """Return a sample as another kind, None if it makes no sense as that; the kinds are as ``CASTS`` allows."""
    match kind:
        case Kind.BOOL:
            number = to_number(sample)
            return None if number is None else number != 0
        case Kind.INT:
            return to_number(sample)
        case Kind.ADDRESS:
            return _to_address(sample)
        case Kind.TEXT:
            return to_text(sample)
        case _:
            return _to_binary(sample)


def to_number(sample: Sample) -> int | None:
    """Return a truth value, a number or a text of digits as a number."""
    if isinstance(sample, int):
        return int(sample)
    if isinstance(sample, bytes):
        try:
            return int(sample.decode("ascii"))
        except ValueError:
            return None
    return sample.value


def to_text(sample: Sample) -> bytes:
    """Return a sample as it is written."""
    if isinstance(sample, bytes):
        return sample
    if isinstance(sample, Ip):
        return str(as_address(sample)).encode()
    return str(int(sample)).encode()


def as_address(ip: Ip) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Return an address of the standard library."""
    return ipaddress.IPv4Address(ip.value) if ip.version == 4 else ipaddress.IPv6Address(ip.value)


def parse_ip(text: str) -> Ip | None:
    """Return the number of an address, None if it is none; what follows a ``%`` is not part of it."""
    try:
        found = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return Ip(found.version, int(found))


def _to_address(sample: Sample) -> Ip | None:
    if isinstance(sample, Ip):
        return sample
    if isinstance(sample, bytes):
        return parse_ip(sample.decode("latin-1"))
    return Ip(4, int(sample) & LARGEST_IPV4)


def _to_binary(sample: Sample) -> bytes:
    if isinstance(sample, bytes):
        return sample
    if isinstance(sample, Ip):
        return as_address(sample).packed
    return int(sample).to_bytes(8, "big", signed=True)
