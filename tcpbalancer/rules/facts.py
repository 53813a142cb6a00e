"""What the rules may know of a connection, and of the proxies around it.

Laws: pure. Whoever evaluates rules fills this in; a value that is not known is None, and no test of it ever holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from tcpbalancer.model.rule import Ip


class Census(Protocol):
    """The counts of proxies and servers, by name, as they are at the moment of the question."""

    def frontend_sessions(self, frontend: str) -> int:
        """Return the connections of a frontend."""
        ...

    def backend_sessions(self, backend: str) -> int:
        """Return the connections of a backend."""
        ...

    def server_sessions(self, backend: str, server: str) -> int:
        """Return the connections of a server."""
        ...

    def usable_servers(self, backend: str) -> int:
        """Return how many servers may be picked."""
        ...

    def is_usable(self, backend: str, server: str) -> bool:
        """Return whether a server is up."""
        ...

    def queued(self, backend: str) -> int:
        """Return how many connections wait for a server."""
        ...

    def free_slots(self, backend: str) -> int:
        """Return how many more connections its usable servers take; -1: there is no limit."""
        ...

    def is_local(self, address: Ip) -> bool:
        """Return whether an address is one of this host's."""
        ...


@dataclass(frozen=True, slots=True)
class Request:
    """The head of an HTTP request that we answer ourselves. ``version`` is ``1.1``; header names are in small letters.

    ``known_to``: the lists of users whose password whoever asks has given, each with the groups of this user.
    """

    method: str = "GET"
    target: str = "/"
    version: str = "1.1"
    headers: tuple[tuple[str, str], ...] = ()
    known_to: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def headers_named(self, name: str) -> list[str]:
        """Return the values of all headers of this name."""
        return [value for each, value in self.headers if each == name.lower()]

    def header(self, name: str) -> str | None:
        """Return the value of the last header of this name; None if there is none."""
        values = self.headers_named(name)
        return values[-1] if values else None


@dataclass(slots=True)
class Facts:
    """One connection. ``final``: nothing more will come, or be waited for."""

    census: Census
    source: Ip | None = None
    source_port: int | None = None
    destination: Ip | None = None
    destination_port: int | None = None
    frontend: str = ""
    frontend_id: int = 0
    backend: str | None = None
    backend_id: int | None = None
    socket_id: int = 0
    socket_name: str | None = None
    data: bytes = b""
    final: bool = True
    request: Request | None = None  # only where we answer ourselves
