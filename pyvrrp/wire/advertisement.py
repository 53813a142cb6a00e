"""The ADVERTISEMENT message of VRRPv2 and VRRPv3.

Laws: pure. ``encode`` and ``decode`` are inverse to each other on every valid message. Decoding reads what is there
and judges nothing but the shape; what a message means for an instance is decided in ``protocol/reception.py``. Seconds
inside; on the wire whole seconds in version 2, centiseconds in version 3.

Version 2, RFC 3768 section 5.1, with the authentication data of RFC 2338 that keepalived still sends (IPv4 alone):

     0                   1                   2                   3
    |Version| Type  | Virtual Rtr ID|   Priority    | Count IP Addrs|
    |   Auth Type   |   Adver Int   |          Checksum             |
    |                        IP Address (1 .. n)                    |
    |                     Authentication Data (8 bytes)             |

Version 3, RFC 5798 section 5.1; addresses of 4 or 16 bytes:

    |Version| Type  | Virtual Rtr ID|   Priority    |Count IPvX Addr|
    |(rsvd) |     Max Adver Int     |          Checksum             |
    |                       IPvX Address(es)                        |
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from pyvrrp.model import Address
from pyvrrp.wire.checksum import internet_checksum

TYPE_ADVERTISEMENT = 1
HEADER_LENGTH = 8
AUTH_LENGTH = 8
NO_AUTH_DATA = bytes(AUTH_LENGTH)
MAX_ADDRESSES = 255
CHECKSUM_AT = 6

_HEADER = struct.Struct("!BBBBHH")
_PER_SECOND = {2: 1, 3: 100}
_LONGEST = {2: 255, 3: 4095}


class LengthError(ValueError):
    """The message is shorter or longer than its own count of addresses says (vrrpRouterPacketLengthErrors)."""


class VersionError(ValueError):
    """The message is of no version that its family of addresses has (vrrpRouterVersionErrors)."""


class IntervalError(ValueError):
    """An advertisement interval that has no place in the message, once it is rounded to the units of the wire."""


@dataclass(frozen=True, slots=True)
class Advertisement:
    """One message. ``priority`` 0 means the master resigns; ``advert_interval`` is in seconds.

    ``auth_type`` and ``auth_data`` (8 bytes) exist in version 2 alone.
    """

    version: int
    virtual_router_id: int
    priority: int
    advert_interval: float
    addresses: tuple[Address, ...]
    auth_type: int = 0
    auth_data: bytes = NO_AUTH_DATA
    type: int = TYPE_ADVERTISEMENT

    def encode(self, also_summed: bytes = b"") -> bytes:
        """Return the message as bytes, checksum included.

        ``also_summed``: what the checksum covers beside the message: the pseudo-header in version 3.
        """
        body = b"".join(address.packed for address in self.addresses)
        if self.version == 2:
            body += self.auth_data
        return self._header(internet_checksum(self._header(0) + body + also_summed)) + body

    def _header(self, checksum: int) -> bytes:
        interval = _rounded(self.advert_interval, self.version)
        assert 0 <= interval <= _LONGEST[self.version]
        return _HEADER.pack(
            self.version << 4 | self.type,
            self.virtual_router_id,
            self.priority,
            len(self.addresses),
            self.auth_type << 8 | interval if self.version == 2 else interval,
            checksum,
        )


def interval_on_wire(seconds: float, version: int) -> float:
    """Return ``seconds`` as a receiver will read it: whole seconds in version 2, hundredths in version 3.

    Raises IntervalError if what is left after rounding is 0 or has no place in the message: 1 .. 255 s in version 2,
    0.01 .. 40.95 s in version 3. (40.958 s is 4096 centiseconds: it would go out as 0.)
    """
    units, per_second = _rounded(seconds, version), _PER_SECOND[version]
    if not 1 <= units <= _LONGEST[version]:
        lowest, highest = 1 / per_second, _LONGEST[version] / per_second
        raise IntervalError(f"an interval of {seconds:g} s is outside of {lowest:g} .. {highest:g} s")
    return units / per_second if version == 3 else float(units)


def _rounded(seconds: float, version: int) -> int:
    return int(seconds * _PER_SECOND[version] + 0.5)  # halves upwards, as keepalived rounds; round() has them even


def message_length(message: bytes, family: int) -> int:
    """Return how long the message that ``message`` begins with is, by its own version and count, in bytes.

    Raises LengthError if not even a header is there, VersionError if ``family`` (4 or 6) has no such version.
    """
    if len(message) < HEADER_LENGTH:
        raise LengthError(f"{len(message)} bytes, fewer than the {HEADER_LENGTH} of a VRRP header")
    version, count = message[0] >> 4, message[3]
    if version == 3:
        return HEADER_LENGTH + count * (4 if family == 4 else 16)
    if version == 2 and family == 4:
        return HEADER_LENGTH + count * 4 + AUTH_LENGTH
    raise VersionError(f"version {version} in IPv{family}")


def decode(message: bytes, family: int = 4) -> Advertisement:
    """Return what ``message`` spells, whether or not its checksum fits; ``family`` is that of the packet, 4 or 6.

    Raises VersionError and LengthError as ``message_length``, LengthError also if it is not exactly as long.
    """
    expected = message_length(message, family)
    first, vrid, priority, count, interval, _ = _HEADER.unpack_from(message)
    if len(message) != expected:
        raise LengthError(f"{len(message)} bytes, expected {expected} for {count} addresses")
    version, type_ = first >> 4, first & 0xF
    addresses = tuple(_addresses(message[HEADER_LENGTH:], count, family))
    if version == 3:  # the 4 bits before the interval are reserved: ignored (RFC 5798 section 5.2.6)
        return Advertisement(3, vrid, priority, (interval & 0xFFF) / 100, addresses, type=type_)
    auth_data = message[-AUTH_LENGTH:]
    return Advertisement(2, vrid, priority, float(interval & 0xFF), addresses, interval >> 8, auth_data, type_)


def _addresses(data: bytes, count: int, family: int) -> list[Address]:
    if family == 4:
        return [IPv4Address(data[at : at + 4]) for at in range(0, 4 * count, 4)]
    return [IPv6Address(data[at : at + 16]) for at in range(0, 16 * count, 16)]


def checksum_fits(message: bytes, also_summed: bytes = b"") -> bool:
    """Return whether the checksum of ``message`` fits; ``also_summed`` as in ``Advertisement.encode``."""
    return internet_checksum(message + also_summed) == 0
