"""Where log lines go: console, Unix datagram socket, UDP.

Laws: a line is written at once or dropped and counted; nothing here waits, and nothing here raises after ``open``. No
text makes two lines of one, or speaks to a terminal: control characters are written as ``#XX``.
Lines look as HAProxy makes them, in any of its formats; ``local`` is ``<PRI>Mon DD HH:MM:SS TAG[PID]: TEXT``.

Sources: RFC 3164 sections 4.1.1 to 4.1.3, RFC 5424 section 6; HAProxy's configuration manual, ``log`` (formats, levels,
facilities).
"""

from __future__ import annotations

import os
import select
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

LEVELS = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")
FACILITIES = (
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "auth2", "ftp", "ntp", "audit",
    "alert", "cron2", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
)  # fmt: skip
FORMATS = ("local", "rfc3164", "rfc5424", "priority", "short", "timed", "iso", "raw")
LONGEST = 4096
"""Bytes of one line on a console; a pipe that is ready takes that many without blocking (PIPE_BUF)."""
_CONTROLS = {
    **{code: f"#{code:02X}" for code in (*range(32), *range(127, 160)) if code != ord("\t")},
    ord("\n"): " ",
}
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Writer(Protocol):
    """Takes one line of bytes without a newline; returns False if it had to be dropped."""

    def write(self, line: bytes) -> bool:
        """Write or drop."""

    def close(self) -> None:
        """Let go of what was opened."""


class Console:
    """A terminal, pipe or file that is open already and that other programs may share."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLOUT)

    def write(self, line: bytes) -> bool:
        """Write if the descriptor is ready, up to LONGEST bytes: never set it non-blocking, others share it."""
        try:
            ready = self._poll.poll(0)
            if not ready or not ready[0][1] & select.POLLOUT:
                return False
            os.write(self._descriptor, line[: LONGEST - 1] + b"\n")
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Nothing: the console is not ours."""


class _Datagram:
    def __init__(self, family: int, address: str | tuple[str, int]) -> None:
        self._address = address
        self._socket = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)

    def write(self, line: bytes) -> bool:
        """Send to the address anew each time, so that a log daemon may come and go."""
        try:
            self._socket.sendto(line, self._address)
        except OSError:
            return False
        return True

    def close(self) -> None:
        self._socket.close()


def _open(address: str) -> Writer:
    if address in {"stdout", "stderr"}:
        return Console(1 if address == "stdout" else 2)
    if address.startswith("fd@"):
        os.fstat(int(address[3:]))  # OSError if nobody has left it open
        return Console(int(address[3:]))
    if address.startswith("abns@"):
        return _Datagram(socket.AF_UNIX, "\0" + address[5:])
    if address.startswith("/"):
        return _Datagram(socket.AF_UNIX, address)
    host, _, port = address.rpartition(":")
    family, *_, resolved = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_DGRAM)[0]
    return _Datagram(family, (str(resolved[0]), int(resolved[1])))


@dataclass(frozen=True, slots=True)
class Layout:
    """How a line looks: ``format`` is one of FORMATS; ``host`` None: none where the format can do without.

    What is more urgent than ``least`` is sent as ``least``. ``length``: bytes, with the line feed that datagrams get if
    ``feed`` says so.
    """

    format: str = "local"
    level: str = "debug"
    least: str = "emerg"
    host: str | None = None
    length: int = LONGEST
    feed: bool = False


class LogTarget:
    """One place for log lines, with its own facility and layout."""

    def __init__(self, tag: str, address: str, facility: str, layout: Layout = Layout()) -> None:
        """Open ``stdout``, ``stderr``, ``fd@N``, ``/path``, ``abns@NAME`` or ``host:port``. OSError if none such."""
        self.dropped = 0
        self._tag = tag
        self._facility = FACILITIES.index(facility)
        self._layout = layout
        self._level, self._least = LEVELS.index(layout.level), LEVELS.index(layout.least)
        self._writer = _open(address)
        self._feed = layout.feed and isinstance(self._writer, _Datagram)

    def log(self, level: str, text: str, wall: float | None = None, tag: str = "") -> None:
        """Write ``text`` unless its level is below the target's; ``wall`` is seconds since 1970, by default now."""
        severity = LEVELS.index(level)
        if severity <= self._level:
            at = time.time() if wall is None else wall
            line = self._head(max(severity, self._least), at, tag or self._tag) + text
            raw = _on_one_line(line).encode("utf-8", "replace")[: self._layout.length - 1]
            if not self._writer.write(raw + b"\n" if self._feed else raw):
                self.dropped += 1

    def close(self) -> None:
        """Let go of the socket."""
        self._writer.close()

    def _head(self, severity: int, wall: float, tag: str) -> str:
        priority, host, pid = self._facility * 8 + severity, self._layout.host, os.getpid()
        match self._layout.format:
            case "raw":
                return ""
            case "short":
                return f"<{severity}>"
            case "priority":
                return f"<{priority}>"
            case "timed":
                return f"<{severity}>{_iso(wall)} "
            case "iso":
                return f"{_iso(wall)} "
            case "rfc5424":
                return f"<{priority}>1 {_iso(wall)} {host or '-'} {tag} {pid} - - "
            case "rfc3164":
                return f"<{priority}>{_stamp(wall)} {host or 'localhost'} {tag}[{pid}]: "
            case _:
                return f"<{priority}>{_stamp(wall)} {tag}[{pid}]: "


def _on_one_line(text: str) -> str:
    """Return ``text`` without what begins a line or moves a terminal: ``#1B`` stands for ESC, as in HAProxy."""
    return text if text.isprintable() else text.translate(_CONTROLS)


def _stamp(wall: float) -> str:
    at = time.localtime(wall)
    return f"{_MONTHS[at.tm_mon - 1]} {at.tm_mday:2} {at.tm_hour:02}:{at.tm_min:02}:{at.tm_sec:02}"


def _iso(wall: float) -> str:
    return datetime.fromtimestamp(wall).astimezone().isoformat(timespec="microseconds")


class Log:
    """All log targets of a program as one: call it with a level and a text."""

    def __init__(self, targets: Sequence[LogTarget] = ()) -> None:
        self._targets = tuple(targets)

    def __call__(self, level: str, text: str) -> None:
        """Tell ``text`` to every target; ``level`` is one of LEVELS."""
        for target in self._targets:
            target.log(level, text)

    @property
    def dropped(self) -> int:
        """How many lines no target could take at the time."""
        return sum(target.dropped for target in self._targets)

    def close(self) -> None:
        """Close every target."""
        for target in self._targets:
            target.close()
