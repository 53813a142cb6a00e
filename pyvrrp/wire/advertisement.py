"""The VRRPv2 ADVERTISEMENT message.

Laws: pure. ``encode`` and ``decode`` are inverse to each other on every valid message. Decoding reads what is there
and judges nothing but the shape; what a message means for an instance is decided in ``protocol/reception.py``.

RFC 3768 section 5.1, with the authentication data of RFC 2338 that keepalived still sends:

     0                   1                   2                   3
    |Version| Type  | Virtual Rtr ID|   Priority    | Count IP Addrs|
    |   Auth Type   |   Adver Int   |          Checksum             |
    |                        IP Address (1 .. n)                    |
    |                     Authentication Data (8 bytes)             |
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address

from pyvrrp.wire.checksum import internet_checksum

VERSION = 2
TYPE_ADVERTISEMENT = 1
HEADER_LENGTH = 8
AUTH_LENGTH = 8
MAX_ADDRESSES = 255

_HEADER = struct.Struct("!BBBBBBH")


class LengthError(ValueError):
    """The message is shorter or longer than its own count of addresses says (vrrpRouterPacketLengthErrors)."""


class VersionError(ValueError):
    """The message is of another version of the protocol (vrrpRouterVersionErrors)."""


@dataclass(frozen=True, slots=True)
class Advertisement:
    """One message. ``priority`` 0 means the master resigns; ``advert_interval`` is whole seconds, 1 .. 255."""

    virtual_router_id: int
    priority: int
    advert_interval: int
    addresses: tuple[IPv4Address, ...]
    auth_type: int = 0
    auth_data: bytes = bytes(AUTH_LENGTH)
    type: int = TYPE_ADVERTISEMENT

    def encode(self) -> bytes:
        """Return the message as bytes, checksum included."""
        body = b"".join(address.packed for address in self.addresses) + self.auth_data
        return self._header(internet_checksum(self._header(0) + body)) + body

    def _header(self, checksum: int) -> bytes:
        return _HEADER.pack(
            VERSION << 4 | self.type,
            self.virtual_router_id,
            self.priority,
            len(self.addresses),
            self.auth_type,
            self.advert_interval,
            checksum,
        )


def decode(message: bytes) -> Advertisement:
    """Return what ``message`` spells, whether or not its checksum fits.

    Raises VersionError if it is not version 2, LengthError if its length is not 8 + 4 x count + 8.
    """
    if len(message) < HEADER_LENGTH:
        raise LengthError(f"{len(message)} bytes, fewer than the {HEADER_LENGTH} of a VRRP header")
    version_and_type, vrid, priority, count, auth_type, interval, _ = _HEADER.unpack_from(message)
    if version_and_type >> 4 != VERSION:
        raise VersionError(f"version {version_and_type >> 4}, expected {VERSION}")
    addresses_end = HEADER_LENGTH + 4 * count
    if len(message) != addresses_end + AUTH_LENGTH:
        raise LengthError(f"{len(message)} bytes, expected {addresses_end + AUTH_LENGTH} for {count} addresses")
    return Advertisement(
        virtual_router_id=vrid,
        priority=priority,
        advert_interval=interval,
        addresses=tuple(IPv4Address(message[at : at + 4]) for at in range(HEADER_LENGTH, addresses_end, 4)),
        auth_type=auth_type,
        auth_data=message[addresses_end:],
        type=version_and_type & 0xF,
    )


def checksum_fits(message: bytes) -> bool:
    """Return whether the checksum of ``message`` fits its bytes: in version 2 without a pseudo-header."""
    return internet_checksum(message) == 0
