"""How many sessions a server may have now: ``maxconn``, ``minconn``, ``fullconn``, and the first minutes of slowstart;
and how many descriptors a process needs for all that it may have.

Laws: pure. 0 is no limit, for the arguments and for the result.

Source: HAProxy's configuration manual, ``minconn`` and ``fullconn`` (``srv_dynamic_maxconn``).
"""

from __future__ import annotations

from tcpbalancer.model import Configuration

RESERVE = 16
"""Descriptors of a process beside two for each connection and one for each address: log, channel, counters."""


def descriptors_needed(configuration: Configuration) -> int:
    """Return the descriptors of a process that has all its connections (HAProxy's maxsock)."""
    return 2 * configuration.maxconn + sum(len(proxy.binds) for proxy in configuration.frontends.values()) + RESERVE


def sessions_allowed(maxconn: int, minconn: int, *, fullconn: int, backend_sessions: int, throttle: int) -> int:
    """Return the limit: it grows from ``minconn`` to ``maxconn`` with the backend's sessions up to ``fullconn``.

    ``throttle`` is the percentage that slowstart lets through, 0 for all of it. A limit is never less than 1.
    """
    if not maxconn:
        return 0
    limit = maxconn
    if minconn and minconn < maxconn and backend_sessions < fullconn:
        limit = max(minconn, backend_sessions * maxconn // fullconn)
    return max(limit * throttle // 100, 1) if throttle else limit
