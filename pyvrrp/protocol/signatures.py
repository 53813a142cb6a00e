"""Whether a signed trailer is right: ``auth_hmac`` as a receiver sees it.

Laws: pure. Checking changes nothing; what has to be remembered is remembered by ``remember``, once the whole packet is
accepted. The order of the checks is keepalived's: shape, age (before the costly part, so that a flood of old packets
costs little), key, signature in constant time, replay.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass

from pyvrrp.model import Address, HmacAuthentication, HmacMode, Multicast, Unicast
from pyvrrp.protocol.rejections import (
    PeerError,
    TrailerHmacError,
    TrailerKeyError,
    TrailerMalformedError,
    TrailerMissingError,
    TrailerReplayError,
    TrailerStaleError,
)
from pyvrrp.wire import hmac_trailer
from pyvrrp.wire.hmac_trailer import MalformedTrailerError, Trailer, is_after, seconds_between

MOST_MULTICAST_SENDERS = 4
"""How many senders to a group are remembered: those heard last."""


@dataclass(frozen=True, slots=True)
class Signature:
    """A trailer that was found right, and by how many seconds our clock is ahead of its sender's."""

    sequence: int
    skew: int


class Signatures:
    """The last sequence number of each sender."""

    def __init__(self) -> None:
        self._marks: dict[Address, int] = {}

    def check(
        self,
        message: bytes,
        rest: bytes,
        source: Address,
        settings: HmacAuthentication,
        transport: Multicast | Unicast,
        wall: float,
    ) -> Signature | None:
        """Return the signature in ``rest``, which is behind ``message``; None if there is none and none is needed.

        ``wall``: seconds since 1970, UTC. Raises one of the ``Trailer...Error`` classes, or PeerError.
        """
        if not rest:
            if settings.mode is HmacMode.ENFORCE:
                raise TrailerMissingError(f"missing authentication trailer from {source}")
            return None
        if isinstance(transport, Unicast) and source not in {peer.address for peer in transport.peers}:
            raise PeerError(f"unicast source address {source} not a unicast peer")
        try:
            trailer = hmac_trailer.decode(rest)
        except MalformedTrailerError:
            raise TrailerMalformedError(f"malformed authentication trailer from {source}") from None
        skew = seconds_between(int(wall), trailer.seconds)
        if not settings.monotonic and abs(skew) > settings.time_window:
            told = f"clock skew {skew} sec exceeds window {settings.time_window} sec"
            raise TrailerStaleError(f"stale authentication trailer from {source}, {told}")
        key = settings.keys.get(trailer.key_id)
        if key is None:
            raise TrailerKeyError(f"unknown authentication key id {trailer.key_id} from {source}")
        if not hmac.compare_digest(trailer.tag, hmac_trailer.tag(trailer, message, source, key)):
            raise TrailerHmacError(f"invalid authentication HMAC from {source}")
        if self._has_seen(source, trailer, settings, wall):
            raise TrailerReplayError(f"replayed authentication trailer from {source}")
        return Signature(trailer.sequence, skew)

    def _has_seen(self, source: Address, trailer: Trailer, settings: HmacAuthentication, wall: float) -> bool:
        mark = self._marks.get(source)
        if mark is None or is_after(trailer.sequence, mark):
            return False
        # A mark outside of the window orders only what the window refuses already: without it, a sender whose clock
        # was set back is heard again.
        return settings.monotonic or abs(seconds_between(int(wall), mark >> 32)) <= settings.time_window

    def remember(self, source: Address, signature: Signature, transport: Multicast | Unicast) -> None:
        """Take the sequence number of an accepted packet as the last one of ``source``."""
        self._marks.pop(source, None)
        self._marks[source] = signature.sequence
        while isinstance(transport, Multicast) and len(self._marks) > MOST_MULTICAST_SENDERS:
            del self._marks[next(iter(self._marks))]
