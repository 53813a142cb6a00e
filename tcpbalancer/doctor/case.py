"""What a rule looks at: the configuration, who leads to whom in it, and what was seen of the machine.

Laws: pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from hakit.diagnosis import Finding, Rule, Spot
from hakit.diagnostics import Location
from tcpbalancer.check_status import CheckResult
from tcpbalancer.model import Backend, Configuration, Dialogue, Frontend, Mode, Server
from tcpbalancer.model.dialogue import HttpRequest

DATABASES: Mapping[int, str] = {
    1433: "SQL Server",
    1521: "Oracle",
    3306: "MySQL",
    5432: "PostgreSQL",
    5433: "PostgreSQL",
    6432: "PgBouncer",
}
"""Ports of databases, whose clients keep their connections for long, idle ones too."""
SWARM, DOCKER, DOCKER_TLS = 2377, 2375, 2376
"""Swarm's cluster management (gRPC over mutual TLS), the Docker API in clear text, and over TLS."""


OURS = frozenset({"haproxy", "tcpbalancer"})
"""Programs that may hold our addresses: a predecessor."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What was seen of this machine and of the servers.

    ``unbindable``: addresses of ``bind`` lines that the kernel refuses (EADDRNOTAVAIL). ``descriptors``: the hard limit
    of a process. ``listeners``: programs by the address (``""``: any) and port at which they listen. ``answers``: how
    each server's check ended, for one without a check a plain connect, by backend and server. ``taken_out``: what the
    running balancer says of servers that it gives no connections; empty as well if none runs. ``kernel_lacks``: what
    the kernel's data plane would need, each with its remedy behind a colon. ``open_files``: files of the configuration
    that every user of the machine can read.
    """

    unbindable: frozenset[str] = frozenset()
    descriptors: int = 1 << 20
    listeners: Mapping[tuple[str, int], str] = field(default_factory=dict)
    answers: Mapping[tuple[str, str], CheckResult] = field(default_factory=dict)
    taken_out: Mapping[tuple[str, str], str] = field(default_factory=dict)
    kernel_lacks: tuple[str, ...] = ()
    open_files: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Case:
    """A configuration before the doctor; ``machine`` None: nobody looked at one."""

    configuration: Configuration
    machine: Machine | None = None

    @cached_property
    def frontends(self) -> tuple[Frontend, ...]:
        """All that clients can reach."""
        return tuple(self.configuration.frontends.values())

    @cached_property
    def used(self) -> tuple[Backend, ...]:
        """The backends that some frontend leads to, and that are no page."""
        return tuple(one for one in self.configuration.backends.values() if self.callers(one))

    def callers(self, backend: Backend) -> list[Frontend]:
        """Return the frontends that lead to a backend."""
        return [frontend for frontend in self.frontends if backend.name in leads_to(frontend)]

    def servers(self) -> Iterator[tuple[Backend, Server]]:
        """Yield the servers of all backends that are used."""
        for backend in self.used:
            for server in backend.servers:
                yield backend, server


def leads_to(frontend: Frontend) -> list[str]:
    """Return the names of the backends to which a frontend leads."""
    choices = [] if frontend.rules is None else [choice.name for choice in frontend.rules.backends]
    return [*choices, *([] if frontend.default_backend is None else [frontend.default_backend])]


def is_page(frontend: Frontend) -> bool:
    """Return whether a frontend answers by itself."""
    return frontend.mode is Mode.HTTP


def is_usable(server: Server) -> bool:
    """Return whether a server gets connections at all, if it works."""
    return not server.disabled and server.weight > 0


def http_path(backend: Backend) -> str | None:
    """Return the path that the servers of a backend are asked for in HTTP, without its query; None: they are not."""
    if not isinstance(backend.probe, Dialogue):
        return None
    request = next((step for step in backend.probe.steps if isinstance(step, HttpRequest)), None)
    if request is None:
        return None
    text = "".join(part for part in request.uri if isinstance(part, str))
    return text.partition("?")[0].rstrip("/") or "/"


def check_ports(backend: Backend) -> frozenset[int]:
    """Return the ports at which the servers of a backend are checked."""
    return frozenset(server.check.port for server in backend.servers if server.check is not None)


def is_anywhere(host: str) -> bool:
    """Return whether an address is every address of the machine."""
    return host in {"", "::", "0.0.0.0"}


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches an address."""
    return host == "::1" or host.startswith("127.")


def found(rule: Rule, location: Location, what: str, why: str = "", remedy: str = "") -> Finding:
    """Return a finding about this configuration."""
    return Finding(rule, "", Spot(location), what, why, remedy)
