"""A session that goes on, as the supervisor's ``show sess`` is told of it.

Laws: it only looks. What a session does is ``session.py``'s.
"""

from __future__ import annotations

from dataclasses import dataclass

from tcpbalancer.accepting import Entry
from tcpbalancer.channel import SessionView
from tcpbalancer.session import Session


@dataclass(frozen=True, slots=True)
class Begun:
    """What a worker has noted of a session at its beginning; ``number`` is the id by which it can be cut."""

    number: int
    client: str
    client_port: int
    accepted_at: float  # seconds since 1970
    now: float  # the same moment on the monotonic clock
    entry: Entry


def view(session: Session, begun: Begun, worker: int, now: float) -> SessionView:
    """Return what can be told of a session."""
    pool, target, deadline = session.chosen, session.target, session.deadline
    bytes_in, bytes_out = session.moved
    return SessionView(
        id=begun.number,
        frontend=session.route.frontend.name,
        backend=None if pool is None else pool.backend.name,
        server=None if target is None else target.server.name,
        client=begun.client,
        client_port=begun.client_port,
        phase=session.phase.value,
        age=now - begun.now,
        expires=None if deadline is None else max(deadline - now, 0.0),
        bytes_in=bytes_in,
        bytes_out=bytes_out,
        server_address=None if target is None else f"{target.server.address}:{target.server.port}",
        worker=worker,
        accepted_at=begun.accepted_at,
    )
