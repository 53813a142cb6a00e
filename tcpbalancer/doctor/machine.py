"""A look at this machine and at the servers, for ``tcpbalancer doctor --live``.

Laws: nothing is changed: addresses are tried with a socket that never listens, and every server is asked once, as its
check would ask. What cannot be seen (another user's descriptors) is not there.

Sources: proc(5) on /proc/net/tcp and /proc/PID/fd; ip(7) on EADDRNOTAVAIL.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import resource
import socket
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from hakit.control import request
from tcpbalancer.check_status import CheckResult
from tcpbalancer.checks import Limits, ask
from tcpbalancer.doctor.case import OURS, Case, Machine, is_anywhere, is_usable
from tcpbalancer.kernel.conditions import missing
from tcpbalancer.kernel.plan import relayed
from tcpbalancer.model import PLAIN_CONNECT, Backend, Check, Configuration, Server

PROC = Path("/proc")
_LISTENING = "0A"
"""TCP_LISTEN in /proc/net/tcp."""
_AT_ONCE = 64
"""Servers that are asked at the same time."""
_GIVEN_NOTHING = ("MAINT", "DRAIN", "DOWN", "NOLB")


def look(configuration: Configuration, control: Path) -> Machine:
    """Return what is to be seen; takes as long as the slowest check. ``control``: a running balancer's socket."""
    return Machine(
        unbindable=frozenset(_unbindable(configuration)),
        descriptors=resource.getrlimit(resource.RLIMIT_NOFILE)[1],
        listeners=listeners(),
        answers=asyncio.run(_answers(configuration)),
        taken_out=dict(_taken_out(control)),
        open_files=frozenset(_open_files(configuration)),
        kernel_lacks=tuple(missing(configuration)) if relayed(configuration) else (),
    )


def _open_files(configuration: Configuration) -> Iterator[str]:
    for file in {frontend.location.file for frontend in configuration.frontends.values()}:
        with suppress(OSError):
            if Path(file).stat().st_mode & stat.S_IROTH:
                yield file


def _unbindable(configuration: Configuration) -> Iterator[str]:
    hosts = {bind.host for one in configuration.frontends.values() for bind in one.binds if not bind.has_no_port}
    for host in sorted(host for host in hosts if not is_anywhere(host)):
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as trying:
            try:
                trying.bind((host, 0))
            except OSError as refused:
                if refused.errno == errno.EADDRNOTAVAIL:
                    yield host


def listeners(proc: Path = PROC) -> dict[tuple[str, int], str]:
    """Return the program behind each address (``""``: any) and port where somebody listens.

    Of several programs that hold a socket, as our own workers do beside their supervisor, one of OURS is named.
    """
    sockets = {}
    for family in ("tcp", "tcp6"):
        with suppress(OSError):
            for line in (proc / "net" / family).read_text(encoding="ascii").splitlines()[1:]:
                words = line.split()
                if words[3] == _LISTENING:
                    sockets[words[9]] = _address(words[1])
    found: dict[tuple[str, int], str] = {}
    for inode, program in _owners(proc, frozenset(sockets)):
        if found.get(sockets[inode]) not in OURS:
            found[sockets[inode]] = program
    return found


def _address(text: str) -> tuple[str, int]:
    """Return what ``0100007F:1538`` says: 32-bit words in the byte order of this machine, then the port."""
    digits, _, port = text.partition(":")
    packed = b"".join(bytes.fromhex(digits[at : at + 8])[::-1] for at in range(0, len(digits), 8))
    address = ipaddress.ip_address(packed)
    return "" if address.is_unspecified else str(address), int(port, 16)


def _owners(proc: Path, inodes: frozenset[str]) -> Iterator[tuple[str, str]]:
    for process in proc.glob("[0-9]*"):
        with suppress(OSError):  # it has ended, or is somebody else's
            program = (process / "comm").read_text(encoding="utf-8", errors="replace").strip()
            for descriptor in (process / "fd").iterdir():
                inode = _target(descriptor).removeprefix("socket:[").removesuffix("]")
                if inode in inodes:
                    yield inode, program


def _target(descriptor: Path) -> str:
    try:
        return str(descriptor.readlink())
    except OSError:  # it was closed meanwhile
        return ""


async def _answers(configuration: Configuration) -> dict[tuple[str, str], CheckResult]:
    """Ask every server that clients may come to, once."""
    turns = asyncio.Semaphore(_AT_ONCE)

    async def answer(backend: Backend, server: Server) -> tuple[tuple[str, str], CheckResult]:
        check = server.check
        probe = backend.probe if check is not None else PLAIN_CONNECT
        asked = check if check is not None else Check(server.address, server.port)
        async with turns:
            return (backend.name, server.name), await ask(probe, asked, Limits.of(asked, backend.timeouts))

    servers = [(backend, one) for backend, one in Case(configuration).servers() if one.address and is_usable(one)]
    return dict(await asyncio.gather(*(answer(backend, server) for backend, server in servers)))


def _taken_out(control: Path) -> Iterator[tuple[tuple[str, str], str]]:
    try:
        status = request(control, "status")
    except (OSError, ValueError):
        return  # none runs, or it is somebody else's
    for proxy in status["proxies"] if isinstance(status, dict) else ():  # type: ignore[union-attr] # our own document
        for server in proxy["servers"]:  # type: ignore[call-overload, index, union-attr] # as above
            state = str(server["status"])  # type: ignore[call-overload, index] # as above
            if state.startswith(_GIVEN_NOTHING):
                yield (str(proxy["name"]), str(server["name"])), state  # type: ignore[call-overload, index] # as above
