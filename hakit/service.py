"""What makes a program a service: pid file, process name, stop signals, readiness.

Laws: a pid file is locked as long as its owner lives, so a stale one cannot stop a start and a living one cannot be
overrun; symbolic links are not followed. A stop signal is remembered, never acted upon in the handler. Nothing here
waits for anybody: a service manager that does not listen is not there.

Sources: ``sd_notify(3)``; HAProxy's management guide, chapter 4 (the foreground process dies by the signal that ended
it); ``flock(2)``; ``proc(5)`` on ``/proc/self/comm``.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import socket
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from types import TracebackType
from typing import NoReturn, Self


class AlreadyRunning(Exception):  # noqa: N818 (it says what is the case; it is not an error of ours)
    """Somebody else holds the pid file; ``pid`` is who, 0 if the file does not say."""

    def __init__(self, path: Path, pid: int) -> None:
        self.path = path
        self.pid = pid
        super().__init__(f"another instance is running (pid {pid or 'unknown'}), it holds {path}")


class PidFile:
    """The pid file of the running process: taken by ``acquire``, given back by ``release`` or by the process's end.

    Also a context manager. The lock belongs to the open file, so a child of ``fork`` shares it and one of ``exec``
    does not. ``others`` are the names of programs that write this file without our lock: a living one holds it, too.
    """

    def __init__(self, path: Path, others: Collection[str] = ()) -> None:
        self.path = path
        self._others = others
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Lock the file and write our pid; raises AlreadyRunning, or OSError (no such folder, a link)."""
        while self._descriptor is None:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
            try:
                self._lock(descriptor)
            except BaseException:
                os.close(descriptor)
                raise
            if self._is_current(descriptor):
                self._descriptor = descriptor
            else:
                os.close(descriptor)  # its owner removed it between our open and our lock: make a new one
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)

    def release(self, remove: bool = True) -> None:  # noqa: FBT001 (keepalived removes its pid file, HAProxy does not)
        """Give the lock back, and remove the file unless it is to stay as HAProxy's does."""
        if self._descriptor is not None:
            if remove:
                try:
                    self.path.unlink(missing_ok=True)
                except PermissionError:  # the folder is root's, who was given up: nobody is named any more
                    os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None

    def _lock(self, descriptor: int) -> None:
        written = os.pread(descriptor, 32, 0).split()
        pid = int(written[0]) if written and written[0].isdigit() else 0
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunning(self.path, pid) from None
        if pid != os.getpid() and _program_of(pid) in self._others:
            raise AlreadyRunning(self.path, pid)

    def _is_current(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), self.path.stat())
        except FileNotFoundError:
            return False

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.release()


def _program_of(pid: int) -> str | None:
    """Return the name of the program that runs as ``pid``, None if none does: one that has ended does not.

    In a container pid 1 may never reap it, or late: a zombie bears its name as long as that takes (proc(5), stat).
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    name, _, rest = text.partition("(")[2].rpartition(") ")
    return None if rest[:1] in {"Z", "X"} else name


class ServiceManager:
    """The service manager's socket, connected once: it can still be told of after root was given up."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._socket: socket.socket | None = None
        address = environment.get("NOTIFY_SOCKET", "")
        if not address.startswith(("/", "@")):
            return
        telling = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
        try:
            telling.connect("\0" + address[1:] if address.startswith("@") else address)
        except OSError:
            telling.close()  # a service manager that does not listen is not there
        else:
            self._socket = telling

    def tell(self, state: str) -> bool:
        """Send ``state`` as ``sd_notify`` does; returns whether it was sent."""
        if self._socket is None:
            return False
        try:
            self._socket.send(state.encode())
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Let go of the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def sd_notify(state: str, environment: Mapping[str, str] = os.environ) -> bool:
    """Send ``state`` (``READY=1``, ``STOPPING=1``, several joined by newlines) to $NOTIFY_SOCKET.

    Returns whether it was sent; False if there is no such socket or nobody listens.
    """
    address = environment.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    if address.startswith("@"):  # the abstract namespace
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as telling:
        telling.setblocking(False)
        try:
            telling.sendto(state.encode(), address)
        except OSError:
            return False
    return True


def set_process_name(name: str) -> bool:
    """Set what ``ps``, ``pgrep`` and ``killall`` call this process (15 bytes at most); returns whether it was done.

    The same as ``prctl(PR_SET_NAME)`` from the main thread, without loading ctypes.
    """
    try:
        Path("/proc/self/comm").write_bytes(name.encode()[:15])
    except OSError:
        return False
    return True


class StopSignals:
    """SIGTERM and SIGINT (or others) as an event of the running loop that remembers which one came first."""

    def __init__(self, *signals: signal.Signals) -> None:
        self.received: signal.Signals | None = None
        self._signals = signals or (signal.SIGTERM, signal.SIGINT)
        self._event = asyncio.Event()

    def install(self) -> None:
        """Catch the signals from now on; needs a running loop in the main thread."""
        loop = asyncio.get_running_loop()
        for number in self._signals:
            loop.add_signal_handler(number, self._take, number)

    def remove(self) -> None:
        """Restore the default action of the signals."""
        loop = asyncio.get_running_loop()
        for number in self._signals:
            loop.remove_signal_handler(number)

    async def wait(self) -> signal.Signals:
        """Return the first signal, once it has come."""
        await self._event.wait()
        assert self.received is not None
        return self.received

    def _take(self, number: signal.Signals) -> None:
        if self.received is None:
            self.received = number
        self._event.set()


def die_by(number: signal.Signals) -> NoReturn:
    """End this process by the default action of ``number``, as HAProxy's foreground does."""
    signal.signal(number, signal.SIG_DFL)
    with contextlib.suppress(ValueError, OSError):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
    os.kill(os.getpid(), number)
    os._exit(128 + number)  # only if the default action is to go on


class Detached:
    """A process in the background. Until it is ready, what it writes to ``sys.stderr`` reaches the terminal."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        os.setsid()
        terminal = fcntl.fcntl(2, fcntl.F_DUPFD_CLOEXEC, 3)  # ours alone: no child of ours holds it open
        nothing = os.open(os.devnull, os.O_RDWR)
        for standard in (0, 1, 2):
            os.dup2(nothing, standard)
        os.close(nothing)
        sys.stderr = os.fdopen(terminal, "w", encoding="utf-8", errors="backslashreplace", buffering=1)

    def ready(self) -> None:
        """Let go of the terminal, and let the process that started this one end with 0."""
        sys.stderr.close()
        sys.stderr = sys.__stderr__
        os.write(self._descriptor, b"r")
        os.close(self._descriptor)


def detach() -> Detached:
    """Go on in the background: returns in a new process, with a session of its own.

    The old process waits until the new one is ready, or has ended, and raises SystemExit with 0 or with its status.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    reading, writing = os.pipe2(os.O_CLOEXEC)
    child = os.fork()
    if not child:
        os.close(reading)
        return Detached(writing)
    os.close(writing)
    if os.read(reading, 1) == b"r":
        raise SystemExit(0)
    _, status = os.waitpid(child, 0)
    raise SystemExit(os.waitstatus_to_exitcode(status))
