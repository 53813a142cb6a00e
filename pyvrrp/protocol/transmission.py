"""The advertisements of an instance as packets: one to the group, or one to each unicast peer.

Laws: pure. What counts up is here: the identification of the IPv4 header (1, 2, 3, ... as keepalived's), the sequence
number of AH, that of the signed trailer. All three count advertisements, not packets: the copies for several peers are
one advertisement. Whether anything is sent, and when, is ``machine.py``'s affair.

RFC 3768 section 7.2, RFC 5798 section 7.2, "Transmitting VRRP Packets"; AH and trailer as in ``wire/``.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyvrrp.model import VRRP_GROUP, Address, AuthType, HmacMode, Instance, Multicast
from pyvrrp.wire import ah, hmac_trailer
from pyvrrp.wire.advertisement import AUTH_LENGTH, Advertisement, interval_on_wire
from pyvrrp.wire.checksum import pseudo_header
from pyvrrp.wire.packet import TTL, Packet

_MOST_IDENTIFICATIONS = 0xFFFF
_MOST_SEQUENCES = 0xFFFFFFFF


@dataclass(slots=True)
class Learned:
    """What the two directions of one instance share.

    ``ah_sequence``: the highest AH sequence number that was sent or accepted. All routers of one VRID count on
    from the highest they know, as keepalived does: a new master's numbers would be refused as old ones otherwise.
    ``old_checksum``: a unicast peer sums as keepalived up to 1.3.6 did, so it has to be answered in the same way.
    """

    ah_sequence: int = 0
    old_checksum: bool = False


class Transmission:
    """Makes the packets of one instance. ``learned`` is to be given to its ``Reception``."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self.learned = Learned()
        self._identification = 0
        self._signed: int | None = None

    def reconfigured(self, instance: Instance) -> None:
        """Go on with another configuration of the same virtual router; everything counts on."""
        self.instance = instance

    def packets(self, priority: int, source: Address, wall: float) -> list[Packet]:
        """Return one advertisement of this ``priority`` (0 resigns), sent by ``source``, as packets.

        ``wall``: seconds since 1970, UTC; only the signed trailer looks at it.
        """
        instance = self.instance
        message = own_advertisement(instance, priority)
        trailer = self._trailer(message, source, wall)
        sequence = self._next_sequence()
        if instance.family == 4:
            self._identification = self._identification % _MOST_IDENTIFICATIONS + 1
        packets = []
        for destination, ttl in self._destinations():
            payload = message.encode(self._also_summed(message, source, destination, trailer)) + trailer
            packet = Packet(source, destination, payload, self._identification, ttl)
            packets.append(packet if sequence is None else ah.sealed(packet, sequence, _password(instance)))
        return packets

    def _destinations(self) -> list[tuple[Address, int]]:
        transport = self.instance.transport
        if isinstance(transport, Multicast):
            return [(transport.group, TTL)]
        return [(peer.address, transport.ttl) for peer in transport.peers]

    def _next_sequence(self) -> int | None:
        if not uses_ah(self.instance):
            return None
        self.learned.ah_sequence = self.learned.ah_sequence % _MOST_SEQUENCES + 1
        return self.learned.ah_sequence

    def _trailer(self, message: Advertisement, source: Address, wall: float) -> bytes:
        signing = self.instance.hmac
        if signing is None or signing.mode is HmacMode.RECEIVE_ONLY:
            return b""
        window = None if signing.monotonic else signing.time_window
        self._signed = hmac_trailer.next_sequence(wall, self._signed, window)
        key = signing.keys[signing.active_key]
        return hmac_trailer.signed(signing.active_key, self._signed, message.encode(), source, key).encode()

    def _also_summed(self, message: Advertisement, source: Address, destination: Address, trailer: bytes) -> bytes:
        if self.instance.version == 2:
            return b""
        if self.instance.family == 6:  # keepalived's kernel sums all that it sends, the trailer too
            return pseudo_header(source, destination, len(message.encode()) + len(trailer)) + trailer
        if self.instance.checksum_as_v2:
            return b""
        old = self.instance.old_unicast_checksum or self.learned.old_checksum
        summed_destination = VRRP_GROUP if old and not destination.is_multicast else destination
        return pseudo_header(source, summed_destination, len(message.encode()))


def own_advertisement(instance: Instance, priority: int) -> Advertisement:
    """Return the message that ``instance`` sends with this priority, its interval as it is on the wire."""
    authentication = instance.authentication
    has_type = instance.version == 2
    # In AH the message itself carries no password (RFC 2338 section 5.3.10); in version 3 there is no room for any.
    has_password = has_type and authentication.type is AuthType.PASS
    return Advertisement(
        version=instance.version,
        virtual_router_id=instance.virtual_router_id,
        priority=priority,
        advert_interval=interval_on_wire(instance.advert_interval, instance.version),
        addresses=tuple(one.ip for one in instance.addresses if one.ip.version == instance.family),
        auth_type=authentication.type.value if has_type else 0,
        auth_data=_password(instance) if has_password else bytes(AUTH_LENGTH),
    )


def uses_ah(instance: Instance) -> bool:
    """Return whether the packets of ``instance`` have an authentication header."""
    return instance.version == 2 and instance.authentication.type is AuthType.AH


def _password(instance: Instance) -> bytes:
    return instance.authentication.password.ljust(AUTH_LENGTH, b"\0")
