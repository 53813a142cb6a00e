"""What frontends and backends have in common: their mode, their timeouts, secrets.

Laws: see ``tcpbalancer.model``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from hakit.diagnostics import Location

NOWHERE = Location("<none>")


class Mode(Enum):
    """What a proxy speaks: bytes, or (for the statistics page only) HTTP."""

    TCP = "tcp"
    HTTP = "http"


@dataclass(frozen=True, slots=True)
class Secret:
    """A password: it compares, but it does not print."""

    value: str = field(repr=False)

    def __str__(self) -> str:
        return "********"


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds; None means no limit. ``check`` None: the whole check has to end within its interval."""

    client: float | None = None
    connect: float | None = None
    server: float | None = None
    check: float | None = None
    queue: float | None = None
    tunnel: float | None = None
    client_fin: float | None = None
    server_fin: float | None = None
