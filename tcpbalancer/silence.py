"""For how long a side of a connection may be silent, and which timeout says so.

Laws: HAProxy's rules (configuration manual, ``timeout client``, ``tunnel``, ``client-fin``). A side is bounded while
something is expected from it or owed to it. Once an end of file was passed on to a side, its ``-fin`` timeout, if there
is one, takes the place of all others; else ``timeout tunnel``, if there is one, takes the place of both.
"""

from __future__ import annotations

from tcpbalancer.model import Timeouts
from tcpbalancer.relay import CLIENT, Relay, Side


def first_limit(front: Timeouts, back: Timeouts) -> float | None:
    """Return for how many seconds a connection that was just established may be silent; None: for ever."""
    if back.tunnel is not None:
        return back.tunnel
    return min((limit for limit in (front.client, back.server) if limit is not None), default=None)


def silence_limit(relay: Relay, side: Side, front: Timeouts, back: Timeouts) -> tuple[str, float] | None:
    """Return the timeout's name and its seconds, or None if the side may be silent for ever."""
    if relay.has_ended(side) and not relay.owes(side):
        return None
    name, seconds, closing = "timeout client", front.client, front.client_fin
    if side != CLIENT:
        name, seconds, closing = "timeout server", back.server, back.server_fin
    if closing is not None and relay.passed_end_to(side):
        return f"{name}-fin", closing
    if back.tunnel is not None:
        return "timeout tunnel", back.tunnel
    return None if seconds is None else (name, seconds)
