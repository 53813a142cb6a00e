"""Which packets an instance heeds: each check of RFC 3768 section 7.1, alone and in keepalived's order."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface

import pytest

from pyvrrp.model import Authentication, AuthType, Instance, VirtualAddress
from pyvrrp.protocol import reception
from pyvrrp.protocol.reception import REJECTIONS, RejectedError, accept, own_advertisement, why_addresses_differ
from pyvrrp.status.statistics import Statistics
from pyvrrp.wire.ipv4 import VRRP_GROUP, Packet

OURS, THEIRS = IPv4Address("192.168.50.11"), IPv4Address("192.168.50.12")
VIP = VirtualAddress(IPv4Interface("192.168.50.10/24"))
OPEN = Instance("VI_1", "eth0", 50, priority=100, addresses=(VIP,))
WITH_PASSWORD = replace(OPEN, authentication=Authentication(AuthType.PASS, b"KeepAliv"))


def packet(instance: Instance = WITH_PASSWORD, priority: int = 90, **changes: object) -> Packet:
    made = Packet(THEIRS, VRRP_GROUP, own_advertisement(instance, priority).encode())
    return replace(made, **changes)  # type: ignore[arg-type]


def flipped(payload: bytes, at: int, bits: int = 1) -> bytes:
    changed = bytearray(payload)
    changed[at] ^= bits
    return bytes(changed)


def test_a_good_advertisement_is_accepted() -> None:
    assert accept(packet(), WITH_PASSWORD, OURS).priority == 90
    assert accept(packet(OPEN), OPEN, OURS).addresses == (VIP.interface.ip,)


GOOD = packet().payload
REFUSED = [
    (packet(payload=GOOD + b"\0"), "packet_len_err", "expected 20"),
    (packet(ttl=254), "ip_ttl_err", "invalid TTL/HL from 192.168.50.12. Received 254 and expect 255"),
    (packet(payload=flipped(GOOD, 0, 0x10)), "version_err", "version 3, expected 2"),
    (packet(payload=flipped(GOOD, 0, 0x10), ttl=1), "ip_ttl_err", "Received 1"),
    (packet(OPEN), "authtype_mismatch", "received a 0 auth, expecting 1!"),
    (packet(replace(OPEN, authentication=Authentication(AuthType.PASS, b"wrong"))), "auth_failure", "invalid passwd"),
    (packet(replace(WITH_PASSWORD, advert_interval=2)), "advert_interval_err", "mine=1 sec rcv'd=2 sec"),
    (packet(payload=flipped(GOOD, 0, 0x02)), "invalid_type_rcvd", "invalid type 3"),
    (packet(payload=flipped(GOOD, 6)), "checksum_err", "invalid checksum"),
    (packet(destination=OURS), "destination_err", "to 192.168.50.11, not to 224.0.0.18"),
    (packet(source=OURS), "source_err", "our own address"),
    (packet(source=VIP.interface.ip), "source_err", "our own address"),
]


@pytest.mark.parametrize(("wrong", "counter", "words"), REFUSED)
def test_what_is_wrong_is_counted_under_its_name(wrong: Packet, counter: str, words: str) -> None:
    with pytest.raises(RejectedError, match=words) as refused:
        accept(wrong, WITH_PASSWORD, OURS)
    assert refused.value.counter == counter


def test_every_refusal_has_a_counter_of_its_own_in_the_statistics() -> None:
    counters = [rejection.counter for rejection in REJECTIONS]
    assert len(set(counters)) == len(counters)
    assert set(counters) <= Statistics().as_dict().keys()
    assert {counter for _, counter, _ in REFUSED} == set(counters)


def test_a_refusal_never_prints_the_password() -> None:
    other = replace(OPEN, authentication=Authentication(AuthType.PASS, b"s3cr3t"))
    with pytest.raises(RejectedError) as refused:
        accept(packet(other), WITH_PASSWORD, OURS)
    assert "s3cr3t" not in str(refused.value)
    assert "KeepAliv" not in str(refused.value) + repr(WITH_PASSWORD)


def test_a_packet_names_its_virtual_router() -> None:
    assert reception.virtual_router_id(packet()) == 50
    assert reception.virtual_router_id(packet(payload=b"\x21")) is None


def test_another_list_of_addresses_is_told_and_accepted() -> None:
    other = replace(WITH_PASSWORD, addresses=(VIP, VirtualAddress(IPv4Interface("192.168.50.9/24"))))
    found = accept(packet(other), WITH_PASSWORD, OURS)
    assert why_addresses_differ(found, WITH_PASSWORD) == (
        "its addresses are 192.168.50.9 192.168.50.10, ours 192.168.50.10"
    )
    assert why_addresses_differ(found, replace(other, addresses=other.addresses[::-1])) is None
    assert why_addresses_differ(found, replace(other, addresses=())) == (
        "its addresses are 192.168.50.9 192.168.50.10, ours none"
    )
