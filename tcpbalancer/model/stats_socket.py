"""Where operators and their programs speak to the running balancer: ``stats socket`` of ``global``.

Laws: see ``tcpbalancer.model``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum

from hakit.diagnostics import Location
from tcpbalancer.model.proxy import NOWHERE


class Level(IntEnum):
    """What may be done over a connection; each level includes those below it."""

    USER = 1  # look at what is not sensitive
    OPERATOR = 2  # look at everything
    ADMIN = 3  # change things


class Place(Enum):
    """What kind of address a socket has; the value is the prefix that HAProxy writes before it."""

    UNIX = "unix"
    ABSTRACT = "abns"
    IPV4 = "ipv4"
    IPV6 = "ipv6"
    DESCRIPTOR = "fd"


@dataclass(frozen=True, slots=True)
class StatsSocket:
    """One socket. ``host`` is a path, a name, an address (``""``: all) or the number of an inherited descriptor."""

    place: Place
    host: str
    port: int = 0
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    level: Level = Level.OPERATOR
    exposes_listeners: bool = False
    severity: str = "none"  # how sentences begin: "none", "number", "string"
    location: Location = NOWHERE

    @property
    def title(self) -> str:
        """As ``show cli sockets`` prints it: ``unix@/run/haproxy/admin.sock``, ``ipv4@127.0.0.1:9999``."""
        if self.place in {Place.IPV4, Place.IPV6}:
            anywhere = "0.0.0.0" if self.place is Place.IPV4 else "::"
            return f"{self.place.value}@{self.host or anywhere}:{self.port}"
        return f"{self.place.value}@{self.host}"
