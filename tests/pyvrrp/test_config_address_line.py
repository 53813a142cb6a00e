"""Lines of virtual_ipaddress: every option of reference 2.8, and what is corrected or refused."""

from __future__ import annotations

from ipaddress import IPv4Address, ip_interface
from typing import Any

import pytest

from pyvrrp.config.address_line import address_line
from pyvrrp.model import VirtualAddress


def test_an_address_without_a_length_is_a_host() -> None:
    assert address_line(["10.9.0.100"]).address == VirtualAddress(ip_interface("10.9.0.100/32"))


def test_an_ipv6_host_is_deprecated_from_the_start_unless_it_says_otherwise() -> None:
    assert address_line(["fd00::1"]).address.preferred_lft == 0
    assert address_line(["fd00::1/64"]).address.preferred_lft is None
    assert address_line(["fd00::1", "preferred_lft", "forever"]).address.preferred_lft is None
    assert address_line(["fd00::1", "preferred_lft", "60"]).address.preferred_lft == 60


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("dev eth0", {"device": "eth0"}),
        ("scope link", {"scope": 253}),
        ("scope 200", {"scope": 200}),
        ("label eth0:x", {"label": "eth0:x"}),
        ("brd +", {"broadcast": IPv4Address("10.9.0.255")}),
        ("brd -", {"broadcast": IPv4Address("10.9.0.0")}),
        ("broadcast 10.9.0.254", {"broadcast": IPv4Address("10.9.0.254")}),
        ("preferred_lft 60", {"preferred_lft": 60}),
        ("preferred_lft forever", {"preferred_lft": None}),
        ("preferred_lft 4294967295", {"preferred_lft": None}),
        ("home", {"home": True}),
        ("-nodad", {"dad": True}),
        ("mngtmpaddr", {"mngtmpaddr": True}),
        ("noprefixroute", {"noprefixroute": True}),
        ("autojoin", {"autojoin": True}),
        ("no_track", {"tracked": False}),
        ("use_vmac", {"use_vmac": True}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_option_of_an_address_reaches_the_model(words: str, expected: dict[str, Any]) -> None:
    found = address_line(["10.9.0.80/24", *words.split()])
    assert found.address == VirtualAddress(ip_interface("10.9.0.80/24"), **expected)
    assert found.remarks == ()


def test_a_peer_brings_the_prefix_length() -> None:
    found = address_line(["10.9.0.80", "peer", "10.8.0.1/24"])
    assert found.address == VirtualAddress(ip_interface("10.9.0.80/32"), peer=ip_interface("10.8.0.1/24"))


def test_a_track_group_is_for_static_addresses_alone() -> None:
    assert address_line(["10.9.0.1", "track_group", "G"], static=True).address.track_group == "G"
    assert (
        address_line(["10.9.0.1", "track_group", "G"])
        .remarks[0]
        .startswith("Unknown configuration entry 'track_group'")
    )
    assert address_line(["10.9.0.1", "use_vmac"], static=True).remarks[0].startswith("Unknown configuration entry")


@pytest.mark.parametrize(
    ("line", "remark"),
    [
        ("10.9.2.1/32 brd +", "Address prefix length 32 too long for broadcast"),
        ("10.9.2.1 typo", "Unknown configuration entry 'typo' for ip address - ignoring"),
        ("10.9.2.1 scope moon", "Invalid scope 'moon' specified for 10.9.2.1 - ignoring"),
        ("10.9.2.1/24 peer 10.9.2.2", "Cannot specify address prefix when specifying peer address - ignoring"),
        ("10.9.2.1 peer fd00::1", "Peer address fd00::1 does not match address family"),
        ("10.9.2.1 peer x", "Invalid peer address x"),
        (
            "10.9.2.1 peer 10.9.2.2 brd 10.9.2.3",
            "Cannot specify broadcast and peer addresses - ignoring broadcast address",
        ),
        ("10.9.2.1 preferred_lft x", "preferred_lft x is invalid"),
        ("fd00::1 scope link", "Cannot specify scope for IPv6 addresses (fd00::1) - ignoring scope"),
        ("fd00::1 label x", "Cannot specify label for IPv6 addresses (fd00::1) - ignoring label"),
    ],
)
def test_what_is_corrected_is_said_in_keepaliveds_words(line: str, remark: str) -> None:
    assert remark in address_line(line.split()).remarks


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("300.1.1.1", "'300.1.1.1' is not an IP address"),
        ("10.0.0.1/255.255.255.0", "is not an address with a prefix length"),
        ("fe80::1%eth0", "is not an address with a prefix length"),
        ("10.0.0.1/33", "is not an IP address"),
        ("224.0.0.18", "cannot be a virtual address"),
        ("127.0.0.1", "cannot be a virtual address"),
        ("0.0.0.0", "cannot be a virtual address"),
        ("::1", "cannot be a virtual address"),
        ("ff02::12", "cannot be a virtual address"),
        ("10.0.0.1 dev", "a value is missing after 'dev'"),
        ("10.0.0.1 dev a dev b", "Cannot specify ipaddress device more than once for 10.0.0.1"),
        ("10.0.0.1 brd moon", "'moon' is not a broadcast address"),
        ("fd00::1 brd +", "it cannot have a broadcast address"),
        ("10.0.0.1 label a/b", "cannot be the name of an interface"),
        ("10.0.0.1 label abcdefghijklmnop", "Address label abcdefghijklmnop is longer than maximum length 15"),
    ],
)
def test_an_address_that_makes_no_sense_is_refused(line: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        address_line(line.split())
