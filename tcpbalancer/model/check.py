"""How a server is asked whether it works: the probe, and when.

Laws: see ``tcpbalancer.model``.
"""

from __future__ import annotations

from dataclasses import dataclass

from hakit.schedule import Intervals


@dataclass(frozen=True, slots=True)
class HttpCheck:
    """``option httpchk`` with its ``http-check expect status``: no status wanted means any of 2xx and 3xx."""

    method: str = "OPTIONS"
    uri: str = "/"
    version: str = "HTTP/1.0"
    headers: tuple[tuple[str, str], ...] = ()
    expect_status: frozenset[int] | None = None


@dataclass(frozen=True, slots=True)
class TcpCheck:
    """A plain connect, given up before the server's application sees it."""


Probe = HttpCheck | TcpCheck


@dataclass(frozen=True, slots=True)
class Check:
    """How a server is checked; ``address`` and ``port`` are those of the server unless the file says otherwise."""

    address: str
    port: int
    intervals: Intervals = Intervals()
    rise: int = 2
    fall: int = 3
