"""notify_fifo and vrrp_notify_fifo: named pipes into which every change of state is written, a line each.

Laws: a line is written whole and at once, or dropped, counted and told (keepalived drops in silence): a reader that
sleeps never holds VRRP up. A pipe that was not there is made (mode 0644, owned by script_user) and removed at the end;
anything else of that name is left alone. A reader that we start is one process: it outlives a reload that does not
change it, and is gone before its successor starts (keepalived issues 2024 and 2025: two readers).

Lines are keepalived.conf(5)'s: ``INSTANCE "VI_1" MASTER 100``, ``GROUP "G1" MASTER 0``.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import stat
import termios

from hakit import script as scripts
from hakit.events import EventHub
from pyvrrp.model import Fifo, GlobalSettings, Script

MODE = 0o644
LAST_LINES = 0.5
"""Seconds that a reader has to take the last lines before it is told to end."""
PATIENCE = 3.0
"""Seconds that a reader has to end after SIGTERM; hakit.script kills it after two."""


class FifoWriter:
    """One pipe: opened for as long as the daemon runs, with its reader if there is one to start."""

    def __init__(self, fifo: Fifo, hub: EventHub) -> None:
        self.fifo = fifo
        self.dropped = 0
        self._hub = hub
        self._descriptor: int | None = None
        self._made: tuple[int, int] | None = None
        self._lost_in_a_row = 0
        self._stop: asyncio.Future[None] | None = None
        self._reading: asyncio.Task[None] | None = None

    def open(self, user: str | None, group: str | None) -> bool:
        """Make the pipe if it is not there, and open it; returns whether it can be written to. Failures are told."""
        path = self.fifo.path
        try:
            uid, gid = scripts.identity(user, group)
            made = self._make(uid, gid)
            # Read and write: so it never lacks a reader, and opening it never waits (fifo(7)).
            descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        except (OSError, LookupError) as refused:
            words = getattr(refused, "strerror", None) or str(refused.args[0])
            self._hub.publish("fifo_failed", f"notify fifo {path} cannot be used: {words}")
            return False
        status = os.fstat(descriptor)
        if not stat.S_ISFIFO(status.st_mode):
            os.close(descriptor)
            self._hub.publish("fifo_failed", f"notify fifo {path} cannot be used: it is there, and is no named pipe")
            return False
        self._descriptor = descriptor
        if made:
            self._made = status.st_dev, status.st_ino
        return True

    def _make(self, uid: int, gid: int) -> bool:
        try:
            os.mkfifo(self.fifo.path, MODE)
        except FileExistsError:
            return False
        os.chmod(self.fifo.path, MODE, follow_symlinks=True)  # noqa: PTH101 - whatever the umask is
        os.chown(self.fifo.path, uid, gid, follow_symlinks=False)
        return True

    def write(self, line: str) -> None:
        """Write one line, or drop it and tell."""
        if self._descriptor is None:
            return
        try:
            os.write(self._descriptor, f"{line}\n".encode())
        except OSError as refused:
            self.dropped += 1
            self._lost_in_a_row += 1
            if self._lost_in_a_row == 1:
                words = "nobody reads it" if isinstance(refused, BlockingIOError) else refused.strerror
                self._hub.publish(
                    "fifo_dropped", f"notify fifo {self.fifo.path}: lines are lost, {words}", dropped=self.dropped
                )
            return
        if self._lost_in_a_row:
            lost, self._lost_in_a_row = self._lost_in_a_row, 0
            self._hub.publish(
                "fifo_dropped", f"notify fifo {self.fifo.path}: {lost} lines were lost", dropped=self.dropped
            )

    def start_reader(self, *, security: bool) -> None:
        """Start the program that reads the pipe, with its path as the last argument; nothing if there is none."""
        if self.fifo.script is not None and self._descriptor is not None:
            self._stop = asyncio.get_running_loop().create_future()
            self._reading = asyncio.ensure_future(self._read(self.fifo.script, self._stop, security=security))

    async def _read(self, script: Script, stop: asyncio.Future[None], *, security: bool) -> None:
        wrong = scripts.insecurity_of(script.words, script.user) if security else None
        if wrong is not None:
            self._hub.publish("fifo_failed", f"notify fifo script {script} was not run: {wrong}")
            return
        words = (*script.words, self.fifo.path)
        outcome = await scripts.run(words, timeout=None, stop=stop, user=script.user, group=script.group)
        if outcome.gone is not None:
            await outcome.gone
        if not stop.done():
            self._hub.publish("fifo_failed", f"notify fifo script {script} {outcome.words}: nobody reads the fifo")

    async def _emptied(self) -> None:
        """Wait until the reader has taken the last lines, or does not."""
        assert self._descriptor is not None
        deadline = asyncio.get_running_loop().time() + LAST_LINES
        while asyncio.get_running_loop().time() < deadline:
            waiting = fcntl.ioctl(self._descriptor, termios.FIONREAD, b"\0" * 4)
            if waiting == b"\0" * 4:
                return
            await asyncio.sleep(0.01)  # a pipe tells nobody that it was emptied

    async def finish(self) -> None:
        """End the reader, close the pipe, and remove it if it is the one that we have made."""
        if self._reading is not None and not self._reading.done():
            await self._emptied()
            assert self._stop is not None
            self._stop.set_result(None)
            await asyncio.wait({self._reading}, timeout=PATIENCE)
            self._reading.cancel()
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        with contextlib.suppress(OSError):
            status = os.lstat(self.fifo.path)
            if self._made == (status.st_dev, status.st_ino):
                os.unlink(self.fifo.path)  # noqa: PTH108 - beside lstat
        self._made = None


class Fifos:
    """All notify pipes of a daemon; what is told goes into each."""

    def __init__(self, hub: EventHub) -> None:
        self._hub = hub
        self._writers: dict[Fifo, FifoWriter] = {}
        self._leaving: set[asyncio.Task[None]] = set()

    @property
    def dropped(self) -> int:
        """How many lines were lost in all pipes that are open."""
        return sum(writer.dropped for writer in self._writers.values())

    def apply(self, settings: GlobalSettings) -> None:
        """Have exactly the pipes that ``settings`` name: what stays the same is not touched, its reader neither."""
        wanted = [fifo for fifo in (settings.fifo, settings.vrrp_fifo) if fifo is not None]
        gone = [self._writers.pop(fifo) for fifo in tuple(self._writers) if fifo not in wanted]
        new = [FifoWriter(fifo, self._hub) for fifo in dict.fromkeys(wanted) if fifo not in self._writers]
        self._writers.update({writer.fifo: writer for writer in new})
        if not gone:
            self._start(new, settings)
        elif new or gone:
            task = asyncio.ensure_future(self._replace(gone, new, settings))
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)

    async def _replace(self, gone: list[FifoWriter], new: list[FifoWriter], settings: GlobalSettings) -> None:
        for writer in gone:
            await writer.finish()
        self._start(new, settings)

    def _start(self, new: list[FifoWriter], settings: GlobalSettings) -> None:
        for writer in new:
            if writer.open(settings.script_user, settings.script_group):
                writer.start_reader(security=settings.script_security)

    def tell(self, kind: str, name: str, state: str, priority: int) -> None:
        """Write a line about an ``INSTANCE`` or a ``GROUP`` into every pipe."""
        for writer in self._writers.values():
            writer.write(f'{kind} "{name}" {state} {priority}')

    async def finish(self) -> None:
        """End all readers and remove the pipes that we have made."""
        if self._leaving:
            await asyncio.wait(set(self._leaving))
        writers, self._writers = list(self._writers.values()), {}
        for writer in writers:
            await writer.finish()
