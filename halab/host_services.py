"""The services of a lab host: what systemd does for a machine, as far as a lab needs it.

Laws: stands on the standard library alone. A service is started once, stopped with SIGTERM and, out of patience, with
SIGKILL; what its main process leaves behind is ended with it, in the same way, and it is not at rest before. Nothing
waits: an answer that takes time is given through a callback. Words and exit codes are systemctl's.
"""

# Process 1 imports no more than it must, so paths are texts here.
# ruff: noqa: PTH101, PTH103, PTH108, PTH120, PTH123, PTH208

from __future__ import annotations

import contextlib
import os
import pwd
import signal
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

NOTIFY = "/run/halab/notify"
"""The folder of the sockets on which services say that they are ready (sd_notify(3))."""
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
AGAIN = 1.0
"""Seconds until what a SIGKILL has not ended is looked at again."""
MARK = "HALAB_SERVICE"
"""The environment variable by which the processes of a service are known, as systemd knows them by their cgroup."""

Answer = Callable[[dict[str, Any]], None]
"""Takes the outcome of a request: {} or {"error": text}, and more where the request says so."""


def spawn(argv: Sequence[str], env: Mapping[str, str], user: str, cwd: str, streams: Sequence[int]) -> int:
    """Start a program in a session of its own and return its pid; raises OSError if it cannot be executed.

    ``streams`` are the descriptors of its standard input, output and error. No other descriptor is inherited.
    """
    account = pwd.getpwnam(user)
    whole = {"PATH": PATH, "HOME": account.pw_dir, "USER": user, "LANG": "C.UTF-8", **env}
    told, tells = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            _become(account, cwd, streams)
            os.execvpe(argv[0], list(argv), whole)
        except OSError as problem:
            os.write(tells, str(problem.errno or 0).encode())
        finally:
            os._exit(127)
    os.close(tells)
    with os.fdopen(told, "rb") as failing:
        number = failing.read()  # empty as soon as the program runs: the pipe closes at exec
    if number:
        raise OSError(int(number), f"{argv[0]}: {os.strerror(int(number))}")
    return pid


def _become(account: pwd.struct_passwd, cwd: str, streams: Sequence[int]) -> None:
    os.setsid()
    signal.set_wakeup_fd(-1)
    for kind in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD, signal.SIGINT):
        signal.signal(kind, signal.SIG_DFL)
    for number, stream in enumerate([os.dup(stream) for stream in streams]):
        os.dup2(stream, number)
    if account.pw_uid != 0:
        os.initgroups(account.pw_name, account.pw_gid)
        os.setgid(account.pw_gid)
        os.setuid(account.pw_uid)
    os.umask(0o022)
    os.chdir(cwd)


class Service:
    """One service: how it is run, and how it stands."""

    def __init__(self, definition: Mapping[str, Any]) -> None:
        self.name: str = definition["name"]
        self.argv: list[str] = definition["argv"]
        self.env: dict[str, str] = definition["env"]
        self.user: str = definition["user"]
        self.cwd: str = definition["cwd"]
        self.log: str = definition["log"]
        self.notify: bool = definition["notify"]
        self.patience: float = definition["patience"]
        self.state = "inactive"
        self.pid = 0
        self.since = time.monotonic()
        self.outcome = ""
        self.deadline: float | None = None
        self.final = "inactive"
        self.doomed = 0  # a main process that was sent SIGKILL, and of which the kernel has not told the end yet
        self.starting: list[Answer] = []
        self.stopping: list[Answer] = []

    def told(self) -> dict[str, Any]:
        """Return how the service stands, as ``status`` answers it."""
        return {
            "name": self.name,
            "state": self.state,
            "pid": self.pid,
            "since": self.since,
            "outcome": self.outcome,
            "log": self.log,
        }


class Services:
    """All services of the host. ``changed`` is called after every change of a state."""

    def __init__(self, changed: Callable[[Service], None]) -> None:
        self.known: dict[str, Service] = {}
        self.sockets: dict[str, socket.socket] = {}
        self._changed = changed

    def define(self, definition: Mapping[str, Any]) -> dict[str, Any]:
        """Make a service known, or change how it is run at its next start; returns the empty answer."""
        fresh = Service(definition)
        old = self.known.get(fresh.name)
        if old is not None and old.state not in {"inactive", "failed"}:
            raise ValueError(f"service {fresh.name} is running: stop it before it is defined anew")
        self.known[fresh.name] = fresh
        return {}

    def start(self, name: str, answer: Answer) -> None:
        """Start; answers when the service says READY=1 (or at once, if it is not the kind that does)."""
        service = self._named(name)
        doomed = service.pid != 0 and service.doomed == service.pid
        if service.state == "active" and not doomed:
            return answer({})
        if service.state == "deactivating" or doomed:
            service.stopping.append(lambda _: self.start(name, answer))
            return None
        service.starting.append(answer)
        if service.state != "activating":
            self._launch(service)
        return None

    def _launch(self, service: Service) -> None:
        env = {**service.env, MARK: service.name}
        if service.notify:
            env["NOTIFY_SOCKET"] = self._listen(service)
        os.makedirs(os.path.dirname(service.log), exist_ok=True)
        log = os.open(service.log, os.O_CREAT | os.O_APPEND | os.O_WRONLY | os.O_CLOEXEC, 0o644)
        nothing = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        try:
            service.doomed = 0
            service.pid = spawn(service.argv, env, service.user, service.cwd, (nothing, log, log))
        except (OSError, KeyError) as problem:
            service.outcome = f"cannot start: {problem}"
            self._enter(service, "failed")
            _tell(service.starting, {"error": service.outcome})
            return
        finally:
            os.close(nothing)
            os.close(log)
        service.outcome = ""
        if service.notify:
            service.deadline = time.monotonic() + 90.0  # systemd's TimeoutStartSec
            self._enter(service, "activating")
        else:
            self._enter(service, "active")
            _tell(service.starting, {})

    def _listen(self, service: Service) -> str:
        path = f"{NOTIFY}/{service.name}"
        os.makedirs(NOTIFY, exist_ok=True)
        old = self.sockets.pop(service.name, None)
        if old is not None:
            old.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        listening.bind(path)
        os.chmod(path, 0o666)  # noqa: S103 - a service that has dropped root says READY, too
        self.sockets[service.name] = listening
        return path

    def notified(self, name: str) -> None:
        """Read what the service said on its socket."""
        with contextlib.suppress(BlockingIOError):
            words = self.sockets[name].recv(4096).decode("utf-8", "replace").split("\n")
            service = self.known[name]
            if "READY=1" in words and service.state == "activating":
                service.deadline = None
                self._enter(service, "active")
                _tell(service.starting, {})

    def stop(self, name: str, answer: Answer) -> None:
        """Stop: SIGTERM to the main process, SIGKILL to all of it when patience ends; answers when nothing is left."""
        service = self._named(name)
        if service.state in {"inactive", "failed"}:
            if service.state == "failed":
                self._enter(service, "inactive")
            return answer({})
        service.stopping.append(answer)
        if service.state != "deactivating":
            service.deadline = time.monotonic() + service.patience
            self._enter(service, "deactivating")
            _tell(service.starting, {"error": f"{name} was stopped before it was ready"})
            os.kill(service.pid, signal.SIGTERM)
        return None

    def kill(self, name: str, number: int) -> list[int]:
        """Send a signal to every process of the service, as ``systemctl kill`` does; returns their pids.

        Whoever is killed is stopped before: else the first one's death may be heard by the others before their own
        (prctl(2), PR_SET_PDEATHSIG), and keepalived's child would resign, which is no sudden death.
        """
        service = self._named(name)
        struck = self._members(service)
        for each in (signal.SIGSTOP, number) if number == signal.SIGKILL else (number,):
            for pid in struck:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, each)
        if number == signal.SIGKILL and service.pid in struck:
            service.doomed = service.pid
        return struck

    def exited(self, pid: int, status: int) -> None:
        """Take note that a process has ended; ``status`` is that of waitpid(2)."""
        for service in self.known.values():
            if service.pid == pid:
                self._main_ended(service, os.waitstatus_to_exitcode(status))
            elif service.state == "deactivating" and not service.pid:
                self._rest(service)

    def _main_ended(self, service: Service, code: int) -> None:
        service.outcome = f"exit status {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"
        clean = service.state == "deactivating" or code == 0
        service.pid, service.final = 0, "inactive" if clean else "failed"
        left = self.kill(service.name, signal.SIGTERM if clean else signal.SIGKILL)
        if left and service.state != "deactivating":
            self._clear_away(service, service.patience)
        _tell(service.starting, {"error": f"{service.name} ended: {service.outcome}; see {service.log}"})
        self._rest(service)

    def _rest(self, service: Service) -> None:
        """Let a service whose main process has ended come to rest, if nothing of it is left.

        Whoever executes another program at that moment has no environment, and so no mark, for an instant: the signal
        may have missed it, and here it is.
        """
        if not self._members(service):
            service.deadline = None
            self._enter(service, service.final)
            _tell(service.stopping, {})
        elif service.state != "deactivating":
            self._clear_away(service, AGAIN)

    def _clear_away(self, service: Service, patience: float) -> None:
        """Wait for what the main process has left behind, and kill it when patience ends."""
        service.deadline = time.monotonic() + patience
        self._enter(service, "deactivating")

    def next_deadline(self) -> float | None:
        """Return the earliest moment (monotonic) at which patience ends, if any."""
        return min((one.deadline for one in self.known.values() if one.deadline is not None), default=None)

    def expire(self) -> None:
        """Kill what has been waited for long enough."""
        now = time.monotonic()
        for service in self.known.values():
            if service.deadline is not None and service.deadline <= now:
                service.deadline = now + AGAIN
                self.kill(service.name, signal.SIGKILL)
                if not service.pid:
                    self._rest(service)

    def _enter(self, service: Service, state: str) -> None:
        service.state, service.since = state, time.monotonic()
        self._changed(service)

    def _named(self, name: str) -> Service:
        if name.removesuffix(".service") not in self.known:
            raise ValueError(f"no service {name} here; known: {', '.join(sorted(self.known)) or 'none'}")
        return self.known[name.removesuffix(".service")]

    def _members(self, service: Service) -> list[int]:
        """The processes of a service: descendants of its main process, and whoever carries its mark."""
        parents: dict[int, int] = {}
        marked = {service.pid} - {0}
        for entry in os.listdir("/proc"):
            if entry.isdigit() and entry != "1":
                with contextlib.suppress(OSError):
                    parents[int(entry)] = _parent(int(entry))
                    with open(f"/proc/{entry}/environ", "rb") as environ:
                        if f"{MARK}={service.name}".encode() in environ.read().split(b"\0"):
                            marked.add(int(entry))
        grown = True
        while grown:
            more = {pid for pid, parent in parents.items() if parent in marked} - marked
            marked |= more
            grown = bool(more)
        return sorted(pid for pid in marked if pid in parents)


def _tell(waiting: list[Answer], outcome: dict[str, Any]) -> None:
    told = waiting.copy()
    waiting.clear()  # an answer may start the service anew, and wait again
    for answer in told:
        answer(outcome)


def _parent(pid: int) -> int:
    with open(f"/proc/{pid}/stat", "rb") as stat:
        return int(stat.read().rpartition(b")")[2].split()[1])
