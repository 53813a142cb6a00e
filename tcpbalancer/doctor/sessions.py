"""What becomes of connections: timeouts, second tries, limits.

Laws: pure. Each function takes a case and yields what its rule finds.
"""

from __future__ import annotations

from collections.abc import Iterator

from hakit.diagnosis import Finding, Level, Rule
from hakit.diagnostics import Location
from tcpbalancer.doctor.case import DATABASES, Case, check_ports, found, http_path, is_page, is_usable
from tcpbalancer.doctor.checking import PATRONI, PRIMARY_ALONE

SHORT_IDLE = Rule("short-idle", Level.WARNING, "Timeouts that cut the idle sessions of a database's clients.")
NO_REDISPATCH = Rule("no-redispatch", Level.WARNING, "Retries that all go to the server which has just failed.")
ABOVE_GLOBAL = Rule("maxconn-above-global", Level.WARNING, "A frontend's maxconn that the process never reaches.")
DESCRIPTORS = Rule("descriptors", Level.ERROR, "More connections promised than a process may have descriptors.")

SHORTEST_IDLE = 600.0
"""Seconds for which pools keep a connection that nobody uses, at least (PgBouncer's server_idle_timeout is 600)."""
RESERVE = 16
"""Descriptors beside two for each connection and one for each address, as ``tcpbalancer.launch`` counts."""


def short_idle(case: Case) -> Iterator[Finding]:
    """Look for timeouts that are too short for the sessions of a database."""
    for backend in case.used:
        database = next((DATABASES[one.port] for one in backend.servers if one.port in DATABASES), None)
        for frontend in case.callers(backend) if database is not None else ():
            limits = {"timeout client": frontend.timeouts.client, "timeout server": backend.timeouts.server}
            short = {name: seconds for name, seconds in limits.items() if seconds and seconds < SHORTEST_IDLE}
            if short:
                name, seconds = min(short.items(), key=lambda item: item[1])
                what = f"{database} sessions through '{frontend.name}' that are idle for {seconds:g} s are cut ({name})"
                remedy = "set 'timeout client' and 'timeout server' beyond the pool's own limit: 30m, say"
                yield found(SHORT_IDLE, backend.location, what, "pools find their connections dead", remedy)


def no_second_server(case: Case) -> Iterator[Finding]:
    """Look for retries without redispatch."""
    for backend in case.used:
        by_role = http_path(backend) in PRIMARY_ALONE and PATRONI in check_ports(backend)  # one is usable at a time
        by_kernel = all(frontend.kernel_relay for frontend in case.callers(backend))  # who has nothing to redispatch
        several = not by_role and not by_kernel and sum(map(is_usable, backend.servers)) > 1
        if backend.redispatch is None and backend.retries and several:
            what = (
                f"a connection to a server of '{backend.name}' that has just died is tried {backend.retries + 1} times"
            )
            why = "every time there: then it is refused, though others work"
            yield found(NO_REDISPATCH, backend.location, what, why, "add 'option redispatch'")


def never_reached(case: Case) -> Iterator[Finding]:
    """Look for limits of frontends above that of the process."""
    most = case.configuration.maxconn
    for frontend in case.frontends:
        if frontend.maxconn > most and not is_page(frontend):
            what = f"'{frontend.name}' may have {frontend.maxconn} connections, the whole process only {most}"
            remedy = f"set 'maxconn {frontend.maxconn}' in global, or less here"
            yield found(ABOVE_GLOBAL, frontend.location, what, "the rest waits unanswered", remedy)


def descriptors(case: Case) -> Iterator[Finding]:
    """Look for promises that the limit of descriptors does not keep: ``ulimit-n``'s, else the machine's."""
    configuration = case.configuration
    needed = 2 * configuration.maxconn + sum(len(frontend.binds) for frontend in case.frontends) + RESERVE
    limit, words = configuration.process.descriptors, "'ulimit-n' allows"
    if limit is None and case.machine is not None:
        limit, words = case.machine.descriptors, "this machine allows a process"
    if limit is None or needed <= limit or not case.frontends:
        return
    what = f"maxconn {configuration.maxconn} needs {needed} descriptors, and {words} {limit}"
    affordable = max(0, (limit - (needed - 2 * configuration.maxconn)) // 2)
    remedy = f"raise the limit to {needed} (LimitNOFILE=, 'ulimit -n'), or set 'maxconn {affordable}'"
    place = Location(case.frontends[0].location.file)
    yield found(DESCRIPTORS, place, what, "clients beyond that are not accepted", remedy)
