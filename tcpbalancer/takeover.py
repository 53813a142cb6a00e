"""Listening sockets go from a running balancer to its successor, so that no connection is refused in between.

Laws: this is between generations of ourselves (HAProxy's ``_getsocks`` is its own, too). The successor connects to a
stats socket with ``expose-fd listeners`` and sends the line ``_getsocks``; the answer is JSON lines, each a list of
names, with as many descriptors (unix(7), SCM_RIGHTS), and an empty list at the end. What a name is, is the matter of
those who listen: both generations give the same one to the same place. Whatever is received and not wanted is closed.
"""

from __future__ import annotations

import array
import json
import socket
from collections.abc import Iterator, Sequence

REQUEST = b"_getsocks\n"
PER_MESSAGE = 64
"""Descriptors in one message: the kernel takes 253 (SCM_MAX_FD)."""
LONGEST = 65536
NAMED_MOST = 65536
"""Sockets that are accepted from a predecessor."""

Named = tuple[str, socket.socket]
"""A listening socket and the name of its place."""


class TakeoverError(Exception):
    """The predecessor did not give its sockets; the sentence says why."""


def messages(sockets: Sequence[Named]) -> Iterator[tuple[bytes, list[socket.socket]]]:
    """Yield what is to be sent, each with its sockets; ``send`` does it for a socket that may wait."""
    for start in range(0, len(sockets), PER_MESSAGE):
        batch = sockets[start : start + PER_MESSAGE]
        yield json.dumps([name for name, _ in batch]).encode() + b"\n", [each for _, each in batch]
    yield b"[]\n", []


def send_message(connection: socket.socket, text: bytes, sockets: Sequence[socket.socket]) -> int:
    """Send one message, its descriptors with the first byte; returns the bytes sent. BlockingIOError: not now."""
    numbers = array.array("i", [each.fileno() for each in sockets])
    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, numbers)] if numbers else []
    return connection.sendmsg([text], ancillary)


def send(connection: socket.socket, sockets: Sequence[Named]) -> None:
    """Send all sockets over a connection that waits; OSError if the successor has gone."""
    for text, batch in messages(sockets):
        sent = send_message(connection, text, batch)
        if sent < len(text):
            connection.sendall(text[sent:])


def receive(path: str, limit: float = 2.0) -> list[Named]:
    """Ask the balancer behind a stats socket for its listening sockets; ``limit`` is seconds for each step.

    Raises TakeoverError if nobody answers or the answer is not one; nothing is left open then.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(limit)
        try:
            connection.connect(path)
            connection.sendall(REQUEST)
            return _receive_all(connection)
        except TimeoutError:
            raise TakeoverError(f"no answer within {limit:g} s") from None
        except OSError as problem:
            raise TakeoverError(str(problem.strerror or problem)) from None


def _receive_all(connection: socket.socket) -> list[Named]:
    text, received = b"", []
    try:
        while not text.endswith(b"[]\n"):
            part, numbers, _, _ = socket.recv_fds(connection, LONGEST, PER_MESSAGE)
            received += [socket.socket(fileno=number) for number in numbers]
            text += part
            if not part or len(received) > NAMED_MOST:
                raise TakeoverError(f"it gives no sockets: {_first_line(text)}")
        names = _names(text)
        if len(names) != len(received):
            raise TakeoverError(f"{len(names)} names for {len(received)} sockets")
    except BaseException:
        for each in received:
            each.close()
        raise
    return list(zip(names, received, strict=True))


def _names(text: bytes) -> list[str]:
    try:
        lines = [json.loads(line) for line in text.splitlines()]
    except ValueError:
        raise TakeoverError(f"it gives no sockets: {_first_line(text)}") from None
    return [str(name) for line in lines for name in line]


def _first_line(text: bytes) -> str:
    return text.decode("utf-8", "replace").strip().split("\n")[0][:200] or "it has closed the connection"
