"""One connection's life: a server is picked, connected to, and the bytes move until it ends; then it is recorded.

Laws: nothing waits: the session is told what happened (``client_ready``, ``server_ready``, ``on_deadline``, ``cut``)
and at what time, and says by ``deadline`` when it wants to be woken. Retries, redispatch, timeouts and the two letters
at the end are HAProxy's (``backend.c``, ``stream.c``; configuration manual, section 8.5). What a client sends before
the server is reached stays in the kernel until then. Every session ends exactly once, with one record if there is
anybody who reads it. Nearly every session goes the short way: a server is free, it answers at once, and nothing is
asked; what lies beside that way is made only when it is needed.
"""

from __future__ import annotations

import errno
import os
import socket
from contextlib import suppress

from tcpbalancer.accepting import Entry
from tcpbalancer.accounts import Sight
from tcpbalancer.arrival import Leaving, leaving
from tcpbalancer.attempt import acknowledge_at_once, endpoint, greeting, open_connection, own_end
from tcpbalancer.channel import Attempted, Exhausted
from tcpbalancer.closing import close_gently, close_with_reset
from tcpbalancer.counters import CONNECTION_ERRORS, CONNECTS
from tcpbalancer.model import LogMoment, Server
from tcpbalancer.placement import Placement
from tcpbalancer.poller import HUP, NOTHING, PEER_CLOSED, READ, WRITE
from tcpbalancer.pool import Target
from tcpbalancer.proxy_protocol import Endpoint
from tcpbalancer.relay import CLIENT, SERVER, Side
from tcpbalancer.relaying import RELAYING, Relaying
from tcpbalancer.route import Route
from tcpbalancer.session_log import SessionRecord
from tcpbalancer.shortage import OURS, TOLD
from tcpbalancer.silence import first_limit
from tcpbalancer.socket_options import tune
from tcpbalancer.surroundings import Phase, Surroundings

TURN_AROUND = 1.0
"""Seconds before the same server is tried again, unless timeout connect is shorter (back_handle_st_cer)."""


class Session(Relaying):
    """One client connection and, once it stands, the connection to a server."""

    __slots__ = ("_phase_since", "_way", "entry", "number")

    def __init__(
        self,
        around: Surroundings,
        route: Route,
        client: socket.SocketType,
        address: tuple[str, int],
        accepted_at: float,
    ) -> None:
        super().__init__(around, route, client, address, accepted_at)
        self.entry: Entry | None = None  # what it came through; the worker's own note,
        self.number = 0  # as is the id by which it can be cut
        self._way: Placement | None = None  # only where it is not the plain one
        self._phase_since = 0.0

    @property
    def client(self) -> tuple[str, int]:
        """The client's address, as the socket or a PROXY header tells it."""
        return self._accounts.address

    @property
    def accepted_at(self) -> float:
        """When it was accepted, in seconds since 1970."""
        return self._accounts.accepted_at

    @property
    def accepted_now(self) -> float:
        """The same moment on the monotonic clock."""
        return self._accounts.accepted_now

    @property
    def _placement(self) -> Placement:
        if self._way is None:
            self._way = Placement(self, self.pool, self._accounts)
        return self._way

    # -- from accept to the established connection ------------------------------------------------------------------

    def start(self, now: float) -> None:
        """Begin: pick a server and connect."""
        self._accounts.accepted_now = now
        self.route.block.opened(now)
        if self.chosen is not None:
            self.chosen.block.opened(now)
        self._arrived(now)

    def _arrived(self, now: float, bound_to: int | None = None, key: bytes | None = None) -> None:
        """Go on to the choice of a server; ``bound_to``: the slot of one that is named already."""
        frontend = self.route.frontend
        if frontend.sockets.is_special:
            tune(self._client, frontend.sockets)
        if frontend.connection_log is not None:
            if frontend.connection_log.addresses:
                self._accounts.destination = own_end(self._client)
            self._note(LogMoment.ACCEPTED, now)
        if self.chosen is None:
            self._end("SC", "the frontend has no backend", now)
        elif bound_to is not None or self.chosen.hashes:
            self._placement.find(now, bound_to, key)
        elif isinstance(picked := self.chosen.pick(now), Target):  # as nearly always
            self.target = picked
            self._accounts.assigned_now = now
            self.connect(now)
        else:
            self._placement.go_on(picked, now)

    def turn_came(self, target: Target, now: float) -> None:
        """Leave the queue and go on to this server, if its room is still there."""
        self._placement.turn_came(target, now)

    def turned_away(self, now: float) -> None:
        """Leave the queue of a server that has gone."""
        self.phase, self._phase_since = Phase.WAITING, now  # else its end would look for it in the queue
        self._placement.turned_away(now)

    def rest(self, phase: Phase, now: float) -> None:
        """Be in this phase from now on, until something happens or the deadline comes."""
        self.phase, self._phase_since = phase, now
        if self._client_events is None:
            # Only its end is of interest now: data stays in the kernel until there is a server to give it to.
            self._watch(CLIENT, PEER_CLOSED)
        self._around.schedule(self)

    def give_up(self, flags: str, reason: str, now: float) -> None:
        """End, since no server could be had."""
        self._end(flags, reason, now)

    def connect(self, now: float) -> None:
        """Connect to the server that was found."""
        target, pool = self.target, self.pool
        assert target is not None
        self.phase = Phase.CONNECTING
        try:
            has_words = self._peek() > 0
        except OSError:  # told only once
            self._end("CD", "the client reset the connection before a server was reached", now)
            return
        target.block.row[CONNECTS] += 1
        pool.block.row[CONNECTS] += 1
        waits_for_words = target.is_plain and (has_words or bool(target.server.reach.proxy_version))
        log = self.route.frontend.connection_log
        wants_addresses = log is not None and log.addresses
        try:
            self._server, stands = open_connection(
                target, self._client, has_words=waits_for_words, at_once=not wants_addresses
            )
        except OSError as failure:
            self._not_opened(failure.errno or errno.EINVAL, now)  # none: a path that is too long
            return
        if pool.backend.sockets.is_special:
            tune(self._server, pool.backend.sockets)
        if wants_addresses:
            self._accounts.source = own_end(self._server)
        if not stands:
            self._watch(SERVER, WRITE)
            self.rest(Phase.CONNECTING, now)
            return
        self._established(now)
        if has_words and self.phase is RELAYING:
            self._move(CLIENT, READ, now)
        if waits_for_words and self._server is not None:
            acknowledge_at_once(self._server)

    def _peek(self) -> int:
        """Return how many bytes of the client have come, 1 at the most; 0 also if there is nothing, or its end.

        Raises OSError if the client has reset the connection.
        """
        try:
            return self._client.recv_into(self._around.buffer, 1, socket.MSG_PEEK)
        except BlockingIOError:
            return 0

    def _not_opened(self, problem: int, now: float) -> None:
        """Go on after an attempt that has failed on the spot, by the server's fault or for want of something here."""
        if problem in TOLD:
            self._around.report(Exhausted(self.pool.backend.name, problem))
        if problem not in OURS:
            self._observe(problem)
        self._attempt_failed(os.strerror(problem), now, timed_out=False)

    def _attempt_failed(self, why: str, now: float, *, timed_out: bool) -> None:
        self._close_server()
        self._placement.failed(why, now, timed_out=timed_out)

    def _observe(self, problem: int) -> None:
        """Report how an attempt ended, an error of the system or 0, if the server is watched by that (``observe``)."""
        target = self.target
        if target is not None and target.server.observe:
            info = os.strerror(problem) if problem else ""
            self._around.report(Attempted(self.pool.index, target.index, passed=not problem, info=info))

    def _established(self, now: float) -> None:
        assert self._server is not None
        assert self.target is not None
        server, route, pool = self.target.server, self.route, self.pool
        if server.observe:
            self._observe(0)
        if server.reach.proxy_version and not self._greet(self._server, server):
            self._attempt_failed("it did not take the PROXY header", now, timed_out=False)
            return
        self._accounts.established_now = now
        self._begin_relaying(now)
        if route.frontend.connection_log is not None:
            self._note(LogMoment.ESTABLISHED, now)
        usual = pool is route.pool
        limit = route.patience if usual else first_limit(route.frontend.timeouts, pool.backend.timeouts)
        if limit is not None:
            self._around.wake(self, now + limit)

    def _greet(self, connection: socket.SocketType, server: Server) -> bool:
        """Tell the server who the client is; returns whether that went out: there is always room for so little."""
        header = greeting(server, *self._endpoints())
        try:
            return connection.send(header) == len(header)
        except OSError:
            return False

    def _endpoints(self) -> tuple[Endpoint | None, Endpoint | None]:
        """Return the client's address, and the one that it called."""
        return endpoint(self._accounts.address), endpoint(own_end(self._client))

    # -- what happens to it -----------------------------------------------------------------------------------------

    def client_ready(self, mask: int, now: float) -> None:
        """Take note of what epoll says of the client's socket."""
        if self.phase is RELAYING:
            self._move(CLIENT, mask, now)
        elif self.phase is not Phase.ENDED:  # it may have ended in this very round of events
            self._client_left(mask, now)

    def server_ready(self, mask: int, now: float) -> None:
        """Take note of what epoll says of the server's socket."""
        if self.phase is RELAYING:
            self._move(SERVER, mask, now)
        elif self.phase is Phase.CONNECTING and self._server is not None:
            problem = self._server.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if problem:
                self._observe(problem)
                self._attempt_failed(os.strerror(problem), now, timed_out=False)
            elif mask & WRITE:
                self._established(now)

    def _client_left(self, mask: int, now: float) -> None:
        """The client closed while there is no server yet: with data before its FIN it still wants an answer."""
        queued = self.phase is Phase.QUEUED
        match leaving(self._client, mask):
            case Leaving.RESET:
                reason = "the client reset the connection before a server was reached"
                self._end("CQ" if queued else "CD", reason, now)
            case Leaving.ASKS if self.pool.backend.abort_on_close:
                self._end("CQ" if queued else "CC", "the client closed (option abortonclose)", now)
            case Leaving.ASKS:
                self._watch(CLIENT, None if mask & HUP else NOTHING)  # epoll would tell of a HUP again without end
            case Leaving.LEFT:
                self._end("CQ" if queued else "CC", "the client left before a server was reached", now)
            case Leaving.STAYS:
                pass

    def cut(self, flags: str, reason: str, now: float) -> None:
        """End it from outside: both sides see the end at once."""
        if self.phase is not Phase.ENDED:
            self._end(flags, reason, now)

    def drop(self) -> None:
        """Let go of the sockets, since its end has met an error of ours; what was counted may stay counted."""
        self.phase = Phase.ENDED
        sides: tuple[tuple[Side, socket.SocketType | None], ...] = ((CLIENT, self._client), (SERVER, self._server))
        for side, peer in sides:
            with suppress(OSError, LookupError, ValueError):  # whatever the error has left
                self._watch(side, None)
            if peer is not None:
                peer.close()

    # -- time -------------------------------------------------------------------------------------------------------

    @property
    def deadline(self) -> float | None:
        """When it wants ``on_deadline`` to be called, on the monotonic clock; None: not at all."""
        if self.phase is RELAYING:
            return super().deadline
        connect = None if self.chosen is None else self.pool.backend.timeouts.connect
        if self.phase is Phase.CONNECTING:
            return None if connect is None else self._phase_since + connect
        if self.phase is Phase.QUEUED:
            queue = self.pool.backend.timeouts.queue
            limit = connect if queue is None else queue
            return None if limit is None else self._phase_since + limit
        if self.phase is Phase.WAITING:
            return self._phase_since + min(TURN_AROUND, TURN_AROUND if connect is None else connect)
        return self._phase_since if self.phase is Phase.CHOOSING else None

    def on_deadline(self, _mask: int, now: float) -> None:
        """Act if the deadline has come; early is harmless."""
        deadline = self.deadline
        if deadline is None or now < deadline:
            self._around.schedule(self)
        elif self.phase is Phase.CONNECTING:
            self._observe(errno.ETIMEDOUT)
            self._attempt_failed("timeout connect", now, timed_out=True)
        elif self.phase in {Phase.WAITING, Phase.CHOOSING}:
            self._placement.go_again(now)
        elif self.phase is Phase.QUEUED:
            self._placement.count(CONNECTION_ERRORS)
            self._end("sQ", "timeout queue: no server had room", now)
        else:
            self._timed_out(now)

    # -- the end ----------------------------------------------------------------------------------------------------

    def _end(self, flags: str, reason: str, now: float) -> None:
        before, self.phase = self.phase, Phase.ENDED
        if before is Phase.QUEUED:
            self._placement.leave_queue()
            self._accounts.assigned_now = now  # Tw is the time spent in the queue, though it led nowhere
        relay = self._relay
        if relay is not None:
            self.report_bytes()
            relay.close()
        self._close_server(reset=relay is not None and relay.failed == CLIENT)
        self._accounts.close(self.chosen, self.target, flags, now)
        record = self._record(flags, reason, now) if self._around.wants_record_of(self) else None
        self.route.block.closed()
        self._around.poller.forget(self._client.fileno())
        # Who sees the end finds it counted. After an end of file in both directions there is nothing left to say.
        if flags == "--":
            self._client.close()
        else:
            self._close_client()
        self._around.ended(self, record)

    def _close_client(self) -> None:
        close_gently(self._client, self._around.buffer)

    def _record(self, flags: str, reason: str, now: float, *, early: bool = False) -> SessionRecord:
        sight = Sight(self._around.connections(), self._has_heard_client(), early=early)
        return self._accounts.record(self.chosen, self.target, flags, reason, now, sight)

    def _note(self, moment: LogMoment, now: float) -> None:
        """Send a record before the end, if the frontend writes its line at this moment."""
        log = self.route.frontend.connection_log
        if log is not None and log.moment is moment:
            self._around.noted(self._record("--", moment.value, now, early=True))

    def _has_heard_client(self) -> bool:
        if self._relay is not None and self._relay.has_spoken(CLIENT):
            return True
        try:
            return self._peek() > 0
        except OSError:
            return False

    def _close_server(self, *, reset: bool = False) -> None:
        if self._server is not None:
            self._around.poller.forget(self._server.fileno())
            self._server_events = None
            if reset:
                close_with_reset(self._server)
            else:
                self._server.close()
            self._server = None
