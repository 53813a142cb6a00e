"""A client of a stats socket, and a balancer that serves one for a test."""

from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from running_balancer import RunningBalancer
from tcp_peers import PATIENCE, read_to_end

from tcpbalancer.control import commands
from tcpbalancer.control.cli_room import Room
from tcpbalancer.control.cli_server import CliServer
from tcpbalancer.model import Configuration, Level
from tcpbalancer.model.stats_socket import Place, StatsSocket

assert commands.SUBJECTS


def ask(path: str | Path, line: str | bytes, *, half_close: bool = False) -> str:
    """Send one line and return everything that comes back."""
    with connect(path) as client:
        client.sendall((line.encode() if isinstance(line, str) else line) + b"\n")
        if half_close:
            client.shutdown(socket.SHUT_WR)
        return read_to_end(client).decode("utf-8", "surrogateescape")


def connect(path: str | Path) -> socket.socket:
    """Return a connection to a socket of the file system."""
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(PATIENCE)
    try:
        client.connect(str(path))
    except OSError:
        client.close()
        raise
    return client


class RunningApi:
    """A balancer with a stats socket of each level, ``admin``, ``operator`` and ``user`` in a folder."""

    def __init__(self, configuration: Configuration, folder: Path, **settings: float) -> None:
        self.folder = folder
        sockets = tuple(
            StatsSocket(
                Place.UNIX, str(folder / level.name.lower()), level=level, exposes_listeners=level is Level.ADMIN
            )
            for level in Level
        )
        self.configuration = replace(configuration, stats_sockets=sockets, **settings)  # type: ignore[arg-type]
        self.balancer = RunningBalancer(self.configuration)
        self.notes: list[tuple[str, str]] = []

    def __enter__(self) -> Self:
        self.balancer.__enter__()
        self.balancer.ask(self._start)
        return self

    def _start(self) -> None:
        self.room = Room(self.balancer.supervisor, lambda level, line: self.notes.append((level, line)))
        self.server = CliServer(self.room, self.balancer.supervisor.listeners)
        self.server.start(self.configuration)

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.balancer.ask(self.server.stop)
        finally:
            self.balancer.__exit__(kind, value, trace)

    def path(self, level: str = "admin") -> Path:
        """Return the socket of a level."""
        return self.folder / level

    def __call__(self, line: str, level: str = "admin") -> str:
        """Return the answer to a line without the empty line at its end."""
        answer = ask(self.path(level), line)
        assert answer.endswith("\n"), answer
        return answer.removesuffix("\n")
