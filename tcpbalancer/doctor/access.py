"""Who may change what: sockets for operators that are open to too many.

Laws: pure. Each function takes a case and yields what its rules find.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from hakit.diagnosis import Finding, Level, Rule
from tcpbalancer.doctor.case import Case, found, is_loopback
from tcpbalancer.model import Level as CliLevel
from tcpbalancer.model.stats_socket import Place, StatsSocket

OPEN_ADMIN = Rule("open-admin-socket", Level.ERROR, "A stats socket over which others may take servers out.")
OPEN_SOCKET = Rule("open-socket", Level.WARNING, "A stats socket over which others see servers, sessions and clients.")

READABLE = Rule("readable-password", Level.WARNING, "A file with passwords that every user may read (--live).")


def readable_password(case: Case) -> Iterator[Finding]:
    """Look for files with passwords that are not kept from others."""
    open_files = case.machine.open_files if case.machine is not None else frozenset[str]()
    told: set[str] = set()
    for frontend in case.frontends:
        file = frontend.location.file
        listed = frontend.http.userlists if frontend.http is not None else ()
        plain = any(not user.hashed for users in listed for user in users.users)
        if file in open_files - told and (plain or (frontend.stats is not None and frontend.stats.users)):
            told.add(file)
            what = f"every user of this machine can read the passwords in {file}"
            why = "so can whatever runs here, whoever started it"
            yield found(READABLE, frontend.location, what, why, f"chmod 640 {shlex.quote(file)}")


def open_socket(case: Case) -> Iterator[Finding]:
    """Look for sockets without a password that other machines, or all users of this one, reach."""
    for one in case.configuration.stats_sockets:
        who, remedy = _who_reaches(one)
        if not who:
            continue
        if one.level is CliLevel.ADMIN:
            what, rule = f"{who} may take servers out and end sessions through {one.title}", OPEN_ADMIN
        else:
            what, rule = f"{who} may see servers, sessions and clients through {one.title}", OPEN_SOCKET
        yield found(rule, one.location, what, "such a socket knows no password", remedy)


def _who_reaches(one: StatsSocket) -> tuple[str, str]:
    if one.place in {Place.IPV4, Place.IPV6} and not is_loopback(one.host):
        return "whoever reaches this machine", "bind 127.0.0.1, or a path with 'mode 600'"
    if one.place is Place.UNIX and (one.mode or 0) & 0o002:
        return "every user of this machine", "write 'mode 600', or 'mode 660' with a 'group'"
    return "", ""
