"""The wire format in absolute bytes, as inverse functions, and against bytes that nobody should send."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyvrrp.model import VRRP_GROUP, VRRP_GROUP6
from pyvrrp.wire import advertisement, ah, ipv4, ipv6
from pyvrrp.wire.advertisement import (
    Advertisement,
    IntervalError,
    LengthError,
    VersionError,
    checksum_fits,
    interval_on_wire,
)
from pyvrrp.wire.arp import gratuitous_arp
from pyvrrp.wire.checksum import internet_checksum, pseudo_header
from pyvrrp.wire.neighbour import unsolicited_na
from pyvrrp.wire.packet import PROTOCOL_AH, PROTOCOL_VRRP, AuthenticationHeader, MalformedPacketError, Packet

# What keepalived 2.2.7 sent: VRID 51, priority 100, interval 1 s, address 10.9.0.100, source 10.9.0.1.
NO_AUTH = "213364010001705d0a0900640000000000000000"
NO_AUTH_RESIGNING = "213300010001d45d0a0900640000000000000000"
WITH_PASSWORD = "21336401010133110a0900647365637265740000"
WITH_PASSWORD_RESIGNING = "21330001010197110a0900647365637265740000"
V3_TWO = "3133640200646aee0a0900640a090065"
V3_TWO_RESIGNING = "313300020064ceee0a0900640a090065"
V3_UNICAST = "3133640100644b690a090064"
V3_UNICAST_RESIGNING = "313300010064af690a090064"
TWO_IPV6 = "fe800000000000000000000000000100fd000000000000000000000000000100"
V3_IPV6 = "3133640200647857" + TWO_IPV6
V3_IPV6_RESIGNING = "313300020064dc57" + TWO_IPV6
FROM_HOLO = "21331e010001b5c50a0001050000000000000000"
# Vectors of no program, their sums recomputed by hand and by Wireshark.
FIVE = "31016401006474040a000105"
ONE_CENTISECOND = "310116010001168020010db8000000000000000003707334"
WRONG_SUM = "310116010001b57f20010db8000000000000000003707334"
IP_HEADER = "45c0002800010000ff70d0880a090001e0000012"
AH_HEADER = "700400000a0900010000000134e23a8c5e068820eaa8cc1f"

ADDRESS, SECOND = IPv4Address("10.9.0.100"), IPv4Address("10.9.0.101")
ADDRESSES6 = (IPv6Address("fe80::100"), IPv6Address("fd00::100"))
PASSWORD = b"secret\0\0"
SOURCE, PEER = IPv4Address("10.9.0.1"), IPv4Address("10.9.0.2")
SOURCE6 = IPv6Address("fe80::a8b1:6ff:fe3f:486e")
MAC = bytes.fromhex("aab1063f486e")

TO_GROUP = pseudo_header(SOURCE, VRRP_GROUP, 16)
TO_PEER = pseudo_header(SOURCE, PEER, 12)
TO_GROUP6 = pseudo_header(SOURCE6, VRRP_GROUP6, 40)


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
def test_messages_of_version_2_mean_the_same_to_us_and_are_written_the_same(
    message: str, meaning: Advertisement
) -> None:
    assert advertisement.decode(bytes.fromhex(message)) == meaning
    assert meaning.encode().hex() == message
    assert checksum_fits(bytes.fromhex(message))


@pytest.mark.parametrize(
    ("message", "meaning", "summed"),
    [
        (V3_TWO, Advertisement(3, 51, 100, 1, (ADDRESS, SECOND)), TO_GROUP),
        (V3_TWO_RESIGNING, Advertisement(3, 51, 0, 1, (ADDRESS, SECOND)), TO_GROUP),
        (V3_UNICAST, Advertisement(3, 51, 100, 1, (ADDRESS,)), TO_PEER),
        (V3_UNICAST_RESIGNING, Advertisement(3, 51, 0, 1, (ADDRESS,)), TO_PEER),
        (V3_IPV6, Advertisement(3, 51, 100, 1, ADDRESSES6), TO_GROUP6),
        (V3_IPV6_RESIGNING, Advertisement(3, 51, 0, 1, ADDRESSES6), TO_GROUP6),
        (
            FIVE,
            Advertisement(3, 1, 100, 1, (IPv4Address("10.0.1.5"),)),
            pseudo_header(IPv4Address("10.0.1.1"), VRRP_GROUP, 12),
        ),
        (
            ONE_CENTISECOND,
            Advertisement(3, 1, 22, 0.01, (IPv6Address("2001:db8::370:7334"),)),
            pseudo_header(IPv6Address("fe80::1"), VRRP_GROUP6, 24),
        ),
    ],
)
def test_messages_of_version_3_are_summed_with_the_real_destination(
    message: str, meaning: Advertisement, summed: bytes
) -> None:
    data = bytes.fromhex(message)
    assert advertisement.decode(data, meaning.addresses[0].version) == meaning
    assert meaning.encode(summed).hex() == message
    assert checksum_fits(data, summed)
    assert not checksum_fits(data)


def test_a_sum_without_the_pseudo_header_is_another_one() -> None:
    assert advertisement.decode(bytes.fromhex(FIVE)).encode().hex() == FIVE[:12] + "5f94" + FIVE[16:]
    assert not checksum_fits(bytes.fromhex(WRONG_SUM), pseudo_header(IPv6Address("fe80::1"), VRRP_GROUP6, 24))
    assert not checksum_fits(bytes.fromhex(WRONG_SUM))


def test_the_pseudo_header_of_each_family_is_that_of_its_rfc() -> None:
    assert pseudo_header(SOURCE, PEER, 12).hex() == "0a0900010a0900020070000c"
    assert pseudo_header(*ADDRESSES6, 40).hex() == TWO_IPV6 + "0000002800000070"


def test_the_reserved_bits_of_version_3_are_ignored() -> None:
    assert advertisement.decode(bytes.fromhex("31016401f0646404" + "0a000105")).advert_interval == 1


@pytest.mark.parametrize(
    ("seconds", "version", "read"),
    [
        (1, 2, 1.0), (1.5, 2, 2.0), (2.5, 2, 3.0), (255.4, 2, 255.0), (0.5, 2, 1.0),
        (1, 3, 1.0), (0.01, 3, 0.01), (0.005, 3, 0.01), (0.29, 3, 0.29), (40.95, 3, 40.95), (40.954, 3, 40.95),
    ],
)  # fmt: skip
def test_an_interval_is_rounded_to_the_units_of_its_version(seconds: float, version: int, read: float) -> None:
    assert interval_on_wire(seconds, version) == read


@pytest.mark.parametrize(
    ("seconds", "version", "words"),
    [
        (40.958, 3, "40.958 s is outside of 0.01 .. 40.95 s"),
        (0.004, 3, "0.004 s is outside of 0.01 .. 40.95 s"),
        (255.5, 2, "255.5 s is outside of 1 .. 255 s"),
        (0.4, 2, "0.4 s is outside of 1 .. 255 s"),
    ],
)
def test_an_interval_is_judged_after_it_was_rounded(seconds: float, version: int, words: str) -> None:
    with pytest.raises(IntervalError, match=words):
        interval_on_wire(seconds, version)


@given(st.floats(0, 50, allow_nan=False), st.sampled_from([2, 3]))
@settings(derandomize=True, max_examples=500)
def test_no_interval_is_read_as_another_one_than_was_promised(seconds: float, version: int) -> None:
    try:
        promised = interval_on_wire(seconds, version)
    except IntervalError:
        return
    sent = Advertisement(version, 1, 1, promised, ()).encode()
    assert advertisement.decode(sent).advert_interval == promised > 0


def test_every_interval_of_version_3_survives() -> None:
    for centiseconds in range(4096):
        message = bytes.fromhex("31016400") + centiseconds.to_bytes(2, "big") + b"\0\0"
        assert advertisement.decode(message).encode()[4:6] == message[4:6]


FIELDS = {
    "virtual_router_id": st.integers(1, 255),
    "priority": st.integers(0, 255),
    "type": st.integers(0, 15),
}
VERSION_2 = st.builds(
    Advertisement,
    version=st.just(2),
    advert_interval=st.integers(0, 255).map(float),
    addresses=st.lists(st.ip_addresses(v=4), max_size=255).map(tuple),
    auth_type=st.integers(0, 255),
    auth_data=st.binary(min_size=8, max_size=8),
    **FIELDS,
)
VERSION_3 = st.builds(
    Advertisement,
    version=st.just(3),
    advert_interval=st.integers(0, 4095).map(lambda centiseconds: centiseconds / 100),
    addresses=st.lists(st.ip_addresses(v=4), max_size=255).map(tuple),
    **FIELDS,
)
VERSION_3_IPV6 = st.builds(
    Advertisement,
    version=st.just(3),
    advert_interval=st.integers(0, 4095).map(lambda centiseconds: centiseconds / 100),
    addresses=st.lists(st.ip_addresses(v=6), max_size=255).map(tuple),
    **FIELDS,
)


@given(st.one_of(VERSION_2, VERSION_3).map(lambda one: (one, 4)) | VERSION_3_IPV6.map(lambda one: (one, 6)))
@settings(derandomize=True)
def test_encode_and_decode_are_inverse(made: tuple[Advertisement, int]) -> None:
    message, family = made
    assert advertisement.decode(message.encode(), family) == message
    summed = pseudo_header(SOURCE, PEER, len(message.encode()))
    assert checksum_fits(message.encode(summed), summed)


@given(st.binary(max_size=80), st.sampled_from([4, 6]))
@settings(derandomize=True, max_examples=500)
def test_any_bytes_are_a_message_or_one_of_the_two_errors(data: bytes, family: int) -> None:
    try:
        message = advertisement.decode(data, family)
    except (LengthError, VersionError):
        return
    assert len(message.encode()) == len(data)


@given(st.binary(max_size=80), st.sampled_from([ipv4.decode, ipv6.decode]))
@settings(derandomize=True, max_examples=500)
def test_any_bytes_are_an_ip_packet_or_malformed(data: bytes, decode) -> None:  # type: ignore[no-untyped-def]
    try:
        packet = decode(data)
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


@pytest.mark.parametrize(
    ("message", "family", "words"),
    [("41" + V3_UNICAST[2:], 4, "version 4 in IPv4"), (NO_AUTH, 6, "version 2 in IPv6"), ("00" * 8, 4, "version 0")],
)
def test_a_version_that_its_family_does_not_have_is_told_from_a_wrong_length(
    message: str, family: int, words: str
) -> None:
    with pytest.raises(VersionError, match=words):
        advertisement.decode(bytes.fromhex(message), family)


def test_the_checksum_counts_an_odd_last_byte_as_a_high_half_and_carries_around() -> None:
    assert internet_checksum(b"\x01") == 0xFEFF
    assert internet_checksum(b"\xff\xff\xff\xff\x00\x02") == 0xFFFD


# --- IPv4 and AH ------------------------------------------------------------------------------------------------------


def test_the_ip_header_is_keepalived_s_byte_for_byte() -> None:
    packet = Packet(SOURCE, VRRP_GROUP, bytes.fromhex(WITH_PASSWORD), identification=1)
    assert packet.protocol == PROTOCOL_VRRP
    assert ipv4.encode(packet).hex() == IP_HEADER + WITH_PASSWORD
    assert ipv4.decode(ipv4.encode(packet)) == packet


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("45c0", "2 bytes that are no IPv4 packet"),
        ("65" + IP_HEADER[2:], "no IPv4 packet"),
        (IP_HEADER, "of which 20 came"),
        ("44" + IP_HEADER[2:], "header of 16"),
        ("45c0001400012000ff70d0880a090001e0000012", "a fragment"),
        ("45c0001400010000ff11d0880a090001e0000012", "protocol 17, neither VRRP nor AH"),
        ("45c0001400010000ff33d0880a090001e0000012", "authentication header that is not of 24 bytes"),
        ("45c0002c00010000ff33d0880a090001e0000012" + "7005" + AH_HEADER[4:], "header that is not of 24 bytes"),
    ],
)
def test_what_is_no_whole_ip_packet_is_malformed(data: str, words: str) -> None:
    with pytest.raises(MalformedPacketError, match=words):
        ipv4.decode(bytes.fromhex(data))


def test_ethernet_padding_is_not_part_of_the_packet() -> None:
    padded = bytes.fromhex(IP_HEADER + NO_AUTH) + bytes(6)
    assert ipv4.decode(padded).payload.hex() == NO_AUTH
    padded6 = ipv6.encode(Packet(SOURCE6, VRRP_GROUP6, b"1234")) + bytes(2)
    assert ipv6.decode(padded6).payload == b"1234"


VECTORS_AH = [
    (1, 1, "34e23a8c5e068820eaa8cc1f", "2133640102016e5d0a0900640000000000000000"),
    (2, 2, "6b6490b5835c3843111dbf28", "2133640102016e5d0a0900640000000000000000"),
    (3, 3, "a5dffda552e907b43624f0ee", "213300010201d25d0a0900640000000000000000"),
]


@pytest.mark.parametrize(("identification", "sequence", "value", "message"), VECTORS_AH)
def test_the_integrity_check_value_is_keepalived_s(
    identification: int, sequence: int, value: str, message: str
) -> None:
    sealed = ah.sealed(Packet(SOURCE, VRRP_GROUP, bytes.fromhex(message), identification), sequence, b"secret")
    assert sealed.protocol == PROTOCOL_AH
    assert sealed.authentication == AuthenticationHeader(0x0A090001, sequence, bytes.fromhex(value))
    assert ipv4.decode(ipv4.encode(sealed)) == sealed
    assert ah.sealed(replace(sealed, authentication=None), sequence, PASSWORD) == sealed  # HMAC pads with zeros itself


def test_the_ttl_is_sealed_to_a_group_and_not_to_a_peer() -> None:
    to_group = ah.sealed(Packet(SOURCE, VRRP_GROUP, b"1234"), 1, PASSWORD)
    assert ah.integrity_check(replace(to_group, ttl=254), PASSWORD) != ah.integrity_check(to_group, PASSWORD)
    to_peer = ah.sealed(Packet(SOURCE, PEER, b"1234"), 1, PASSWORD)
    assert ah.integrity_check(replace(to_peer, ttl=254), PASSWORD) == ah.integrity_check(to_peer, PASSWORD)


@pytest.mark.parametrize(
    "changed",
    [{"payload": b"1235"}, {"identification": 1}, {"source": PEER}, {"destination": IPv4Address("224.0.0.19")}],
)
def test_a_change_of_anything_else_breaks_the_seal(changed: dict[str, object]) -> None:
    sealed = ah.sealed(Packet(SOURCE, VRRP_GROUP, b"1234"), 1, PASSWORD)
    assert sealed.authentication is not None
    forged = replace(sealed, **changed)  # type: ignore[arg-type]
    assert ah.integrity_check(forged, PASSWORD) != sealed.authentication.integrity_check
    assert ah.integrity_check(sealed, b"secres") != sealed.authentication.integrity_check


# --- IPv6 -------------------------------------------------------------------------------------------------------------


def test_an_ipv6_packet_is_written_and_read() -> None:
    packet = Packet(SOURCE6, VRRP_GROUP6, bytes.fromhex(V3_IPV6))
    header = "6c000000002870ff" + SOURCE6.packed.hex() + VRRP_GROUP6.packed.hex()
    assert ipv6.encode(packet).hex() == header + V3_IPV6
    assert ipv6.decode(ipv6.encode(packet)) == packet


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (lambda whole: whole[:39], "39 bytes that are no IPv6 packet"),
        (lambda whole: b"\x45" + whole[1:], "no IPv6 packet"),
        (lambda whole: whole[:-1], "40 bytes behind the header, of which 39 came"),
        (lambda whole: whole[:6] + b"\x00" + whole[7:], "next header 0, not VRRP"),
    ],
)
def test_what_is_no_whole_ipv6_packet_is_malformed(changed, words: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(MalformedPacketError, match=words):
        ipv6.decode(changed(ipv6.encode(Packet(SOURCE6, VRRP_GROUP6, bytes.fromhex(V3_IPV6)))))


def test_what_goes_beside_a_message_comes_back_beside_it() -> None:
    packet = Packet(SOURCE6, VRRP_GROUP6, b"1234", ttl=254)
    beside = ipv6.ancillary(packet, 7)
    assert [kind for _, kind, _ in beside] == [50, 52, 67]
    # A receiver's IPV6_PKTINFO holds the destination where a sender's holds the source.
    arrived = [(41, 50, VRRP_GROUP6.packed + beside[0][2][16:]), *beside[1:], (1, 50, b"of another level")]
    assert ipv6.received(b"1234", f"{SOURCE6}%eth0", arrived) == packet
    assert ipv6.received(b"1234", str(SOURCE6), arrived) == packet


@pytest.mark.parametrize("beside", [[], [(41, 50, bytes(20))], [(41, 52, bytes(4))], [(41, 50, b""), (41, 52, b"")]])
def test_a_message_of_which_too_little_is_told_is_malformed(beside: list[tuple[int, int, bytes]]) -> None:
    with pytest.raises(MalformedPacketError, match="neither destination nor hop limit"):
        ipv6.received(b"1234", "fe80::1", beside)


# --- Where an address lives now ---------------------------------------------------------------------------------------


def test_gratuitous_arp_is_keepalived_s_byte_for_byte() -> None:
    expected = "ffffffffffffaab1063f486e08060001080006040001aab1063f486e0a090064ffffffffffff0a090064"
    assert gratuitous_arp(MAC, ADDRESS).hex() == expected


def test_unsolicited_neighbour_advertisement_is_keepalived_s_byte_for_byte() -> None:
    assert unsolicited_na(MAC, ADDRESSES6[0]).hex() == (
        "333300000001aab1063f486e86dd"
        "6000000000203afffe800000000000000000000000000100ff020000000000000000000000000001"
        "88005e3f20000000fe8000000000000000000000000001000201aab1063f486e"
    )


def test_a_router_says_so_in_its_neighbour_advertisement() -> None:
    frame = unsolicited_na(MAC, ADDRESSES6[1], router=True)
    assert frame[58] == 0xA0
    assert internet_checksum(frame[54:] + pseudo_header(ADDRESSES6[1], IPv6Address("ff02::1"), 32, 58)) == 0
