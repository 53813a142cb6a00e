"""Whether a packet is an advertisement for an instance: every check, in keepalived's order.

Laws: pure. A packet that is refused changes a counter and nothing else: no timer moves, in no state (keepalived lets
any packet postpone the master's next advertisement; we do not). The errors are the counters: each class carries the
name of its own, and they are those of keepalived's statistics and of RFC 2787's MIB.

RFC 3768 section 7.1, "Receiving VRRP Packets".
"""

from __future__ import annotations

import hmac
from ipaddress import IPv4Address
from typing import ClassVar

from pyvrrp.model import Address, AuthType, Instance
from pyvrrp.wire import advertisement as wire
from pyvrrp.wire.advertisement import AUTH_LENGTH, TYPE_ADVERTISEMENT, Advertisement
from pyvrrp.wire.ipv4 import TTL, VRRP_GROUP, Packet


class RejectedError(Exception):
    """A packet that is refused; ``counter`` is what it is counted as."""

    counter: ClassVar[str]


class PacketLengthError(RejectedError):
    """Its length does not fit its count of addresses."""

    counter = "packet_len_err"


class TimeToLiveError(RejectedError):
    """Its TTL is not 255: it did not come from this link."""

    counter = "ip_ttl_err"


class ProtocolVersionError(RejectedError):
    """It is of another version of VRRP."""

    counter = "version_err"


class AuthTypeError(RejectedError):
    """It has another kind of authentication than ours."""

    counter = "authtype_mismatch"


class AuthFailureError(RejectedError):
    """It has another password than ours."""

    counter = "auth_failure"


class AdvertIntervalError(RejectedError):
    """It has another advertisement interval than ours (keepalived refuses it too, but never counts it)."""

    counter = "advert_interval_err"


class MessageTypeError(RejectedError):
    """It is no ADVERTISEMENT, and there is nothing else in VRRPv2."""

    counter = "invalid_type_rcvd"


class ChecksumError(RejectedError):
    """Its checksum does not fit."""

    counter = "checksum_err"


class DestinationError(RejectedError):
    """It was not sent to the group: a unicast advertisement, and this instance has no unicast peers."""

    counter = "destination_err"


class SourceError(RejectedError):
    """It claims to come from ourselves, or from a virtual address: forged, or looped back."""

    counter = "source_err"


REJECTIONS: tuple[type[RejectedError], ...] = (
    PacketLengthError,
    TimeToLiveError,
    ProtocolVersionError,
    AuthTypeError,
    AuthFailureError,
    AdvertIntervalError,
    MessageTypeError,
    ChecksumError,
    DestinationError,
    SourceError,
)


def accept(packet: Packet, instance: Instance, own_address: Address) -> Advertisement:
    """Return the advertisement in ``packet``, if it is one that ``instance`` has to heed; else raise RejectedError.

    The caller has matched the virtual router's number already (``virtual_router_id``).
    """
    try:
        found = wire.decode(packet.payload)
    except wire.LengthError as wrong:
        raise PacketLengthError(str(wrong)) from None
    except wire.VersionError as wrong:
        _check_ttl(packet)
        raise ProtocolVersionError(str(wrong)) from None
    _check_ttl(packet)
    _authenticate(found, instance)
    if found.advert_interval != round(instance.advert_interval):
        raise AdvertIntervalError(
            f"advertisement interval mismatch mine={instance.advert_interval:g} sec rcv'd={found.advert_interval} sec"
        )
    if found.type != TYPE_ADVERTISEMENT:
        raise MessageTypeError(f"invalid type {found.type} from {packet.source}")
    if not wire.checksum_fits(packet.payload):
        raise ChecksumError(f"invalid checksum from {packet.source}")
    if packet.destination != VRRP_GROUP:
        raise DestinationError(f"advertisement from {packet.source} to {packet.destination}, not to {VRRP_GROUP}")
    virtual = {address.interface.ip for address in instance.addresses}
    if packet.source == own_address or packet.source in virtual:
        raise SourceError(f"advertisement from our own address {packet.source}")
    return found


def _check_ttl(packet: Packet) -> None:
    if packet.ttl != TTL:
        raise TimeToLiveError(f"invalid TTL/HL from {packet.source}. Received {packet.ttl} and expect {TTL}")


def _authenticate(found: Advertisement, instance: Instance) -> None:
    ours = instance.authentication
    if found.auth_type != ours.type.value:
        raise AuthTypeError(f"received a {found.auth_type} auth, expecting {ours.type.value}!")
    if ours.type is AuthType.PASS:
        expected = ours.password.ljust(AUTH_LENGTH, b"\0")
        if not hmac.compare_digest(found.auth_data, expected):
            raise AuthFailureError("received an invalid passwd!")


def virtual_router_id(packet: Packet) -> int | None:
    """Return the number of the virtual router that ``packet`` speaks of, or None if it is too short to say."""
    return packet.payload[1] if len(packet.payload) > 1 else None


def own_advertisement(instance: Instance, priority: int) -> Advertisement:
    """Return the advertisement that ``instance`` sends, with this priority."""
    return Advertisement(
        version=2,
        virtual_router_id=instance.virtual_router_id,
        priority=priority,
        advert_interval=round(instance.advert_interval),
        addresses=tuple(one.ip for one in instance.addresses if isinstance(one.ip, IPv4Address)),
        auth_type=instance.authentication.type.value,
        auth_data=instance.authentication.password.ljust(AUTH_LENGTH, b"\0"),
    )


def why_addresses_differ(found: Advertisement, instance: Instance) -> str | None:
    """Return how the sender's list of addresses differs from ours, or None: told and counted, never a refusal.

    keepalived 2.2.7 refuses such an advertisement and ends with two masters; its HEAD, and we, do not.
    """
    ours = {address.interface.ip for address in instance.addresses}
    theirs: set[Address] = set(found.addresses)
    if ours == theirs:
        return None
    return f"its addresses are {_listed(theirs)}, ours {_listed(ours)}"


def _listed(addresses: set[Address]) -> str:
    return " ".join(str(one) for one in sorted(addresses, key=int)) or "none"
