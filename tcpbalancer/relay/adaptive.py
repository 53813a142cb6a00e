"""The relay that is used: copy for what is small, splice once a direction has proven to be bulk.

Laws: see ``tcpbalancer.relay``. A direction that fills the buffer ``PROOF`` times in a row goes over to pages: a pipe
costs two system calls more than a copy, and saves copying twice what goes through it. It goes back when ``PROOF`` turns
in a row have moved little.
"""

from __future__ import annotations

import socket

from tcpbalancer.relay.pipes import Pipe, PipePool
from tcpbalancer.relay.side import Side
from tcpbalancer.relay.splice import SpliceRelay

PROOF = 3
"""Turns in a row that decide what a direction is."""
LITTLE = 16384
"""Bytes of one turn for which copying is cheaper than a pipe."""


class AdaptiveRelay(SpliceRelay):
    """Begins as a copy."""

    __slots__ = ("_bulk", "_evidence")

    def __init__(self, client: socket.socket, server: socket.socket, buffer: memoryview, pipes: PipePool) -> None:
        super().__init__(client, server, buffer, pipes)
        self._bulk = [False, False]  # by the side from which the bytes come
        self._evidence = [0, 0]  # turns in a row that speak for the other way

    def _receive(self, side: Side) -> int:
        return super()._receive(side) if self._bulk[side] else super(SpliceRelay, self)._receive(side)

    def _copied(self, side: Side, count: int) -> None:
        fills = count == len(self._buffer)
        if fills or self._evidence[side]:
            self._weigh(side, speaks_against=fills and not self._bulk[side])

    def _moved_pages(self, side: Side, count: int, pipe: Pipe) -> None:
        self._weigh(side, speaks_against=count < min(LITTLE, pipe.size))

    def _weigh(self, side: Side, *, speaks_against: bool) -> None:
        if not speaks_against:
            self._evidence[side] = 0
            return
        self._evidence[side] += 1
        if self._evidence[side] >= PROOF:
            self._bulk[side] = not self._bulk[side]
            self._evidence[side] = 0
