"""Every frame of keepalived 2.2.7 is read, written again to the same bytes, and made by us alike."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface
from pathlib import Path

import pytest

from pyvrrp.model import (
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
from pyvrrp.protocol.reception import Reception
from pyvrrp.protocol.transmission import Transmission
from pyvrrp.wire import advertisement, ah, ipv4, ipv6
from pyvrrp.wire.arp import gratuitous_arp
from pyvrrp.wire.checksum import pseudo_header
from pyvrrp.wire.neighbour import unsolicited_na
from pyvrrp.wire.packet import Packet

GOLDEN = Path(__file__).parent / "golden"
ETHERNET = 14
MAC = bytes.fromhex("aab1063f486e")
US, PEER = IPv4Address("10.9.0.1"), IPv4Address("10.9.0.2")
US6, PEER6 = IPv6Address("fe80::a8b1:6ff:fe3f:486e"), IPv6Address("fe80::2")


def virtual(*texts: str) -> tuple[VirtualAddress, ...]:
    make = IPv6Interface if ":" in texts[0] else IPv4Interface
    return tuple(VirtualAddress(make(text)) for text in texts)


V2 = Instance("VI_1", "eth0", 51, addresses=virtual("10.9.0.100"))
V3 = replace(V2, version=3, addresses=virtual("10.9.0.100", "10.9.0.101"))
CONFIGURATIONS = {
    "v2": V2,
    "v2-pass": replace(V2, authentication=Authentication(AuthType.PASS, b"secret")),
    "v2-ah": replace(V2, authentication=Authentication(AuthType.AH, b"secret")),
    "v3": V3,
    "v3-unicast": replace(V3, addresses=virtual("10.9.0.100"), transport=Unicast((UnicastPeer(PEER),))),
    "v3-ipv6": replace(V3, family=6, addresses=virtual("fe80::100", "fd00::100/64"), transport=Multicast(VRRP_GROUP6)),
}


def frames(name: str, kind: str) -> list[bytes]:
    lines = (GOLDEN / f"{name}.frames").read_text().splitlines()
    return [bytes.fromhex(line.split()[1]) for line in lines if line.startswith(f"{kind} ")]


def advertisements(kind: str = "vrrp") -> list[tuple[str, bytes]]:
    return [(name, frame) for name in CONFIGURATIONS for frame in frames(name, kind)]


def packet(data: bytes) -> Packet:
    return ipv4.decode(data) if data[0] >> 4 == 4 else ipv6.decode(data)


def written(made: Packet) -> bytes:
    return ipv4.encode(made) if made.source.version == 4 else ipv6.encode(made)


def without_flow_label(data: bytes) -> bytes:
    return data if data[0] >> 4 == 4 else data[:1] + bytes([data[1] & 0xF0, 0, 0]) + data[4:]


@pytest.mark.parametrize(("name", "frame"), advertisements())
def test_every_advertisement_is_written_again_to_the_same_bytes(name: str, frame: bytes) -> None:
    data = without_flow_label(frame[ETHERNET:])
    read = packet(data)
    assert written(read) == data
    message = advertisement.decode(read.payload, read.source.version)
    summed = b"" if message.version == 2 else pseudo_header(read.source, read.destination, len(read.payload))
    assert message.encode(summed) == read.payload
    assert advertisement.checksum_fits(read.payload, summed)


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_the_same_configuration_makes_the_same_packets(name: str) -> None:
    instance = CONFIGURATIONS[name]
    transmission = Transmission(instance)
    source: Address = US if instance.family == 4 else US6
    made = [one for priority in (100, 100, 0) for one in transmission.packets(priority, source, 0.0)]
    assert [written(one).hex() for one in made] == [
        without_flow_label(frame[ETHERNET:]).hex() for frame in frames(name, "vrrp")
    ]


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_its_peer_accepts_them_in_this_order_and_no_other(name: str) -> None:
    instance = CONFIGURATIONS[name]
    if isinstance(instance.transport, Unicast):
        instance = replace(instance, transport=Unicast((UnicastPeer(US),)))
    reception = Reception(instance)
    own: Address = PEER if instance.family == 4 else PEER6
    accepted = [reception.accept(packet(frame[ETHERNET:]), own, 0.0) for frame in frames(name, "vrrp")]
    assert [one.priority for one in accepted] == [100, 100, 0]
    assert {one.advert_interval for one in accepted} == {1.0}
    assert reception.remarks == ()
    assert reception.learned.ah_sequence == (3 if name == "v2-ah" else 0)


@pytest.mark.parametrize("frame", frames("v2-ah", "vrrp"))
def test_the_integrity_check_value_is_keepalived_s(frame: bytes) -> None:
    read = ipv4.decode(frame[ETHERNET:])
    assert read.authentication is not None
    assert ah.integrity_check(read, b"secret") == read.authentication.integrity_check
    assert ah.sealed(replace(read, authentication=None), read.authentication.sequence, b"secret\0\0") == read


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_the_frames_that_announce_the_addresses_are_the_same(name: str) -> None:
    made = [
        gratuitous_arp(MAC, one.ip) if isinstance(one.ip, IPv4Address) else unsolicited_na(MAC, one.ip)
        for one in CONFIGURATIONS[name].addresses
    ]
    assert made == frames(name, "arp") + frames(name, "na")
