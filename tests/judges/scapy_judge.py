"""Judge the VRRP packets of a pcap file with scapy: one JSON line each. Run as a program: scapy never shares ours."""

from __future__ import annotations

import json
import sys
from typing import Any

from scapy.config import conf
from scapy.layers.inet import ICMP, IP
from scapy.layers.inet6 import ICMPv6ND_NA, ICMPv6NDOptDstLLAddr, IPv6, _ICMPv6Error, in6_chksum
from scapy.layers.ipsec import AH
from scapy.layers.l2 import ARP
from scapy.layers.vrrp import VRRP, VRRPv3
from scapy.utils import checksum, rdpcap

TRAILER_LENGTH = 28


def judge(packet: Any) -> dict[str, object] | None:
    if packet.haslayer(ICMPv6ND_NA):
        return judge_neighbour_advertisement(packet)
    if packet.haslayer(ICMP) or packet.haslayer(_ICMPv6Error):
        return None  # it quotes what it could not deliver: nobody sent that
    for layer in (VRRP, VRRPv3):
        if packet.haslayer(layer):
            return judge_advertisement(packet, packet[layer])
    if packet.haslayer(AH):
        return judge_advertisement(packet, sealed(packet))
    if packet.haslayer(ARP):
        arp = packet[ARP]
        return {"kind": "arp", "op": arp.op, "source": arp.psrc, "target": arp.pdst, "mac": arp.hwsrc}
    return None


def sealed(packet: Any) -> Any:
    """The message behind an AH header of 24 bytes: scapy has no VRRP behind AH, and a value of another length."""
    behind = bytes(packet[AH])
    assert behind[0] == 112, "not VRRP"
    return VRRP(behind[24:])


def judge_advertisement(packet: Any, vrrp: Any) -> dict[str, object]:
    ip = packet[IP] if packet.haslayer(IP) else packet[IPv6]
    trailer = bytes(vrrp.payload)
    return {
        "kind": "vrrp",
        "source": ip.src,
        "destination": ip.dst,
        "priority": vrrp.priority,
        "vrid": vrrp.vrid,
        "version": vrrp.version,
        "interval": vrrp.adv,
        "addresses": vrrp.addrlist,
        "checksum_good": checksum_is_good(ip, vrrp, trailer),
        "ip_checksum_good": ip.version == 6 or checksum(bytes(ip)[: ip.ihl * 4]) == 0,
        "ttl": ip.ttl if ip.version == 4 else ip.hlim,
        "tos": ip.tos if ip.version == 4 else ip.tc,
        "id": ip.id if ip.version == 4 else 0,
        "trailer": len(trailer),
        "sequence": packet[AH].seq if packet.haslayer(AH) else None,
        "ethernet_destination": packet.dst,
    }


def checksum_is_good(ip: Any, vrrp: Any, trailer: bytes) -> bool:
    """scapy does not verify: let it sum anew and compare. In IPv6 a trailer is part of what is summed."""
    if ip.version == 6:
        return in6_chksum(112, ip, bytes(vrrp)) == 0
    rebuilt = vrrp.copy()
    rebuilt.remove_payload()
    rebuilt.chksum = None
    if vrrp.version == 3:  # it needs an IP header in front, whose length it takes from the message alone
        rebuilt = IP(bytes(IP(src=ip.src, dst=ip.dst, proto=112) / rebuilt))[VRRPv3]
    return bytes(rebuilt) + trailer == bytes(vrrp)


def judge_neighbour_advertisement(packet: Any) -> dict[str, object]:
    advertised = packet[ICMPv6ND_NA]
    return {
        "kind": "na",
        "source": packet[IPv6].src,
        "destination": packet[IPv6].dst,
        "ttl": packet[IPv6].hlim,
        "target": advertised.tgt,
        "override": bool(advertised.O),
        "router": bool(advertised.R),
        "solicited": bool(advertised.S),
        "mac": packet[ICMPv6NDOptDstLLAddr].lladdr,
        "checksum_good": in6_chksum(58, packet[IPv6], bytes(advertised)) == 0,
        "ethernet_source": packet.src,
        "ethernet_destination": packet.dst,
    }


def main() -> None:
    conf.max_list_count = 255  # scapy reads no more than 100 addresses otherwise
    for packet in rdpcap(sys.argv[1]):
        verdict = judge(packet)
        if verdict is not None:
            print(json.dumps(verdict))


if __name__ == "__main__":
    main()
