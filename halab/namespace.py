"""A host of the lab: a process that holds namespaces of its own, and dies with the lab.

Laws: no namespace, link or mount outlives the lab, whatever ends it; there is nothing to clean up and no code that
does. All calls wait for the host's answer, none for a guess of time. Threads may call at once.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from halab.host_init import LARGEST
from halab.host_mounts import CLONE_NEWNET, ENVIRONMENT, setns

T = TypeVar("T")
ROOT = Path(__file__).resolve().parent.parent
"""The folder that holds the packages."""
PATIENCE = 30.0
"""Seconds within which a host must answer a request that is not known to take longer."""
_PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy")  # of a network that a host is not in
_BIRTH = "import sys; sys.path.insert(0, sys.argv[1]); from halab.host_init import nursery; nursery(int(sys.argv[2]))"


class LabError(Exception):
    """The lab cannot do what was asked; one line says what is wrong and what to do."""


@dataclass(frozen=True, slots=True)
class Completed:
    """A program that has ended: exit status (negative: the signal), what it wrote, and how long it ran in seconds."""

    argv: tuple[str, ...]
    status: int
    output: str
    errors: str
    seconds: float

    def check(self) -> Completed:
        """Return this, or raise LabError with the last line it wrote if it failed."""
        if self.status != 0:
            last = (self.errors or self.output).strip().rpartition("\n")[2]
            raise LabError(f"{' '.join(self.argv)} failed with status {self.status}: {last}")
        return self


@dataclass(frozen=True, slots=True)
class ServiceDefinition:
    """How a service is run: see systemd.service(5) for ``notify`` (Type=notify) and ``patience`` (TimeoutStopSec)."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    user: str = "root"
    cwd: str = "/"
    notify: bool = False
    patience: float = 5.0

    @property
    def log(self) -> str:
        """The path, in the host, of what the service writes."""
        return f"/var/log/halab/{self.name}.log"


class Process:
    """A program that runs in a host; ``pid`` counts in the host's own pid namespace.

    ``number`` is process 1's own for it: a pid is used again, a number never.
    """

    def __init__(self, host: Host, pid: int, number: int, ended: Future[int]) -> None:
        self.host = host
        self.pid = pid
        self.number = number
        self.ended = ended

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit status, negative for a signal; raises TimeoutError."""
        return self.ended.result(timeout)

    def signal(self, number: int) -> None:
        """Send a signal; a process that has ended is left in peace."""
        if not self.ended.done():
            with contextlib.suppress(LabError):
                self.host.ask("signal", to=self.number, number=int(number))


class Nursery:
    """The process that forks hosts. One per lab; closing it, or dying, ends all hosts."""

    def __init__(self) -> None:
        if os.geteuid() != 0:
            raise LabError("the lab builds network namespaces and needs root: run it with sudo")
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # Debian's own Python, not the environment's: a host needs nothing but the standard library.
        python = _bare_python()
        self.keep = tuple({str(ROOT), sys.prefix, str(Path(python).parent.parent)})
        argv = [python, "-I", "-S", "-c", _BIRTH, str(ROOT), str(theirs.fileno())]
        self._process = subprocess.Popen(argv, pass_fds=(theirs.fileno(),), stdin=subprocess.DEVNULL)
        theirs.close()

    def bear(self, name: str, files: Mapping[str, str]) -> Host:
        """Return a new host, perhaps still on its way (``Host.wait_up``); ``files`` are in it from the start."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        systemctl = f"#!{_bare_python()} -IS\n" + (ROOT / "halab" / "host_systemctl.py").read_text(encoding="utf-8")
        written = [
            *([path, text, 0o644] for path, text in files.items()),
            ["/usr/local/bin/systemctl", systemctl, 0o755],
        ]
        boot = {"name": name, "environment": sys.prefix, "keep": self.keep, "files": written}
        try:
            socket.send_fds(self._socket, [json.dumps(boot).encode()], [theirs.fileno()])
            answer = json.loads(self._socket.recv(LARGEST) or b'{"error": "the process that makes hosts has ended"}')
        except OSError as problem:
            answer = {"error": str(problem)}
        theirs.close()
        if "error" in answer:
            ours.close()
            raise LabError(f"no namespaces here ({answer['error']}): the lab needs root and a kernel that allows them")
        return Host(name, answer["pid"], ours)

    def close(self) -> None:
        """End all hosts; returns when the nursery has ended."""
        self._socket.close()
        self._process.wait()


def _bare_python() -> str:
    return os.path.realpath(getattr(sys, "_base_executable", sys.executable))


class Host:
    """One host. ``pid`` is its process 1 as seen from outside; ``root`` leads into its file system."""

    def __init__(self, name: str, pid: int, lab: socket.socket) -> None:
        self.name = name
        self.pid = pid
        self.root = Path(f"/proc/{pid}/root")
        self.service_events: list[dict[str, Any]] = []
        self.changed = threading.Condition()
        self._socket = lab
        self._numbers = itertools.count(1)
        self._answers: dict[int, Future[dict[str, Any]]] = {}
        self._exits: dict[int, Future[int]] = {}
        self._works: set[Future[Any]] = set()
        self._lock = threading.Lock()
        self._up: Future[None] = Future()
        self.ended: Future[None] = Future()
        threading.Thread(target=self._listen, name=f"host {name}", daemon=True).start()

    def __repr__(self) -> str:
        return f"<Host {self.name} pid {self.pid}>"

    def _listen(self) -> None:
        while True:
            try:
                message = self._socket.recv(LARGEST)
            except OSError:
                message = b""
            if not message:
                break
            self._take(json.loads(message))
        gone = LabError(f"host {self.name} has ended")
        with self._lock:
            waiting: list[Future[Any]] = [*self._answers.values(), *self._exits.values(), *self._works, self._up]
            self._answers.clear()
            self._works.clear()
            self._socket.close()
            self.ended.set_result(None)
        for one in waiting:
            if not one.done():
                one.set_exception(gone)

    def _take(self, message: dict[str, Any]) -> None:
        match message.get("event"):
            case None:
                with self._lock:
                    answer = self._answers.pop(message["id"], None)
                if answer is not None and not answer.done():
                    answer.set_result(message)
            case "up":
                self._up.set_result(None)
            case "stillborn":
                self._up.set_exception(LabError(f"host {self.name} cannot be built: {message['error']}"))
            case "exit":
                self._exit_of(message["number"]).set_result(message["status"])
            case "service":
                with self.changed:
                    self.service_events.append(message)
                    self.changed.notify_all()
            case _:
                raise AssertionError(f"process 1 of {self.name} said {message}")

    def _exit_of(self, number: int) -> Future[int]:
        """The future of a process's end: made by who comes first, the exit or its spawner, and let go by the second."""
        with self._lock:
            ended = self._exits.pop(number, None)
            if ended is None:
                ended = self._exits[number] = Future()
            return ended

    def wait_up(self) -> None:
        """Return when the host's file system, name and loopback are ready; raises LabError if it could not be built."""
        self._up.result(PATIENCE)

    def ask(self, do: str, streams: Sequence[int] = (), patience: float = PATIENCE, **values: Any) -> dict[str, Any]:
        """Send one request to process 1 and return its answer; raises LabError with what it found wrong."""
        number, answer = next(self._numbers), Future[dict[str, Any]]()
        with self._lock:
            if self.ended.done():
                raise LabError(f"host {self.name} has ended")
            self._answers[number] = answer
            request = json.dumps({"id": number, "do": do, **values}).encode()
            try:
                socket.send_fds(self._socket, [request], list(streams))
            except OSError as problem:
                raise LabError(f"host {self.name} cannot be reached: {problem}") from None
        try:
            found = answer.result(patience)
        except TimeoutError:
            raise LabError(f"host {self.name} did not answer '{do}' within {patience:g} s") from None
        if "error" in found:
            raise LabError(f"{self.name}: {found['error']}")
        return found

    def spawn(
        self, argv: Sequence[str], *, streams: Sequence[int] | None = None, env: Mapping[str, str] | None = None,
        user: str = "root", cwd: str = "/",
    ) -> Process:  # fmt: skip
        """Start a program; ``streams`` are descriptors of this process for its input, output and errors."""
        with Path(os.devnull).open("r+b", buffering=0) as nothing:
            given = streams if streams is not None else [nothing.fileno()] * 3
            answer = self.ask("spawn", given, argv=list(argv), env=dict(env or {}), user=user, cwd=cwd)
        return Process(self, answer["pid"], answer["number"], self._exit_of(answer["number"]))

    def run(
        self, argv: Sequence[str], *, timeout: float = PATIENCE, stdin: str = "", env: Mapping[str, str] | None = None,
        user: str = "root",
    ) -> Completed:  # fmt: skip
        """Run a program to its end and return what it wrote; raises LabError if it cannot start or takes too long."""
        begun = time.monotonic()
        files = [os.fdopen(os.memfd_create(name), "w+b") for name in ("input", "output", "errors")]
        try:
            files[0].write(stdin.encode())
            files[0].seek(0)
            process = self.spawn(argv, streams=[file.fileno() for file in files], env=env, user=user)
            try:
                status = process.wait(timeout)
            except TimeoutError:
                process.signal(signal.SIGKILL)
                raise LabError(f"{self.name}: {' '.join(argv)} did not end within {timeout:g} s") from None
            written = []
            for file in files[1:]:
                file.seek(0)
                written.append(file.read().decode("utf-8", "replace"))
        finally:
            for file in files:
                file.close()
        return Completed(tuple(argv), status, written[0], written[1], time.monotonic() - begun)

    def inside(self, work: Callable[[], T]) -> Future[T]:
        """Run ``work`` in a thread that lives in the host's network namespace (only that one); returns its future.

        Sockets made and programs started there belong to the host's network, wherever they are used afterwards. The
        future fails with LabError as soon as the host ends: what ``work`` waits for may come much later, or never.
        """
        outcome: Future[T] = Future()
        with self._lock:
            if self.ended.done():
                outcome.set_exception(LabError(f"host {self.name} has ended"))
                return outcome
            self._works.add(outcome)

        def enter() -> None:
            try:
                namespace = os.open(f"/proc/{self.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
                try:
                    setns(namespace, CLONE_NEWNET)
                finally:
                    os.close(namespace)
                result = work()
            except BaseException as problem:  # noqa: BLE001 - handed to whoever waits for the future
                if self._is_awaited(outcome):
                    outcome.set_exception(problem)
            else:
                if self._is_awaited(outcome):
                    outcome.set_result(result)

        threading.Thread(target=enter, name=f"inside {self.name}", daemon=True).start()
        return outcome

    def _is_awaited(self, outcome: Future[Any]) -> bool:
        """Whether ``outcome`` is still ours to set: the end of the host takes all of them, and sets them."""
        with self._lock:
            awaited = outcome in self._works
            self._works.discard(outcome)
            return awaited

    def enter_argv(self, argv: Sequence[str]) -> list[str]:
        """Return the command that runs ``argv`` in all namespaces of the host: for use at a terminal."""
        path = f"PATH={ENVIRONMENT}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        unset = [word for name in _PROXIES for word in ("-u", name, "-u", name.upper())]
        return ["nsenter", "-t", str(self.pid), "-a", "--wdns=/", "env", *unset, path, *argv]

    def write_file(self, path: str, text: str, mode: int = 0o644) -> None:
        """Write a file of the host, as one step; missing folders are made."""
        self.ask("write", path=path, text=text, mode=mode)

    def read_file(self, path: str) -> str:
        """Return the text of a file of the host; raises FileNotFoundError."""
        return self.path(path).read_text(encoding="utf-8", errors="replace")

    def path(self, path: str) -> Path:
        """Return where a path of the host is found from outside."""
        return self.root / path.lstrip("/")

    def define(self, service: ServiceDefinition) -> None:
        """Make a service known to the host."""
        told = {"argv": list(service.argv), "env": dict(service.env), "log": service.log}
        rest = {name: getattr(service, name) for name in ("name", "user", "cwd", "notify", "patience")}
        self.ask("define", service={**told, **rest})

    def start_service(self, name: str, patience: float = 95.0) -> None:
        """Start a service and return when it is active (for Type=notify: when it has said READY=1)."""
        self.ask("start", patience=patience, name=name)

    def stop_service(self, name: str, patience: float = PATIENCE) -> None:
        """Stop a service and return when nothing of it is left."""
        self.ask("stop", patience=patience, name=name)

    def kill_service(self, name: str, number: int = signal.SIGKILL) -> list[int]:
        """Send a signal to all processes of a service; returns their pids."""
        pids: list[int] = self.ask("kill", name=name, number=int(number))["pids"]
        return pids

    def services(self) -> dict[str, dict[str, Any]]:
        """Return how every service stands: name to {state, pid, since, outcome, log}."""
        return {one["name"]: one for one in self.ask("status")["services"]}

    def log_tail(self, service: str, lines: int = 20) -> str:
        """Return the last lines that a service wrote, or nothing."""
        with contextlib.suppress(OSError):
            text = self.read_file(f"/var/log/halab/{service}.log")
            return "\n".join(text.splitlines()[-lines:])
        return ""

    def signal_all(self, number: int) -> None:
        """Send a signal to every process of the host but process 1."""
        self.ask("signal", to=-1, number=int(number))

    def power_off(self) -> None:
        """Pull the plug: every process, mount and link of the host is gone at once."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        self.ended.result(PATIENCE)

    def close(self) -> None:
        """Let go of the host: it ends."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
