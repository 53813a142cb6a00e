"""Started as a supervisor or a test harness does it: descriptors handed over, one pipe for output, a notify socket."""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from balancer_process import TCPBALANCER
from tcp_peers import PATIENCE, ScriptedServer, echo, read_exactly, read_to_end

TIMES = "timeout client 5s\n timeout server 5s\n timeout connect 1s"


class Harness:
    """Starts the program as harnesses do; what it has printed is complete once its pipe is at its end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._close = contextlib.ExitStack()
        self.front = self._listen()
        self.cli = self._listen()
        self.syslog = self._close.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        self.syslog.bind(("127.0.0.1", 0))
        self.syslog.settimeout(PATIENCE)
        self.notify = self._close.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        self.notify.bind(str(folder / "notify"))
        self.notify.settimeout(PATIENCE)

    def _listen(self) -> socket.socket:
        return self._close.enter_context(socket.create_server(("127.0.0.1", 0)))

    def start(self, flags: Sequence[str], server: int, *, notify: bool = False) -> None:
        own = 'global\n stats socket "fd@${cli}" level admin\n'
        user = (
            f"global\n log 127.0.0.1:{self.syslog.getsockname()[1]} local0\n"
            f"defaults\n mode tcp\n log global\n option tcplog\n {TIMES}\n"
            f'frontend fe\n bind "fd@${{fe}}"\n default_backend be\nbackend be\n server s 127.0.0.1:{server}\n'
        )
        files = []
        for name, text in (("own.cfg", own), ("user.cfg", user)):
            (self.folder / name).write_text(text)
            files += ["-f", str(self.folder / name)]
        self.reading, writing = os.pipe()
        environment = {**os.environ, "fe": str(self.front.fileno()), "cli": str(self.cli.fileno())}
        if notify:
            environment["NOTIFY_SOCKET"] = str(self.folder / "notify")
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            [*TCPBALANCER, *flags, "--control", str(self.folder / "control"), *files],
            stdin=subprocess.DEVNULL,
            stdout=writing,
            stderr=writing,
            pass_fds=(self.front.fileno(), self.cli.fileno()),
            env=environment,
        )
        os.close(writing)

    def connect(self) -> socket.socket:
        return socket.create_connection(self.front.getsockname(), PATIENCE)

    def ask(self, command: str) -> bytes:
        with socket.create_connection(self.cli.getsockname(), PATIENCE) as client:
            client.sendall(command.encode() + b"\n")
            client.shutdown(socket.SHUT_WR)
            return read_to_end(client)

    def output(self) -> str:
        """Return all output; it ends with the program, and no child keeps it open."""
        text = b""
        while select.select([self.reading], [], [], PATIENCE)[0]:
            part = os.read(self.reading, 65536)
            if not part:
                return text.decode()
            text += part
        raise AssertionError(f"somebody keeps the output open after: {text!r}")

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.reading)
        self._close.close()


@pytest.fixture
def harness(tmp_path: Path) -> Iterator[Harness]:
    made = Harness(tmp_path)
    yield made
    made.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("flags", ["-d", "-d -dM -dI -dW", "-db -V"])
def test_in_the_foreground_descriptors_are_taken_and_the_end_is_the_signal(
    harness: Harness, flags: str, number: signal.Signals
) -> None:
    with ScriptedServer(echo(b"hi")) as peer, harness.connect() as early:  # it waits in the queue already
        harness.start(flags.split(), peer.port)
        assert read_exactly(early, 2) == b"hi"
        early.close()
        line = harness.syslog.recv(4096).decode()
        assert re.match(rf"<\d+>.* haproxy\[{harness.process.pid}\]: 127\.0\.0\.1:\d+ ", line), line
        answer = harness.ask("show info")
        assert answer.startswith(b"Name: ")
        assert answer.endswith(b"\n")
        harness.process.send_signal(number)
        assert harness.process.wait(PATIENCE) == -number
        assert "Traceback" not in harness.output()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_a_master_says_ready_in_its_first_datagram_and_ends_with_a_status(
    harness: Harness, number: signal.Signals, status: int
) -> None:
    with ScriptedServer(echo(b"hi")) as peer:
        harness.start(["-Ws", "-p", str(harness.folder / "x.pid")], peer.port, notify=True)
        first = harness.notify.recv(1000).decode().splitlines()
        assert first[:2] == ["READY=1", f"MAINPID={harness.process.pid}"]
        assert (harness.folder / "x.pid").read_text() == f"{harness.process.pid}\n"
        harness.process.send_signal(signal.SIGUSR2)
        reloading = harness.notify.recv(1000).decode().splitlines()
        assert reloading[:2] == ["RELOADING=1", "STATUS=Reloading Configuration."]
        assert re.fullmatch(r"MONOTONIC_USEC=\d+", reloading[2])
        assert abs(int(reloading[2].removeprefix("MONOTONIC_USEC=")) / 1e6 - time.monotonic()) < PATIENCE
        assert harness.notify.recv(1000).decode().splitlines()[0] == "READY=1"
        with harness.connect() as client:
            assert read_exactly(client, 2) == b"hi"
        harness.process.send_signal(number)
        assert harness.process.wait(PATIENCE) == status
        assert harness.notify.recv(1000) == b"STOPPING=1"
        assert "Traceback" not in harness.output()


def test_signals_that_are_repeated_end_it_all_the_same(harness: Harness) -> None:
    with ScriptedServer(echo(b"hi")) as peer:
        harness.start(["-d"], peer.port)
        with harness.connect() as client:
            assert read_exactly(client, 2) == b"hi"
            for _ in range(3):
                harness.process.send_signal(signal.SIGINT)
            assert harness.process.wait(PATIENCE) == -signal.SIGINT
        harness.output()


def test_the_output_ends_when_the_supervisor_is_killed(harness: Harness) -> None:
    with ScriptedServer(echo(b"hi")) as peer:
        harness.start(["-db"], peer.port)
        with harness.connect() as client:
            assert read_exactly(client, 2) == b"hi"
            harness.process.kill()
            harness.process.wait()
            assert client.recv(1) == b""  # the workers end at once
        harness.output()


def test_the_pid_is_the_same_behind_a_shell_that_executes(tmp_path: Path) -> None:
    (tmp_path / "f.cfg").write_text("listen l\n bind 127.0.0.1:1\n bogus\n")
    command = " ".join(TCPBALANCER)
    done = subprocess.run(
        ["sh", "-c", f"echo $$; exec {command} -db -f f.cfg"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert f"({done.stdout.split()[0]}) : config : parsing" in done.stderr
