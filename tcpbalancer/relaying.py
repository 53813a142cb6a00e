"""A session while bytes move: epoll's news go to the relay, what has moved is entered, and silence has its limits.

Laws: those of ``session``, whose foundation this is. While all is calm, and that is nearly always, an event costs one
call of the relay and a note of the time. Whoever is watched for something else, or not at all, is so because the relay
said so. Sockets are the C library's own (``socket.SocketType``): what Python's class adds costs system calls.
"""

from __future__ import annotations

import socket
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import Final

from tcpbalancer.accounts import Accounts
from tcpbalancer.poller import ERROR, HUP, READ
from tcpbalancer.pool import Pool, Target
from tcpbalancer.relay import CALM, CLIENT, RECEIVED, RELAYS, SERVER, Relay, Side
from tcpbalancer.route import Route
from tcpbalancer.silence import silence_limit
from tcpbalancer.surroundings import Phase, Surroundings

ACTIVITY: Final = {
    (front, back): (1 << CLIENT + RECEIVED * front, 1 << SERVER + RECEIVED * back)
    for front in (False, True)
    for back in (False, True)
}
"""What of ``Relay.ready`` counts as activity of each side: bytes in any direction, or (option independent-streams of
frontend and backend) only what it sends."""
RELAYING: Final = Phase.RELAYING
_make_relay: Final = RELAYS["adaptive"]


class Relaying(ABC):
    """Two sockets, the relay between them, and how long ago either of them did something."""

    __slots__ = (
        "_accounts",
        "_activity",
        "_around",
        "_client",
        "_client_at",
        "_client_events",
        "_relay",
        "_server",
        "_server_at",
        "_server_events",
        "alarm",
        "chosen",
        "phase",
        "route",
        "target",
    )

    def __init__(
        self,
        around: Surroundings,
        route: Route,
        client: socket.SocketType,
        address: tuple[str, int],
        accepted_at: float,
    ) -> None:
        self.alarm: float | None = None  # when the worker will wake this session; the worker's own note
        self.route = route
        self.chosen = route.pool  # where it is bound for
        self.target: Target | None = None
        """The server that it is on."""
        self.phase = Phase.WAITING
        self._around = around
        self._accounts = Accounts(route, address, accepted_at)
        self._client = client
        self._server: socket.SocketType | None = None
        self._client_events: int | None = None  # what epoll watches; None: nothing, not even the end
        self._server_events: int | None = None
        self._relay: Relay | None = None

    @property
    def pool(self) -> Pool:
        """Where the session is bound for; a session without it never gets past its arrival."""
        assert self.chosen is not None
        return self.chosen

    @property
    def moved(self) -> tuple[int, int]:
        """The bytes that came from the client, and those that went to it."""
        return (0, 0) if self._relay is None else (self._relay.bytes_from_client, self._relay.bytes_to_client)

    def report_bytes(self) -> None:
        """Enter the bytes moved since the last call into the counters."""
        if self._relay is not None and self.target is not None:
            self._accounts.report_bytes(self._relay, self.pool, self.target)

    # -- what happens to it -----------------------------------------------------------------------------------------

    def _begin_relaying(self, now: float) -> None:
        assert self._server is not None
        self.phase = RELAYING
        self._client_at = self._server_at = now
        self._activity = ACTIVITY[self.route.frontend.independent_streams, self.pool.backend.independent_streams]
        self._relay = _make_relay(self._client, self._server, self._around.buffer, self._around.pipes)
        self._watch(SERVER, CALM)
        self._watch(CLIENT, CALM)

    def _move(self, side: Side, mask: int, now: float) -> None:
        """Let the relay move what epoll tells of."""
        relay = self._relay
        assert relay is not None
        was_calm = relay.is_calm
        moved = relay.ready(side, mask)
        by_client, by_server = self._activity
        if moved & by_client:
            self._client_at = now
        if moved & by_server:
            self._server_at = now
        if not (mask == READ and was_calm and relay.is_calm):  # as nearly always: what was watched is watched on
            self._go_on(relay, side, mask, now)

    def _go_on(self, relay: Relay, side: Side, mask: int, now: float) -> None:
        """End if nothing is left to move; else watch for what the relay waits for from now on."""
        if relay.is_over:
            self._relay_over(relay, now)
            return
        if mask & (HUP | ERROR) and not relay.interest(side):
            self._watch(side, None)  # epoll would tell of it again without end
        wanted = relay.interest(CLIENT)
        if wanted != self._client_events and (wanted or self._client_events is not None):
            self._watch(CLIENT, wanted)
        wanted = relay.interest(SERVER)
        if wanted != self._server_events and (wanted or self._server_events is not None):
            self._watch(SERVER, wanted)
        if self._may_have_less_time(relay):
            deadline = self.deadline
            if deadline is not None:
                self._around.wake(self, deadline)

    def _may_have_less_time(self, relay: Relay) -> bool:
        """Return whether the deadline may be nearer: a side that has ended is owed bytes, or a ``-fin`` holds now."""
        if relay.owes(CLIENT) or relay.owes(SERVER):
            return True
        return self.route.frontend.timeouts.client_fin is not None or self.pool.backend.timeouts.server_fin is not None

    def _relay_over(self, relay: Relay, now: float) -> None:
        if relay.failed is None:
            if self.route.frontend.sockets.nolinger or self.pool.backend.sockets.nolinger:
                self._say_ends()
            self._end("--", "closed by both sides", now)
        elif relay.failed == CLIENT:
            self._end("CD", "the client reset the connection", now)
        else:
            assert self.target is not None
            self._end("SD", f"{self.pool.backend.name}/{self.target.server.name} reset the connection", now)

    def _say_ends(self) -> None:
        """Let what has been sent go out before closes that are resets (``option nolinger``): they lose what waits."""
        assert self._server is not None
        for peer in (self._client, self._server):
            with suppress(OSError):  # whose end was said before
                peer.shutdown(socket.SHUT_WR)

    @abstractmethod
    def _end(self, flags: str, reason: str, now: float) -> None: ...

    @abstractmethod
    def on_deadline(self, mask: int, now: float) -> None:
        """Act if the deadline has come; early is harmless."""

    # -- time -------------------------------------------------------------------------------------------------------

    @property
    def deadline(self) -> float | None:
        """When one of the sides will have been silent for too long; None: never."""
        client, server = self._limit(CLIENT), self._limit(SERVER)
        if client is None:
            return None if server is None else self._server_at + server[1]
        at = self._client_at + client[1]
        return at if server is None else min(at, self._server_at + server[1])

    def _limit(self, side: Side) -> tuple[str, float] | None:
        assert self._relay is not None
        return silence_limit(self._relay, side, self.route.frontend.timeouts, self.pool.backend.timeouts)

    def _timed_out(self, now: float) -> None:
        """End it in the name of the side that was silent for too long; the client's if it is both."""
        sides: tuple[tuple[Side, float, str], ...] = ((CLIENT, self._client_at, "cD"), (SERVER, self._server_at, "sD"))
        for side, at, flags in sides:
            limit = self._limit(side)
            if limit is not None and now >= at + limit[1]:
                self._end(flags, f"{limit[0]}: no activity for {limit[1]:g} s", now)
                return

    # -- what epoll watches -----------------------------------------------------------------------------------------

    @abstractmethod
    def client_ready(self, mask: int, now: float) -> None:
        """Take note of what epoll says of the client's socket."""

    @abstractmethod
    def server_ready(self, mask: int, now: float) -> None:
        """Take note of what epoll says of the server's socket."""

    def _watch(self, side: Side, wanted: int | None) -> None:
        """Watch a side for ``wanted``; None: not at all, not even for its end."""
        is_client = side == CLIENT
        before = self._client_events if is_client else self._server_events
        peer = self._client if is_client else self._server
        if before == wanted:
            return
        assert peer is not None
        if wanted is None:
            self._around.poller.unwatch(peer.fileno())
        elif before is None:
            self._around.poller.watch(peer.fileno(), wanted, self.client_ready if is_client else self.server_ready)
        else:
            self._around.poller.change(peer.fileno(), wanted)
        if is_client:
            self._client_events = wanted
        else:
            self._server_events = wanted
