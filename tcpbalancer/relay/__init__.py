"""Moving the bytes of an established connection: one small protocol, one table of relays by name.

Laws: both sockets are non-blocking, and a relay never waits. It reads only what it has room for, so a slow reader slows
down its writer and memory stays bounded. Each direction is on its own: end of file is passed on once everything before
it has been, and the other direction lives on. What was received before a reset is still delivered. A relay neither
closes sockets nor knows of time: it moves, counts, and says which side has failed. All relays pass one contract test.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Protocol

from tcpbalancer.relay.adaptive import AdaptiveRelay
from tcpbalancer.relay.copy import CALM, CopyRelay
from tcpbalancer.relay.pipes import PipePool
from tcpbalancer.relay.side import CLIENT, RECEIVED, SERVER, Side, other
from tcpbalancer.relay.splice import SpliceRelay

__all__ = ["CALM", "CLIENT", "RECEIVED", "RELAYS", "SERVER", "PipePool", "Relay", "Side", "other"]


class Relay(Protocol):
    """One connection in each direction."""

    is_calm: bool
    """Nothing waits, nothing has ended, nobody has failed: both sides are watched for READ and PEER_CLOSED."""

    @property
    def bytes_from_client(self) -> int:
        """What the server's socket has taken."""
        ...

    @property
    def bytes_to_client(self) -> int:
        """What the client's socket has taken."""
        ...

    def ready(self, side: Side, mask: int) -> int:
        """Move what can be moved, told that ``mask`` (of ``tcpbalancer.poller``) happened on ``side``.

        Returns the sides on which bytes or an end of file moved, as a sum of ``1 << side``; those from which they came
        are in it as ``1 << side + RECEIVED``, too.
        """
        ...

    def interest(self, side: Side) -> int:
        """Return what to watch a side for: READ and PEER_CLOSED, WRITE, both or nothing."""
        ...

    def has_spoken(self, side: Side) -> bool:
        """Return whether a side has sent any bytes, delivered or not."""
        ...

    def has_ended(self, side: Side) -> bool:
        """Return whether a side has sent its end of file, or can send nothing any more."""
        ...

    def passed_end_to(self, side: Side) -> bool:
        """Return whether an end of file was passed on to a side."""
        ...

    def owes(self, side: Side) -> bool:
        """Return whether bytes for a side wait here."""
        ...

    @property
    def failed(self) -> Side | None:
        """The side that was reset first, None if neither was."""
        ...

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to move but what a close passes on: the end of the direction that ended last."""
        ...

    def close(self) -> None:
        """Give back what is held; whatever is still to be moved is lost."""
        ...


RELAYS: Mapping[str, Callable[[socket.SocketType, socket.SocketType, memoryview, PipePool], Relay]] = MappingProxyType(
    {"adaptive": AdaptiveRelay, "copy": CopyRelay, "splice": SpliceRelay}
)
"""Makes a relay of the client's socket, the server's socket, a buffer to use while it is called, and pipes."""
