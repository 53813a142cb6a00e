"""The connection of a check: opened as the server line says, closed so that nobody has to complain.

Laws: a connect behind which nothing is said is given up before it is complete: TCP_QUICKACK off keeps our ACK of the
SYN-ACK back, and a close with linger 0 answers it with RST instead, so that ``accept`` on the other side never returns
it (both are needed; tcp(7), ``proto_tcp.c``). Every other connection ends with FIN after what has come was read, up
to a limit: databases and web servers log a reset.
The words about a failure are HAProxy's (3.x), so that they can be searched for.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
from dataclasses import dataclass
from typing import Protocol, TypeVar

from tcpbalancer.check_status import CheckResult, CheckStatus
from tcpbalancer.checks.allowance import Allowance
from tcpbalancer.checks.tls import handshake_problem, secured
from tcpbalancer.closing import close_with_reset
from tcpbalancer.model import Check
from tcpbalancer.model.dialogue import Connect
from tcpbalancer.namespaces import within
from tcpbalancer.opening import abstract
from tcpbalancer.proxy_protocol import Endpoint, make_proxy_header
from tcpbalancer.rules.samples import parse_ip

MOST_READ = 65536
"""Bytes of an answer."""
PATIENCE = 0.2
"""Seconds for the rest of an answer whose meaning is known; for a goodbye five times as many."""
_OWN_LACKS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})


def os_words(problem: OSError) -> str:
    """Return what the kernel says, as HAProxy tells it."""
    code = problem.errno or 0
    return f"{errno.errorcode.get(code, 'ERROR')} returned by OS ({os.strerror(code)})"


def connection_problem(problem: OSError) -> CheckResult:
    """Return the result for a connect that failed; a lack of descriptors of our own is no fault of the server."""
    is_ours = problem.errno in _OWN_LACKS
    status = CheckStatus.SOCKERR if is_ours else CheckStatus.L4CON
    return CheckResult(status, info=os_words(problem), is_ours=is_ours)


Ending_co = TypeVar("Ending_co", covariant=True)


class Conversation(Protocol[Ending_co]):
    """What is carried out within limits (``checks.carried_out``)."""

    async def run(self) -> Ending_co:
        """Return how it ended; nothing is closed yet."""

    def timed_out(self) -> Ending_co:
        """Return how it ended if a limit has ended it."""

    async def hang_up(self) -> None:
        """Say goodbye and close."""

    def abort(self) -> None:
        """Leave without a word."""


class ConnectionFailedError(Exception):
    """No connection came about; ``result`` says why."""

    def __init__(self, result: CheckResult) -> None:
        self.result = result
        super().__init__(result.info)


async def touch(step: Connect, check: Check, allowance: Allowance) -> None:
    """Connect and give up, unseen; raises ConnectionFailedError."""
    with contextlib.closing(_Reset(_new_socket(step, check))) as asking:
        if asking.sock.family != socket.AF_UNIX:
            asking.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)
        await _connect(asking.sock, step, check, allowance)
    allowance.connected()


class _Reset:
    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock

    def close(self) -> None:
        close_with_reset(self.sock)


@dataclass
class Connection:
    """A connection that stands. ``is_secured``: TLS was agreed upon."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    is_secured: bool

    async def close(self, farewell: bytes = b"", most: int = MOST_READ) -> None:
        """Say goodbye, read what else comes so that nothing is left unread, and close with FIN."""
        with contextlib.suppress(TimeoutError, OSError):
            async with asyncio.timeout(PATIENCE * (5 if farewell else 1)):
                if farewell:
                    self.writer.write(farewell)
                if not self.is_secured and self.writer.can_write_eof():
                    self.writer.write_eof()
                while most > 0 and (more := await self.reader.read(most)):
                    most -= len(more)
        self.writer.close()
        with contextlib.suppress(TimeoutError, OSError):
            async with asyncio.timeout(PATIENCE):
                await self.writer.wait_closed()
        self.writer.transport.abort()
        await asyncio.sleep(0)  # the socket is closed in the next turn of the loop


async def connect(step: Connect, check: Check, allowance: Allowance) -> Connection:
    """Return the connection that a step asks for; raises ConnectionFailedError."""
    allowance.connecting()
    use_tls = step.tls or (step.default and check.use_tls)
    sock = _new_socket(step, check)
    try:
        await _connect(sock, step, check, allowance)
        if step.send_proxy or (step.default and check.send_proxy):
            await asyncio.get_running_loop().sock_sendall(sock, _proxy_header(sock, check.proxy_version))
        if use_tls:
            allowance.securing()
            reader, writer = await secured(sock, step, check)
        else:
            reader, writer = await asyncio.open_connection(sock=sock, limit=MOST_READ)
    except OSError as problem:  # an error of TLS is one, too
        sock.close()
        failure = handshake_problem(problem) if use_tls else connection_problem(problem)
        raise ConnectionFailedError(failure) from problem
    except BaseException:
        sock.close()
        raise
    allowance.connected()
    return Connection(reader, writer, use_tls)


def _proxy_header(sock: socket.socket, version: int) -> bytes:
    """A check says LOCAL in version 2 (haproxy #511): nobody stands behind it. Version 1 has no word for that."""
    ends = [_endpoint(name) for name in (sock.getsockname(), sock.getpeername())]
    return make_proxy_header(version, ends[0], ends[1], local=True)


def _endpoint(name: object) -> Endpoint | None:
    ip = parse_ip(str(name[0])) if isinstance(name, tuple) else None
    return Endpoint(ip, int(name[1])) if isinstance(name, tuple) and ip is not None else None


def _target(step: Connect, check: Check) -> tuple[str, int]:
    port = step.port if isinstance(step.port, int) else None
    return step.address or check.address, port or check.port


def _new_socket(step: Connect, check: Check) -> socket.socket:
    host = _target(step, check)[0]
    is_unix = host.startswith(("/", "abns@"))
    family = socket.AF_UNIX if is_unix else socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with within(check.namespace):
            sock = socket.socket(family, socket.SOCK_STREAM)
    except OSError as problem:
        raise ConnectionFailedError(connection_problem(problem)) from problem
    sock.setblocking(False)
    return sock


async def _connect(sock: socket.socket, step: Connect, check: Check, allowance: Allowance) -> None:
    allowance.connecting()
    host, port = _target(step, check)
    try:
        if check.source is not None:
            sock.bind((check.source, 0))
        where: str | bytes = abstract(host) if host.startswith("abns@") else host
        await asyncio.get_running_loop().sock_connect(sock, where if sock.family == socket.AF_UNIX else (host, port))
    except OSError as problem:
        raise ConnectionFailedError(connection_problem(problem)) from problem
