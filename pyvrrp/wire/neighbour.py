"""Unsolicited Neighbour Advertisement: gratuitous ARP's counterpart in IPv6.

Laws: pure. RFC 4861 sections 4.4 and 7.2.6; RFC 5798 section 6.4.2 for the duty, flags and target. keepalived's form,
byte for byte: from the virtual address itself to all nodes (ff02::1), Override set, not Solicited, with the target
link-layer address option.
"""

from __future__ import annotations

import struct
from ipaddress import IPv6Address

from pyvrrp.wire.checksum import internet_checksum, pseudo_header

ALL_NODES = IPv6Address("ff02::1")
ETHERTYPE_IPV6 = 0x86DD
HOP_LIMIT = 255
_ICMPV6 = 58
_NEIGHBOUR_ADVERTISEMENT = 136
_ROUTER, _OVERRIDE = 1 << 31, 1 << 29
_TARGET_LINK_LAYER_ADDRESS = 2
_IPV6 = struct.Struct("!IHBB16s16s")
_MESSAGE = struct.Struct("!BBHI16sBB6s")


def unsolicited_na(hardware_address: bytes, address: IPv6Address, *, router: bool = False) -> bytes:
    """Return the whole Ethernet frame that announces ``address`` at the 6 bytes of ``hardware_address``.

    ``router``: whether this host forwards IPv6 on the interface (the R flag: hosts that saw it set drop a default
    route when it is clear).
    """
    flags = _OVERRIDE | (_ROUTER if router else 0)
    checksum = internet_checksum(
        _message(hardware_address, address, flags, 0) + pseudo_header(address, ALL_NODES, _MESSAGE.size, _ICMPV6)
    )
    header = _IPV6.pack(6 << 28, _MESSAGE.size, _ICMPV6, HOP_LIMIT, address.packed, ALL_NODES.packed)
    return ethernet(ALL_NODES, hardware_address) + header + _message(hardware_address, address, flags, checksum)


def _message(hardware_address: bytes, address: IPv6Address, flags: int, checksum: int) -> bytes:
    return _MESSAGE.pack(
        _NEIGHBOUR_ADVERTISEMENT, 0, checksum, flags, address.packed,
        _TARGET_LINK_LAYER_ADDRESS, 1, hardware_address,
    )  # fmt: skip


def ethernet(group: IPv6Address, hardware_address: bytes) -> bytes:
    """Return the Ethernet header of a frame to the multicast ``group``: 33:33 and its last 32 bits (RFC 2464)."""
    return b"\x33\x33" + group.packed[-4:] + hardware_address + ETHERTYPE_IPV6.to_bytes(2, "big")
