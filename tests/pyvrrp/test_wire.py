"""The wire format against keepalived's own packets and the vectors of other implementations."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyvrrp.wire import advertisement, ipv4
from pyvrrp.wire.advertisement import Advertisement, LengthError, VersionError, checksum_fits
from pyvrrp.wire.arp import gratuitous_arp
from pyvrrp.wire.checksum import internet_checksum
from pyvrrp.wire.ipv4 import MalformedPacketError, Packet

# What keepalived 2.2.7 sent: VRID 51, priority 100, interval 1 s, address 10.9.0.100, source 10.9.0.1.
NO_AUTH = "213364010001705d0a0900640000000000000000"
NO_AUTH_RESIGNING = "213300010001d45d0a0900640000000000000000"
WITH_PASSWORD = "21336401010133110a0900647365637265740000"
WITH_PASSWORD_RESIGNING = "21330001010197110a0900647365637265740000"
FROM_HOLO = "21331e010001b5c50a0001050000000000000000"
IP_HEADER = "45c0002800010000ff70d0880a090001e0000012"

ADDRESS = IPv4Address("10.9.0.100")
PASSWORD = b"secret\0\0"


@pytest.mark.parametrize(
    ("message", "meaning"),
    [
        (NO_AUTH, Advertisement(2, 51, 100, 1, (ADDRESS,))),
        (NO_AUTH_RESIGNING, Advertisement(2, 51, 0, 1, (ADDRESS,))),
        (WITH_PASSWORD, Advertisement(2, 51, 100, 1, (ADDRESS,), auth_type=1, auth_data=PASSWORD)),
        (WITH_PASSWORD_RESIGNING, Advertisement(2, 51, 0, 1, (ADDRESS,), auth_type=1, auth_data=PASSWORD)),
        (FROM_HOLO, Advertisement(2, 51, 30, 1, (IPv4Address("10.0.1.5"),))),
    ],
)
def test_messages_of_other_programs_mean_the_same_to_us_and_are_written_the_same(
    message: str, meaning: Advertisement
) -> None:
    assert advertisement.decode(bytes.fromhex(message)) == meaning
    assert meaning.encode().hex() == message
    assert checksum_fits(bytes.fromhex(message))


def test_the_ip_header_is_keepalived_s_byte_for_byte() -> None:
    packet = Packet(IPv4Address("10.9.0.1"), ipv4.VRRP_GROUP, bytes.fromhex(WITH_PASSWORD), identification=1)
    assert ipv4.encode(packet).hex() == IP_HEADER + WITH_PASSWORD
    assert ipv4.decode(ipv4.encode(packet)) == packet


def test_gratuitous_arp_is_keepalived_s_byte_for_byte() -> None:
    frame = gratuitous_arp(bytes.fromhex("aab1063f486e"), ADDRESS)
    expected = "ffffffffffffaab1063f486e08060001080006040001aab1063f486e0a090064ffffffffffff0a090064"
    assert frame.hex() == expected


@given(
    st.builds(
        Advertisement,
        version=st.just(2),
        virtual_router_id=st.integers(1, 255),
        priority=st.integers(0, 255),
        advert_interval=st.integers(1, 255),
        addresses=st.lists(st.ip_addresses(v=4), max_size=255).map(tuple),
        auth_type=st.integers(0, 255),
        auth_data=st.binary(min_size=8, max_size=8),
        type=st.integers(0, 15),
    )
)
@settings(derandomize=True)
def test_encode_and_decode_are_inverse(message: Advertisement) -> None:
    assert advertisement.decode(message.encode()) == message
    assert checksum_fits(message.encode())


@given(st.binary(max_size=80))
@settings(derandomize=True, max_examples=500)
def test_any_bytes_are_a_message_or_one_of_the_two_errors(data: bytes) -> None:
    try:
        message = advertisement.decode(data)
    except (LengthError, VersionError):
        return
    assert len(message.encode()) == len(data)


@given(st.binary(max_size=80))
@settings(derandomize=True, max_examples=500)
def test_any_bytes_are_an_ip_packet_or_malformed(data: bytes) -> None:
    try:
        packet = ipv4.decode(data)
    except MalformedPacketError:
        return
    assert packet.payload in data


def test_a_message_shorter_than_a_header_has_a_wrong_length() -> None:
    with pytest.raises(LengthError, match="7 bytes, fewer than the 8"):
        advertisement.decode(bytes.fromhex(NO_AUTH)[:7])


@pytest.mark.parametrize("changed", [NO_AUTH + "00", NO_AUTH[:-2]])
def test_a_message_longer_or_shorter_than_its_count_has_a_wrong_length(changed: str) -> None:
    with pytest.raises(LengthError, match="expected 20 for 1 addresses"):
        advertisement.decode(bytes.fromhex(changed))


def test_a_message_of_another_version_is_told_from_a_wrong_length() -> None:
    with pytest.raises(VersionError, match="version 4 in IPv4"):
        advertisement.decode(bytes.fromhex("4133640100644b690a090064"))


def test_a_flipped_bit_does_not_fit_the_checksum() -> None:
    broken = bytearray.fromhex(NO_AUTH)
    broken[2] ^= 1
    assert not checksum_fits(bytes(broken))


def test_the_checksum_counts_an_odd_last_byte_as_a_high_half_and_carries_around() -> None:
    assert internet_checksum(b"\x01") == 0xFEFF
    assert internet_checksum(b"\xff\xff\xff\xff\x00\x02") == 0xFFFD


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("45c0", "2 bytes that are no IPv4 packet"),
        ("65" + IP_HEADER[2:], "no IPv4 packet"),
        (IP_HEADER, "of which 20 came"),
        ("44" + IP_HEADER[2:], "header of 16"),
        ("45c0001400012000ff70d0880a090001e0000012", "a fragment"),
    ],
)
def test_what_is_no_whole_ip_packet_is_malformed(data: str, message: str) -> None:
    with pytest.raises(MalformedPacketError, match=message):
        ipv4.decode(bytes.fromhex(data))


def test_ethernet_padding_is_not_part_of_the_packet() -> None:
    padded = bytes.fromhex(IP_HEADER + NO_AUTH) + bytes(6)
    assert ipv4.decode(padded).payload.hex() == NO_AUTH
