"""Which packets an instance heeds: each check alone, in keepalived's order; a refusal leaves nothing behind."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyvrrp.model import (
    VRRP_GROUP,
    VRRP_GROUP6,
    Address,
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
from pyvrrp.protocol.reception import (
    REJECTIONS,
    Reception,
    RejectedError,
    Remark,
    own_advertisement,
    virtual_router_id,
    why_addresses_differ,
)
from pyvrrp.protocol.transmission import Transmission
from pyvrrp.status.statistics import Statistics
from pyvrrp.wire import ah
from pyvrrp.wire.checksum import pseudo_header
from pyvrrp.wire.packet import Packet

OURS, THEIRS, STRANGER = IPv4Address("192.168.50.11"), IPv4Address("192.168.50.12"), IPv4Address("192.168.50.13")
OURS6, THEIRS6 = IPv6Address("fe80::11"), IPv6Address("fe80::12")
VIP = VirtualAddress(IPv4Interface("192.168.50.10/24"))
VIP6 = VirtualAddress(IPv6Interface("fe80::10/128"))
KEYS = {1: bytes(range(32)), 2: bytes(range(32, 64))}
NOW = 1_700_000_000.25

OPEN = Instance("VI_1", "eth0", 50, priority=100, addresses=(VIP,))
WITH_PASSWORD = replace(OPEN, authentication=Authentication(AuthType.PASS, b"KeepAliv"))
SEALED = replace(OPEN, authentication=Authentication(AuthType.AH, b"KeepAliv"))
V3 = replace(OPEN, version=3)
V6 = replace(V3, family=6, addresses=(VIP6,), transport=Multicast(VRRP_GROUP6))
SIGNED = replace(V3, hmac=HmacAuthentication(KEYS, 1))
SIGNED2 = replace(OPEN, hmac=HmacAuthentication(KEYS, 1))
SIGNED6 = replace(V6, hmac=HmacAuthentication(KEYS, 1))
UNICAST = replace(V3, transport=Unicast((UnicastPeer(THEIRS), UnicastPeer(OURS))))
SIGNED_UNICAST = replace(SIGNED, transport=UNICAST.transport)
FAR = replace(UNICAST, transport=Unicast((UnicastPeer(THEIRS, 250, 254), UnicastPeer(OURS)), ttl=254))
EVERY_KIND = [OPEN, WITH_PASSWORD, SEALED, V3, V6, SIGNED, SIGNED2, SIGNED6, UNICAST, SIGNED_UNICAST]


def names(instance: Instance) -> tuple[Address, Address]:
    return (OURS, THEIRS) if instance.family == 4 else (OURS6, THEIRS6)


def sent(instance: Instance, priority: int = 90, wall: float = NOW, **changes: object) -> Packet:
    """What another router of the same configuration sends; of unicast packets the one to us."""
    ours, theirs = names(instance)
    packets = Transmission(instance).packets(priority, theirs, wall)
    made = next(packet for packet in packets if packet.destination in {ours, VRRP_GROUP, VRRP_GROUP6})
    return replace(made, **changes)  # type: ignore[arg-type]


def flipped(packet: Packet, at: int, bits: int = 1) -> Packet:
    changed = bytearray(packet.payload)
    changed[at] ^= bits
    return replace(packet, payload=bytes(changed))


def accept(packet: Packet, instance: Instance, wall: float = NOW) -> int:
    return Reception(instance).accept(packet, names(instance)[0], wall).priority


def refusal(packet: Packet, reception: Reception, wall: float = NOW) -> RejectedError:
    with pytest.raises(RejectedError) as refused:
        reception.accept(packet, names(reception.instance)[0], wall)
    return refused.value


@pytest.mark.parametrize("instance", EVERY_KIND)
def test_a_good_advertisement_is_accepted(instance: Instance) -> None:
    reception = Reception(instance)
    found = reception.accept(sent(instance), names(instance)[0], NOW)
    assert found == own_advertisement(instance, 90)
    assert reception.remarks == ()


@dataclass(frozen=True)
class Refused:
    counter: str
    words: str
    packet: Packet
    instance: Instance = WITH_PASSWORD


def authentication(packet: Packet, **changes: object) -> Packet:
    assert packet.authentication is not None
    return replace(packet, authentication=replace(packet.authentication, **changes))  # type: ignore[arg-type]


GOOD = sent(WITH_PASSWORD)
ODD_TYPE = replace(own_advertisement(WITH_PASSWORD, 90), type=3)

REFUSALS = [
    # 1. AH is there if and only if it is asked for.
    Refused("authtype_mismatch", "No AH header but auth type is AH from 192.168.50.12", sent(OPEN), SEALED),
    Refused("authtype_mismatch", "Received AH header but auth type not AH from 192.168.50.12", sent(SEALED), OPEN),
    Refused("authtype_mismatch", "AH header of another protocol", authentication(sent(SEALED), next_header=6), SEALED),
    # 2. Length.
    Refused(
        "packet_len_err",
        "vrrp packet from 192.168.50.12 too long, length 21 and expect 20",
        replace(GOOD, payload=GOOD.payload + b"\0"),
    ),
    Refused("packet_len_err", "too short, length 19 and expect 20", replace(GOOD, payload=GOOD.payload[:-1])),
    Refused("packet_len_err", "too short, 7 bytes, fewer than the 8", replace(GOOD, payload=GOOD.payload[:7])),
    Refused("packet_len_err", "too short, 0 bytes", replace(GOOD, payload=b"")),
    Refused("packet_len_err", "too long, length 40 and expect 12", sent(SIGNED), V3),
    Refused(
        "packet_len_err", "too long, length 41", replace(sent(SIGNED), payload=sent(SIGNED).payload + b"x"), SIGNED
    ),
    # 3. TTL.
    Refused("ip_ttl_err", "invalid TTL/HL from 192.168.50.12. Received 254 and expect 255", replace(GOOD, ttl=254)),
    Refused("ip_ttl_err", "invalid TTL/HL from fe80::12. Received 64 and expect 255", sent(V6, ttl=64), V6),
    Refused("ip_ttl_err", "Received 254 and expect 255", sent(UNICAST, ttl=254), UNICAST),
    Refused("ip_ttl_err", "TTL/HL 255 from 192.168.50.12 not in range [250, 254]", sent(FAR, ttl=255), FAR),
    Refused("ip_ttl_err", "TTL/HL 249 from 192.168.50.12 not in range [250, 254]", sent(FAR, ttl=249), FAR),
    # 4. Version.
    Refused("version_err", "wrong VRRP version from 192.168.50.12. Received 3 and expect 2", sent(V3)),
    Refused("version_err", "Received 2 and expect 3", sent(OPEN), V3),
    Refused("version_err", "Received 4 and expect 3", flipped(sent(V3), 0, 0x70), V3),
    Refused("version_err", "Received 2 and expect 3", flipped(sent(V6), 0, 0x10), V6),
    # 5. The trailer.
    Refused("auth_ext_missing", "missing authentication trailer from 192.168.50.12", sent(V3), SIGNED),
    Refused("auth_ext_malformed", "malformed authentication trailer from", flipped(sent(SIGNED), 12), SIGNED),
    Refused("auth_ext_malformed", "malformed authentication trailer from", flipped(sent(SIGNED), 15), SIGNED),
    Refused(
        "auth_ext_stale",
        "stale authentication trailer from 192.168.50.12, clock skew 6 sec exceeds window 5 sec",
        sent(SIGNED, wall=NOW - 6),
        SIGNED,
    ),
    Refused("auth_ext_stale", "clock skew -6 sec exceeds window 5 sec", sent(SIGNED, wall=NOW + 6), SIGNED),
    Refused("auth_ext_unknown_key", "unknown authentication key id 3 from", flipped(sent(SIGNED), 13, 2), SIGNED),
    Refused("auth_ext_invalid_hmac", "invalid authentication HMAC from", flipped(sent(SIGNED), 13, 3), SIGNED),
    Refused("auth_ext_invalid_hmac", "invalid authentication HMAC from", flipped(sent(SIGNED), 2), SIGNED),
    Refused("auth_ext_invalid_hmac", "invalid authentication HMAC from", sent(SIGNED, source=STRANGER), SIGNED),
    Refused(
        "peer_err",
        "unicast source address 192.168.50.13 not a unicast peer",
        sent(SIGNED_UNICAST, source=STRANGER),
        SIGNED_UNICAST,
    ),
    # 6. Authentication of version 2.
    Refused("invalid_authtype", "Invalid auth type from 192.168.50.12: 5", flipped(GOOD, 4, 4)),
    Refused("authtype_mismatch", "received a 0 auth from 192.168.50.12, expecting 1!", sent(OPEN)),
    Refused("auth_failure", "received an invalid passwd from 192.168.50.12!", flipped(GOOD, 19)),
    Refused(
        "auth_failure",
        "invalid IPSEC HMAC-MD5 value from 192.168.50.12",
        authentication(sent(SEALED), integrity_check=bytes(12)),
        SEALED,
    ),
    Refused("auth_failure", "invalid IPSEC HMAC-MD5 value", flipped(sent(SEALED), 2), SEALED),
    # 7. Interval.
    Refused(
        "advert_interval_err",
        "advertisement interval mismatch with 192.168.50.12 mine=1 sec rcv'd=2 sec",
        sent(replace(WITH_PASSWORD, advert_interval=2)),
    ),
    Refused("advert_interval_err", "interval of 0 centi-sec from 192.168.50.12", flipped(sent(V3), 5, 0x64), V3),
    # 8. Type.
    Refused(
        "invalid_type_rcvd",
        "Invalid packet type from 192.168.50.12. 3 and expect 1",
        replace(GOOD, payload=ODD_TYPE.encode()),
    ),
    # 9. Checksum.
    Refused("checksum_err", "Invalid VRRPv2 checksum from 192.168.50.12", flipped(GOOD, 6)),
    Refused("checksum_err", "Invalid VRRPv3 checksum from 192.168.50.12", flipped(sent(V3), 6), V3),
    Refused("checksum_err", "Invalid VRRPv3 checksum", sent(replace(V3, checksum_as_v2=True)), V3),
    Refused("checksum_err", "Invalid VRRPv3 checksum from fe80::12", flipped(sent(V6), 6), V6),
    Refused("checksum_err", "Invalid VRRPv3 checksum", flipped(sent(UNICAST), 6), UNICAST),
    Refused("checksum_err", "Invalid VRRPv3 checksum", flipped(sent(SIGNED), 6), SIGNED),
    # 10. Destination.
    Refused(
        "destination_err",
        "Expected multicast packet but received unicast packet from 192.168.50.12",
        replace(GOOD, destination=OURS),
    ),
    Refused(
        "destination_err",
        "Expected unicast packet but received multicast packet from 192.168.50.12",
        sent(V3),
        UNICAST,
    ),
    Refused(
        "destination_err", "to 224.0.0.19, not to 224.0.0.18", replace(GOOD, destination=IPv4Address("224.0.0.19"))
    ),
    Refused("destination_err", "a packet of IPv6 for an instance of IPv4", sent(V6), V3),
    Refused("destination_err", "a packet of IPv4", replace(GOOD, destination=VRRP_GROUP6)),
    # 11. An owner that does not listen.
    Refused(
        "owner_ignored",
        "Dropping packet(s) from 192.168.50.12 since we are address owner",
        sent(OPEN),
        replace(OPEN, priority=255, owner_ignores_adverts=True),
    ),
    # 12., 13. Our own addresses, and in unicast strangers.
    Refused("source_err", "advertisement from our own address 192.168.50.11", replace(GOOD, source=OURS)),
    Refused("source_err", "advertisement from our own address 192.168.50.10", replace(GOOD, source=VIP.ip)),
    Refused(
        "source_err",
        "our own address 192.168.50.12",
        GOOD,
        replace(WITH_PASSWORD, excluded=(VirtualAddress(IPv4Interface("192.168.50.12/32")),)),
    ),
    Refused(
        "peer_err",
        "unicast source address 192.168.50.13 not a unicast peer",
        Transmission(UNICAST).packets(90, STRANGER, NOW)[1],
        UNICAST,
    ),
]


@pytest.mark.parametrize("one", REFUSALS, ids=lambda one: f"{one.counter}: {one.words}")
def test_what_is_wrong_is_counted_under_its_name(one: Refused) -> None:
    wrong = refusal(one.packet, Reception(one.instance))
    assert wrong.counter == one.counter
    assert one.words in str(wrong)


def test_every_refusal_has_a_counter_of_its_own_in_the_statistics() -> None:
    counters = [rejection.counter for rejection in REJECTIONS]
    assert len(set(counters)) == len(counters)
    assert set(counters) <= Statistics().as_dict().keys()
    assert {one.counter for one in REFUSALS} | {"auth_ext_replay"} == set(counters)


# --- The order of the checks ------------------------------------------------------------------------------------------


def several_wrong(*wrongs: Callable[[Packet], Packet]) -> Packet:
    packet = sent(replace(SIGNED2, authentication=WITH_PASSWORD.authentication))
    for wrong in wrongs:
        packet = wrong(packet)
    return packet


WRONGS: list[tuple[str, Callable[[Packet], Packet]]] = [
    ("packet_len_err", lambda packet: replace(packet, payload=packet.payload + b"\0")),
    ("ip_ttl_err", lambda packet: replace(packet, ttl=1)),
    ("auth_ext_invalid_hmac", lambda packet: flipped(packet, len(packet.payload) - 1)),
]


@pytest.mark.parametrize("first", range(len(WRONGS)))
def test_of_several_wrongs_the_first_in_keepalived_s_order_counts(first: int) -> None:
    instance = replace(SIGNED2, authentication=WITH_PASSWORD.authentication)
    packet = several_wrong(*(wrong for _, wrong in reversed(WRONGS[first:])))
    assert refusal(packet, Reception(instance)).counter == WRONGS[first][0]


UNSIGNED_WRONGS: list[tuple[str, Callable[[Packet], Packet]]] = [
    ("packet_len_err", lambda packet: replace(packet, payload=packet.payload[:-1])),
    ("ip_ttl_err", lambda packet: replace(packet, ttl=1)),
    ("version_err", lambda packet: flipped(packet, 0, 0x40)),
    ("authtype_mismatch", lambda packet: flipped(packet, 4, 1)),
    ("auth_failure", lambda packet: flipped(packet, 19)),
    ("advert_interval_err", lambda packet: flipped(packet, 5, 2)),
    ("invalid_type_rcvd", lambda packet: flipped(packet, 0, 2)),
    ("checksum_err", lambda packet: flipped(packet, 6)),
    ("destination_err", lambda packet: replace(packet, destination=OURS)),
    ("source_err", lambda packet: replace(packet, source=OURS)),
]


@pytest.mark.parametrize("first", range(len(UNSIGNED_WRONGS)))
def test_each_check_comes_before_those_behind_it(first: int) -> None:
    packet = GOOD
    for counter, wrong in reversed(UNSIGNED_WRONGS[first:]):
        # A message of version 6 has no length that we could judge: that one is left out beside a wrong length.
        if counter != "version_err" or UNSIGNED_WRONGS[first][0] != "packet_len_err":
            packet = wrong(packet)
    assert refusal(packet, Reception(WITH_PASSWORD)).counter == UNSIGNED_WRONGS[first][0]


# --- Unicast and checksums --------------------------------------------------------------------------------------------


def test_the_ttl_bounds_of_a_peer_count_for_that_peer() -> None:
    assert accept(sent(FAR, ttl=250), FAR) == 90
    lowest = replace(FAR, transport=Unicast((UnicastPeer(THEIRS, min_ttl=60), UnicastPeer(OURS))))
    assert accept(sent(lowest, ttl=60), lowest) == accept(sent(lowest, ttl=255), lowest) == 90
    highest = replace(FAR, transport=Unicast((UnicastPeer(THEIRS, max_ttl=64), UnicastPeer(OURS))))
    assert accept(sent(highest, ttl=0), highest) == accept(sent(highest, ttl=1), highest) == 90


UNICAST6 = replace(V6, transport=Unicast((UnicastPeer(THEIRS6), UnicastPeer(OURS6))))


def test_in_ipv6_a_peer_may_have_the_hop_limit_that_keepalived_leaves_as_it_is() -> None:
    assert accept(sent(UNICAST6, ttl=64), UNICAST6) == accept(sent(UNICAST6), UNICAST6) == 90
    for ttl in (63, 65, 254):
        assert refusal(sent(UNICAST6, ttl=ttl), Reception(UNICAST6)).counter == "ip_ttl_err"
    assert refusal(sent(UNICAST, ttl=64), Reception(UNICAST)).counter == "ip_ttl_err"
    strict = replace(UNICAST6, transport=Unicast((UnicastPeer(THEIRS6, min_ttl=255), UnicastPeer(OURS6))))
    assert accept(sent(strict), strict) == 90
    assert refusal(sent(strict, ttl=64), Reception(strict)).counter == "ip_ttl_err"


def test_a_peer_that_sums_as_of_old_is_heard_and_answered_in_its_way() -> None:
    ours = Transmission(UNICAST)
    reception = Reception(UNICAST, ours.learned)
    old = sent(replace(UNICAST, old_unicast_checksum=True))
    reception.accept(old, OURS, NOW)
    assert reception.remarks == (Remark("old_checksum", "Setting unicast VRRPv3 checksum to old version"),)
    (to_peer, _) = ours.packets(100, OURS, NOW)
    assert (
        to_peer.payload == Transmission(replace(UNICAST, old_unicast_checksum=True)).packets(100, OURS, NOW)[0].payload
    )
    reception.accept(old, OURS, NOW)
    assert reception.remarks == ()


def test_with_checksum_as_v2_either_sum_is_right() -> None:
    instance = replace(V3, checksum_as_v2=True)
    assert accept(sent(instance), instance) == accept(sent(V3), instance) == 90


# --- AH ---------------------------------------------------------------------------------------------------------------


def test_an_ah_sequence_number_has_to_be_greater_than_any_before() -> None:
    theirs = Transmission(SEALED)
    first, second, third = (theirs.packets(90, THEIRS, NOW)[0] for _ in range(3))
    reception = Reception(SEALED)
    reception.accept(first, OURS, NOW)
    reception.accept(third, OURS, NOW)
    told = refusal(second, reception)
    assert told.counter == "auth_failure"
    assert "sequence number 2 from 192.168.50.12 already processed. Packet dropped. Local(3)" in str(told)
    assert refusal(third, reception).counter == "auth_failure"


def test_a_new_master_counts_on_from_the_old_one_so_that_it_is_heard() -> None:
    ours, theirs = Transmission(SEALED), Transmission(SEALED)
    theirs.learned.ah_sequence = 1499
    reception = Reception(SEALED, ours.learned)
    reception.accept(theirs.packets(90, THEIRS, NOW)[0], OURS, NOW)
    back = Reception(SEALED, theirs.learned)
    assert back.accept(ours.packets(100, OURS, NOW)[0], THEIRS, NOW).priority == 100


def test_the_spi_of_ah_is_the_sender() -> None:
    sealed = sent(SEALED)
    assert sealed.authentication is not None
    other = authentication(sealed, spi=int(STRANGER))
    forged = authentication(other, integrity_check=ah.integrity_check(other, b"KeepAliv"))
    assert "invalid IPSEC SPI value" in str(refusal(forged, Reception(SEALED)))


# --- Signed trailers --------------------------------------------------------------------------------------------------


def marked(instance: Instance, wall: float = NOW, **changes: object) -> Reception:
    """A reception that has accepted one packet of THEIRS."""
    reception = Reception(instance)
    reception.accept(sent(instance, wall=wall), names(instance)[0], wall)
    return reception


@pytest.mark.parametrize("instance", [SIGNED, SIGNED2, SIGNED6, SIGNED_UNICAST])
def test_the_same_packet_twice_is_a_replay(instance: Instance) -> None:
    told = refusal(sent(instance), marked(instance))
    assert told.counter == "auth_ext_replay"
    assert "replayed authentication trailer from" in str(told)


def test_an_older_packet_is_a_replay_a_newer_one_is_not() -> None:
    reception = marked(SIGNED)
    assert refusal(sent(SIGNED, wall=NOW - 1), reception).counter == "auth_ext_replay"
    assert reception.accept(sent(SIGNED, wall=NOW + 1), OURS, NOW + 1).priority == 90


def test_a_reload_forgets_no_replay() -> None:
    reception = marked(SIGNED)
    reception.reconfigured(replace(SIGNED, priority=50))
    assert refusal(sent(SIGNED), reception).counter == "auth_ext_replay"


def test_a_sender_whose_clock_was_set_right_is_heard_when_its_mark_is_out_of_the_window() -> None:
    reception = marked(SIGNED, NOW + 5)
    for at in (NOW + 1, NOW):  # 5 s are the window, and in it
        assert refusal(sent(SIGNED, wall=at), reception, at).counter == "auth_ext_replay"
    assert reception.accept(sent(SIGNED, wall=NOW - 1), OURS, NOW - 1).priority == 90


def test_monotonic_looks_at_no_clock_and_never_forgets() -> None:
    instance = replace(SIGNED, hmac=HmacAuthentication(KEYS, 1, monotonic=True))
    reception = Reception(instance)
    assert reception.accept(sent(instance, wall=NOW - 1e6), OURS, NOW).priority == 90
    assert reception.remarks == ()
    assert refusal(sent(instance, wall=NOW - 2e6), reception).counter == "auth_ext_replay"


def signed_by(source: IPv4Address, wall: float = NOW) -> Packet:
    return Transmission(SIGNED).packets(90, source, wall)[0]


def test_of_a_group_the_last_four_senders_are_remembered() -> None:
    senders = [IPv4Address(f"192.168.50.{number}") for number in range(20, 25)]
    reception = Reception(SIGNED)
    for sender in senders[:4]:
        reception.accept(signed_by(sender), OURS, NOW)
    assert {refusal(signed_by(one), reception).counter for one in senders[:4]} == {"auth_ext_replay"}
    reception.accept(signed_by(senders[0], NOW + 1), OURS, NOW)
    reception.accept(signed_by(senders[4]), OURS, NOW)
    assert refusal(signed_by(senders[0]), reception).counter == "auth_ext_replay", "it was heard again"
    assert reception.accept(signed_by(senders[1]), OURS, NOW).priority == 90, "it was heard longest ago"


def test_of_unicast_peers_all_are_remembered() -> None:
    senders = [IPv4Address(f"192.168.50.{number}") for number in range(20, 28)]
    instance = replace(SIGNED, transport=Unicast(tuple(UnicastPeer(one) for one in (OURS, *senders))))
    reception = Reception(instance)
    packets = [Transmission(instance).packets(90, sender, NOW)[0] for sender in senders]
    for packet in packets:
        reception.accept(packet, OURS, NOW)
    assert {refusal(packet, reception).counter for packet in packets} == {"auth_ext_replay"}


@pytest.mark.parametrize("mode", [HmacMode.PERMISSIVE, HmacMode.RECEIVE_ONLY])
def test_modes_of_migration_accept_what_is_not_signed_and_refuse_what_is_signed_wrong(mode: HmacMode) -> None:
    instance = replace(SIGNED, hmac=HmacAuthentication(KEYS, 1, mode=mode))
    assert accept(sent(V3), instance) == accept(sent(SIGNED), instance) == 90
    assert refusal(flipped(sent(SIGNED), 39), Reception(instance)).counter == "auth_ext_invalid_hmac"


@pytest.mark.parametrize("behind", [5, -5])
def test_a_signature_as_old_as_the_window_is_in_it(behind: int) -> None:
    assert Reception(SIGNED).accept(sent(SIGNED, wall=NOW - behind), OURS, NOW).priority == 90


def test_any_known_key_is_good() -> None:
    assert accept(sent(replace(SIGNED, hmac=HmacAuthentication(KEYS, 2))), SIGNED) == 90


@pytest.mark.parametrize(("behind", "told"), [(2, False), (3, True), (-2, False), (-3, True)])
def test_from_half_the_window_the_clocks_are_remarked_upon(behind: int, told: bool) -> None:
    reception = Reception(SIGNED)
    reception.accept(sent(SIGNED, wall=NOW - behind), OURS, NOW)
    text = f"authentication clock skew {behind} sec from 192.168.50.12 approaching window 5 sec"
    assert reception.remarks == ((Remark("clock_skew", text),) if told else ())


# --- What is told of a packet that was accepted -----------------------------------------------------------------------


def test_another_interval_in_version_3_is_told_and_accepted() -> None:
    reception = Reception(V3)
    assert reception.accept(sent(replace(V3, advert_interval=0.5)), OURS, NOW).advert_interval == 0.5
    text = "advertisement interval mismatch ours = 100 centi-sec rcv'd=50 centi-sec"
    assert reception.remarks == (Remark("interval_differs", text),)


LONGER = replace(WITH_PASSWORD, addresses=(VIP, VirtualAddress(IPv4Interface("192.168.50.9/24"))))


def test_another_list_of_addresses_is_told_counted_and_accepted() -> None:
    reception = Reception(WITH_PASSWORD)
    found = reception.accept(sent(LONGER), OURS, NOW)
    text = "its addresses are 192.168.50.9 192.168.50.10, ours 192.168.50.10"
    told = Remark("address_list_differs", f"advert from 192.168.50.12: {text}", "addr_list_err")
    assert reception.remarks == (told,)
    assert why_addresses_differ(found, WITH_PASSWORD) == text
    assert why_addresses_differ(found, replace(LONGER, addresses=LONGER.addresses[::-1])) is None
    assert why_addresses_differ(found, replace(LONGER, addresses=())) == (
        "its addresses are 192.168.50.9 192.168.50.10, ours none"
    )
    reception.accept(sent(LONGER), OURS, NOW)
    assert reception.remarks == (told,)


def test_skip_check_adv_addr_looks_at_the_list_of_a_new_master_only() -> None:
    reception = Reception(replace(WITH_PASSWORD, skip_check_addresses=True))

    def heard(source: IPv4Address) -> bool:
        reception.accept(replace(sent(LONGER), source=source), OURS, NOW)
        return bool(reception.remarks)

    assert [heard(source) for source in (THEIRS, THEIRS, STRANGER, STRANGER, THEIRS)] == [
        True, False, True, False, True,
    ]  # fmt: skip


def test_an_owner_that_listens_hears() -> None:
    assert accept(sent(OPEN), replace(OPEN, priority=255)) == 90
    assert accept(sent(OPEN), replace(OPEN, owner_ignores_adverts=True)) == 90


def test_a_packet_names_its_virtual_router() -> None:
    assert virtual_router_id(GOOD) == 50
    assert virtual_router_id(replace(GOOD, payload=b"\x21\x32")) == 50
    assert virtual_router_id(replace(GOOD, payload=b"\x21")) is None


# --- A refused packet changes a counter and nothing else --------------------------------------------------------------


def contents(reception: Reception) -> object:
    return copy.deepcopy(
        vars(reception) | {"_signatures": vars(reception._signatures), "learned": (
            reception.learned.ah_sequence, reception.learned.old_checksum
        )}
    )  # fmt: skip


@pytest.mark.parametrize("one", REFUSALS, ids=lambda one: f"{one.counter}: {one.words}")
def test_a_refusal_leaves_nothing_behind(one: Refused) -> None:
    reception = Reception(one.instance)
    before = contents(reception)
    refusal(one.packet, reception)
    assert contents(reception) == before


def test_a_refusal_never_prints_a_password_or_a_key() -> None:
    for one in REFUSALS:
        text = str(refusal(one.packet, Reception(one.instance))) + repr(one.instance)
        assert "KeepAliv" not in text
        assert repr(KEYS[1])[2:20] not in text
        assert KEYS[1].hex() not in text


INSTANCES = st.sampled_from([*EVERY_KIND, FAR, replace(V3, checksum_as_v2=True)])
ADDRESSES: list[Address] = [OURS, THEIRS, STRANGER, VIP.ip, VRRP_GROUP, OURS6, THEIRS6, VIP6.ip, VRRP_GROUP6]


def survives(instance: Instance, packet: Packet, wall: float) -> None:
    """Hold that ``packet`` is accepted, or refused by a RejectedError that changes nothing."""
    reception = marked(instance)
    before = contents(reception)
    try:
        found = reception.accept(packet, names(instance)[0], wall)
    except REJECTIONS:
        assert contents(reception) == before
        return
    assert found.virtual_router_id == packet.payload[1]
    assert found.advert_interval > 0


@given(INSTANCES, st.binary(max_size=80), st.sampled_from(ADDRESSES), st.sampled_from(ADDRESSES), st.integers(0, 255))
@settings(derandomize=True, max_examples=500)
def test_any_bytes_are_refused_without_a_trace(
    instance: Instance, payload: bytes, source: Address, destination: Address, ttl: int
) -> None:
    survives(instance, Packet(source, destination, payload, ttl=ttl), NOW + 1)


@given(INSTANCES, st.data(), st.floats(-20, 20))
@settings(derandomize=True, max_examples=1000)
def test_a_good_packet_with_some_bytes_changed_is_accepted_or_leaves_no_trace(
    instance: Instance, data: st.DataObject, late: float
) -> None:
    packet = sent(instance, wall=NOW + 1)
    changed = bytearray(packet.payload)
    for _ in range(data.draw(st.integers(0, 3))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(changed)) | st.just(len(changed)))
    fields = {
        "payload": bytes(changed[:cut]),
        "source": data.draw(st.just(packet.source) | st.sampled_from(ADDRESSES)),
        "destination": data.draw(st.just(packet.destination) | st.sampled_from(ADDRESSES)),
        "ttl": data.draw(st.just(255) | st.integers(0, 255)),
    }
    survives(instance, replace(packet, **fields), NOW + 1 + late)


@given(INSTANCES, INSTANCES, st.integers(0, 255))
@settings(derandomize=True, max_examples=300)
def test_a_good_packet_of_another_configuration_is_accepted_or_leaves_no_trace(
    ours: Instance, theirs: Instance, priority: int
) -> None:
    survives(ours, sent(theirs, priority, NOW + 1), NOW + 1)


def test_the_old_checksum_is_no_way_around_the_check_of_other_kinds() -> None:
    """Only unicast of version 3 in IPv4 was ever summed with the group as destination."""
    message = own_advertisement(V3, 90)
    to_other_group = replace(V3, transport=Multicast(IPv4Address("224.0.0.81")))
    payload = message.encode(pseudo_header(THEIRS, VRRP_GROUP, 12))
    packet = Packet(THEIRS, IPv4Address("224.0.0.81"), payload)
    assert refusal(packet, Reception(to_other_group)).counter == "checksum_err"


def test_a_reload_from_peers_to_a_group_keeps_four_senders() -> None:
    peers = [IPv4Address(f"192.168.50.{number}") for number in range(20, 28)]
    instance = replace(SIGNED, transport=Unicast(tuple(UnicastPeer(one) for one in (OURS, *peers))))
    reception = Reception(instance)
    for sender in peers:
        reception.accept(Transmission(instance).packets(90, sender, NOW)[0], OURS, NOW)
    reception.reconfigured(SIGNED)
    reception.accept(signed_by(peers[0], NOW + 1), OURS, NOW)
    assert refusal(signed_by(peers[7]), reception).counter == "auth_ext_replay"
    assert reception.accept(signed_by(peers[4]), OURS, NOW).priority == 90
