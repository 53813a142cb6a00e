"""Judge the VRRP packets of a pcap file with scapy: one JSON line each. Run as a program: scapy never shares ours."""

from __future__ import annotations

import json
import sys
from typing import Any

from scapy.layers.inet import IP
from scapy.layers.l2 import ARP
from scapy.layers.vrrp import VRRP
from scapy.utils import rdpcap


def judge(packet: Any) -> dict[str, object] | None:
    if packet.haslayer(VRRP):
        vrrp = packet[VRRP]
        rebuilt = vrrp.copy()
        rebuilt.chksum = None  # scapy does not verify: let it sum anew and compare
        ip = packet[IP].copy()
        ip.chksum = None
        return {
            "kind": "vrrp",
            "source": packet[IP].src,
            "priority": vrrp.priority,
            "vrid": vrrp.vrid,
            "version": vrrp.version,
            "addresses": vrrp.addrlist,
            "checksum_good": bytes(rebuilt) == bytes(vrrp),
            "ip_checksum_good": type(ip)(bytes(ip)).chksum == packet[IP].chksum,
            "ttl": packet[IP].ttl,
            "id": packet[IP].id,
            "ethernet_destination": packet.dst,
        }
    if packet.haslayer(ARP):
        arp = packet[ARP]
        return {"kind": "arp", "op": arp.op, "source": arp.psrc, "target": arp.pdst, "mac": arp.hwsrc}
    return None


def main() -> None:
    for packet in rdpcap(sys.argv[1]):
        verdict = judge(packet)
        if verdict is not None:
            print(json.dumps(verdict))


if __name__ == "__main__":
    main()
