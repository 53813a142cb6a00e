"""Opening the listening sockets, keeping them over reloads, and saying clearly why one cannot be opened.

Laws: all or nothing: if one address cannot be had, those opened with it are closed again, and every failure is told at
once. A socket that a newer configuration names again is the same socket: it is never closed in between, so no client
that waits in its queue is lost. The first sentence of a failure is HAProxy's; the second says what to do about it.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from tcpbalancer.model import NOWHERE, Bind, Frontend
from tcpbalancer.opening import BACKLOG, open_listening

__all__ = ["BACKLOG", "ListenError", "ListeningSockets", "listen", "place_name"]

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


class ListeningSockets:
    """The listening sockets of one configuration, by address."""

    def __init__(
        self,
        frontends: Sequence[Frontend],
        before: ListeningSockets | None = None,
        *,
        predecessors: Mapping[str, socket.socket] = MappingProxyType({}),
        shares_ports: bool = True,
    ) -> None:
        """Open what ``before`` has not open already; raises ListenError, and then ``before`` is as it was.

        ``predecessors`` are sockets of another process by their ``place_name``; what is not wanted of them stays open.
        With ``shares_ports`` others of the same user may listen on the same ports, and a successor has to (socket(7),
        SO_REUSEPORT).
        """
        self.by_address: dict[Bind, socket.socket] = {}
        known = {} if before is None else before.by_address
        opened: list[socket.socket] = []
        failures: list[str] = []
        for frontend in frontends:
            for bind in frontend.binds:
                key = _address(bind)
                try:
                    if key in self.by_address or replace(key, held=not key.held) in self.by_address:
                        raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
                    taken_over = predecessors.get(place_name(bind))
                    if key not in known and taken_over is None:
                        opened.append(open_listening(bind, shares_ports=shares_ports))
                    self.by_address[key] = known.get(key) or taken_over or opened[-1]
                except OSError as problem:
                    failures.append(_explain(frontend, bind, problem))
        if failures:
            for listening in opened:
                listening.close()
            raise ListenError(failures)

    def of(self, frontend: Frontend) -> list[socket.socket]:
        """Return the sockets of one frontend, in the order of its addresses."""
        places = (_address(bind) for bind in frontend.binds)
        return [self.by_address[place] for place in places if place in self.by_address]

    def numbered(self, frontends: Sequence[Frontend]) -> list[tuple[int, socket.socket]]:
        """Return the sockets that workers accept from, each with the place of its frontend among these."""
        return [
            (place, listening)
            for place, frontend in enumerate(frontends)
            if not frontend.kernel_relay
            for listening in self.of(frontend)
        ]

    def forget(self, frontend: Frontend) -> None:
        """Close the sockets of one frontend for good."""
        for bind in frontend.binds:
            if (listening := self.by_address.pop(_address(bind), None)) is not None:
                listening.close()

    def close(self, but: ListeningSockets | None = None) -> None:
        """Close all sockets but those that ``but`` has, too."""
        kept = set() if but is None else set(but)
        for listening in self:
            if listening not in kept:
                listening.close()
        self.by_address.clear()

    def __len__(self) -> int:
        return len(self.by_address)

    def __iter__(self) -> Iterator[socket.socket]:
        return iter(self.by_address.values())


def listen(frontends: Sequence[Frontend]) -> list[tuple[int, socket.socket]]:
    """Return the listening sockets with the place of their frontend; raises ListenError, and then none is open."""
    return ListeningSockets(frontends).numbered(frontends)


def place_name(bind: Bind) -> str:
    """Return the name of a listening socket's place: the same in every generation that asks for the same socket."""
    return repr(_address(bind))


def _address(bind: Bind) -> Bind:
    """Return what makes two bind lines ask for the same socket; a descriptor may be named as often as one likes."""
    place = replace(bind, location=NOWHERE, name=None, accept_proxy=False, id=1, backlog=0, maxconn=0)
    return replace(place, name=f"{bind.location} {bind.id}") if bind.host.startswith("fd@") else place


def _explain(frontend: Frontend, bind: Bind, problem: OSError) -> str:
    place = f"{bind.location.file}:{bind.location.line}" if bind.location.line else bind.location.file
    code = problem.errno or 0
    protocol = "unix_stream" if bind.has_no_port else "tcpv6" if ":" in bind.host else "tcpv4"
    what = f"cannot bind UNIX socket ({os.strerror(code)}) [{bind.title}]."
    if bind.host.startswith("fd@"):
        what = f"cannot use file descriptor '{bind.host.removeprefix('fd@')}' : {os.strerror(code)}."
    elif bind.namespace is not None and code in {errno.ENOENT, errno.EPERM}:
        what = f"Cannot open namespace '{bind.namespace}' ({os.strerror(code)})."
    elif not bind.has_no_port:
        what = f"cannot bind socket ({os.strerror(code)}) for [{bind.title}]."
    told = f"Binding [{place}] for proxy {frontend.name}: protocol {protocol}: {what}"
    advice = None if bind.has_no_port or bind.namespace is not None else ADVICE.get(code)
    return f"{told} {advice}" if advice else told
