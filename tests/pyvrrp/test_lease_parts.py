"""What a lease is made of: lifetimes, requests, and the news that is none."""

from __future__ import annotations

import asyncio
import errno
import socket
import struct
import threading
from ipaddress import IPv6Network, ip_address, ip_interface
from typing import Any

import pytest

from pyvrrp.model import FOREVER, VirtualAddress
from pyvrrp.system.link import Link
from pyvrrp.system.monitor import _Repetitions
from pyvrrp.system.renewals import Refusals, Renewal, Renewals
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


class Kernel:
    """A socket to a kernel that takes its time, and refuses some requests."""

    def __init__(self, refused: dict[bytes, int]) -> None:
        self.begun, self.may_end = threading.Event(), threading.Event()
        self.carried_out: list[bytes] = []
        self._refused = refused
        self._answers: list[bytes] = []

    def send(self, data: bytes) -> None:
        self.begun.set()
        assert self.may_end.wait(10)
        self.carried_out.append(data)
        if data in self._refused:
            error = struct.pack("=i", -self._refused[data]) + data
            self._answers.append(struct.pack("=IHHII", 16 + len(error), 2, 0, 0, 0) + error)

    def recv(self, _: int) -> bytes:
        if not self._answers:
            raise BlockingIOError
        return self._answers.pop()

    def close(self) -> None:
        pass


def renewals_of(kernel: Kernel) -> Renewals:
    made: Any = Renewals()
    made._socket.close()
    made._socket = kernel
    found: Renewals = made
    return found


def test_a_removal_waits_for_the_renewal_under_way_and_no_other_one_follows() -> None:
    """Else a renewal would bring an address back that has been removed."""

    async def story() -> None:
        kernel, told = Kernel({}), list[str]()
        renewals = renewals_of(kernel)
        under_way = Renewal((b"under way",), lambda _: told.append("under way"))
        queued = Renewal((b"queued",), lambda _: told.append("queued"))
        for renewal in (under_way, queued):
            renewals.ask(renewal)
        await asyncio.to_thread(kernel.begun.wait, 5)
        removal = asyncio.ensure_future(renewals.give_up(under_way))
        await renewals.give_up(queued)
        await asyncio.sleep(0)
        assert not removal.done()
        kernel.may_end.set()
        await asyncio.wait_for(removal, 5)
        last = Renewal((b"last",), lambda _: (told.append("last"), last.ended.set()))
        renewals.ask(last)
        await asyncio.wait_for(last.ended.wait(), 5)
        renewals.close()
        assert kernel.carried_out == [b"under way", b"last"]
        assert told == ["last"]

    asyncio.run(story())


def test_a_refusal_comes_with_its_request() -> None:
    async def story() -> None:
        kernel = Kernel({b"two": errno.EPERM})
        kernel.may_end.set()
        renewals, refusals = renewals_of(kernel), list[Refusals]()
        one, two = (Renewal((name,), refusals.append) for name in (b"one", b"two"))
        for renewal in (one, two):
            renewals.ask(renewal)
        async with asyncio.timeout(5):
            while len(refusals) < 2:  # noqa: ASYNC110 - the thread tells the loop, and nobody else
                await asyncio.sleep(0.001)
        renewals.close()
        assert refusals == [[], [(errno.EPERM, b"two")]]

    asyncio.run(story())
