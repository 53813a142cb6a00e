"""Starting, living, reloading and ending beside the real HAProxy: signals, statuses, pid files, what clients see.

Each scenario runs with both programs and returns what could be seen; what is seen has to be the same. What is otherwise
on purpose has a test of its own, which says so.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from balancer_process import TCPBALANCER, haproxy, until
from tcp_peers import PATIENCE, ScriptedServer, echo, free_port, read_exactly

pytestmark = pytest.mark.interop

_TEXT = re.compile(r"^\[(\w+)\] +\(\d+\) : (?:config : )?(.*)$")


class Stage:
    """One program on one configuration; everything it has started is gone at the end."""

    def __init__(self, command: list[str], folder: Path, server: int) -> None:
        folder.mkdir()
        self.command = command
        self.folder = folder
        self.port = free_port()
        self.pid_file = folder / "x.pid"
        self.file = folder / "f.cfg"
        self.output = folder / "output"
        self.server = server
        self.write()
        self._pids: set[int] = set()
        self._processes: list[subprocess.Popen[bytes]] = []

    def write(self, *lines: str, tail: str = "") -> None:
        head = "".join(f" {line}\n" for line in lines)
        self.file.write_text(
            "global\n nbthread 1\n"  # our workers are processes, each with lines of its own
            f" stats socket {self.folder}/admin.sock level admin expose-fd listeners\n{head}"
            "defaults\n mode tcp\n timeout client 30s\n timeout server 30s\n timeout connect 1s\n"
            f"listen l\n bind 127.0.0.1:{self.port}\n server s 127.0.0.1:{self.server}\n{tail}"
        )

    def start(self, *flags: str) -> subprocess.Popen[bytes]:
        """Start in the foreground; returns once connections are accepted."""
        with self.output.open("ab") as output:
            process = subprocess.Popen(
                [*self.command, *flags, "-f", str(self.file)], stdout=output, stderr=subprocess.STDOUT
            )
        self._processes.append(process)
        until(lambda: self.accepts() or process.poll() is not None, "it accepts")
        if "-W" in flags:
            self.has_loaded(process)
        return process

    def has_loaded(self, process: subprocess.Popen[bytes], count: int = 1) -> None:
        """Wait until a master has loaded ``count`` times, and takes signals again: HAProxy's executes itself anew."""
        until(lambda: self.text().count("Loading success.") >= count, f"the master has loaded {count} times")
        until(lambda: catches(process.pid, signal.SIGTERM, signal.SIGUSR2), "it takes signals")

    def run(self, *flags: str) -> int:
        """Run until it ends, or goes to the background; returns the status."""
        with self.output.open("ab") as output:
            done = subprocess.run(
                [*self.command, *flags, "-f", str(self.file)], stdout=output, stderr=subprocess.STDOUT, check=False
            )
        with contextlib.suppress(OSError, ValueError):
            self._pids.add(self.pid())
        return done.returncode

    def pid(self) -> int:
        return int(self.pid_file.read_text().split()[0])

    def text(self) -> str:
        return self.output.read_text(errors="replace")

    def lines(self, part: str) -> list[str]:
        """Return the texts of the messages that contain ``part``, with numbers of processes taken out."""
        found = [match[2] for line in self.text().splitlines() if (match := _TEXT.match(line)) and part in line]
        return [re.sub(r"\(\d+\)", "(PID)", text) for text in found]

    def accepts(self) -> bool:
        with contextlib.suppress(OSError):
            self.connect().close()
            return True
        return False

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), PATIENCE)

    @contextlib.contextmanager
    def session(self) -> Iterator[socket.socket]:
        with self.connect() as client:
            assert read_exactly(client, 2) == b"hi"
            yield client

    def answers(self) -> bool:
        """Return whether a new session is served.

        Who is followed by another one without ``-x`` has a socket of his own, and resets whom he has not accepted yet.
        """
        with contextlib.suppress(ConnectionError), self.session():
            return True
        return False

    def close(self) -> None:
        for process in self._processes:
            if process.poll() is None:
                process.kill()
            process.wait()
        for pid in self._pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def works(client: socket.socket) -> bool:
    client.sendall(b"abc")
    return read_exactly(client, 3) == b"abc"


def catches(pid: int, *numbers: signal.Signals) -> bool:
    status = Path(f"/proc/{pid}/status").read_text()
    caught = int(re.findall(r"SigCgt:\s+(\w+)", status)[0], 16)
    return all(caught >> (number - 1) & 1 for number in numbers)


def is_gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}/task").exists()


# -- scenarios: each returns what was seen -----------------------------------------------------------------------------


def foreground_ends_by(number: signal.Signals, *flags: str) -> Callable[[Stage], object]:
    def scenario(stage: Stage) -> object:
        process = stage.start(*flags)
        with stage.session() as client:
            process.send_signal(number)
            return client.recv(1), process.wait(PATIENCE), stage.accepts()

    return scenario


def soft_stop(stage: Stage) -> object:
    process = stage.start("-db")
    with stage.session() as client:
        process.send_signal(signal.SIGUSR1)
        until(lambda: not stage.accepts(), "new connections are refused")
        seen = works(client), process.poll()
    told = [re.sub(r"FE: \d+, BE: \d+", "FE, BE", text) for text in stage.lines("Proxy l stopped")]
    return seen, process.wait(PATIENCE), told


def survives(number: signal.Signals) -> Callable[[Stage], object]:
    def scenario(stage: Stage) -> object:
        process = stage.start("-db")
        with stage.session() as client:
            process.send_signal(number)
            seen = works(client), works(client)
        with stage.session():
            return seen, process.poll()

    return scenario


def hup_dumps(stage: Stage) -> object:
    process = stage.start("-db")
    process.send_signal(signal.SIGHUP)
    until(lambda: "SIGHUP: Proxy l has" in stage.text(), "the states are dumped")
    lines = [text for text in stage.lines("SIGHUP") if "l has" in text or "l/s" in text or "received" in text]
    return [re.sub(r"(act|tot)\(FE\+BE\): \d+\+\d+|\d+ (act|tot)", "tot", line) for line in lines], process.poll()


def second_signal_ends_a_soft_stop(stage: Stage) -> object:
    process = stage.start("-db")
    with stage.session() as client:
        process.send_signal(signal.SIGUSR1)
        until(lambda: "Proxy l stopped" in stage.text(), "the soft stop has begun")
        process.send_signal(signal.SIGTERM)
        return client.recv(1), process.wait(PATIENCE)


def hard_stop(stage: Stage) -> object:
    stage.write("hard-stop-after 300ms", "grace 200ms")
    process = stage.start("-db")
    with stage.session() as client:
        process.send_signal(signal.SIGUSR1)
        until(lambda: "Scheduling" in stage.text(), "the grace has begun")
        seen = stage.accepts()
        ended = client.recv(1)
    return (
        seen,
        ended,
        process.wait(PATIENCE),
        stage.lines("hard-stop"),
        stage.lines("oft-stop in 200"),
        stage.lines("Grace"),
    )


def daemon(stage: Stage) -> object:
    status = stage.run("-D", "-p", str(stage.pid_file))
    pid = stage.pid()
    with stage.session() as client:
        os.kill(pid, signal.SIGTERM)
        ended = client.recv(1)
    until(lambda: is_gone(pid), "it has ended")
    return status, ended, stage.pid_file.exists(), stage.text()


def daemon_by_the_file(stage: Stage) -> object:
    stage.write("daemon", f"pidfile {stage.pid_file}")
    status = stage.run()
    with stage.session():
        return status, is_gone(stage.pid())


def db_beats_daemon(stage: Stage) -> object:
    stage.write("daemon")
    process = stage.start("-db", "-p", str(stage.pid_file))
    process.send_signal(signal.SIGTERM)
    return process.wait(PATIENCE), stage.pid_file.exists()


def successor(flag: str, *more: str) -> Callable[[Stage], object]:
    def scenario(stage: Stage) -> object:
        stage.run("-D", "-p", str(stage.pid_file))
        old = stage.pid()
        extra = [word.format(socket=stage.folder / "admin.sock") for word in more]
        with stage.session() as client:
            status = stage.run("-D", "-p", str(stage.pid_file), *extra, flag, str(old))
            new = stage.pid()
            until(stage.answers, "the new one answers")
            seen = client.recv(1) if flag == "-st" else works(client)
            early = is_gone(old) if flag == "-sf" else None
        until(lambda: is_gone(old), "the old one has ended")
        return status, new != old, seen, early, is_gone(new)

    return scenario


def reload_with(number: signal.Signals) -> Callable[[Stage], object]:
    def scenario(stage: Stage) -> object:
        process = stage.start("-W", "-p", str(stage.pid_file))
        with stage.session() as client:
            process.send_signal(number)
            stage.has_loaded(process, 2)
            with stage.session():
                pass
            seen = works(client), stage.pid() == process.pid, process.poll()
        until(lambda: "Former worker" in stage.text(), "the old worker has ended")
        process.send_signal(signal.SIGTERM)
        return seen, process.wait(PATIENCE), stage.pid_file.exists(), stage.lines("Former"), stage.lines("Reloading")

    return scenario


def reload_of_a_broken_file(stage: Stage) -> object:
    process = stage.start("-W")
    with stage.session() as client:
        stage.write(tail=" bogus\n")
        process.send_signal(signal.SIGUSR2)
        until(lambda: "Loading failure!" in stage.text(), "it has failed")
        until(lambda: catches(process.pid, signal.SIGTERM), "it takes signals")
        with stage.session():
            seen = works(client), process.poll()
    process.send_signal(signal.SIGTERM)
    bogus = [text.replace(str(stage.folder), "") for text in stage.lines("bogus")]
    return seen, process.wait(PATIENCE), stage.lines("Loading failure"), bogus, stage.lines("Fatal")


def master_ends_by(number: signal.Signals) -> Callable[[Stage], object]:
    def scenario(stage: Stage) -> object:
        process = stage.start("-W")
        process.send_signal(number)
        status = process.wait(PATIENCE)
        return status, *(stage.lines(part) for part in ("Exiting Master", "Current worker", "All workers exited"))

    return scenario


def master_by_the_file(stage: Stage) -> object:
    stage.write("master-worker")
    process = stage.start("-db")
    stage.has_loaded(process)
    process.send_signal(signal.SIGINT)
    return process.wait(PATIENCE)


def soft_stop_of_a_master(stage: Stage) -> object:
    process = stage.start("-W")
    with stage.session() as client:
        process.send_signal(signal.SIGUSR1)
        until(lambda: not stage.accepts(), "new connections are refused")
        seen = works(client)
    return seen, process.wait(PATIENCE)


def refused(*flags: str, lines: tuple[str, ...] = (), part: str = "ALERT") -> Callable[[Stage], object]:
    def scenario(stage: Stage) -> object:
        stage.write(*lines)
        status = stage.run(*flags)
        return status, [text.replace(str(stage.folder), "") for text in stage.lines(part)], stage.pid_file.exists()

    return scenario


def port_in_use(stage: Stage) -> object:
    with socket.create_server(("127.0.0.1", stage.port)):
        status = stage.run("-db")
    told = [
        re.sub(r"protocol tcpv4: |\[[^]]*f.cfg:\d+\]|\.? Another program .*", "", text) for text in stage.lines("bind")
    ]
    return status, [text.removesuffix(".").replace(str(stage.port), "PORT") for text in told]


SCENARIOS: dict[str, Callable[[Stage], object]] = {
    "-db, SIGTERM": foreground_ends_by(signal.SIGTERM, "-db"),
    "-db, SIGINT": foreground_ends_by(signal.SIGINT, "-db"),
    "-d, SIGTERM": foreground_ends_by(signal.SIGTERM, "-d"),
    "no flag, SIGTERM": foreground_ends_by(signal.SIGTERM),
    "-db, SIGUSR1": soft_stop,
    "-db, SIGHUP": hup_dumps,
    "-db, SIGQUIT": survives(signal.SIGQUIT),
    "-db, SIGUSR2": survives(signal.SIGUSR2),
    "-db, SIGPIPE": survives(signal.SIGPIPE),
    "-db, SIGUSR1, SIGTERM": second_signal_ends_a_soft_stop,
    "hard-stop-after and grace": hard_stop,
    "-D": daemon,
    "daemon and pidfile in the file": daemon_by_the_file,
    "-db and daemon": db_beats_daemon,
    "-D -sf": successor("-sf"),
    "-D -st": successor("-st"),
    "-D -x -sf": successor("-sf", "-x", "{socket}"),
    "-W, SIGUSR2": reload_with(signal.SIGUSR2),
    "-W, SIGHUP": reload_with(signal.SIGHUP),
    "-W, SIGUSR2, bad file": reload_of_a_broken_file,
    "-W, SIGTERM": master_ends_by(signal.SIGTERM),
    "-W, SIGINT": master_ends_by(signal.SIGINT),
    "-W, SIGUSR1": master_ends_by(signal.SIGUSR1),
    "-W, SIGUSR1, a connection": soft_stop_of_a_master,
    "master-worker in the file": master_by_the_file,
    "port in use": port_in_use,
    "-C of no folder": refused("-db", "-C", "/nonexistent"),
    "-D -p that cannot be written": refused("-D", "-p", "/nonexistent/x.pid", part="never"),
    "-x of nobody": refused("-db", "-x", "/nonexistent/x.sock", part="Failed to get"),
    "user unknown": refused("-db", lines=("user nosuchuser",), part="cannot find"),
    "chroot that is not there": refused("-db", lines=("chroot /nonexistent",), part="never"),
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_same_is_seen_of_both_programs(name: str, tmp_path: Path) -> None:
    seen: dict[str, object] = {}
    with ScriptedServer(echo(b"hi")) as peer:
        for program in ([haproxy()], [*TCPBALANCER, "--control", str(tmp_path / "control")]):
            stage = Stage(program, tmp_path / f"stage{len(seen)}", peer.port)
            try:
                seen[program[0]] = SCENARIOS[name](stage)
            finally:
                stage.close()
    theirs, ours = seen.values()
    assert ours == theirs


# -- what is otherwise on purpose (docs/differences.md) ----------------------------------------------------------------


def worker_killed(stage: Stage) -> tuple[object, bool]:
    process = stage.start("-W")
    line = next(text for text in stage.text().splitlines() if " worker (" in text)
    os.kill(int(re.findall(r"worker \((\d+)\)", line)[0]), signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(2.0)
    return process.poll(), stage.accepts()


def test_a_killed_worker_ends_haproxys_master_and_is_replaced_by_ours(tmp_path: Path) -> None:
    seen = []
    with ScriptedServer(echo(b"hi")) as peer:
        for program in ([haproxy()], [*TCPBALANCER, "--control", str(tmp_path / "control")]):
            stage = Stage(program, tmp_path / f"stage{len(seen)}", peer.port)
            try:
                seen.append(worker_killed(stage))
            finally:
                stage.close()
    assert seen == [(137, False), (None, True)]
