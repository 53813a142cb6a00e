"""Opening the listening sockets, and saying clearly why one cannot be opened.

Laws: all or nothing: if one address cannot be had, those already opened are closed again, and every failure is told at
once. The first sentence of a failure is HAProxy's; the second says what to do about it.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Sequence

from tcpbalancer.model import Bind, Frontend

BACKLOG = 4096
"""Connections that may wait for ``accept``; the kernel caps it at net.core.somaxconn."""

ADVICE = {
    errno.EADDRINUSE: "Another program holds this address ('ss -tlnp' shows which): stop it, or change the bind line.",
    errno.EADDRNOTAVAIL: "No interface of this host has this address: add it, change the bind line, or allow it with "
    "'sysctl net.ipv4.ip_nonlocal_bind=1'.",
    errno.EACCES: "Ports below 1024 need root or CAP_NET_BIND_SERVICE: start as root, or choose a higher port.",
    errno.EAFNOSUPPORT: "This kernel has no such address family: change the bind line.",
}


class ListenError(Exception):
    """Addresses that could not be listened on; one line each in ``lines``."""

    def __init__(self, lines: Sequence[str]) -> None:
        self.lines = tuple(lines)
        super().__init__("\n".join(lines))


def listen(frontends: Sequence[Frontend]) -> list[tuple[int, socket.socket]]:
    """Return the listening sockets with the place of their frontend; raises ListenError, and then none is open."""
    opened: list[tuple[int, socket.socket]] = []
    failures: list[str] = []
    for index, frontend in enumerate(frontends):
        for bind in frontend.binds:
            try:
                opened.append((index, _open(bind)))
            except OSError as problem:
                failures.append(_explain(frontend, bind, problem))
    if failures:
        for _, listening in opened:
            listening.close()
        raise ListenError(failures)
    return opened


def _open(bind: Bind) -> socket.socket:
    family = socket.AF_INET6 if ":" in bind.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family is socket.AF_INET6 and bind.only_v6 is not None:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, bind.only_v6)
        listening.bind((bind.host, bind.port))
        listening.listen(BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening


def _explain(frontend: Frontend, bind: Bind, problem: OSError) -> str:
    place = f"{bind.location.file}:{bind.location.line}" if bind.location.line else bind.location.file
    protocol = "tcpv6" if ":" in bind.host else "tcpv4"
    code = problem.errno or 0
    told = (
        f"Binding [{place}] for proxy {frontend.name}: protocol {protocol}: cannot bind socket "
        f"({os.strerror(code)}) for [{bind.host or '0.0.0.0'}:{bind.port}]."
    )
    advice = ADVICE.get(code)
    return f"{told} {advice}" if advice else told
