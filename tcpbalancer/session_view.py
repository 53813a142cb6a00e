"""A session that goes on, as the supervisor's ``show sess`` is told of it.

Laws: it only looks. What a session does is ``session.py``'s.
"""

from __future__ import annotations

from tcpbalancer.channel import SessionView
from tcpbalancer.session import Session


def view(session: Session, worker: int, now: float) -> SessionView:
    """Return what can be told of a session."""
    pool, target, deadline = session.chosen, session.target, session.deadline
    bytes_in, bytes_out = session.moved
    return SessionView(
        id=session.number,
        frontend=session.route.frontend.name,
        backend=None if pool is None else pool.backend.name,
        server=None if target is None else target.server.name,
        client=session.client[0],
        client_port=session.client[1],
        phase=session.phase.value,
        age=now - session.accepted_now,
        expires=None if deadline is None else max(deadline - now, 0.0),
        bytes_in=bytes_in,
        bytes_out=bytes_out,
        server_address=None if target is None else f"{target.server.address}:{target.server.port}",
        worker=worker,
        accepted_at=session.accepted_at,
    )
