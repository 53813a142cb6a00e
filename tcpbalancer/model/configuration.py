"""A whole configuration: the proxies, and what belongs to the process.

Laws: see ``tcpbalancer.model``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tcpbalancer.model.backend import Backend
from tcpbalancer.model.frontend import Frontend


@dataclass(frozen=True, slots=True)
class LogTarget:
    """Where log lines go: ``stdout``, ``stderr``, ``/path`` of a Unix datagram socket, or ``host:port`` for UDP."""

    address: str
    facility: str = "local0"
    format: str = "rfc3164"
    level: str = "debug"


@dataclass(frozen=True, slots=True)
class Configuration:
    """A whole configuration. ``order`` holds the proxies' names in the order of the file, for the statistics."""

    frontends: Mapping[str, Frontend]
    backends: Mapping[str, Backend]
    order: tuple[str, ...]
    log_targets: tuple[LogTarget, ...] = ()
    maxconn: int = 2000
    nbthread: int = 1
    daemon: bool = False
    pidfile: str | None = None
    node: str | None = None
    description: str | None = None
