"""What a lease is made of: lifetimes, requests, and the news that is none."""

from __future__ import annotations

import socket
import struct
from ipaddress import IPv6Network, ip_address, ip_interface
from typing import Any

import pytest

from pyvrrp.model import FOREVER, VirtualAddress
from pyvrrp.system.link import Link
from pyvrrp.system.monitor import _Repetitions
from pyvrrp.system.routes import Lifetimes, brings_route, lease_request, lifetimes


def address(text: str, **more: Any) -> VirtualAddress:
    return VirtualAddress(ip_interface(text), **more)


@pytest.mark.parametrize(
    ("text", "preferred", "lease", "age", "expected"),
    [
        ("10.9.0.1/24", None, None, 0.0, Lifetimes(FOREVER, FOREVER)),
        ("10.9.0.1/24", None, 3, 0.0, Lifetimes(3, 3)),
        ("10.9.0.1/24", 0, 3, 0.0, Lifetimes(3, 3)),  # in IPv4 keepalived sets no limit
        ("fd00::1/64", None, 3, 99.0, Lifetimes(3, 3)),
        ("fd00::1/128", 0, None, 0.0, Lifetimes(0, FOREVER)),
        ("fd00::1/128", 0, 3, 0.0, Lifetimes(0, 3)),
        ("fd00::1/64", 60, None, 0.0, Lifetimes(60, FOREVER)),
        ("fd00::1/64", 60, 3, 0.0, Lifetimes(3, 3)),
        ("fd00::1/64", 60, 3, 58.2, Lifetimes(2, 3)),
        ("fd00::1/64", 60, 3, 61.0, Lifetimes(0, 3)),
    ],
)
def test_an_address_is_preferred_as_long_as_the_file_says_within_its_lease(
    text: str, preferred: int | None, lease: int | None, age: float, expected: Lifetimes
) -> None:
    assert lifetimes(address(text, preferred_lft=preferred), lease, age) == expected


@pytest.mark.parametrize(
    ("text", "others", "routed"),
    [
        ("10.9.0.1/24", (), True),
        ("fd00::1/64", (), True),
        ("fd00::1/64", ("fd00::/64",), False),
        ("fd00::1/64", ("fd00::/48",), True),
        ("fd00::1/128", (), False),
    ],
)
def test_a_leased_address_brings_the_route_of_its_prefix_only_where_nobody_else_does(
    text: str, others: tuple[str, ...], routed: bool
) -> None:
    link = Link(7, "eth0", b"", is_up=True, prefixes=frozenset(IPv6Network(one) for one in others))
    assert brings_route(address(text), link) is routed
    request = lease_request(address(text), link, Lifetimes(3, 3))
    (flags,) = struct.unpack_from("=I", request, request.index(struct.pack("=HH", 8, 8)) + 4)
    assert bool(flags & 0x200) is not routed  # IFA_F_NOPREFIXROUTE


def told(text: str, *, kind: int = 20, index: int = 2, flags: int = 0x80, valid: int = 3) -> bytes:
    """A notification of an address as the kernel sends it."""
    own = ip_interface(text)
    packed = ip_address(own.ip).packed
    attributes = struct.pack("=HH", 4 + len(packed), 1) + packed + struct.pack("=HHI", 8, 8, flags)
    attributes += struct.pack("=HHIIII", 20, 6, valid, valid, 100 * valid, 100 * valid)
    family = socket.AF_INET if own.version == 4 else socket.AF_INET6
    body = struct.pack("=BBBBI", family, own.network.prefixlen, flags & 0xFF, 0, index) + attributes
    return struct.pack("=IHHII", 16 + len(body), kind, 0, 0, 0) + body


def test_an_address_with_other_lifetimes_is_no_news() -> None:
    known = _Repetitions()
    assert not known.is_one(told("10.9.0.1/24"))
    assert known.is_one(told("10.9.0.1/24", valid=2))
    assert not known.is_one(told("10.9.0.2/24"))
    assert not known.is_one(told("10.9.0.1/32"))
    assert not known.is_one(told("10.9.0.1/24", index=3))
    assert known.is_one(told("10.9.0.1/24", valid=9))


def test_other_flags_are_news_and_so_are_the_old_ones_afterwards() -> None:
    known = _Repetitions()
    assert not known.is_one(told("fd00::1/64", flags=0x40))
    assert not known.is_one(told("fd00::1/64", flags=0x80))
    assert not known.is_one(told("fd00::1/64", flags=0x40))
    assert known.is_one(told("fd00::1/64", flags=0x40, valid=9))


def test_after_a_loss_everything_is_news() -> None:
    known = _Repetitions()
    assert not known.is_one(told("10.9.0.1/24"))
    assert not known.is_one(told("10.9.0.9/24", kind=21))
    assert not known.is_one(told("10.9.0.1/24"))
    known.forget()
    assert not known.is_one(told("10.9.0.1/24"))
    assert not known.is_one(told("10.9.0.1/24") + told("10.9.0.2/24"))  # two in one are taken apart by others
