"""How servers are checked: whether at all, whether the right thing is asked, and what follows from the answer.

Laws: pure. Each function takes a case and yields what its rule finds.

Source: Patroni's documentation, "Patroni REST API".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hakit.diagnosis import Finding, Level, Rule
from hakit.diagnostics import did_you_mean
from tcpbalancer.doctor.case import DATABASES, SWARM, Case, check_ports, found, http_path, is_usable
from tcpbalancer.model import Backend

NO_CHECK = Rule("no-check", Level.WARNING, "A server that counts as UP for ever, beside others.")
HTTP_CHECK_PORT = Rule("http-check-port", Level.ERROR, "A check in HTTP of a port where HTTP is never spoken.")
PATRONI_PATH = Rule("patroni-path", Level.WARNING, "A check of Patroni with a path that Patroni does not know.")
PATRONI_EVERYBODY = Rule(
    "patroni-everybody", Level.WARNING, "A check of Patroni that passes on every node: writes reach replicas.",
    instead_of="answers 200 on the primary and on every replica",
)  # fmt: skip
SESSIONS_STAY = Rule("sessions-stay", Level.WARNING, "Sessions to a primary that go on when it is none any more.")
SLOW_CHECK = Rule("slow-check", Level.WARNING, "Checks so rare that a dead server is offered to clients for long.")

PATRONI = 8008
"""The port of Patroni's REST API, unless its file says otherwise."""
PRIMARY_ALONE = frozenset({"/", "/primary", "/master", "/leader", "/read-write"})
"""What Patroni answers with 200 on one node only."""
BY_ROLE = PRIMARY_ALONE | {
    "/replica", "/read-only", "/read-only-sync", "/read-only-quorum", "/standby-leader", "/standby_leader", "/sync",
    "/synchronous", "/async", "/asynchronous", "/quorum",
}  # fmt: skip
"""What it answers with 200 on nodes of a role."""
BY_EVERYBODY = frozenset(
    {"/patroni", "/health", "/liveness", "/readiness", "/cluster", "/history", "/config", "/metrics"}
)
"""What it answers with 200 on every node that lives."""
NO_HTTP: Mapping[int, str] = {
    **DATABASES, SWARM: "Swarm's cluster port", 22: "SSH", 25: "SMTP", 389: "LDAP", 6379: "Redis",
    26379: "Redis Sentinel",
}  # fmt: skip
"""Ports where HTTP is never spoken."""
PROBES: Mapping[int, str] = {
    25: "option smtpchk", 389: "option ldap-check", 3306: "option mysql-check", 5432: "option pgsql-check",
    5433: "option pgsql-check", 6379: "option redis-check",
}  # fmt: skip
SLOWEST = 30.0
"""Seconds from a server's death to the first connection that avoids it, beyond which somebody should know."""
_ROLES = "ask for /primary for writing, /replica for reading"


def unchecked(case: Case) -> Iterator[Finding]:
    """Look for servers that nobody checks."""
    for backend, server in case.servers():
        watched = server.check is not None or server.agent is not None or server.track is not None
        if len(backend.servers) > 1 and is_usable(server) and not watched:
            what = f"nobody checks {backend.name}/{server.name}"
            why = "when it is gone it still gets its share of connections"
            yield found(NO_CHECK, server.location, what, why, "add 'check' to the line, or to 'default-server'")


def http_where_none_is(case: Case) -> Iterator[Finding]:
    """Look for checks that speak HTTP to what does not."""
    for backend in case.used:
        path = http_path(backend)
        for server in () if path is None else backend.servers:
            if server.check is None or (spoken := NO_HTTP.get(server.check.port)) is None:
                continue
            port = server.check.port
            remedy = f"write '{PROBES[port]}'" if port in PROBES else "remove 'option httpchk'"
            if port in DATABASES and path in BY_ROLE | BY_EVERYBODY:
                remedy = f"add 'port {PATRONI}' to the line: there Patroni answers"
            what = f"the check asks {backend.name}/{server.name} in HTTP at {port}, and that is {spoken}"
            yield found(HTTP_CHECK_PORT, server.location, what, "the server is never UP", remedy)


def patroni_path(case: Case) -> Iterator[Finding]:
    """Look for paths that Patroni does not know, or that do not tell its nodes apart."""
    for backend in case.used:
        path = http_path(backend)
        if path is None or PATRONI not in check_ports(backend):
            continue
        if path not in BY_ROLE | BY_EVERYBODY:
            what = f"the check of '{backend.name}' asks Patroni for '{path}'{did_you_mean(path, sorted(BY_ROLE))}"
            yield found(PATRONI_PATH, backend.location, what, "Patroni has no such path", _ROLES)
        elif path in BY_EVERYBODY - {"/patroni"} and _holds_a_database(backend):  # that one the reader tells
            what = f"'{path}' answers 200 on the primary and on every replica"
            why = f"writes through '{backend.name}' reach replicas and fail there"
            yield found(PATRONI_EVERYBODY, backend.location, what, why, _ROLES)


def _holds_a_database(backend: Backend) -> bool:
    return len(backend.servers) > 1 and any(server.port in DATABASES for server in backend.servers)


def sessions_stay(case: Case) -> Iterator[Finding]:
    """Look for backends of a primary whose sessions outlive its role."""
    for backend in case.used:
        if http_path(backend) not in PRIMARY_ALONE or not _holds_a_database(backend):
            continue
        staying = [server for server in backend.servers if server.check and not server.shutdown_sessions_when_down]
        if staying:
            what = f"sessions to the former primary behind '{backend.name}' go on when another node is promoted"
            why = "they find a database that takes no writes, until their clients give up"
            yield found(SESSIONS_STAY, staying[0].location, what, why, "add 'on-marked-down shutdown-sessions'")


def slow_to_notice(case: Case) -> Iterator[Finding]:
    """Look for checks that come too rarely."""
    for backend in case.used:
        for server in backend.servers if len(backend.servers) > 1 else ():
            check = server.check
            if check is not None and (seconds := check.fall * check.intervals.inter) > SLOWEST:
                what = (
                    f"{backend.name}/{server.name} is taken for UP until {seconds:g} s after its death (inter x fall)"
                )
                why = "so long it gets its share of connections"
                yield found(SLOW_CHECK, server.location, what, why, "check more often, or add 'fastinter 1s'")
                break  # one for each backend: the lines are usually alike
