"""Who the processes that meet clients are where the file does not say so, and what they must be able to do.

Laws: a worker needs no right to relay bytes, so one whose program was started by root is nobody, without capabilities,
unless the configuration itself needs some: CAP_NET_BIND_SERVICE for source ports below 1024, CAP_SYS_ADMIN to step into
the namespaces of servers, CAP_NET_RAW to bind to an interface, CAP_NET_ADMIN to leave a client without a word
(``silent-drop``; else it is a reset, which a neighbour sees). A file that names a user, a group or a chroot has the
last word; so has one with servers at Unix sockets, whose files say themselves who may connect: then workers stay who
they are. What was given up is not had again: a reload that needs more is refused.

Sources: capabilities(7), setns(2), socket(7) on SO_BINDTODEVICE, unix(7); ``closing.vanish``.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from dataclasses import replace

from tcpbalancer.model import Configuration, Identity, Server
from tcpbalancer.model.rule import Rule

USERS = ("tcpbalancer", "haproxy", "nobody")
"""Whom a worker becomes: the first of these that there is."""
_FIRST_UNPRIVILEGED_PORT = 1024


def identity_of_workers(configuration: Configuration) -> Identity:
    """Return who workers become; an identity without changes: who this process is."""
    asked = configuration.process.identity
    if asked.changes or os.geteuid() != 0 or _has_unix_servers(configuration):
        return asked
    user = next(filter(None, map(_known, USERS)), None)
    if user is None:
        return asked
    kept = asked.capabilities | needed_by(configuration)
    return replace(asked, uid=user.pw_uid, gid=user.pw_gid, capabilities=kept)


def _known(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def needed_by(configuration: Configuration) -> frozenset[str]:
    """Return the capabilities without which workers could not do what a configuration says."""
    dropping = {"cap_net_admin"} if any(rule.action == "silent-drop" for rule in _rules(configuration)) else set()
    return frozenset(dropping).union(*map(_needed_for, _servers(configuration)))


def _needed_for(server: Server) -> Iterator[str]:
    source = server.reach.source
    if server.reach.namespace is not None:
        yield "cap_sys_admin"
    if source is not None and 0 < source.first_port < _FIRST_UNPRIVILEGED_PORT:
        yield "cap_net_bind_service"
    if source is not None and source.interface is not None:
        yield "cap_net_raw"


def lacking(workers: Identity | None, configuration: Configuration) -> str:
    """Return what workers that have become ``workers`` by themselves cannot do for a configuration; empty: nothing.

    None: they are who this process is, or whom the file has named; that is the operator's own business.
    """
    if workers is None:
        return ""
    if _has_unix_servers(configuration):
        return "servers at Unix sockets are reached by the user who started this program, whom workers have given up"
    names = needed_by(configuration) - workers.capabilities
    return f"workers have given up {', '.join(sorted(names))}, which this configuration needs" if names else ""


def _has_unix_servers(configuration: Configuration) -> bool:
    return any(server.address.startswith("/") for server in _servers(configuration))


def _rules(configuration: Configuration) -> Iterator[Rule]:
    for frontend in configuration.frontends.values():
        if frontend.rules is not None:
            yield from (*frontend.rules.connection, *frontend.rules.session, *frontend.rules.content)
    for backend in configuration.backends.values():
        if backend.rules is not None:
            yield from backend.rules.content


def _servers(configuration: Configuration) -> Iterator[Server]:
    for backend in configuration.backends.values():
        yield from backend.servers
