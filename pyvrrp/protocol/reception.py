"""Whether a packet is an advertisement for an instance: every check, in keepalived's order.

Laws: pure. A packet that is refused changes a counter and nothing else: no timer moves, in no state (keepalived lets
any packet postpone the master's next advertisement; we do not), and nothing in ``Reception``. The errors are the
counters: each class of ``rejections.py`` carries the name of its own.

RFC 3768 section 7.1 and RFC 5798 section 7.1, "Receiving VRRP Packets". Stricter than keepalived in three points:
TTL 255 counts in unicast too, unless the peer has bounds of its own; in unicast only the peers are heard; nobody is
heard who speaks with an address of ours. The one exception to 255: keepalived 2.2.7 leaves the hop limit of unicast
in IPv6 at the kernel's 64, so 64 is accepted there as well; ``min_ttl`` says which one is right.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass

from pyvrrp.model import VRRP_GROUP, Address, AuthType, Instance, Multicast, Unicast, UnicastPeer
from pyvrrp.protocol.rejections import (
    REJECTIONS,
    AdvertIntervalError,
    AuthFailureError,
    AuthTypeError,
    ChecksumError,
    DestinationError,
    InvalidAuthTypeError,
    MessageTypeError,
    OwnerIgnoresError,
    PacketLengthError,
    PeerError,
    ProtocolVersionError,
    RejectedError,
    SourceError,
    TimeToLiveError,
)
from pyvrrp.protocol.signatures import Signature, Signatures
from pyvrrp.protocol.transmission import Learned, own_advertisement, uses_ah
from pyvrrp.wire import advertisement as wire
from pyvrrp.wire import ah, hmac_trailer
from pyvrrp.wire.advertisement import AUTH_LENGTH, TYPE_ADVERTISEMENT, Advertisement, interval_on_wire
from pyvrrp.wire.checksum import pseudo_header
from pyvrrp.wire.packet import PROTOCOL_VRRP, TTL, Packet

__all__ = [
    "REJECTIONS", "Reception", "RejectedError", "Remark", "own_advertisement", "virtual_router_id",
    "why_addresses_differ",
]  # fmt: skip

HOP_LIMIT_UNSET = 64
"""The hop limit that Linux gives to what no program has given another one (ipv6/conf/*/hop_limit)."""


@dataclass(frozen=True, slots=True)
class Remark:
    """Something worth telling about a packet that was accepted. ``counter``: what it is counted as, or None."""

    event: str
    text: str
    counter: str | None = None


class Reception:
    """Judges the packets for one instance, and remembers what that needs.

    ``learned``: the one of its ``Transmission``. ``remarks``: what there is to tell of the packet accepted last.
    """

    def __init__(self, instance: Instance, learned: Learned | None = None) -> None:
        self.instance = instance
        self.learned = learned or Learned()
        self.remarks: tuple[Remark, ...] = ()
        self._signatures = Signatures()
        self._master: Address | None = None

    def reconfigured(self, instance: Instance) -> None:
        """Go on with another configuration of the same virtual router; what was replayed before stays a replay."""
        self.instance = instance

    def accept(self, packet: Packet, own_address: Address, wall: float) -> Advertisement:
        """Return the advertisement in ``packet``, if it is one that the instance has to heed; else raise RejectedError.

        ``own_address``: with which this instance sends; ``wall``: seconds since 1970, UTC, for signed trailers alone.
        The caller has matched the virtual router's number already (``virtual_router_id``).
        """
        instance = self.instance
        if packet.source.version != instance.family or packet.destination.version != instance.family:
            raise DestinationError(f"a packet of IPv{packet.source.version} for an instance of IPv{instance.family}")
        _check_authentication_header(packet, instance)
        found, message, rest = _split(packet, instance)
        _check_ttl(packet, instance)
        if found is None or found.version != instance.version:
            version = packet.payload[0] >> 4
            raise ProtocolVersionError(
                f"wrong VRRP version from {packet.source}. Received {version} and expect {instance.version}"
            )
        signature = self._signature(message, rest, packet.source, wall)
        if instance.version == 2:
            self._authenticate(found, packet)
        _check_interval(found, packet.source, instance)
        if found.type != TYPE_ADVERTISEMENT:
            expected = f"{found.type} and expect {TYPE_ADVERTISEMENT}"
            raise MessageTypeError(f"Invalid packet type from {packet.source}. {expected}")
        sums_as_of_old = _check_checksum(message, rest, packet, instance)
        _check_destination(packet, instance)
        if instance.owner_ignores_adverts and instance.is_owner:
            raise OwnerIgnoresError(f"Dropping packet(s) from {packet.source} since we are address owner")
        _check_source(packet.source, own_address, instance)
        self._accepted(packet, found, signature, sums_as_of_old=sums_as_of_old)
        return found

    def _accepted(
        self, packet: Packet, found: Advertisement, signature: Signature | None, *, sums_as_of_old: bool
    ) -> None:
        instance = self.instance
        self.remarks = tuple(self._remarks(packet.source, found, signature, sums_as_of_old=sums_as_of_old))
        self._master = packet.source
        if packet.authentication is not None:
            self.learned.ah_sequence = packet.authentication.sequence
        if signature is not None:
            self._signatures.remember(packet.source, signature, instance.transport)
        self.learned.old_checksum |= sums_as_of_old

    def _remarks(
        self, source: Address, found: Advertisement, signature: Signature | None, *, sums_as_of_old: bool
    ) -> list[Remark]:
        instance = self.instance
        remarks = []
        differs = why_addresses_differ(found, instance)
        is_known = instance.skip_check_addresses and source == self._master
        if differs is not None and not is_known:
            remarks.append(Remark("address_list_differs", f"advert from {source}: {differs}", "addr_list_err"))
        ours = interval_on_wire(instance.advert_interval, instance.version)
        if found.advert_interval != ours:
            text = f"advertisement interval mismatch ours = {ours * 100:.0f} centi-sec"
            remarks.append(Remark("interval_differs", f"{text} rcv'd={found.advert_interval * 100:.0f} centi-sec"))
        if instance.hmac is not None and signature is not None and not instance.hmac.monotonic:
            window = instance.hmac.time_window
            if abs(signature.skew) > window // 2:
                text = f"authentication clock skew {signature.skew} sec from {source} approaching window {window} sec"
                remarks.append(Remark("clock_skew", text))
        if sums_as_of_old and not self.learned.old_checksum:
            remarks.append(Remark("old_checksum", "Setting unicast VRRPv3 checksum to old version"))
        return remarks

    def _signature(self, message: bytes, rest: bytes, source: Address, wall: float) -> Signature | None:
        settings = self.instance.hmac
        if settings is None:
            return None
        return self._signatures.check(message, rest, source, settings, self.instance.transport, wall)

    def _authenticate(self, found: Advertisement, packet: Packet) -> None:
        ours, source = self.instance.authentication, packet.source
        if found.auth_type not in {one.value for one in AuthType}:
            raise InvalidAuthTypeError(f"Invalid auth type from {source}: {found.auth_type}")
        if found.auth_type != ours.type.value:
            raise AuthTypeError(f"received a {found.auth_type} auth from {source}, expecting {ours.type.value}!")
        password = ours.password.ljust(AUTH_LENGTH, b"\0")
        if ours.type is AuthType.PASS and not hmac.compare_digest(found.auth_data, password):
            raise AuthFailureError(f"received an invalid passwd from {source}!")
        if packet.authentication is None:
            return
        if not hmac.compare_digest(packet.authentication.integrity_check, ah.integrity_check(packet, password)):
            raise AuthFailureError(f"IPSEC-AH : invalid IPSEC HMAC-MD5 value from {source}")
        if packet.authentication.spi != int(source):
            raise AuthFailureError(f"IPSEC-AH : invalid IPSEC SPI value {packet.authentication.spi} from {source}")
        sequence = packet.authentication.sequence
        if sequence <= self.learned.ah_sequence:
            known = f"already processed. Packet dropped. Local({self.learned.ah_sequence})"
            raise AuthFailureError(f"IPSEC-AH : sequence number {sequence} from {source} {known}")


def _check_authentication_header(packet: Packet, instance: Instance) -> None:
    if packet.authentication is None:
        if uses_ah(instance):
            raise AuthTypeError(f"No AH header but auth type is AH from {packet.source}")
    elif not uses_ah(instance):
        raise AuthTypeError(f"Received AH header but auth type not AH from {packet.source}")
    elif packet.authentication.next_header != PROTOCOL_VRRP:
        raise AuthTypeError(f"Received AH header of another protocol from {packet.source}")


def _split(packet: Packet, instance: Instance) -> tuple[Advertisement | None, bytes, bytes]:
    """Return the advertisement, its bytes, and the trailer behind them; None if its version cannot be read."""
    payload = packet.payload
    try:
        length = wire.message_length(payload, instance.family)
    except wire.LengthError as wrong:
        raise PacketLengthError(f"vrrp packet from {packet.source} too short, {wrong}") from None
    except wire.VersionError:
        return None, payload, b""
    has_trailer = instance.hmac is not None and len(payload) == length + hmac_trailer.LENGTH
    if len(payload) != length and not has_trailer:
        which = "long" if len(payload) > length else "short"
        told = f"too {which}, length {len(payload)} and expect {length}"
        raise PacketLengthError(f"vrrp packet from {packet.source} {told}")
    return wire.decode(payload[:length], instance.family), payload[:length], payload[length:]


def _check_ttl(packet: Packet, instance: Instance) -> None:
    peer = _peer(packet.source, instance)
    if peer is None or (peer.min_ttl is None and peer.max_ttl is None):
        is_left_alone = peer is not None and instance.family == 6 and packet.ttl == HOP_LIMIT_UNSET
        if packet.ttl != TTL and not is_left_alone:
            raise TimeToLiveError(f"invalid TTL/HL from {packet.source}. Received {packet.ttl} and expect {TTL}")
        return
    lowest, highest = peer.min_ttl or 0, TTL if peer.max_ttl is None else peer.max_ttl
    if not lowest <= packet.ttl <= highest:
        raise TimeToLiveError(f"TTL/HL {packet.ttl} from {packet.source} not in range [{lowest}, {highest}]")


def _peer(source: Address, instance: Instance) -> UnicastPeer | None:
    if isinstance(instance.transport, Multicast):
        return None
    return next((peer for peer in instance.transport.peers if peer.address == source), None)


def _check_interval(found: Advertisement, source: Address, instance: Instance) -> None:
    ours = interval_on_wire(instance.advert_interval, instance.version)
    if instance.version == 2 and found.advert_interval != ours:
        told = f"mine={ours:g} sec rcv'd={found.advert_interval:g} sec"
        raise AdvertIntervalError(f"advertisement interval mismatch with {source} {told}")
    if not found.advert_interval:  # version 3: a backup that learned 0 would take over at once, again and again
        raise AdvertIntervalError(f"advertisement interval of 0 centi-sec from {source}")


def _check_checksum(message: bytes, rest: bytes, packet: Packet, instance: Instance) -> bool:
    """Return whether it fits only in the way of old keepalived: with 224.0.0.18 as destination of a unicast packet."""
    for also_summed in _sums(message, rest, packet, instance):
        if wire.checksum_fits(message, also_summed):
            return False
    if instance.version == 3 and instance.family == 4 and isinstance(instance.transport, Unicast):
        old = pseudo_header(packet.source, VRRP_GROUP, len(message))
        if wire.checksum_fits(message, old):
            return True
    raise ChecksumError(f"Invalid VRRPv{instance.version} checksum from {packet.source}")


def _sums(message: bytes, rest: bytes, packet: Packet, instance: Instance) -> list[bytes]:
    """Return what the checksum may cover beside the message: any one of these."""
    if instance.version == 2:
        return [b""]
    if instance.family == 6:
        return [pseudo_header(packet.source, packet.destination, len(message) + len(rest)) + rest]
    real = pseudo_header(packet.source, packet.destination, len(message))
    return [b"", real] if instance.checksum_as_v2 else [real]


def _check_destination(packet: Packet, instance: Instance) -> None:
    expects_group = isinstance(instance.transport, Multicast)
    if packet.destination.is_multicast != expects_group:
        expected, found = ("mult", "un") if expects_group else ("un", "mult")
        raise DestinationError(f"Expected {expected}icast packet but received {found}icast packet from {packet.source}")
    if isinstance(instance.transport, Multicast) and packet.destination != instance.transport.group:
        where = f"to {packet.destination}, not to {instance.transport.group}"
        raise DestinationError(f"advertisement from {packet.source} {where}")


def _check_source(source: Address, own_address: Address, instance: Instance) -> None:
    virtual = {address.ip for address in (*instance.addresses, *instance.excluded)}
    if source == own_address or source in virtual:
        raise SourceError(f"advertisement from our own address {source}")
    if isinstance(instance.transport, Unicast) and _peer(source, instance) is None:
        raise PeerError(f"unicast source address {source} not a unicast peer")


def virtual_router_id(packet: Packet) -> int | None:
    """Return the number of the virtual router that ``packet`` speaks of, or None if it is too short to say."""
    return packet.payload[1] if len(packet.payload) > 1 else None


def why_addresses_differ(found: Advertisement, instance: Instance) -> str | None:
    """Return how the sender's list of addresses differs from ours, or None: told and counted, never a refusal.

    keepalived 2.2.7 refuses such an advertisement and ends with two masters; its HEAD, and we, do not.
    """
    ours = {address.ip for address in instance.addresses if address.ip.version == instance.family}
    theirs: set[Address] = set(found.addresses)
    if ours == theirs:
        return None
    return f"its addresses are {_listed(theirs)}, ours {_listed(ours)}"


def _listed(addresses: set[Address]) -> str:
    return " ".join(str(one) for one in sorted(addresses, key=int)) or "none"
