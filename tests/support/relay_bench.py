"""A relay between two connections, driven by hand through nothing but its public protocol."""

from __future__ import annotations

import random
import socket
from collections.abc import Callable

from tcp_peers import PATIENCE, tcp_pair

from tcpbalancer.poller import ERROR, HUP, Poller
from tcpbalancer.relay import CLIENT, RELAYS, SERVER, PipePool, Relay, Side

BUFFER = 65536
QUIET = 0.2
"""Seconds in which nothing may happen, for a relay to count as asleep."""
Pair = Callable[[], tuple[socket.socket, socket.socket]]


class Bench:
    """A relay between two connections, driven by hand: ``client`` and ``server`` are the far ends."""

    def __init__(
        self,
        name: str,
        *,
        pair: Pair = tcp_pair,
        around: Callable[[socket.socket], socket.socket] = lambda inner: inner,
        buffer: memoryview | None = None,
        pipes: PipePool | None = None,
    ) -> None:
        """``around`` is laid around the inner ends; ``buffer`` and ``pipes`` may be those of another bench."""
        self.client, inner_client = pair()
        inner_server, self.server = pair()
        self.inner = (around(inner_client), around(inner_server))
        for each in self.inner:
            each.setblocking(False)
        self.buffer = memoryview(bytearray(BUFFER)) if buffer is None else buffer
        self.pipes = PipePool() if pipes is None else pipes
        self._shares_pipes = pipes is not None
        self.relay: Relay = RELAYS[name](*self.inner, self.buffer, self.pipes)
        self.poller = Poller()
        self.watched: list[int | None] = [None, None]
        self.wake_ups = 0
        self._watch()

    def _watch(self, silenced: Side | None = None) -> None:
        for side in (CLIENT, SERVER):
            wanted: int | None = self.relay.interest(side)
            if not wanted and (side == silenced or self.watched[side] is None):
                wanted = None
            if wanted == self.watched[side]:
                continue
            if self.watched[side] is None:
                self.poller.watch(self.inner[side].fileno(), wanted or 0, side)
            elif wanted is None:
                self.poller.unwatch(self.inner[side].fileno())
            else:
                self.poller.change(self.inner[side].fileno(), wanted)
            self.watched[side] = wanted

    def turn(self, timeout: float = PATIENCE) -> bool:
        """Let it move once; returns whether anything happened."""
        happened = self.poller.happened(timeout)
        for ready, mask in happened:
            self.wake_ups += 1
            self.relay.ready(ready, mask)
            self._watch(ready if mask & (HUP | ERROR) else None)
            if self.relay.is_over:
                break
        return bool(happened)

    def run(self) -> None:
        """Let it move until it is over."""
        while not self.relay.is_over:
            assert self.turn(), "the relay waits for something that never comes"

    def run_until_quiet(self) -> None:
        """Let it move until nothing happens any more."""
        while not self.relay.is_over and self.turn(QUIET):
            pass

    def finish(self) -> None:
        """Close the inner ends, as a session does when the relay is over."""
        self.relay.close()
        for each in self.inner:
            each.close()

    def close(self) -> None:
        """Close everything; no pipe may be on loan any more, unless other benches share them."""
        self.relay.close()
        if not self._shares_pipes:
            assert self.pipes.lent == 0
            self.pipes.close()
        self.poller.close()
        for each in (self.client, self.server, *self.inner):
            each.close()


def send_in_pieces(peer: socket.socket, data: bytes, chance: random.Random) -> None:
    """Send everything in pieces between a byte and a MiB, then the end of file."""
    at = 0
    while at < len(data):
        size = chance.choice((1, 7, 1448, 4096, 65536, 1 << 20))
        peer.sendall(data[at : at + size])
        at += size
    peer.shutdown(socket.SHUT_WR)
