"""Stand-ins for ``--light``: PostgreSQL and Patroni's REST API of one node, and a Swarm manager's port.

Laws: stands on the standard library alone and runs under Debian's bare Python. Never claims to be the real thing:
server_version and every answer say "stand-in". A stand-in of PostgreSQL keeps no data; it knows its address, its role
and how to refuse a write on a replica.

Sources: PostgreSQL 15 manual, chapter 55 (Frontend/Backend Protocol), sections 55.2 and 55.7; Patroni's manual, "REST
API", for the status of each path.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import socket
import struct
import threading
from collections.abc import Callable

SSL_REQUEST, GSS_REQUEST, PROTOCOL_3 = 80877103, 80877104, 196608
INET, BOOL = 869, 16
LONGEST = 1 << 16
WRITES = ("insert", "update", "delete", "create", "drop", "truncate", "alter")


class Postgres:
    """The PostgreSQL stand-in of one node."""

    def __init__(self, primary: bool) -> None:  # noqa: FBT001 - the one thing there is to say of it
        self.primary = primary

    def serve(self, client: socket.socket) -> None:
        """Speak protocol 3 with one client until it leaves."""
        with client, client.makefile("rb") as stream:
            if not self._greet(client, stream.read):
                return
            while kind := stream.read(1):
                (length,) = struct.unpack("!I", stream.read(4))
                body = stream.read(min(length - 4, LONGEST))
                if kind == b"X":
                    return
                if kind == b"Q":
                    client.sendall(self._answer(body.rstrip(b"\0").decode("utf-8", "replace"), client.getsockname()[0]))
                else:
                    client.sendall(_error("0A000", "stand-in: only the simple query protocol is spoken here") + READY)

    def _greet(self, client: socket.socket, read: Callable[[int], bytes]) -> bool:
        while True:
            head = read(8)
            if len(head) < 8:
                return False
            length, code = struct.unpack("!II", head)
            if code in {SSL_REQUEST, GSS_REQUEST}:
                client.sendall(b"N")  # go on in plain text
                continue
            read(min(length - 8, LONGEST))
            if code != PROTOCOL_3:
                return False
            settings = {"server_version": "15.0 (halab stand-in)", "server_encoding": "UTF8", "client_encoding": "UTF8"}
            settings |= {"standard_conforming_strings": "on", "DateStyle": "ISO", "integer_datetimes": "on"}
            told = b"".join(_message(b"S", _text(name) + _text(value)) for name, value in settings.items())
            key = _message(b"K", struct.pack("!II", os.getpid(), 0))
            client.sendall(_message(b"R", struct.pack("!I", 0)) + told + key + READY)
            return True

    def _answer(self, query: str, address: str) -> bytes:
        statement = " ".join(query.lower().rstrip("; \n").split())
        if statement == "select inet_server_addr()":
            return _row("inet_server_addr", INET, address) + READY
        if statement == "select pg_is_in_recovery()":
            return _row("pg_is_in_recovery", BOOL, "f" if self.primary else "t") + READY
        verb = statement.partition(" ")[0]
        if verb in WRITES and not self.primary:
            return _error("25006", f"cannot execute {verb.upper()} in a read-only transaction (stand-in)") + READY
        if verb in WRITES:
            return _message(b"C", _text("INSERT 0 1" if verb == "insert" else verb.upper())) + READY
        return _error("0A000", f"stand-in: does not know how to answer '{query[:60]}'") + READY


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body


def _text(text: str) -> bytes:
    return text.encode() + b"\0"


def _row(name: str, oid: int, value: str) -> bytes:
    column = _text(name) + struct.pack("!IhIhih", 0, 0, oid, -1, -1, 0)
    data = struct.pack("!hI", 1, len(value)) + value.encode()
    return _message(b"T", struct.pack("!h", 1) + column) + _message(b"D", data) + _message(b"C", _text("SELECT 1"))


def _error(state: str, text: str) -> bytes:
    return _message(
        b"E", b"S" + _text("ERROR") + b"V" + _text("ERROR") + b"C" + _text(state) + b"M" + _text(text) + b"\0"
    )


READY = _message(b"Z", b"I")


class Rest:
    """Patroni's REST API of one node, as far as health checks ask it."""

    LEADER = frozenset({"/", "/primary", "/master", "/read-write", "/leader"})
    REPLICA = frozenset({"/replica", "/asynchronous"})
    BOTH = frozenset({"/patroni", "/health", "/liveness", "/readiness", "/read-only"})

    def __init__(self, primary: bool) -> None:  # noqa: FBT001 - as above
        self.primary = primary

    def status(self, path: str) -> int:
        """Return the status for a path: 200, 503, or 404 for a path that Patroni does not have."""
        path = path.partition("?")[0]
        if path in self.BOTH:
            return 200
        if path in self.LEADER | self.REPLICA:
            return 200 if (path in self.LEADER) == self.primary else 503
        return 404

    def serve(self, client: socket.socket) -> None:
        """Answer one request and close."""
        with client, client.makefile("rb") as stream:
            method, path, *_ = [*stream.readline(LONGEST).decode("latin-1").split(), "", ""]
            while stream.readline(LONGEST) not in {b"\r\n", b"\n", b""}:
                pass
            status = self.status(path)
            role = "primary" if self.primary else "replica"
            body = json.dumps({"state": "running", "role": role, "patroni": {"version": "stand-in"}}).encode()
            reason = {200: "OK", 503: "Service Unavailable", 404: "Not Found"}[status]
            head = (
                f"HTTP/1.0 {status} {reason}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            client.sendall(head.encode() + (body if method == "GET" else b""))


def greet_and_hold(client: socket.socket) -> None:
    """Take a connection, read until the other side closes, say nothing: enough for a TCP check and for ``nc -z``."""
    with client:
        while client.recv(4096):
            pass


def listen(port: int, serve: Callable[[socket.socket], None]) -> threading.Thread:
    """Serve a port, one thread per connection; returns the thread that accepts."""
    listening = socket.create_server(("0.0.0.0", port), backlog=128)

    def one(client: socket.socket) -> None:
        with contextlib.suppress(OSError, struct.error):
            serve(client)

    def accept() -> None:
        while True:
            client, _ = listening.accept()
            threading.Thread(target=one, args=(client,), daemon=True).start()

    thread = threading.Thread(target=accept)
    thread.start()
    return thread


def main(words: list[str]) -> None:
    """Serve: ``database --primary``, ``database``, or ``manager``; says READY=1 when it listens (sd_notify(3))."""
    parser = argparse.ArgumentParser(prog="standins")
    parser.add_argument("what", choices=("database", "manager"))
    parser.add_argument("--primary", action="store_true")
    chosen = parser.parse_args(words)
    if chosen.what == "database":
        listen(5432, Postgres(chosen.primary).serve)
        listen(8008, Rest(chosen.primary).serve)
    else:
        listen(2377, greet_and_hold)
    if "NOTIFY_SOCKET" in os.environ:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as telling:
            telling.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
