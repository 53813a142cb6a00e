"""The relay that moves pages: from one socket through a pipe into the other, and never through this program.

Laws: see ``tcpbalancer.relay``. A direction holds a pipe only while bytes are in it, and reads only when it is empty:
so EAGAIN from the source can only mean that nothing has come (a full pipe says the same), and a pipe goes back empty.
What splice cannot move, it does not: a byte of urgent data stops it (``tcp_read_sock``), and there may be no pipe to be
had; then that one turn is copied. An end of file waits for the pipe as it does for the buffer.

Sources: splice(2), pipe(7), tcp(7) "Urgent data".
"""

from __future__ import annotations

import os

from tcpbalancer.relay.copy import CopyRelay, Flow
from tcpbalancer.relay.pipes import Pipe
from tcpbalancer.relay.side import RECEIVED, Side, other

FLAGS = os.SPLICE_F_MOVE | os.SPLICE_F_NONBLOCK
"""Never SPLICE_F_MORE: it holds the last segment back as a cork does (Go #10948)."""


class SpliceRelay(CopyRelay):
    """Moves bytes with splice where that works, with recv and send where not."""

    __slots__ = ()

    def close(self) -> None:
        """Give back what is held: pipes with bytes in them are lost with the bytes."""
        for flow in self._flows:
            self._lose_pipe(flow)

    def _receive(self, side: Side, mask: int) -> int:
        flow = self._flows[side]
        if flow.at_end or flow.waiting:
            return 0
        pipe = self._pipes.take()
        if pipe is None:
            return super()._receive(side, mask)
        try:
            count = os.splice(flow.source.fileno(), pipe.inlet, pipe.size, flags=FLAGS)
        except OSError:
            # Nothing has come, an urgent byte is in the way, or a reset: the plain way finds out, and says so.
            self._pipes.give(pipe)
            return super()._receive(side, mask)
        if not count:
            self._pipes.give(pipe)
            return super()._receive(side, mask)  # an end of file is read twice as well as once
        flow.spoke = True
        flow.waiting = count
        flow.pipe = pipe
        self._moved_pages(flow, count, pipe)
        moved = self._flush(side)
        if flow.waiting:
            self.is_calm = False
        return moved | 1 << side | 1 << side + RECEIVED

    def _flush(self, side: Side) -> int:
        flow = self._flows[side]
        pipe = flow.pipe
        if pipe is None:
            return super()._flush(side)
        moved = 0
        while flow.waiting:
            try:
                count = os.splice(pipe.outlet, flow.sink.fileno(), flow.waiting, flags=FLAGS)
            except (BlockingIOError, InterruptedError):
                return moved
            except OSError:
                self._fail(other(side))
                return moved
            flow.sent += count
            flow.waiting -= count
            moved = 1 << other(side)
        flow.pipe = None
        self._pipes.give(pipe)
        return moved

    def _drop(self, side: Side, flow: Flow) -> None:
        self._lose_pipe(flow)
        super()._drop(side, flow)

    def _lose_pipe(self, flow: Flow) -> None:
        if flow.pipe is not None:
            self._pipes.lose(flow.pipe)
            flow.pipe = None

    def _moved_pages(self, flow: Flow, count: int, pipe: Pipe) -> None:
        """Take note of how much one turn has moved."""
