"""Where keepalived's lines are written: console (``-l``), file (``-g``), syslog.

Laws: a line is written at once or dropped; the daemon never waits for its log. Every line comes from an event.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

from hakit.logtarget import Layout, LogTarget
from hakit.transcript import Event
from pyvrrp.status.log_lines import console_stamp, file_stamp, lines

Sink = Callable[[Event, str], None]
"""Writes one line about an event."""


class Logger:
    """Writes the lines of each event that it is told of to all its sinks."""

    def __init__(self, sinks: tuple[Sink, ...], *, detail: bool) -> None:
        self._sinks = sinks
        self._detail = detail

    def __call__(self, event: Event) -> None:
        """Write what keepalived would write about ``event``."""
        for line in lines(event):
            if self._detail or not line.detail:
                for sink in self._sinks:
                    sink(event, line.text)


def console() -> Sink:
    """Return a sink for stderr, with the time in front."""
    target = LogTarget("pyvrrp", "stderr", "daemon", Layout("raw"))
    return lambda event, text: target.log("info", f"{console_stamp(event)}: {text}")


def syslog(facility: str = "daemon") -> Sink:
    """Return a sink for the system's log, under keepalived's name for its VRRP process."""
    target = LogTarget("Keepalived_vrrp", "/dev/log", facility)
    return lambda _, text: target.log("info", text)


def file(path: Path) -> Sink:
    """Return a sink that appends to ``path``; raises OSError if it cannot be opened, or is a trap.

    Where everybody may write (keepalived's default lies in /tmp), a link, a pipe that nobody reads, or a file of
    somebody else may have been put there beforehand.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    descriptor = os.open(path, flags, 0o640)
    owner = os.fstat(descriptor).st_uid
    if path.parent.stat().st_mode & stat.S_IWOTH and owner not in {0, os.geteuid()}:
        os.close(descriptor)
        raise PermissionError(
            errno.EPERM, f"it belongs to uid {owner}, in a folder where everybody may write", str(path)
        )

    def write(event: Event, text: str) -> None:
        try:
            os.write(descriptor, f"{file_stamp(event)}: {text}\n".encode())
        except OSError:  # the disk is full: VRRP goes on
            return

    return write
