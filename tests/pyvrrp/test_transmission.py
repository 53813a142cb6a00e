"""What leaves an instance: to whom, summed how, counted how, signed when."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface

import pytest

from pyvrrp.model import (
    VRRP_GROUP,
    VRRP_GROUP6,
    Authentication,
    AuthType,
    HmacAuthentication,
    HmacMode,
    Instance,
    Multicast,
    Unicast,
    UnicastPeer,
    VirtualAddress,
)
from pyvrrp.protocol.transmission import Transmission, own_advertisement
from pyvrrp.wire import advertisement, hmac_trailer
from pyvrrp.wire.advertisement import IntervalError, checksum_fits
from pyvrrp.wire.checksum import pseudo_header

US, PEER, OTHER = IPv4Address("10.9.0.1"), IPv4Address("10.9.0.2"), IPv4Address("10.8.0.2")
US6, PEER6 = IPv6Address("fe80::10"), IPv6Address("fe80::20")
V2 = Instance("VI_1", "eth0", 51, addresses=(VirtualAddress(IPv4Interface("10.9.0.100/32")),))
V3 = replace(V2, version=3)
V6 = replace(V3, family=6, addresses=(VirtualAddress(IPv6Interface("fe80::100/128")),))
TO_GROUP6 = Multicast(VRRP_GROUP6)
TO_BOTH = Unicast((UnicastPeer(PEER), UnicastPeer(OTHER)), ttl=64)
KEYS = {1: bytes(range(32)), 2: bytes(range(32, 64))}
SIGNED = HmacAuthentication(KEYS, 1)
NOW = 0x68000000 + 0.5


def test_to_a_group_there_is_one_packet_with_ttl_255() -> None:
    (packet,) = Transmission(V2).packets(100, US, NOW)
    assert (packet.source, packet.destination, packet.ttl) == (US, VRRP_GROUP, 255)
    (packet,) = Transmission(replace(V6, transport=TO_GROUP6)).packets(100, US6, NOW)
    assert (packet.source, packet.destination, packet.ttl) == (US6, VRRP_GROUP6, 255)
    group = IPv4Address("224.0.0.81")
    (packet,) = Transmission(replace(V2, transport=Multicast(group))).packets(100, US, NOW)
    assert packet.destination == group


def test_to_peers_there_is_one_packet_each_with_the_configured_ttl() -> None:
    packets = Transmission(replace(V2, transport=TO_BOTH)).packets(100, US, NOW)
    assert [(packet.destination, packet.ttl) for packet in packets] == [(PEER, 64), (OTHER, 64)]
    assert Transmission(replace(V2, transport=Unicast(()))).packets(100, US, NOW) == []


def test_the_identification_counts_advertisements_from_1_and_never_is_0() -> None:
    transmission = Transmission(replace(V2, transport=TO_BOTH))
    counted = [[packet.identification for packet in transmission.packets(100, US, NOW)] for _ in range(65536)]
    assert counted[:2] == [[1, 1], [2, 2]]
    assert counted[-2:] == [[65535, 65535], [1, 1]]


def test_an_ipv6_packet_has_no_identification() -> None:
    assert Transmission(V6).packets(100, US6, NOW)[0].identification == 0


def test_the_checksum_of_version_3_holds_the_destination_that_it_goes_to() -> None:
    for packet in Transmission(replace(V3, transport=TO_BOTH)).packets(100, US, NOW):
        assert checksum_fits(packet.payload, pseudo_header(US, packet.destination, 12))


def test_the_checksum_of_version_3_may_be_that_of_version_2() -> None:
    (packet,) = Transmission(replace(V3, checksum_as_v2=True)).packets(100, US, NOW)
    assert checksum_fits(packet.payload)
    (packet,) = Transmission(replace(V6, transport=TO_GROUP6, checksum_as_v2=True)).packets(100, US6, NOW)
    assert checksum_fits(packet.payload, pseudo_header(US6, VRRP_GROUP6, 24)), "in IPv6 there is no such choice"


def test_the_old_unicast_checksum_has_the_group_as_its_destination() -> None:
    asked = replace(V3, transport=TO_BOTH, old_unicast_checksum=True)
    learning = Transmission(replace(V3, transport=TO_BOTH))
    learning.learned.old_checksum = True
    for packet in (*Transmission(asked).packets(100, US, NOW), *learning.packets(100, US, NOW)):
        assert checksum_fits(packet.payload, pseudo_header(US, VRRP_GROUP, 12))
    (packet,) = Transmission(replace(V3, old_unicast_checksum=True)).packets(100, US, NOW)
    assert checksum_fits(packet.payload, pseudo_header(US, VRRP_GROUP, 12))


def test_a_password_is_in_version_2_alone_and_never_in_ah() -> None:
    secret = Authentication(AuthType.PASS, b"secret")
    assert own_advertisement(replace(V2, authentication=secret), 100).auth_data == b"secret\0\0"
    assert own_advertisement(replace(V3, authentication=secret), 100) == own_advertisement(V3, 100)
    sealed = own_advertisement(replace(V2, authentication=replace(secret, type=AuthType.AH)), 100)
    assert (sealed.auth_type, sealed.auth_data) == (2, bytes(8))


def test_an_interval_that_the_wire_has_not_is_never_sent() -> None:
    assert own_advertisement(replace(V2, advert_interval=1.5), 100).advert_interval == 2
    with pytest.raises(IntervalError):
        own_advertisement(replace(V3, advert_interval=40.958), 100)


def test_only_addresses_of_its_family_are_advertised_in_their_order() -> None:
    both = (*V6.addresses, *V2.addresses, VirtualAddress(IPv4Interface("10.9.0.99/32")))
    mixed = replace(V2, addresses=both)
    assert own_advertisement(mixed, 100).addresses == (IPv4Address("10.9.0.100"), IPv4Address("10.9.0.99"))


def test_ah_counts_advertisements_on_from_what_others_have_sent() -> None:
    transmission = Transmission(replace(V2, authentication=Authentication(AuthType.AH, b"secret"), transport=TO_BOTH))
    first = [packet.authentication for packet in transmission.packets(100, US, NOW)]
    assert [header.sequence for header in first if header is not None] == [1, 1]
    transmission.learned.ah_sequence = 1500
    after = [packet.authentication for packet in transmission.packets(100, US, NOW)]
    assert [(header.sequence, header.spi) for header in after if header is not None] == [(1501, int(US))] * 2


def test_version_3_has_no_ah() -> None:
    odd = replace(V3, authentication=Authentication(AuthType.AH, b"secret"))
    assert Transmission(odd).packets(100, US, NOW)[0].authentication is None


@pytest.mark.parametrize("mode", [HmacMode.ENFORCE, HmacMode.PERMISSIVE])
def test_all_peers_get_the_same_signature_behind_a_checksum_of_their_own(mode: HmacMode) -> None:
    instance = replace(V3, transport=TO_BOTH, hmac=replace(SIGNED, mode=mode))
    packets = Transmission(instance).packets(100, US, NOW)
    assert len({packet.payload[12:] for packet in packets}) == 1
    trailer = hmac_trailer.decode(packets[0].payload[12:])
    assert (trailer.key_id, trailer.sequence) == (1, 0x6800000080000000)
    for packet in packets:
        message = packet.payload[:12]
        assert checksum_fits(message, pseudo_header(US, packet.destination, 12)), "it covers the message alone"
        assert trailer.tag == hmac_trailer.tag(trailer, message, US, KEYS[1])


def test_in_ipv6_the_checksum_covers_the_trailer_too() -> None:
    (packet,) = Transmission(replace(V6, transport=TO_GROUP6, hmac=SIGNED)).packets(100, US6, NOW)
    assert len(packet.payload) == 24 + 28
    assert checksum_fits(packet.payload, pseudo_header(US6, VRRP_GROUP6, 52))
    trailer = hmac_trailer.decode(packet.payload[24:])
    assert trailer.tag == hmac_trailer.tag(trailer, packet.payload[:24], US6, KEYS[1])


def test_version_2_is_signed_behind_its_authentication_data() -> None:
    (packet,) = Transmission(replace(V2, hmac=SIGNED)).packets(100, US, NOW)
    assert checksum_fits(packet.payload[:20])
    assert hmac_trailer.decode(packet.payload[20:]).key_id == 1


def test_receive_only_does_not_sign() -> None:
    instance = replace(V3, hmac=replace(SIGNED, mode=HmacMode.RECEIVE_ONLY))
    assert len(Transmission(instance).packets(100, US, NOW)[0].payload) == 12


def test_signatures_grow_by_the_clock_and_survive_a_change_of_key() -> None:
    transmission = Transmission(replace(V3, hmac=SIGNED))

    def sequence(wall: float) -> tuple[int, int]:
        trailer = hmac_trailer.decode(transmission.packets(100, US, wall)[0].payload[12:])
        return trailer.key_id, trailer.sequence

    assert [sequence(NOW), sequence(NOW)] == [(1, 0x6800000080000000), (1, 0x6800000080000001)]
    transmission.reconfigured(replace(V3, hmac=replace(SIGNED, active_key=2)))
    assert sequence(NOW) == (2, 0x6800000080000002)
    assert sequence(NOW - 3600) == (2, 0x68000000_80000000 - (3600 << 32)), "a clock that was set right"
    transmission.reconfigured(replace(V3, hmac=replace(SIGNED, monotonic=True)))
    assert sequence(NOW - 7200) == (1, 0x68000000_80000001 - (3600 << 32)), "monotonic never goes back"


def test_priority_0_resigns_with_the_same_addresses() -> None:
    (packet,) = Transmission(V2).packets(0, US, NOW)
    found = advertisement.decode(packet.payload)
    assert (found.priority, found.addresses) == (0, (IPv4Address("10.9.0.100"),))
