"""What there is no more of: descriptors, memory, source ports; in HAProxy's words, and not for each connection.

Laws: pure; time comes in. What this machine has run out of is no server's fault, and none is judged by it. A line is
told at once; the same is told again only after ``PERIOD``, and says then how often it happened in between.

Source: HAProxy's ``sock.c`` (sock_accept_conn), ``proto_tcp.c`` (tcp_connect_server), ``proto_uxst.c``.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass, field
from typing import Final

NO_ROOM: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
"""Errors of a call that wanted a descriptor or memory."""
NO_PORT: Final = frozenset({errno.EADDRNOTAVAIL, errno.EADDRINUSE})
"""Errors of a connect that wanted a source port."""
OURS: Final = NO_ROOM | NO_PORT
TOLD: Final = OURS | {errno.EAGAIN}
"""What there is a line for. EAGAIN: a server's Unix socket has a full backlog (connect(2)), and that is its doing."""
PERIOD: Final = 10.0
"""Seconds for which a line is not repeated."""


@dataclass(slots=True)
class Shortages:
    """Knows what was told, and when. ``descriptors``: how many are needed, HAProxy's maxsock."""

    descriptors: int
    _told: dict[tuple[str, int], float] = field(default_factory=dict)
    _untold: dict[tuple[str, int], int] = field(default_factory=dict)

    def line(self, proxy: str, problem: int, now: float) -> tuple[str, str] | None:
        """Return level and text of what an error in the work of a proxy means; None: nothing is to be told (now)."""
        line = self._line(proxy, problem)
        if line is None:
            return None
        kind = proxy, problem
        told = self._told.get(kind)
        if told is not None and now - told < PERIOD:
            self._untold[kind] = self._untold.get(kind, 0) + 1
            return None
        self._told[kind] = now
        more = self._untold.pop(kind, 0)
        return line if not more else (line[0], f"{line[1]} This has happened {more} more times since it was told last.")

    def _line(self, proxy: str, problem: int) -> tuple[str, str] | None:
        match problem:
            case errno.EMFILE:
                remedy = "Please check 'ulimit-n' and restart."
                return "emerg", f"Proxy {proxy} reached process FD limit (maxsock={self.descriptors}). {remedy}"
            case errno.ENFILE:
                remedy = "Please check system tunables."
                return "emerg", f"Proxy {proxy} reached system FD limit (maxsock={self.descriptors}). {remedy}"
            case errno.ENOBUFS | errno.ENOMEM:
                remedy = "Please check system tunables."
                return "emerg", f"Proxy {proxy} reached system memory limit (maxsock={self.descriptors}). {remedy}"
            case errno.EADDRNOTAVAIL:
                return "err", f"Connect() failed for backend {proxy}: no free ports."
            case errno.EAGAIN:
                why = "can't connect to destination unix socket, check backlog size on the server"
                return "err", f"Connect() failed for backend {proxy}: {why}."
            case errno.EADDRINUSE:
                return "err", f"Connect() failed for backend {proxy}: local address already in use."
            case _:
                return None
