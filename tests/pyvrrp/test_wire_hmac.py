"""The signed trailer against the vectors of its draft, bit by bit, and its sequence numbers against the clock."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyvrrp.model import Address
from pyvrrp.wire import hmac_trailer
from pyvrrp.wire.hmac_trailer import (
    MalformedTrailerError,
    Trailer,
    is_after,
    next_sequence,
    seconds_between,
    sequence_at,
    signed,
    tag,
)

KEY = bytes(range(32))
SEQUENCE = 0x6800000080000000
HEAD = "010100006800000080000000"
VECTORS: list[tuple[str, Address, str]] = [
    ("3133c80100644402c0000264", IPv4Address("198.51.100.10"), "1b84bc4e8e43892dc6d98448f8ee2265"),
    (
        "3133c8010064a2e9fe800000000000000000000000000100",
        IPv6Address("fe80::10"),
        "c8c56146ebfd66ee10ec4d8186461b78",
    ),
]


@pytest.mark.parametrize(("message", "source", "expected"), VECTORS)
def test_the_tag_is_that_of_the_draft(message: str, source: Address, expected: str) -> None:
    trailer = signed(1, SEQUENCE, bytes.fromhex(message), source, KEY)
    assert trailer.encode().hex() == HEAD + expected
    assert len(trailer.encode()) == hmac_trailer.LENGTH == 28
    assert hmac_trailer.decode(trailer.encode()) == trailer


@pytest.mark.parametrize(("message", "source", "expected"), VECTORS)
def test_any_flipped_bit_but_those_of_the_checksum_breaks_the_tag(message: str, source: Address, expected: str) -> None:
    whole = bytes.fromhex(message + HEAD + expected)
    for bit in range(8 * len(whole)):
        changed = bytearray(whole)
        changed[bit // 8] ^= 0x80 >> bit % 8
        assert verifies(bytes(changed), len(whole) - 28, source) is (bit // 8 in {6, 7}), f"bit {bit}"


def verifies(whole: bytes, length: int, source: Address) -> bool:
    try:
        trailer = hmac_trailer.decode(whole[length:])
    except MalformedTrailerError:
        return False
    return trailer.key_id == 1 and trailer.tag == tag(trailer, whole[:length], source, KEY)


@pytest.mark.parametrize(("message", "source", "expected"), VECTORS)
def test_the_tag_holds_for_one_sender_and_one_key(message: str, source: Address, expected: str) -> None:
    data = bytes.fromhex(message)
    other = type(source)(int(source) + 1)
    assert signed(1, SEQUENCE, data, other, KEY).tag.hex() != expected
    assert signed(1, SEQUENCE, data, source, KEY[::-1]).tag.hex() != expected


@pytest.mark.parametrize("head", ["020100006800000080000000", "010100016800000080000000"])
def test_another_extension_or_a_reserved_field_that_is_set_is_malformed(head: str) -> None:
    with pytest.raises(MalformedTrailerError, match="extension type"):
        hmac_trailer.decode(bytes.fromhex(head) + bytes(16))


def test_a_sequence_number_is_the_time_in_its_upper_48_bits() -> None:
    assert sequence_at(0x68000000 + 0.5) == SEQUENCE
    assert Trailer(1, SEQUENCE).seconds == 0x68000000


def test_a_sequence_number_follows_the_clock_or_counts_on() -> None:
    first = next_sequence(1000.0, None, 5)
    assert first == 1000 << 32
    assert next_sequence(1000.0, first, 5) == first + 1
    assert next_sequence(1000.25, first + 1, 5) == first + (1 << 30)
    assert next_sequence(995.0, first, 5) == first + 1, "a clock that was set back by no more than the window"


def test_far_ahead_of_the_clock_it_returns_to_it_unless_it_must_only_grow() -> None:
    assert next_sequence(994.0, 1000 << 32, 5) == 994 << 32
    assert next_sequence(994.0, 1000 << 32, None) == (1000 << 32) + 1


@given(st.integers(0, 2**64 - 1), st.integers(1, 2**63 - 1))
@settings(derandomize=True)
def test_order_is_that_of_serial_numbers(start: int, step: int) -> None:
    later = (start + step) % 2**64
    assert is_after(later, start)
    assert not is_after(start, later)
    assert not is_after(start, start)


def test_seconds_are_told_apart_across_their_wrap() -> None:
    assert seconds_between(3, 0xFFFFFFFE) == 5
    assert seconds_between(0xFFFFFFFE, 3) == -5
