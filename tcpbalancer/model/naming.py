"""Names of servers: who is asked for their addresses, how often, and which of several addresses is taken.

Laws: see ``tcpbalancer.model``.
"""

from __future__ import annotations

from dataclasses import dataclass

from hakit.diagnostics import Location
from tcpbalancer.model.proxy import NOWHERE


@dataclass(frozen=True, slots=True)
class NameServer:
    """One ``nameserver`` of a ``resolvers`` section."""

    name: str
    address: str
    port: int


@dataclass(frozen=True, slots=True)
class Hold:
    """For how many seconds what was known last holds, once a name server says otherwise or nothing."""

    valid: float = 10.0
    obsolete: float = 0.0
    nx: float = 30.0
    timeout: float = 30.0
    refused: float = 30.0
    other: float = 30.0


@dataclass(frozen=True, slots=True)
class Resolvers:
    """A ``resolvers`` section. ``resolve`` is the seconds between two questions, ``retry`` those between two tries."""

    name: str
    servers: tuple[NameServer, ...] = ()
    resolve: float = 1.0
    retry: float = 1.0
    retries: int = 3
    payload: int = 512
    hold: Hold = Hold()
    location: Location = NOWHERE


@dataclass(frozen=True, slots=True)
class Naming:
    """How a server's name is looked up while the balancer runs: by which section, and what is preferred."""

    resolvers: str
    prefers_ipv4: bool = False
    networks: tuple[str, ...] = ()
    allows_duplicates: bool = False
