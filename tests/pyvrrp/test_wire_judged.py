"""scapy and Wireshark read every kind of packet that we can send, checksums included, and say what we meant.

Both run as programs on a pcap file that is made of ``Transmission``'s packets: no network is needed.
"""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
import sys
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface
from pathlib import Path
from typing import Any

import pytest

from pyvrrp.model import (
    VRRP_GROUP6,
    Address,
    Authentication,
    AuthType,
    HmacAuthentication,
    Instance,
    Multicast,
    Unicast,
    UnicastPeer,
    VirtualAddress,
)
from pyvrrp.protocol.transmission import Transmission
from pyvrrp.wire import ipv4, ipv6
from pyvrrp.wire.arp import gratuitous_arp
from pyvrrp.wire.neighbour import ethernet, unsolicited_na
from pyvrrp.wire.packet import Packet

JUDGE = Path(__file__).parent.parent / "judges" / "scapy_judge.py"
MAC = bytes.fromhex("aab1063f486e")
US, US6 = IPv4Address("10.9.0.1"), IPv6Address("fe80::10")
NOW = 1_700_000_000.25


def virtual(*texts: str) -> tuple[VirtualAddress, ...]:
    make = IPv6Interface if ":" in texts[0] else IPv4Interface
    return tuple(VirtualAddress(make(text)) for text in texts)


MANY = virtual(*(f"10.9.1.{number}" for number in range(1, 251)))
V2 = Instance("VI_1", "eth0", 51, addresses=virtual("10.9.0.100", "10.9.0.101"))
V3 = replace(V2, version=3)
V6 = replace(V3, family=6, addresses=virtual("fe80::100", "fd00::100"), transport=Multicast(VRRP_GROUP6))
PEERS = Unicast((UnicastPeer(IPv4Address("10.9.0.2")), UnicastPeer(IPv4Address("10.8.0.2"))), ttl=64)
PEERS6 = Unicast((UnicastPeer(IPv6Address("fd00::2")),))
SIGNED = HmacAuthentication({1: bytes(range(32))}, 1)
KINDS = {
    "v2": V2,
    "v2 with a password": replace(V2, authentication=Authentication(AuthType.PASS, b"secret")),
    "v2 sealed": replace(V2, authentication=Authentication(AuthType.AH, b"secret")),
    "v2 sealed to peers": replace(V2, authentication=Authentication(AuthType.AH, b"secret"), transport=PEERS),
    "v2 signed": replace(V2, hmac=SIGNED),
    "v2 to peers": replace(V2, transport=PEERS),
    "v2 every 255 s": replace(V2, advert_interval=255),
    "v2 with 250 addresses": replace(V2, addresses=MANY),
    "v2 without addresses": replace(V2, addresses=()),
    "v3": V3,
    "v3 signed": replace(V3, hmac=SIGNED),
    "v3 to peers": replace(V3, transport=PEERS),
    "v3 signed to peers": replace(V3, transport=PEERS, hmac=SIGNED),
    "v3 every 10 ms": replace(V3, advert_interval=0.01),
    "v3 every 40.95 s": replace(V3, advert_interval=40.95),
    "v3 with 250 addresses": replace(V3, addresses=MANY),
    "v3 in IPv6": V6,
    "v3 in IPv6 signed": replace(V6, hmac=SIGNED),
    "v3 in IPv6 to a peer": replace(V6, transport=PEERS6),
}


@dataclass(frozen=True)
class Sent:
    instance: Instance
    priority: int
    packet: Packet


def everything() -> list[Sent]:
    """What each kind of instance sends: one advertisement of priority 100, and one that resigns."""
    sent = []
    for instance in KINDS.values():
        transmission = Transmission(instance)
        source: Address = US if instance.family == 4 else US6
        for priority in (100, 0):
            packets = transmission.packets(priority, source, NOW)
            sent += [Sent(instance, priority, packet) for packet in packets]
    return sent


SENT = everything()
ANNOUNCED = [gratuitous_arp(MAC, IPv4Address("10.9.0.100"))] + [
    unsolicited_na(MAC, IPv6Address("fd00::100"), router=router) for router in (False, True)
]


def frame(packet: Packet) -> bytes:
    if isinstance(packet.destination, IPv6Address):
        return ethernet(packet.destination, MAC) + ipv6.encode(packet)
    return bytes.fromhex("01005e000012") + MAC + b"\x08\x00" + ipv4.encode(packet)


def write_pcap(path: Path, frames: list[bytes]) -> None:
    records = [struct.pack("<IIII", 0, 0, len(one), len(one)) + one for one in frames]
    path.write_bytes(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1) + b"".join(records))


def by_scapy(path: Path) -> list[dict[str, Any]]:
    judged = subprocess.run([sys.executable, JUDGE, path], capture_output=True, text=True, check=True)
    return [json.loads(line) for line in judged.stdout.splitlines()]


def by_wireshark(path: Path, fields: tuple[str, ...]) -> list[dict[str, str]]:
    assert shutil.which("tshark"), "tshark is missing: apt-get install tshark"
    asked = [word for field in fields for word in ("-e", field)]
    command = ["tshark", "-r", path, "-o", "ip.check_checksum:TRUE", "-T", "fields", "-E", "occurrence=f", *asked]
    judged = subprocess.run(command, capture_output=True, text=True, check=True)
    return [dict(zip(fields, line.split("\t"), strict=True)) for line in judged.stdout.splitlines()]


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("judged") / "sent.pcap"
    write_pcap(path, [frame(one.packet) for one in SENT] + ANNOUNCED)
    return path


def meant(sent: Sent) -> dict[str, object]:
    instance, packet = sent.instance, sent.packet
    interval = instance.advert_interval * (1 if instance.version == 2 else 100)
    authentication = packet.authentication
    return {
        "kind": "vrrp",
        "source": str(packet.source),
        "destination": str(packet.destination),
        "priority": sent.priority,
        "vrid": 51,
        "version": instance.version,
        "interval": round(interval),
        "addresses": [str(one.ip) for one in instance.addresses],
        "checksum_good": True,
        "ip_checksum_good": True,
        "ttl": 64 if instance.transport == PEERS else 255,
        "tos": 0xC0,
        "id": packet.identification,
        "trailer": 0 if instance.hmac is None else 28,
        "sequence": None if authentication is None else authentication.sequence,
    }


def test_scapy_reads_every_advertisement_as_it_was_meant(capture: Path) -> None:
    judged = by_scapy(capture)[: len(SENT)]
    for one, verdict in zip(SENT, judged, strict=True):
        del verdict["ethernet_destination"]
        assert verdict == meant(one)


def test_scapy_reads_what_announces_the_addresses(capture: Path) -> None:
    arp, host, router = by_scapy(capture)[len(SENT) :]
    address = "10.9.0.100"
    assert arp == {"kind": "arp", "op": 1, "source": address, "target": address, "mac": "aa:b1:06:3f:48:6e"}
    assert host == {
        "kind": "na",
        "source": "fd00::100",
        "destination": "ff02::1",
        "ttl": 255,
        "target": "fd00::100",
        "override": True,
        "router": False,
        "solicited": False,
        "mac": "aa:b1:06:3f:48:6e",
        "checksum_good": True,
        "ethernet_source": "aa:b1:06:3f:48:6e",
        "ethernet_destination": "33:33:00:00:00:01",
    }
    assert router == host | {"router": True}


WIRESHARK = (
    "_ws.col.Protocol", "_ws.malformed", "ip.ttl", "ipv6.hlim", "ip.checksum.status", "vrrp.version", "vrrp.prio",
    "vrrp.virt_rtr_id", "vrrp.addr_count", "vrrp.checksum.status", "vrrp.adver_int", "vrrp.short_adver_int",
    "ah.sequence", "icmpv6.checksum.status", "icmpv6.nd.na.flag.o", "icmpv6.nd.na.flag.r",
)  # fmt: skip


def test_wireshark_reads_every_advertisement_as_it_was_meant(capture: Path) -> None:
    judged = by_wireshark(capture, WIRESHARK)[: len(SENT)]
    for one, verdict in zip(SENT, judged, strict=True):
        expected = meant(one)
        assert (verdict["_ws.col.Protocol"], verdict["_ws.malformed"]) == ("VRRP", "")
        assert verdict["vrrp.version"] == str(expected["version"])
        assert verdict["vrrp.prio"] == str(expected["priority"])
        assert verdict["vrrp.virt_rtr_id"] == "51"
        assert verdict["vrrp.addr_count"] == str(len(one.instance.addresses))
        assert verdict["vrrp.adver_int"] + verdict["vrrp.short_adver_int"] == str(expected["interval"])
        assert verdict["ip.ttl"] + verdict["ipv6.hlim"] == str(expected["ttl"])
        assert verdict["ip.checksum.status"] == ("1" if one.instance.family == 4 else "")
        assert verdict["ah.sequence"] == ("" if expected["sequence"] is None else str(expected["sequence"]))
        # Wireshark knows no trailer and sums it along, which is right in IPv6 alone: elsewhere scapy is the only judge.
        has_trailer_apart = one.instance.hmac is not None and one.instance.family == 4
        assert verdict["vrrp.checksum.status"] == ("0" if has_trailer_apart else "1")


def test_wireshark_reads_what_announces_the_addresses(capture: Path) -> None:
    arp, host, router = by_wireshark(capture, WIRESHARK)[len(SENT) :]
    assert (arp["_ws.col.Protocol"], arp["_ws.malformed"]) == ("ARP", "")
    for verdict in (host, router):
        assert (verdict["_ws.col.Protocol"], verdict["_ws.malformed"]) == ("ICMPv6", "")
        assert (verdict["icmpv6.checksum.status"], verdict["icmpv6.nd.na.flag.o"]) == ("1", "1")
    assert [host["icmpv6.nd.na.flag.r"], router["icmpv6.nd.na.flag.r"]] == ["0", "1"]


def test_both_judges_see_a_bit_that_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "wrong.pcap"
    whole = [frame(one.packet) for one in SENT if one.instance.hmac is None] + ANNOUNCED[1:]
    write_pcap(path, [one[:-1] + bytes([one[-1] ^ 1]) for one in whole])
    assert {verdict["checksum_good"] for verdict in by_scapy(path)} == {False}
    judged = by_wireshark(path, ("vrrp.checksum.status", "icmpv6.checksum.status"))
    assert {verdict["vrrp.checksum.status"] + verdict["icmpv6.checksum.status"] for verdict in judged} == {"0"}
