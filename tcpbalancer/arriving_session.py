"""A session that is asked something before a server is chosen: by rules, or for a PROXY header.

Laws: those of ``session``; once it has arrived, it is a session like all others. Until then it is watched for what is
new only: what has come is looked at and left where it is. Whoever is refused before a session has begun leaves no
record, but for a PROXY header that is none.
"""

from __future__ import annotations

import socket
from dataclasses import replace

from tcpbalancer.arrival import Arrival, Outcome, Refused
from tcpbalancer.closing import vanish
from tcpbalancer.poller import EDGE, ERROR, HUP, NOTHING, PEER_CLOSED, READ
from tcpbalancer.proxy_protocol import Endpoint
from tcpbalancer.relay import CLIENT
from tcpbalancer.route import Route
from tcpbalancer.session import Session
from tcpbalancer.surroundings import Phase, Surroundings


class ArrivingSession(Session):
    """One client connection that has to arrive first."""

    def __init__(
        self,
        around: Surroundings,
        route: Route,
        client: socket.SocketType,
        address: tuple[str, int],
        accepted_at: float,
        arrival: Arrival,
    ) -> None:
        super().__init__(around, route, client, address, accepted_at)
        self.chosen = None
        self._arrival = arrival
        self._silently = False  # the client shall not learn of the end

    def start(self, now: float) -> None:
        """Begin: ask, or be asked, as far as that gets."""
        self._accounts.accepted_now = now
        self.route.block.entered()
        self.phase = Phase.ARRIVING
        self._come_in(now)

    def client_ready(self, mask: int, now: float) -> None:
        """Take note of what epoll says of the client's socket."""
        if self.phase is Phase.ARRIVING:
            self._come_in(now, mask)
        else:
            super().client_ready(mask, now)

    @property
    def deadline(self) -> float | None:
        """When it wants ``on_deadline`` to be called, on the monotonic clock; None: not at all."""
        return self._arrival.deadline if self.phase is Phase.ARRIVING else super().deadline

    def on_deadline(self, mask: int, now: float) -> None:
        """Act if the deadline has come; early is harmless."""
        if self.phase is Phase.ARRIVING:
            self._come_in(now)
        else:
            super().on_deadline(mask, now)

    def _come_in(self, now: float, mask: int = NOTHING) -> None:
        """Go through what stands before the choice of a server, as far as it gets now; ``mask``: what epoll told."""
        ended = bool(mask & (PEER_CLOSED | HUP | ERROR))
        outcome = self._arrival.advance(now, ended=ended, was_reset=bool(mask & ERROR))
        self._accounts.address = self._arrival.address
        if self._arrival.pool is not None and self.chosen is None:
            self.chosen = self._arrival.pool
            self.pool.block.opened(now)
        if isinstance(outcome, Refused):
            self._refuse(outcome, now)
        elif outcome is Outcome.WAITS:
            self._watch(CLIENT, READ | PEER_CLOSED | EDGE)
            self._around.schedule(self)
        else:
            self.phase = Phase.WAITING
            self._watch(CLIENT, None)
            self._arrived(now, self._arrival.bound, self._arrival.key)

    def _refuse(self, refused: Refused, now: float) -> None:
        self._silently = refused.silently
        if refused.flags is not None:
            self._end(refused.flags, refused.reason, now)
            return
        self.phase = Phase.ENDED
        self._watch(CLIENT, None)
        record = None
        if refused.failure:
            record = self._record("--", refused.reason, now)
            record = replace(record, failure=refused.failure, socket=self._arrival.socket)
        if refused.silently:
            vanish(self._client)
        else:
            self._client.close()  # what has come unread makes this a reset, as with HAProxy
        self.route.block.closed()
        self._around.ended(self, record)

    def _close_client(self) -> None:
        if self._silently:
            vanish(self._client)
        else:
            super()._close_client()

    def _established(self, now: float) -> None:
        assert self.target is not None
        self._arrival.established(self.target.index, now)
        super()._established(now)

    def _endpoints(self) -> tuple[Endpoint | None, Endpoint | None]:
        return self._arrival.endpoints()
