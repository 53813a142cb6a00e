"""One connection's life: a server is picked, connected to, and the bytes move until it ends; then it is recorded.

Laws: nothing waits: the session is told what happened (``client_ready``, ``server_ready``, ``on_deadline``, ``cut``)
and at what time, and says by ``deadline`` when it wants to be woken. Retries, redispatch, timeouts and the two letters
at the end are HAProxy's (``backend.c``, ``stream.c``; configuration manual, section 8.5). What a client sends before
the server is reached stays in the kernel until then. Every session ends exactly once, with one record.
"""

from __future__ import annotations

import errno
import os
import socket
from contextlib import suppress

from tcpbalancer.accounts import Accounts, Sight
from tcpbalancer.arrival import Leaving, leaving, receive
from tcpbalancer.attempt import endpoint, greeting, open_connection, own_end
from tcpbalancer.channel import Attempted, Exhausted
from tcpbalancer.closing import close_gently, close_with_reset
from tcpbalancer.counters import CONNECTION_ERRORS, CONNECTS
from tcpbalancer.model import LogMoment, Server
from tcpbalancer.placement import Placement
from tcpbalancer.poller import ERROR, HUP, NOTHING, PEER_CLOSED, WRITE
from tcpbalancer.pool import Pool, Target
from tcpbalancer.proxy_protocol import Endpoint
from tcpbalancer.relay import CLIENT, RECEIVED, RELAYS, SERVER, Relay, Side
from tcpbalancer.route import Route
from tcpbalancer.session_log import SessionRecord
from tcpbalancer.shortage import NO_PORT, NO_ROOM
from tcpbalancer.silence import silence_limit
from tcpbalancer.socket_options import tune
from tcpbalancer.surroundings import Phase, Surroundings

TURN_AROUND = 1.0
"""Seconds before the same server is tried again, unless timeout connect is shorter (back_handle_st_cer)."""


class Session:
    """One client connection and, once it stands, the connection to a server."""

    def __init__(
        self, around: Surroundings, route: Route, client: socket.socket, address: tuple[str, int], accepted_at: float
    ) -> None:
        self.alarm: float | None = None  # when the worker will wake this session; the worker's own note
        self.route = route
        self.chosen = route.pool  # where it is bound for
        self._way: Placement | None = None  # once it is known where it is bound for
        self.phase = Phase.WAITING
        self._around = around
        self._client = client
        self._server: socket.socket | None = None
        self._accounts = Accounts(route, address, accepted_at)
        self._phase_since = 0.0
        self._relay: Relay | None = None
        self._watched: list[int | None] = [None, None]
        self._moved_at = [0.0, 0.0]
        self._activity = [0, 0]

    @property
    def pool(self) -> Pool:
        """Where the session is bound for; a session without it never gets past its arrival."""
        assert self.chosen is not None
        return self.chosen

    @property
    def target(self) -> Target | None:
        """The server that it is on."""
        return None if self._way is None else self._way.target

    @property
    def _placement(self) -> Placement:
        assert self._way is not None
        return self._way

    # -- from accept to the established connection ------------------------------------------------------------------

    def start(self, now: float) -> None:
        """Begin: pick a server and connect."""
        self._accounts.accepted_now = now
        self.route.block.opened(now)
        receive(self._client)
        if self.chosen is not None:
            self.pool.block.opened(now)
        self._arrived(now)

    def _arrived(self, now: float, bound_to: int | None = None, key: bytes | None = None) -> None:
        """Go on to the choice of a server; ``bound_to``: the slot of one that is named already."""
        tune(self._client, self.route.frontend.sockets)
        log = self.route.frontend.connection_log
        if log is not None and log.addresses:
            self._accounts.destination = own_end(self._client)
        self._note(LogMoment.ACCEPTED, now)
        if self.chosen is None:
            self._end("SC", "the frontend has no backend", now)
            return
        # Only its end is of interest now: data stays in the kernel until there is a server to give it to.
        self._watch(CLIENT, PEER_CLOSED)
        self._way = Placement(self, self.pool, self._accounts)
        self._way.bound_to = bound_to
        self._way.key = key or self._way.key
        self._placement.find(now)

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
        self._around.schedule(self)

    def give_up(self, flags: str, reason: str, now: float) -> None:
        """End, since no server could be had."""
        self._end(flags, reason, now)

    def connect(self, now: float) -> None:
        """Connect to the server that was found."""
        assert self.target is not None
        self._placement.count(CONNECTS)
        self.phase, self._phase_since = Phase.CONNECTING, now
        try:
            self._server = open_connection(self.target, self._client)
        except OSError as failure:
            is_ours = failure.errno in NO_ROOM | NO_PORT
            if is_ours:
                self._around.report(Exhausted(self.pool.backend.name, failure.errno or 0))
            self._observe(None if is_ours else failure.errno)
            self._attempt_failed(os.strerror(failure.errno or errno.EMFILE), now, timed_out=False)
            return
        tune(self._server, self.pool.backend.sockets)
        log = self.route.frontend.connection_log
        if log is not None and log.addresses:
            self._accounts.source = own_end(self._server)
        self._watch(SERVER, WRITE)
        self._around.schedule(self)

    def _attempt_failed(self, why: str, now: float, *, timed_out: bool) -> None:
        self._close_server()
        self._placement.failed(why, now, timed_out=timed_out)

    def _observe(self, problem: int | None) -> None:
        """Report how an attempt ended (an error of the system, or 0) if that counts for the server; None: not his."""
        target = self.target
        if target is not None and target.server.observe and problem is not None:
            info = os.strerror(problem) if problem else ""
            self._around.report(Attempted(self.pool.index, target.index, passed=not problem, info=info))

    def _established(self, now: float) -> None:
        assert self._server is not None
        assert self.target is not None
        self._observe(0)
        if self.target.server.reach.proxy_version and not self._greet(self._server, self.target.server):
            self._attempt_failed("it did not take the PROXY header", now, timed_out=False)
            return
        self._accounts.established_now = now
        self.phase = Phase.RELAYING
        self._moved_at = [now, now]
        # What counts as a side's activity: bytes in any direction, or (option independent-streams) only what it sends.
        alone = (self.route.frontend.independent_streams, self.pool.backend.independent_streams)
        self._activity = [1 << side + (RECEIVED if alone[side] else 0) for side in (CLIENT, SERVER)]
        self._relay = RELAYS["adaptive"](self._client, self._server, self._around.buffer, self._around.pipes)
        for side in (CLIENT, SERVER):
            self._watch(side, self._relay.interest(side))
        self._note(LogMoment.ESTABLISHED, now)
        self._around.schedule(self)

    def _greet(self, connection: socket.socket, server: Server) -> bool:
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
        if self.phase is Phase.RELAYING:
            self._move(CLIENT, mask, now)
        elif self.phase is not Phase.ENDED:  # it may have ended in this very round of events
            self._client_left(mask, now)

    def server_ready(self, mask: int, now: float) -> None:
        """Take note of what epoll says of the server's socket."""
        if self.phase is Phase.RELAYING:
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

    def _move(self, side: Side, mask: int, now: float) -> None:
        relay = self._relay
        assert relay is not None
        was_calm = relay.is_calm
        ends = 0 if was_calm else relay.has_ended(CLIENT) + relay.has_ended(SERVER)
        moved = relay.ready(side, mask)
        if moved & self._activity[CLIENT]:
            self._moved_at[CLIENT] = now
        if moved & self._activity[SERVER]:
            self._moved_at[SERVER] = now
        if was_calm and relay.is_calm and not mask & (HUP | ERROR):
            return  # as nearly always: what was watched before is watched on
        if relay.is_over:
            self._relay_over(relay, now)
            return
        if mask & (HUP | ERROR) and not relay.interest(side):
            self._watch(side, None)  # epoll would tell of it again without end
        for each in (CLIENT, SERVER):
            wanted = relay.interest(each)
            if wanted != self._watched[each] and (wanted or self._watched[each] is not None):
                self._watch(each, wanted)
        if relay.has_ended(CLIENT) + relay.has_ended(SERVER) != ends:
            self._around.schedule(self)  # timeout client-fin or server-fin may be nearer

    def _relay_over(self, relay: Relay, now: float) -> None:
        if relay.failed is None:
            self._end("--", "closed by both sides", now)
        elif relay.failed == CLIENT:
            self._end("CD", "the client reset the connection", now)
        else:
            self._end("SD", f"{self._placement.title} reset the connection", now)

    def cut(self, flags: str, reason: str, now: float) -> None:
        """End it from outside: both sides see the end at once."""
        if self.phase is not Phase.ENDED:
            self._end(flags, reason, now)

    def drop(self) -> None:
        """Let go of the sockets, since its end has met an error of ours; what was counted may stay counted."""
        self.phase = Phase.ENDED
        sides: tuple[tuple[Side, socket.socket | None], ...] = ((CLIENT, self._client), (SERVER, self._server))
        for side, peer in sides:
            with suppress(OSError, LookupError, ValueError):  # whatever the error has left
                self._watch(side, None)
            if peer is not None:
                peer.close()

    # -- time -------------------------------------------------------------------------------------------------------

    @property
    def deadline(self) -> float | None:
        """When it wants ``on_deadline`` to be called, on the monotonic clock; None: not at all."""
        connect = None if self.chosen is None else self.pool.backend.timeouts.connect
        if self.phase is Phase.CONNECTING:
            return None if connect is None else self._phase_since + connect
        if self.phase is Phase.QUEUED:
            queue = self.pool.backend.timeouts.queue
            limit = connect if queue is None else queue
            return None if limit is None else self._phase_since + limit
        if self.phase is Phase.WAITING:
            return self._phase_since + min(TURN_AROUND, TURN_AROUND if connect is None else connect)
        if self.phase is Phase.RELAYING:
            limits = ((self._moved_at[side], self._limit(side)) for side in (CLIENT, SERVER))
            return min((moved_at + limit[1] for moved_at, limit in limits if limit is not None), default=None)
        return None

    def _limit(self, side: Side) -> tuple[str, float] | None:
        assert self._relay is not None
        return silence_limit(self._relay, side, self.route.frontend.timeouts, self.pool.backend.timeouts)

    def on_deadline(self, _mask: int, now: float) -> None:
        """Act if the deadline has come; early is harmless."""
        deadline = self.deadline
        if deadline is None or now < deadline:
            self._around.schedule(self)
        elif self.phase is Phase.CONNECTING:
            self._observe(errno.ETIMEDOUT)
            self._attempt_failed("timeout connect", now, timed_out=True)
        elif self.phase is Phase.WAITING:
            self._placement.go_again(now)
        elif self.phase is Phase.QUEUED:
            self._placement.count(CONNECTION_ERRORS)
            self._end("sQ", "timeout queue: no server had room", now)
        else:
            self._timed_out(now)

    def _timed_out(self, now: float) -> None:
        """End it in the name of the side that was silent for too long; the client's if it is both."""
        for side in (CLIENT, SERVER):
            limit = self._limit(side)
            if limit is not None and now >= self._moved_at[side] + limit[1]:
                flags = "cD" if side == CLIENT else "sD"
                self._end(flags, f"{limit[0]}: no activity for {limit[1]:g} s", now)
                return

    # -- the end ----------------------------------------------------------------------------------------------------

    def _end(self, flags: str, reason: str, now: float) -> None:
        before, self.phase = self.phase, Phase.ENDED
        if before is Phase.QUEUED:
            self._placement.leave_queue()
            self._accounts.assigned_now = now  # Tw is the time spent in the queue, though it led nowhere
        self.report_bytes()
        if self._relay is not None:
            self._relay.close()
        self._close_server(reset=self._relay is not None and self._relay.failed == CLIENT)
        self._watch(CLIENT, None)
        self._accounts.close(self.chosen, self.target, flags, now)
        record = self._record(flags, reason, now)
        self.route.block.closed()
        self._close_client()  # who sees the end finds it counted
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

    @property
    def moved(self) -> tuple[int, int]:
        """The bytes that came from the client, and those that went to it."""
        return (0, 0) if self._relay is None else (self._relay.bytes_from_client, self._relay.bytes_to_client)

    def report_bytes(self) -> None:
        """Enter the bytes moved since the last call into the counters."""
        if self._relay is not None and self.target is not None:
            self._accounts.report_bytes(self._relay, self.pool, self.target)

    def _has_heard_client(self) -> bool:
        if self._relay is not None and self._relay.has_spoken(CLIENT):
            return True
        try:
            return bool(self._client.recv(1, socket.MSG_PEEK))
        except OSError:
            return False

    def _close_server(self, *, reset: bool = False) -> None:
        if self._server is not None:
            self._watch(SERVER, None)
            if reset:
                close_with_reset(self._server)
            else:
                self._server.close()
            self._server = None

    # -- small things -----------------------------------------------------------------------------------------------

    def _watch(self, side: Side, wanted: int | None) -> None:
        """Watch a side for ``wanted``; None: not at all, not even for its end."""
        before = self._watched[side]
        if before == wanted:
            return
        peer = self._client if side == CLIENT else self._server
        assert peer is not None
        if wanted is None:
            self._around.poller.unregister(peer)
        elif before is None:
            self._around.poller.register(peer, wanted, self.client_ready if side == CLIENT else self.server_ready)
        else:
            self._around.poller.modify(peer, wanted, self.client_ready if side == CLIENT else self.server_ready)
        self._watched[side] = wanted
