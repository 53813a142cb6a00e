"""RFC 3768 and RFC 5798, sections 5 and 7: what is sent, and what is discarded."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface

import pytest
from rfc import departs, elsewhere, holds

from pyvrrp.model import (
    VRRP_GROUP,
    VRRP_GROUP6,
    Address,
    Authentication,
    AuthType,
    Instance,
    Multicast,
    Unicast,
    UnicastPeer,
    VirtualAddress,
)
from pyvrrp.protocol.reception import Reception, RejectedError
from pyvrrp.protocol.transmission import Transmission, own_advertisement
from pyvrrp.wire import advertisement, ipv4, ipv6
from pyvrrp.wire.advertisement import Advertisement, IntervalError, interval_on_wire
from pyvrrp.wire.checksum import internet_checksum, pseudo_header
from pyvrrp.wire.packet import Packet

US, PEER = IPv4Address("192.0.2.1"), IPv4Address("192.0.2.2")
US6, PEER6 = IPv6Address("fe80::1"), IPv6Address("fe80::2")
VIPS = tuple(VirtualAddress(IPv4Interface(text)) for text in ("192.0.2.100/24", "192.0.2.101/24"))
VIPS6 = tuple(VirtualAddress(IPv6Interface(text)) for text in ("fe80::100/128", "2001:db8::100/64"))
V2 = Instance("VI_1", "eth0", 51, priority=100, addresses=VIPS)
V3 = replace(V2, version=3)
V6 = replace(V3, family=6, addresses=VIPS6, transport=Multicast(VRRP_GROUP6))
VERSION_3 = [V3, V6]
ALL = [V2, V3, V6]


def sent(instance: Instance, priority: int = 100) -> Packet:
    (packet,) = Transmission(instance).packets(priority, PEER if instance.family == 4 else PEER6, 0.0)
    return packet


def receive(packet: Packet, instance: Instance) -> Advertisement:
    return Reception(instance).accept(packet, US if instance.family == 4 else US6, 0.0)


def refused(packet: Packet, instance: Instance) -> str:
    with pytest.raises(RejectedError) as error:
        receive(packet, instance)
    return error.value.counter


def resummed(packet: Packet, instance: Instance, **changes: object) -> Packet:
    """``packet`` with other fields in its message, and a checksum that fits them."""
    found = replace(advertisement.decode(packet.payload, instance.family), **changes)  # type: ignore[arg-type]
    summed = b"" if instance.version == 2 else pseudo_header(packet.source, packet.destination, len(packet.payload))
    return replace(packet, payload=found.encode(summed))


# --- Section 5: addresses and the IP header ---------------------------------------------------------------------------


@holds("3768", "5.2.1", "MUST", "The source is the primary address of the interface that it is sent from.")
@holds("3768", "7.2", "MUST", "The source address is set to the primary address of the interface.")
@holds("5798", "5.1.1.1", "MUST", "IPv4: the source is the primary address of the interface.")
@holds("5798", "5.1.2.1", "MUST", "IPv6: the source is the link-local address of the interface.")
@holds("5798", "7.2", "MUST", "The source address is the primary, in IPv6 the link-local, address of the interface.")
@pytest.mark.parametrize("instance", ALL)
def test_the_source_is_the_address_of_the_interface_never_a_virtual_one(instance: Instance) -> None:
    packet = sent(instance)
    assert packet.source == (PEER if instance.family == 4 else PEER6)
    assert packet.source not in {one.ip for one in instance.addresses}


@holds("3768", "5.2.2", "MUST", "The destination is 224.0.0.18.")
@holds("5798", "5.1.1.2", "MUST", "IPv4: the destination is 224.0.0.18.")
@holds("5798", "5.1.2.2", "MUST", "IPv6: the destination is ff02::12.")
@holds("5798", "7.2", "MUST", "It is sent to the VRRP group of its family.")
@pytest.mark.parametrize(("instance", "group"), [(V2, VRRP_GROUP), (V3, VRRP_GROUP), (V6, VRRP_GROUP6)])
def test_the_destination_is_the_group(instance: Instance, group: Address) -> None:
    assert sent(instance).destination == group


@departs(
    "3768", "5.2.2", "MUST", "Nothing but the group is a destination.",
    "`unicast_peer` is keepalived's, for networks without multicast; TTL and peers are checked all the same.",
)  # fmt: skip
def test_unicast_peers_are_sent_to_instead_of_the_group() -> None:
    peers = Unicast((UnicastPeer(US),))
    (packet,) = Transmission(replace(V2, transport=peers)).packets(100, PEER, 0.0)
    assert packet.destination == US
    assert refused(sent(V2), replace(V2, transport=peers)) == "destination_err"


@holds("3768", "5.2.3", "MUST", "The TTL is 255.")
@holds("5798", "5.1.1.3", "MUST", "IPv4: the TTL is 255.")
@holds("5798", "5.1.2.3", "MUST", "IPv6: the hop limit is 255.")
@pytest.mark.parametrize("instance", ALL)
def test_everything_is_sent_with_ttl_255(instance: Instance) -> None:
    packet = sent(instance)
    assert packet.ttl == 255
    assert (ipv4.encode(packet)[8] if instance.family == 4 else ipv6.encode(packet)[7]) == 255


@holds("3768", "5.2.3", "MUST", "A packet with a TTL other than 255 is discarded.")
@holds("3768", "7.1", "MUST", "The TTL is verified to be 255.")
@holds("5798", "5.1.1.3", "MUST", "IPv4: a packet with a TTL other than 255 is discarded.")
@holds("5798", "5.1.2.3", "MUST", "IPv6: a packet with a hop limit other than 255 is discarded.")
@holds("5798", "7.1", "MUST", "The TTL or hop limit is verified to be 255.")
@pytest.mark.parametrize("instance", ALL)
@pytest.mark.parametrize("ttl", [0, 1, 64, 254])
def test_a_ttl_other_than_255_is_discarded(instance: Instance, ttl: int) -> None:
    assert refused(replace(sent(instance), ttl=ttl), instance) == "ip_ttl_err"


@holds("3768", "5.2.4", "MUST", "The protocol number is 112.")
@holds("5798", "5.1.1.4", "MUST", "IPv4: the protocol number is 112.")
@holds("5798", "5.1.2.4", "MUST", "IPv6: the next header is 112.")
@pytest.mark.parametrize("instance", ALL)
def test_the_protocol_number_is_112(instance: Instance) -> None:
    packet = sent(instance)
    assert (ipv4.encode(packet)[9] if instance.family == 4 else ipv6.encode(packet)[6]) == 112


# --- Section 5: the fields --------------------------------------------------------------------------------------------


@holds("3768", "5.3.1", "MUST", "The version field is 2.")
@holds("5798", "5.2.1", "MUST", "The version field is 3.")
@holds("3768", "5.3.2", "MUST", "The only type is 1, ADVERTISEMENT.")
@pytest.mark.parametrize(("instance", "first"), [(V2, 0x21), (V3, 0x31), (V6, 0x31)])
def test_version_and_type_are_in_the_first_byte(instance: Instance, first: int) -> None:
    assert sent(instance).payload[0] == first


@holds("3768", "5.3.2", "MUST", "A packet of an unknown type is discarded.")
@holds("5798", "5.2.2", "MUST", "A packet of an unknown type is discarded.")
@holds("9568", "7.1", "MUST", "The type is verified to be ADVERTISEMENT.")
@pytest.mark.parametrize("instance", ALL)
@pytest.mark.parametrize("kind", [0, 2, 15])
def test_an_unknown_type_is_discarded(instance: Instance, kind: int) -> None:
    assert refused(resummed(sent(instance), instance, type=kind), instance) == "invalid_type_rcvd"


@holds("3768", "5.3.3", "MUST", "The VRID is 1 to 255 and names the virtual router.")
@holds("5798", "5.2.3", "MUST", "The VRID is 1 to 255 and names the virtual router.")
@pytest.mark.parametrize("instance", ALL)
@pytest.mark.parametrize("vrid", [1, 255])
def test_the_vrid_is_that_of_the_instance(instance: Instance, vrid: int) -> None:
    assert sent(replace(instance, virtual_router_id=vrid)).payload[1] == vrid


@holds("3768", "5.3.4", "MUST", "The owner of the addresses has priority 255, a backup 1 to 254; 0 means to stop.")
@holds("5798", "5.2.4", "MUST", "The owner of the addresses has priority 255, a backup 1 to 254; 0 means to stop.")
@pytest.mark.parametrize("instance", ALL)
@pytest.mark.parametrize("priority", [0, 1, 100, 254, 255])
def test_the_priority_is_in_the_third_byte(instance: Instance, priority: int) -> None:
    assert sent(instance, priority).payload[2] == priority
    assert receive(sent(instance, priority), instance).priority == priority


@holds("3768", "5.3.5", "MUST", "The count is the number of addresses in this advertisement.")
@holds("5798", "5.2.5", "MUST", "The count is the number of addresses in this advertisement.")
@holds("3768", "5.3.9", "MUST", "The addresses are those of the virtual router.")
@holds("5798", "5.2.9", "MUST", "The addresses are those of the virtual router.")
@pytest.mark.parametrize("instance", ALL)
def test_the_addresses_are_counted_and_listed(instance: Instance) -> None:
    packet = sent(instance)
    assert packet.payload[3] == 2
    found = advertisement.decode(packet.payload, instance.family).addresses
    assert found == tuple(one.ip for one in instance.addresses)


@holds("5798", "5.2.9", "MUST NOT", "IPv4 and IPv6 addresses are never in one advertisement.")
def test_the_families_are_never_mixed() -> None:
    mixed = replace(V3, addresses=(*VIPS, *VIPS6))
    assert own_advertisement(mixed, 100).addresses == tuple(one.ip for one in VIPS)


@departs(
    "5798", "5.2.9", "MUST", "IPv6: the first address is the link-local one of the virtual router.",
    "the order is that of the configuration, as keepalived sends it; without a link-local address it is sent, too.",
)  # fmt: skip
def test_the_order_of_addresses_is_that_of_the_configuration() -> None:
    turned = replace(V6, addresses=V6.addresses[::-1])
    assert own_advertisement(turned, 100).addresses[0] == IPv6Address("2001:db8::100")


@holds("3768", "5.3.6", "MUST", "Without authentication the type is 0 and the 8 bytes of data are zero when sent.")
def test_without_authentication_type_and_data_are_zero() -> None:
    payload = sent(V2).payload
    assert payload[4] == 0
    assert payload[-8:] == bytes(8)


@holds("3768", "5.3.10", "MUST", "Authentication data are ignored on reception where there is no authentication.")
def test_authentication_data_of_type_0_are_ignored() -> None:
    assert receive(resummed(sent(V2), V2, auth_data=b"anything"), V2).auth_data == b"anything"


@departs(
    "3768", "5.3.6", "MUST", "Types 1 and 2 (password, AH) are reserved for old implementations and not used.",
    "keepalived has both, and so have the files of its users.",
)  # fmt: skip
@pytest.mark.parametrize("kind", [AuthType.PASS, AuthType.AH])
def test_authentication_of_rfc_2338_is_there_for_those_who_have_it(kind: AuthType) -> None:
    instance = replace(V2, authentication=Authentication(kind, b"secret"))
    assert receive(sent(instance), instance).auth_type == kind.value
    assert refused(sent(V2), instance) == "authtype_mismatch"


@holds("3768", "7.1", "MUST", "The authentication type is the configured one.")
@holds("3768", "5.3.6", "MUST", "A packet of an unknown authentication type is discarded.")
def test_another_authentication_type_is_discarded() -> None:
    assert refused(resummed(sent(V2), V2, auth_type=1), V2) == "authtype_mismatch"
    assert refused(resummed(sent(V2), V2, auth_type=3), V2) == "invalid_authtype"


@holds("3768", "5.3.7", "MUST", "The interval is in seconds, 1 by default.")
@holds("5798", "5.2.7", "MUST", "The interval is in centiseconds, 100 by default, 1 to 4095.")
@pytest.mark.parametrize(("instance", "field"), [(V2, b"\x00\x01"), (V3, b"\x00\x64"), (V6, b"\x00\x64")])
def test_the_interval_is_in_the_units_of_its_version(instance: Instance, field: bytes) -> None:
    assert sent(instance).payload[4:6] == field
    with pytest.raises(IntervalError):
        interval_on_wire(41, 3)


@holds("3768", "7.1", "MUST", "The interval is verified to be the configured one, else the packet is discarded.")
@holds("3768", "5.3.7", "MUST", "The interval is the same on all routers of a virtual router.")
def test_another_interval_is_discarded_in_version_2() -> None:
    assert refused(sent(replace(V2, advert_interval=2)), V2) == "advert_interval_err"


@holds("5798", "7.1", "SHOULD", "The interval is compared with the configured one; a difference is logged.")
@pytest.mark.parametrize("instance", VERSION_3)
def test_another_interval_is_told_in_version_3(instance: Instance) -> None:
    reception = Reception(instance)
    packet = sent(replace(instance, advert_interval=0.5))
    assert reception.accept(packet, US if instance.family == 4 else US6, 0.0).advert_interval == 0.5
    assert [remark.event for remark in reception.remarks] == ["interval_differs"]


@holds("9568", "7.1", "MUST", "The interval is verified not to be 0 (erratum 8301).")
@pytest.mark.parametrize("instance", VERSION_3)
def test_an_interval_of_0_is_discarded(instance: Instance) -> None:
    assert refused(resummed(sent(instance), instance, advert_interval=0.0), instance) == "advert_interval_err"


@holds("5798", "5.2.6", "MUST", "The reserved bits are zero when sent and ignored on reception.")
@pytest.mark.parametrize("instance", VERSION_3)
def test_the_reserved_bits_are_zero_and_ignored(instance: Instance) -> None:
    packet = sent(instance)
    assert packet.payload[4] >> 4 == 0
    summed = pseudo_header(packet.source, packet.destination, len(packet.payload))
    payload = bytearray(packet.payload)
    payload[4] |= 0xF0
    payload[6:8] = b"\0\0"
    payload[6:8] = internet_checksum(bytes(payload) + summed).to_bytes(2, "big")
    assert receive(replace(packet, payload=bytes(payload)), instance).advert_interval == 1


@holds("3768", "5.3.8", "MUST", "The checksum covers the whole message, with zero in its own place.")
def test_the_checksum_of_version_2_covers_the_message_alone() -> None:
    payload = sent(V2).payload
    assert internet_checksum(payload[:6] + b"\0\0" + payload[8:]).to_bytes(2, "big") == payload[6:8]


@holds("5798", "5.2.8", "MUST", "The checksum covers the message and a pseudo-header with next header 112.")
@holds("9568", "5.2.8", "MUST", "IPv6: the checksum covers the message and the pseudo-header.")
@pytest.mark.parametrize("instance", VERSION_3)
def test_the_checksum_of_version_3_covers_a_pseudo_header(instance: Instance) -> None:
    packet = sent(instance)
    if instance.family == 4:
        pseudo = packet.source.packed + packet.destination.packed + bytes([0, 112, 0, 16])
    else:
        pseudo = packet.source.packed + packet.destination.packed + bytes([0, 0, 0, 40, 0, 0, 0, 112])
    assert internet_checksum(pseudo + packet.payload) == 0


@departs(
    "9568", "5.2.8", "MUST", "IPv4: the checksum covers the message alone.",
    "RFC 5798, keepalived and the deployed routers sum a pseudo-header; `v3_checksum_as_v2` gives this form, and then"
    " either is accepted.",
)  # fmt: skip
def test_the_checksum_of_rfc_9568_in_ipv4_has_to_be_asked_for() -> None:
    plain = replace(V3, checksum_as_v2=True)
    assert internet_checksum(sent(plain).payload) == 0
    assert receive(sent(plain), plain).priority == receive(sent(V3), plain).priority == 100
    assert refused(sent(plain), V3) == "checksum_err"


# --- Section 7.1: receiving -------------------------------------------------------------------------------------------


@holds("3768", "7.1", "MUST", "The version is verified to be 2.")
@holds("5798", "7.1", "MUST", "The version is verified to be 3.")
@pytest.mark.parametrize(("theirs", "ours"), [(V2, V3), (V3, V2)])
def test_another_version_is_discarded(theirs: Instance, ours: Instance) -> None:
    assert refused(sent(theirs), ours) == "version_err"


@holds("3768", "7.1", "MUST", "The packet is verified to be complete, fixed fields, addresses and data.")
@holds("5798", "7.1", "MUST", "The packet is verified to be complete, fixed fields and addresses.")
@pytest.mark.parametrize("instance", ALL)
def test_a_packet_that_is_not_complete_is_discarded(instance: Instance) -> None:
    whole = sent(instance)
    for length in range(len(whole.payload)):
        assert refused(replace(whole, payload=whole.payload[:length]), instance) == "packet_len_err"
    assert refused(replace(whole, payload=whole.payload + b"\0"), instance) == "packet_len_err"


@holds("3768", "7.1", "MUST", "The checksum is verified.")
@holds("5798", "7.1", "MUST", "The checksum is verified.")
@pytest.mark.parametrize("instance", ALL)
def test_a_packet_whose_checksum_is_wrong_is_discarded(instance: Instance) -> None:
    packet = sent(instance)
    for bit in range(16):
        payload = bytearray(packet.payload)
        payload[6 + bit // 8] ^= 1 << bit % 8
        assert refused(replace(packet, payload=bytes(payload)), instance) == "checksum_err"


@departs(
    "3768", "7.1", "MUST", "The owner of the addresses discards all advertisements.",
    "keepalived listens, so that two owners are told of; `owner_ignore_adverts` gives the RFC's behaviour.",
)  # fmt: skip
@departs(
    "5798", "7.1", "MUST", "The owner of the addresses discards all advertisements.",
    "keepalived listens, so that two owners are told of; `owner_ignore_adverts` gives the RFC's behaviour.",
)  # fmt: skip
@holds("9568", "7.1", "SHOULD", "That the local router is the owner is logged and no reason to discard (erratum 8298).")
@pytest.mark.parametrize("instance", ALL)
def test_an_owner_hears_others_unless_it_is_told_to_ignore_them(instance: Instance) -> None:
    owner = replace(instance, priority=255)
    assert receive(sent(instance, 255), owner).priority == 255
    assert refused(sent(instance, 255), replace(owner, owner_ignores_adverts=True)) == "owner_ignored"


@holds("5798", "7.1", "MAY", "The list of addresses is compared with the configured one; a difference is logged.")
@departs(
    "3768", "7.1", "MUST", "A list of addresses that differs, from a router that is no owner, is discarded.",
    "two masters would be the end of it; keepalived accepts it since 2025, and so do we: it is told and counted.",
)  # fmt: skip
@pytest.mark.parametrize("instance", ALL)
def test_another_list_of_addresses_is_told_and_accepted(instance: Instance) -> None:
    reception = Reception(instance)
    packet = sent(replace(instance, addresses=instance.addresses[:1]))
    assert reception.accept(packet, US if instance.family == 4 else US6, 0.0).priority == 100
    assert [(one.event, one.counter) for one in reception.remarks] == [("address_list_differs", "addr_list_err")]


# --- Section 7.2: sending ---------------------------------------------------------------------------------------------


@holds("3768", "7.2", "MUST", "The fields are filled in from the configuration and the checksum is computed.")
@holds("5798", "7.2", "MUST", "The fields are filled in from the configuration and the checksum is computed.")
@pytest.mark.parametrize("instance", ALL)
def test_what_is_sent_is_what_is_configured(instance: Instance) -> None:
    assert receive(sent(instance, 77), instance) == own_advertisement(instance, 77)


# --- Said elsewhere ---------------------------------------------------------------------------------------------------

for _rfc, _section in (("3768", "5.2.2"), ("5798", "5.1.1.2"), ("5798", "5.1.2.2")):
    elsewhere(
        _rfc, _section, "MUST NOT", "A packet to the group is never forwarded, whatever its TTL.",
        "the kernel's", "link-local groups are never routed; we send with MSG_DONTROUTE.",
    )  # fmt: skip
for _rfc in ("3768", "5798"):
    elsewhere(
        _rfc, "7.1", "MUST", "The VRID is verified to be configured on the receiving interface.",
        "departs", "not a check of `Reception`: the daemon finds the instance by socket and VRID, and has none to hand"
        " the packet to; `log_unknown_vrids` tells of it.",
        "test_pyvrrp_system_sockets.py: test_the_group_is_joined_on_this_interface_only",
    )  # fmt: skip
    elsewhere(
        _rfc, "7.2", "MUST", "The source MAC address is the virtual one, 00-00-5E-00-01-VRID.",
        "departs", "as in keepalived only with `use_vmac` (and without `vmac_xmit_base`); otherwise the interface's.",
        "test_scenarios_tracking.py: test_25_a_virtual_mac_is_that_of_the_virtual_router",
    )  # fmt: skip
