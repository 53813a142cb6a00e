"""The relay that moves pages: from one socket through a pipe into the other, and never through this program.

Laws: see ``tcpbalancer.relay``. A direction holds a pipe only while bytes are in it, and reads only when it is empty:
so EAGAIN from the source can only mean that nothing has come (a full pipe says the same), and a pipe goes back empty.
What splice cannot move, it does not: a byte of urgent data stops it (``tcp_read_sock``), and there may be no pipe to be
had; then that one turn is copied. An end of file waits for the pipe as it does for the buffer.

Sources: splice(2), pipe(7), tcp(7) "Urgent data".
"""

from __future__ import annotations

import os
import socket

from tcpbalancer.relay.copy import CopyRelay, Flow
from tcpbalancer.relay.pipes import Pipe, PipePool
from tcpbalancer.relay.side import RECEIVED, Side, other

FLAGS = os.SPLICE_F_MOVE | os.SPLICE_F_NONBLOCK
"""Never SPLICE_F_MORE: it holds the last segment back as a cork does (Go #10948)."""


class SpliceRelay(CopyRelay):
    """Moves bytes with splice where that works, with recv and send where not."""

    __slots__ = ("_pipes", "_used")

    def __init__(self, client: socket.socket, server: socket.socket, buffer: memoryview, pipes: PipePool) -> None:
        super().__init__(client, server, buffer, pipes)
        self._pipes = pipes
        self._used: list[Pipe | None] = [None, None]  # by the side that the bytes inside come from

    def close(self) -> None:
        """Give back what is held: pipes with bytes in them are lost with the bytes."""
        for side, pipe in enumerate(self._used):
            if pipe is not None:
                self._pipes.lose(pipe)
                self._used[side] = None

    def _receive(self, side: Side) -> int:
        flow = self._flows[side]
        if flow.at_end or flow.waiting:
            return 0
        pipe = self._pipes.take()
        if pipe is None:
            return super()._receive(side)
        try:
            count = os.splice(flow.source.fileno(), pipe.inlet, pipe.size, flags=FLAGS)
        except OSError:
            # Nothing has come, an urgent byte is in the way, or a reset: the plain way finds out, and says so.
            self._pipes.give(pipe)
            return super()._receive(side)
        if not count:
            self._pipes.give(pipe)
            return super()._receive(side)  # an end of file is read twice as well as once
        flow.spoke = True
        flow.waiting = count
        self._used[side] = pipe
        self._moved_pages(side, count, pipe)
        moved = self._flush(side)
        if flow.waiting:
            self.is_calm = False
        return moved | 1 << side | 1 << side + RECEIVED

    def _flush(self, side: Side) -> int:
        pipe = self._used[side]
        if pipe is None:
            return super()._flush(side)
        flow = self._flows[side]
        moved = 0
        while flow.waiting:
            try:
                count = os.splice(pipe.outlet, flow.sink.fileno(), flow.waiting, flags=FLAGS)
            except (BlockingIOError, InterruptedError):
                return moved
            except OSError:
                self._fail(other(side))
                return moved
            self._sent[side] += count
            flow.waiting -= count
            moved = 1 << other(side)
        self._used[side] = None
        self._pipes.give(pipe)
        return moved

    def _drop(self, side: Side, flow: Flow) -> None:
        pipe = self._used[side]
        if pipe is not None:
            self._used[side] = None
            self._pipes.lose(pipe)
        super()._drop(side, flow)

    def _moved_pages(self, side: Side, count: int, pipe: Pipe) -> None:
        """Take note of how much one turn has moved."""
