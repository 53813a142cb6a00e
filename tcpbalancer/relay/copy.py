"""The plain relay: receive into a buffer, send from it. The reference for all others.

Laws: see ``tcpbalancer.relay``. One buffer serves all connections of a worker, for the length of one call; only what
the other side did not take at once is kept, at most one buffer's worth per direction, and nothing is read until that
is gone.
One receive per wake-up and direction, so that a bulk transfer cannot starve its neighbours.
"""

from __future__ import annotations

import socket

from tcpbalancer.poller import ERROR, HUP, NOTHING, READ, WRITE
from tcpbalancer.relay.pipes import PipePool
from tcpbalancer.relay.side import CLIENT, RECEIVED, SERVER, Side, other

NONE = memoryview(b"")


class Flow:
    """One direction. ``waiting``: bytes that were received and that the sink has not taken yet."""

    __slots__ = ("at_end", "kept", "passed_end", "sink", "source", "spoke", "waiting")

    def __init__(self, source: socket.socket, sink: socket.socket) -> None:
        self.source = source
        self.sink = sink
        self.kept = NONE  # what waits, as far as it is here
        self.waiting = 0
        self.spoke = False  # something was received
        self.at_end = False  # nothing will be read any more
        self.passed_end = False  # the end of file has been passed on


class CopyRelay:
    """Moves bytes with recv and send."""

    __slots__ = ("_buffer", "_failed", "_flows", "_sent", "is_calm")

    def __init__(self, client: socket.socket, server: socket.socket, buffer: memoryview, _pipes: PipePool) -> None:
        self._buffer = buffer
        self._flows = (Flow(client, server), Flow(server, client))  # by the side they come from
        self._sent = [0, 0]
        self._failed: Side | None = None
        self.is_calm = True

    @property
    def bytes_from_client(self) -> int:
        """What the server's socket has taken."""
        return self._sent[CLIENT]

    @property
    def bytes_to_client(self) -> int:
        """What the client's socket has taken."""
        return self._sent[SERVER]

    @property
    def failed(self) -> Side | None:
        """The side that was reset first, None if neither was."""
        return self._failed

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to move: both ends were passed on, or all that a reset side had sent."""
        if self._failed is not None:
            flow = self._flows[self._failed]
            return flow.at_end and not flow.waiting
        return self._flows[CLIENT].passed_end and self._flows[SERVER].passed_end

    def interest(self, side: Side) -> int:
        """Return what to watch a side for: READ, WRITE, both or nothing."""
        outgoing, incoming = self._flows[side], self._flows[other(side)]
        reads = READ if not outgoing.at_end and not outgoing.waiting else NOTHING
        return reads | (WRITE if incoming.waiting else NOTHING)

    def has_spoken(self, side: Side) -> bool:
        """Return whether a side has sent any bytes, delivered or not."""
        return self._flows[side].spoke

    def has_ended(self, side: Side) -> bool:
        """Return whether a side has sent its end of file, or can send nothing any more."""
        return self._flows[side].at_end

    def passed_end_to(self, side: Side) -> bool:
        """Return whether an end of file was passed on to a side."""
        return self._flows[other(side)].passed_end

    def owes(self, side: Side) -> bool:
        """Return whether bytes for a side wait here."""
        return bool(self._flows[other(side)].waiting)

    def ready(self, side: Side, mask: int) -> int:
        """Move what can be moved; see ``Relay.ready``."""
        moved = 0
        if mask & (WRITE | ERROR) and self._flows[other(side)].waiting:
            moved |= self._flush(other(side))
            self.is_calm = self._failed is None and not any(flow.waiting or flow.at_end for flow in self._flows)
        if mask & (READ | HUP | ERROR):
            moved |= self._receive(side)
        flow = self._flows[side]
        if mask & ERROR and flow.at_end and self._failed is None:
            self._fail(side)  # a reset behind its end of file: no receive would tell
        return moved

    def _receive(self, side: Side) -> int:
        """Read once from a side and hand on what came."""
        flow, came = self._flows[side], 1 << side | 1 << side + RECEIVED
        if flow.at_end or flow.waiting:
            return 0
        try:
            count = flow.source.recv_into(self._buffer)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError:
            flow.at_end = True
            self._fail(side)
            return came
        if not count:
            flow.at_end, self.is_calm = True, False
            if self._failed is None:
                self._pass_end(side)
            return came
        flow.spoke = True
        self._copied(side, count)
        flow.kept, flow.waiting = self._buffer[:count], count
        moved = self._flush(side)
        if flow.waiting:
            flow.kept = memoryview(bytes(flow.kept))  # the buffer belongs to the next call
            self.is_calm = False
        return moved | came

    def _flush(self, side: Side) -> int:
        """Send what is kept of a side's bytes; then its end of file, if that has come."""
        flow = self._flows[side]
        try:
            count = flow.sink.send(flow.kept)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError:
            self._fail(other(side))
            return 0
        self._sent[side] += count
        flow.waiting -= count
        flow.kept = flow.kept[count:] if flow.waiting else NONE  # no copy stays while all is calm
        return 1 << other(side)

    def _pass_end(self, side: Side) -> None:
        """Pass a side's end of file on; everything before it has been sent."""
        flow = self._flows[side]
        flow.passed_end = True
        try:
            flow.sink.shutdown(socket.SHUT_WR)
        except OSError:
            self._fail(other(side))

    def _fail(self, side: Side) -> None:
        """Note that a side was reset: nothing goes there any more, what it had sent is still delivered."""
        if self._failed is None:
            self._failed = side
        self.is_calm = False
        towards = self._flows[other(side)]
        towards.at_end = True
        self._drop(other(side), towards)

    def _drop(self, _side: Side, flow: Flow) -> None:
        """Forget what waits in one direction."""
        flow.kept, flow.waiting = NONE, 0

    def _copied(self, side: Side, count: int) -> None:
        """Take note of how much was received in one turn."""

    def close(self) -> None:
        """Give back what is held: nothing here."""
