"""Gratuitous ARP: how a new master tells switches and hosts where the address lives now.

Laws: pure. keepalived's form, byte for byte: a broadcast ARP *request* whose sender and target protocol address are
both the virtual one, target hardware address ff:ff:ff:ff:ff:ff. RFC 826 for the fields, RFC 3768 section 6.4.2 for
the duty ("Broadcast a gratuitous ARP request containing the virtual router MAC address for each IP address").
"""

from __future__ import annotations

import struct
from ipaddress import IPv4Address

BROADCAST = b"\xff" * 6
ETHERTYPE_ARP = 0x0806
_ARP = struct.Struct("!HHBBH6s4s6s4s")
_HARDWARE_ETHERNET = 1
_PROTOCOL_IPV4 = 0x0800
_REQUEST = 1


def gratuitous_arp(hardware_address: bytes, address: IPv4Address) -> bytes:
    """Return the whole Ethernet frame that announces ``address`` at the 6 bytes of ``hardware_address``."""
    ethernet = BROADCAST + hardware_address + ETHERTYPE_ARP.to_bytes(2, "big")
    return ethernet + _ARP.pack(
        _HARDWARE_ETHERNET, _PROTOCOL_IPV4, 6, 4, _REQUEST,
        hardware_address, address.packed, BROADCAST, address.packed,
    )  # fmt: skip
