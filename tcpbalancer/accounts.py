"""The books of one session: when it came how far, what it moved, how often it tried; at the end, its record.

Laws: no socket and no clock: times come in as arguments, on the monotonic clock. What is counted goes to the blocks of
frontend, backend and server as HAProxy counts it (``stream.c``, ``backend.c``). The accounts of backend and server are
closed before the record is made, the frontend's after it: that is what the connection counts of a log line show.
"""

from __future__ import annotations

from dataclasses import dataclass

from tcpbalancer.block import Block
from tcpbalancer.counters import BYTES_IN, BYTES_OUT, CLIENT_ABORTS, SERVER_ABORTS
from tcpbalancer.pool import Pool, Target
from tcpbalancer.relay import Relay
from tcpbalancer.route import Route
from tcpbalancer.session_log import SessionRecord


@dataclass(frozen=True, slots=True)
class Sight:
    """What only the session's surroundings and its sockets can tell; ``early``: the session goes on."""

    connections: int
    client_spoke: bool
    early: bool = False


class Accounts:
    """What is known of one session. What has not been reached yet is as it stands here."""

    assigned_now: float | None = None
    established_now: float | None = None
    waits_for: Target | None = None  # the server in whose queue it waits; None while it waits for any of the backend
    server_queue = 0  # its places in the queues, from 1; 0: it was not there
    backend_queue = 0
    retries = 0
    redispatched = False
    destination: tuple[str, int] | None = None  # the address that the client called, and our own end
    source: tuple[str, int] | None = None  # of the connection to the server: only if they are logged
    reported_in = 0  # bytes that are in the counters: from the client,
    reported_out = 0  # and to it

    def __init__(self, route: Route, address: tuple[str, int], accepted_at: float) -> None:
        """``accepted_at``: seconds since 1970."""
        self.route = route
        self.address = address
        self.accepted_at = accepted_at
        self.accepted_now = 0.0

    def report_bytes(self, relay: Relay, pool: Pool, target: Target) -> None:
        """Enter the bytes moved since the last call into the counters."""
        came, went = relay.bytes_from_client, relay.bytes_to_client
        new_in, new_out = came - self.reported_in, went - self.reported_out
        if new_in or new_out:
            for block in (self.route.block, pool.block, target.block):
                row = block.row
                row[BYTES_IN] += new_in
                row[BYTES_OUT] += new_out
            self.reported_in, self.reported_out = came, went

    def close(self, pool: Pool | None, target: Target | None, flags: str, now: float) -> None:
        """Close the accounts of backend and server; the frontend's is still open (%fc)."""
        if pool is None:
            return
        times = self._times(now)
        pool.block.closed()
        pool.block.took(*times)
        if target is not None:
            pool.released(target)
            target.block.took(*times)
        if flags != "--":
            for block in (pool.block,) if target is None else (pool.block, target.block):
                _count_abort(block, flags)

    def record(
        self, pool: Pool | None, target: Target | None, flags: str, reason: str, now: float, sight: Sight
    ) -> SessionRecord:
        """Return what is known now."""
        named = target or self.waits_for
        wait, connect, total = self._times(now)
        return SessionRecord(
            client=self.address[0],
            client_port=self.address[1],
            accepted_at=self.accepted_at,
            frontend=self.route.frontend.name,
            backend=self.route.frontend.name if pool is None else pool.backend.name,
            server=None if named is None else named.server.name,
            wait_ms=wait,
            connect_ms=connect,
            total_ms=total,
            bytes_to_client=self.reported_out,
            bytes_from_client=self.reported_in,
            flags=flags,
            reason=reason,
            actconn=sight.connections,
            feconn=self.route.block.current(),
            beconn=0 if pool is None else pool.block.current(),
            srvconn=0 if named is None else named.block.current(),
            retries=self.retries,
            redispatched=self.redispatched,
            server_queue=self.server_queue,
            backend_queue=self.backend_queue,
            client_spoke=sight.client_spoke,
            destination=self.destination,
            source=self.source,
            target=None if named is None else (named.server.address, named.server.port),
            early=sight.early,
        )

    def _times(self, now: float) -> tuple[int, int, int]:
        """Return Tw, Tc and Tt in milliseconds."""
        accepted, assigned, established = self.accepted_now, self.assigned_now, self.established_now
        wait = connect = -1
        if assigned is not None:
            wait = round((assigned - accepted) * 1000)
            if established is not None:
                connect = round((established - assigned) * 1000)
        return wait, connect, round((now - accepted) * 1000)


def _count_abort(block: Block, flags: str) -> None:
    if flags[0] in "Cc" and flags not in {"CC", "CQ"}:  # HAProxy does not count those who leave before
        block.add(CLIENT_ABORTS)
    elif flags in {"SD", "sD"}:
        block.add(SERVER_ABORTS)
