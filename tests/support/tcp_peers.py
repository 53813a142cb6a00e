"""TCP on the loopback for tests: connected pairs, ports that the kernel chose, and servers that follow a script."""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self

from tcpbalancer.closing import close_with_reset

PATIENCE = 10.0
"""Seconds after which a peer gives up: never reached in a test that holds."""


_SLOT = int(os.environ.get("PYTEST_XDIST_WORKER", f"gw{10 + os.getpid() % 10}").removeprefix("gw")) % 20
_PORTS = itertools.cycle(range(10000 + 1100 * _SLOT, 10000 + 1100 * (_SLOT + 1)))


def free_port() -> int:
    """Return a port that was free a moment ago, and that nobody else is likely to take.

    It lies below those that the kernel gives to whoever asks for any, and each process of a test run has its own share:
    two balancers on one port would not fail, but take turns (SO_REUSEPORT).
    """
    for port in _PORTS:
        with socket.socket() as asking:
            try:
                asking.bind(("", port))
            except OSError:
                continue
            return port
    raise AssertionError("the cycle never ends")


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    """Return the two ends of a TCP connection."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        one = socket.create_connection(listening.getsockname(), timeout=PATIENCE)
        other = listening.accept()[0]
        other.settimeout(PATIENCE)
        return one, other


def read_to_end(peer: socket.socket) -> bytes:
    """Return everything up to the end of file; raises ConnectionResetError if the end is a reset."""
    parts = []
    while part := peer.recv(1 << 20):
        parts.append(part)
    return b"".join(parts)


def read_exactly(peer: socket.socket, count: int) -> bytes:
    """Return ``count`` bytes, or less if the end of file comes before."""
    data = bytearray()
    while len(data) < count and (part := peer.recv(count - len(data))):
        data += part
    return bytes(data)


def reset(peer: socket.socket) -> None:
    """Close with RST."""
    close_with_reset(peer)


def small_buffers(peer: socket.socket) -> None:
    """Make a socket take little, so that back-pressure comes early (with much less, the loopback crawls)."""
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 262144)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 262144)


Script = Callable[[socket.socket], None]


class ScriptedServer:
    """Listens on a port of the kernel's choice; each connection gets a thread that follows the script."""

    def __init__(self, script: Script, listening: socket.socket | None = None) -> None:
        """``listening``: another socket than one of IPv4; it is closed with the server."""
        self._script = script
        self._listening = listening or socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = 0 if self._listening.family == socket.AF_UNIX else self._listening.getsockname()[1]
        self.accepted = threading.Semaphore(0)
        self.connections = 0
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._serve, daemon=True)]
        self._threads[0].start()

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self._listening.accept()
            except OSError:
                return
            peer.settimeout(PATIENCE)
            self.connections += 1
            self.accepted.release()
            self._open.append(peer)
            thread = threading.Thread(target=self._follow, args=(peer,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _follow(self, peer: socket.socket) -> None:
        with contextlib.suppress(OSError):
            self._script(peer)
        peer.close()

    def close(self) -> None:
        """Refuse further connections; those that there are go on."""
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        self._threads[0].join(PATIENCE)  # nothing more is accepted
        for peer in self._open:
            with contextlib.suppress(OSError):
                peer.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE)


def echo(banner: bytes = b"hello\n") -> Script:
    """Return the script: send a banner, return every byte, close when the client closes."""

    def script(peer: socket.socket) -> None:
        peer.sendall(banner)
        while data := peer.recv(65536):
            peer.sendall(data)

    return script


@contextlib.contextmanager
def full_backlog() -> Iterator[int]:
    """A listening socket that answers no SYN any more, for the connections that nobody accepts fill it; its port."""
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listening.getsockname())
        yield listening.getsockname()[1]


def unread(peer: socket.socket) -> int:
    """Return the bytes that wait in a socket's receive queue."""
    import fcntl
    import termios

    return int(struct.unpack("i", fcntl.ioctl(peer, termios.FIONREAD, b"\0\0\0\0"))[0])


def unsent(peer: socket.socket) -> int:
    """Return the bytes that were sent and that the other side's kernel has not acknowledged."""
    import fcntl
    import termios

    return int(struct.unpack("i", fcntl.ioctl(peer, termios.TIOCOUTQ, b"\0\0\0\0"))[0])
