"""Opening stats sockets, and saying clearly why one cannot be opened.

Laws: all or nothing. A UNIX socket takes the place of one of the same path in one step, so a successor never leaves a
moment without one; its rights are right before anybody can see it. What HAProxy leaves behind when it ends, stays:
the file may belong to a successor by then.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from pathlib import Path

from tcpbalancer.model.stats_socket import Place, StatsSocket

DEFAULT_MODE = 0o600
"""Of a socket's file, whatever the umask is: over it everything can be asked, and often everything changed."""
BACKLOG = 128
_LONGEST_NAME = 108
"""Bytes of an abstract name; HAProxy's are filled up with zeros (unix(7), sun_path)."""


class StatsSocketError(Exception):
    """Sockets that could not be opened; one line each in ``lines``."""

    def __init__(self, lines: Sequence[str]) -> None:
        self.lines = tuple(lines)
        super().__init__("\n".join(lines))


def open_all(wanted: Sequence[StatsSocket]) -> list[socket.socket]:
    """Return a listening socket for each; raises StatsSocketError, and then none is open."""
    opened: list[socket.socket] = []
    failures: list[str] = []
    for each in wanted:
        try:
            opened.append(_open(each))
        except (OSError, ValueError) as problem:
            failures.append(_explain(each, problem))
    if failures:
        for listening in opened:
            listening.close()
        raise StatsSocketError(failures)
    return opened


def _open(wanted: StatsSocket) -> socket.socket:
    if wanted.place is Place.UNIX:
        return _open_path(wanted)
    if wanted.place is Place.DESCRIPTOR:
        listening = socket.socket(fileno=os.dup(int(wanted.host)))
        listening.setblocking(False)
        return listening
    if wanted.place is Place.ABSTRACT:
        return _bound(socket.AF_UNIX, b"\0" + os.fsencode(wanted.host).ljust(_LONGEST_NAME - 1, b"\0"))
    if wanted.place is Place.IPV4:
        return _bound(socket.AF_INET, (wanted.host, wanted.port))
    return _bound(socket.AF_INET6, (wanted.host or "::", wanted.port))


def _bound(family: socket.AddressFamily, address: bytes | str | tuple[str, int]) -> socket.socket:
    listening = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        if family is not socket.AF_UNIX:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(BACKLOG)
    except BaseException:
        listening.close()
        raise
    return listening


def _open_path(wanted: StatsSocket) -> socket.socket:
    target = Path(wanted.host)
    if target.exists() and not target.is_socket():
        raise OSError(1, "Operation not permitted")  # nobody's file or folder is taken away
    making = Path(f"{wanted.host}.{os.getpid()}.tmp")
    making.unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        listening.bind(str(making))
        _set_rights(making, wanted)
        listening.listen(BACKLOG)  # only now: before, nobody could have come in, whatever the rights were
        making.rename(target)
    except BaseException:
        listening.close()
        making.unlink(missing_ok=True)
        raise
    return listening


def _set_rights(path: Path, wanted: StatsSocket) -> None:
    if wanted.uid is not None or wanted.gid is not None:
        os.chown(path, -1 if wanted.uid is None else wanted.uid, -1 if wanted.gid is None else wanted.gid)
    path.chmod(DEFAULT_MODE if wanted.mode is None else wanted.mode)


def _explain(wanted: StatsSocket, problem: OSError | ValueError) -> str:
    location = wanted.location
    place = f"{location.file}:{location.line}" if location.line else location.file
    why = (problem.strerror if isinstance(problem, OSError) else None) or str(problem)
    if wanted.place in {Place.UNIX, Place.ABSTRACT}:
        what = f"protocol unix_stream: cannot bind UNIX socket ({why}) [{wanted.host}]."
    else:
        what = f"protocol {_protocol(wanted)}: cannot bind socket ({why}) for [{wanted.title.partition('@')[2]}]."
    return f"Binding [{place}] for frontend GLOBAL: {what}"


def _protocol(wanted: StatsSocket) -> str:
    return {Place.IPV4: "tcpv4", Place.IPV6: "tcpv6"}.get(wanted.place, "fd")
