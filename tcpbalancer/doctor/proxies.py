"""Where connections arrive and where they go: addresses, backends, servers.

Laws: pure. Each function takes a case and yields what its rule finds.
"""

from __future__ import annotations

from collections.abc import Iterator

from hakit.diagnosis import Finding, Level, Rule
from hakit.diagnostics import Location
from tcpbalancer.doctor.case import (
    DOCKER,
    DOCKER_TLS,
    SWARM,
    Case,
    found,
    is_anywhere,
    is_loopback,
    is_page,
    is_usable,
    leads_to,
)
from tcpbalancer.model import Bind, Frontend

NO_BACKEND = Rule("no-backend", Level.ERROR, "A frontend that leads nowhere.")
NO_SERVER = Rule("no-server", Level.ERROR, "A backend to which clients come, and where no server can take them.")
UNUSED = Rule("unused-backend", Level.WARNING, "A backend with servers to which no frontend leads.")
TWICE = Rule("bound-twice", Level.ERROR, "One address in two frontends, or in a frontend and a stats socket.")
LOOP = Rule("loop", Level.ERROR, "A server that is this balancer itself, on a way that leads back to its beginning.")
SWARM_PORT = Rule("swarm-port", Level.WARNING, "Swarm's 2377, where a client of the Docker API would find no answer.")
DOCKER_TO_SWARM = Rule("docker-to-swarm", Level.ERROR, "Clients of the Docker API that are sent to Swarm's 2377.")
OPEN_DOCKER = Rule("open-docker", Level.ERROR, "The Docker API without TLS, offered to other machines.")


def without_backend(case: Case) -> Iterator[Finding]:
    """Look for frontends that lead nowhere."""
    for frontend in case.frontends:
        if frontend.binds and not is_page(frontend) and not leads_to(frontend):
            what = f"'{frontend.name}' leads to no backend"
            yield found(NO_BACKEND, frontend.location, what, "every connection is closed", "add 'default_backend NAME'")


def without_server(case: Case) -> Iterator[Finding]:
    """Look for backends where nobody is served."""
    for backend in case.used:
        if any(map(is_usable, backend.servers)):
            continue
        names = ", ".join(f"'{frontend.name}'" for frontend in case.callers(backend))
        what = "has servers that are all disabled or of weight 0" if backend.servers else "has no server"
        remedy = "enable one of them" if backend.servers else "add a 'server' line"
        why = f"clients of {names} come there: their connections are closed"
        yield found(NO_SERVER, backend.location, f"'{backend.name}' {what}", why, remedy)


def unused_backend(case: Case) -> Iterator[Finding]:
    """Look for backends to which nobody leads."""
    backends = case.configuration.backends.values()
    followed = {server.track[0] for backend in backends for server in backend.servers if server.track}
    for backend in backends:
        if backend.servers and not case.callers(backend) and backend.name not in followed:
            why = "its servers get no connection"
            remedy = "name it in 'default_backend' or 'use_backend', or remove it"
            yield found(UNUSED, backend.location, f"no frontend leads to '{backend.name}'", why, remedy)


def bound_twice(case: Case) -> Iterator[Finding]:
    """Look for addresses that are given twice: the kernel lets two sockets have one (SO_REUSEPORT, socket(7))."""
    owners: dict[object, tuple[str, int]] = {}
    for frontend in case.frontends:
        for bind in frontend.binds:
            address = (bind.host, bind.port, bind.interface, bind.namespace)
            yield from _owned(owners, address, bind.title, f"'{frontend.name}'", bind.location)
    for one in case.configuration.stats_sockets:
        yield from _owned(owners, (one.host, one.port, None, None), one.title, "the stats socket", one.location)


def _owned(
    owners: dict[object, tuple[str, int]], address: object, title: str, owner: str, place: Location
) -> Iterator[Finding]:
    other, line = owners.setdefault(address, (owner, place.line))
    if other != owner:
        what = f"{owner} binds {title}, which {other} has (line {line})"
        why = "each connection goes to one of the two by chance"
        yield found(TWICE, place, what, why, "give one of them another address or port")


def loops(case: Case) -> Iterator[Finding]:
    """Look for ways that lead back to where they began."""
    ways = {frontend.name: _next(case, frontend) for frontend in case.frontends}
    for frontend in case.frontends:
        seen: set[str] = set()
        ahead = [*ways[frontend.name]]
        while ahead:
            name = ahead.pop()
            if name not in seen:
                seen.add(name)
                ahead += ways[name]
        if frontend.name in seen:
            what = f"what comes to '{frontend.name}' is sent to this balancer's own address and arrives there again"
            why = "a single connection takes all there are"
            yield found(LOOP, frontend.location, what, why, "give the servers' own addresses")


def _next(case: Case, frontend: Frontend) -> list[str]:
    """Return the frontends that the servers behind ``frontend`` are."""
    servers = [server for name in leads_to(frontend) for server in case.configuration.backends[name].servers]
    return [
        other.name
        for other in case.frontends
        if any(_is_at(server.address, server.port, bind) for server in servers for bind in other.binds)
    ]


def _is_at(address: str, port: int, bind: Bind) -> bool:
    if bind.port != port or bind.namespace is not None:
        return False
    return bind.host == address or (is_anywhere(bind.host) and is_loopback(address))


def swarm_port(case: Case) -> Iterator[Finding]:
    """Look for 2377, the port of Swarm's managers, and for who may take it for the Docker API."""
    ports = {bind.port for frontend in case.frontends for bind in frontend.binds}
    for frontend in case.frontends:
        for bind in frontend.binds:
            if bind.port == SWARM and not {DOCKER, DOCKER_TLS} & ports:
                what = f"at {SWARM} nobody speaks the Docker API: 'docker -H tcp://...:{SWARM}' gets no answer"
                why = (
                    "it is the managers' own protocol (gRPC over mutual TLS): only 'docker swarm join' goes through it"
                )
                remedy = (
                    f"for the API bind {DOCKER_TLS}, with the managers' {DOCKER_TLS} behind; if only nodes come here, "
                    "say so: '# doctor: accept swarm-port'"
                )
                yield found(SWARM_PORT, bind.location, what, why, remedy)
    for backend, server in case.servers():
        callers = {bind.port for frontend in case.callers(backend) for bind in frontend.binds}
        if server.port == SWARM and callers & {DOCKER, DOCKER_TLS}:
            what = f"clients of the Docker API are sent to {backend.name}/{server.name}, a swarm manager's port {SWARM}"
            why = "that is gRPC over mutual TLS: none of them is understood"
            yield found(DOCKER_TO_SWARM, server.location, what, why, f"write {DOCKER_TLS} (with TLS) for {SWARM}")


def open_docker(case: Case) -> Iterator[Finding]:
    """Look for the Docker API in clear text."""
    for frontend in case.frontends:
        for bind in frontend.binds:
            if bind.port == DOCKER and not is_loopback(bind.host):
                what = f"{bind.title} is the Docker API without TLS"
                why = "whoever reaches it is root on the managers"
                remedy = f"use {DOCKER_TLS}, TLS and client certificates, or bind 127.0.0.1"
                yield found(OPEN_DOCKER, bind.location, what, why, remedy)
