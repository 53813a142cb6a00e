"""The plain relay: receive into a buffer, send from it. The reference for all others.

Laws: see ``tcpbalancer.relay``. One buffer serves all connections of a worker, for the length of one call; only what
the other side did not take at once is kept, at most one buffer's worth per direction, and nothing is read until that
is gone.
One receive per wake-up and direction, so that a bulk transfer cannot starve its neighbours; a second one only to fetch
an end of file that is known to be there: then the last bytes and the FIN leave in one segment.
"""

from __future__ import annotations

import socket
from typing import Final

from tcpbalancer.poller import ERROR, HUP, NOTHING, PEER_CLOSED, READ, WRITE
from tcpbalancer.relay.pipes import Pipe, PipePool
from tcpbalancer.relay.side import CLIENT, RECEIVED, SERVER, Side, other

NONE = memoryview(b"")
CALM: Final = READ | PEER_CLOSED
"""What both sides are watched for while all is calm."""
TO_READ: Final = CALM | HUP | ERROR
"""What a receive is the answer to."""
CAME = tuple(1 << side | 1 << side + RECEIVED for side in (CLIENT, SERVER))
"""By side: what ``ready`` returns if something came from it and went nowhere yet."""
CARRIED = tuple(came | 1 << other for came, other in zip(CAME, (SERVER, CLIENT), strict=True))
"""By side: what ``ready`` returns if something came from it and was taken by the other one."""


class Flow:
    """One direction. ``waiting``: bytes that were received and that the sink has not taken yet."""

    __slots__ = (
        "at_end",
        "evidence",
        "is_bulk",
        "kept",
        "passed_end",
        "pipe",
        "sent",
        "sink",
        "source",
        "spoke",
        "waiting",
    )

    def __init__(self, source: socket.SocketType, sink: socket.SocketType) -> None:
        self.source = source
        self.sink = sink
        self.kept = NONE  # what waits, as far as it is here
        self.waiting = 0
        self.sent = 0  # bytes that the sink has taken
        self.evidence = 0  # turns in a row that speak for another way to move: here those that filled the buffer
        self.is_bulk = False  # it is worth a pipe
        self.pipe: Pipe | None = None  # what waits, as far as it is in the kernel
        self.spoke = False  # something was received
        self.at_end = False  # nothing will be read any more
        self.passed_end = False  # the end of file has been passed on


class CopyRelay:
    """Moves bytes with recv and send."""

    __slots__ = ("_buffer", "_failed", "_flows", "_pipes", "is_calm")

    def __init__(
        self, client: socket.SocketType, server: socket.SocketType, buffer: memoryview, pipes: PipePool
    ) -> None:
        self._buffer = buffer
        self._pipes = pipes  # for those who move pages
        self._flows = (Flow(client, server), Flow(server, client))  # by the side they come from
        self._failed: Side | None = None
        self.is_calm = True

    @property
    def bytes_from_client(self) -> int:
        """What the server's socket has taken."""
        return self._flows[CLIENT].sent

    @property
    def bytes_to_client(self) -> int:
        """What the client's socket has taken."""
        return self._flows[SERVER].sent

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
        """Return what to watch a side for: READ and PEER_CLOSED, WRITE, both or nothing."""
        outgoing, incoming = self._flows[side], self._flows[other(side)]
        reads = NOTHING if outgoing.at_end or outgoing.waiting else CALM
        return reads | WRITE if incoming.waiting else reads

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
        if mask == READ and self.is_calm:
            return self._receive(side, mask)  # as nearly always
        moved = 0
        if mask & (WRITE | ERROR) and self._flows[other(side)].waiting:
            moved |= self._flush(other(side))
            self.is_calm = self._failed is None and not any(flow.waiting or flow.at_end for flow in self._flows)
        if mask & TO_READ:
            moved |= self._receive(side, mask)
        flow = self._flows[side]
        if mask & ERROR and flow.at_end and self._failed is None:
            self._fail(side)  # a reset behind its end of file: no receive would tell
        return moved

    def _receive(self, side: Side, mask: int) -> int:
        """Read once from a side and hand on what came."""
        flow, buffer = self._flows[side], self._buffer
        if flow.at_end or flow.waiting:
            return 0
        try:
            count = flow.source.recv_into(buffer)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError:
            flow.at_end = True
            self._fail(side)
            return CAME[side]
        if not count:
            self._end_came(flow)
            if self._failed is None:
                self._pass_end(side)
            return CAME[side]
        flow.spoke = True
        flow.evidence = flow.evidence + 1 if count == len(buffer) else 0
        if mask & PEER_CLOSED:
            return self._last_words(side, flow, count)
        try:
            sent = flow.sink.send(buffer[:count])
        except OSError as problem:
            return self._not_sent(side, flow, count, problem)
        flow.sent += sent
        return CARRIED[side] if sent == count else self._keep(side, flow, sent, count)

    def _hand_on(self, side: Side, flow: Flow, count: int, flags: int) -> int:
        """Send what stands in the buffer."""
        try:
            sent = flow.sink.send(self._buffer[:count], flags)
        except OSError as problem:
            return self._not_sent(side, flow, count, problem)
        flow.sent += sent
        return CARRIED[side] if sent == count else self._keep(side, flow, sent, count)

    def _not_sent(self, side: Side, flow: Flow, count: int, problem: OSError) -> int:
        if isinstance(problem, BlockingIOError | InterruptedError):
            self._keep(side, flow, 0, count)
        else:
            self._fail(other(side))
        return CAME[side]

    def _keep(self, side: Side, flow: Flow, sent: int, count: int) -> int:
        """Keep what was not taken: the buffer belongs to the next call."""
        flow.kept, flow.waiting = memoryview(bytes(self._buffer[sent:count])), count - sent
        self.is_calm = False
        return CARRIED[side]

    def _last_words(self, side: Side, flow: Flow, count: int) -> int:
        """Hand on what has come before a FIN that is there already, and the end with it if nothing else is before it.

        What is sent with MSG_MORE waits for more; that the end follows at once is what makes them one segment.
        """
        if count < len(self._buffer):
            try:
                more = flow.source.recv_into(self._buffer[count:])
            except (BlockingIOError, InterruptedError):
                return self._hand_on(side, flow, count, 0)
            except OSError:  # told only once: a reset behind what has come
                moved = self._hand_on(side, flow, count, 0)
                self._end_came(flow)
                self._fail(side)
                return moved
            count += more
            if not more:
                self._end_came(flow)
        moved = self._hand_on(side, flow, count, socket.MSG_MORE if flow.at_end else 0)
        if flow.at_end and not flow.waiting and self._failed is None:
            self._pass_end(side)
        return moved

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
        flow.sent += count
        flow.waiting -= count
        flow.kept = flow.kept[count:] if flow.waiting else NONE  # no copy stays while all is calm
        if flow.at_end and not flow.waiting and self._failed is None:
            self._pass_end(side)
        return 1 << other(side)

    def _end_came(self, flow: Flow) -> None:
        flow.at_end, self.is_calm = True, False

    def _pass_end(self, side: Side) -> None:
        """Pass a side's end of file on; everything before it has been sent.

        The second end closes the connection: whoever closes the sockets now, as ``is_over`` tells, passes it on.
        """
        flow = self._flows[side]
        flow.passed_end = True
        if self._flows[other(side)].passed_end:
            return
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

    def close(self) -> None:
        """Give back what is held: nothing here."""
