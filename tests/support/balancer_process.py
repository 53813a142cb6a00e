"""A balancer as a program of its own, ours or the real HAProxy, and what can be asked of it from outside."""

from __future__ import annotations

import base64
import csv
import http.client
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tcp_peers import PATIENCE, ScriptedServer, free_port

TCPBALANCER = (sys.executable, "-m", "tcpbalancer.cli")


def haproxy() -> str:
    """Return the path of the real HAProxy; its absence is an error, not a reason to skip."""
    path = shutil.which("haproxy", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    assert path is not None, "haproxy is not installed: apt-get install haproxy"
    return path


def until(holds: Callable[[], bool], what: str) -> None:
    """Ask every 20 ms until something holds; for what no event tells, because another program is asked."""
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, f"not within {PATIENCE:g} s: {what}"
        select.select([], [], [], 0.02)


class BalancerProcess:
    """Runs a program on a configuration; the page of the statistics is on ``stats_port`` at /stats, admin:secret."""

    def __init__(
        self, command: Sequence[str], configuration: str, folder: Path, stats_port: int, stderr: int = subprocess.STDOUT
    ) -> None:
        self.stats_port = stats_port
        self.file = folder / "lab.cfg"
        self.file.write_text(configuration)
        self._notify = folder / "notify"
        self._command = [*command, "-f", str(self.file)]
        self.output = folder / "output"
        self._stderr = stderr

    def __enter__(self) -> Self:
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        listening.bind(str(self._notify))
        listening.settimeout(PATIENCE)
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                self._command,
                stdout=output,
                stderr=self._stderr,
                env={**os.environ, "NOTIFY_SOCKET": str(self._notify)},
            )
        try:
            with listening:
                if self._command[0] == sys.executable:
                    self.readiness = self._ready(listening)
                else:
                    until(self._answers, "HAProxy answers")
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise
        return self

    def _ready(self, listening: socket.socket) -> str:
        try:
            return listening.recv(1000).decode()
        except TimeoutError:
            raise AssertionError(self.output.read_text()) from None

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.stats_port), 1).close()
        except ConnectionRefusedError:
            return False
        return True

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.stop(signal.SIGTERM)

    def stop(self, number: signal.Signals) -> int:
        """Send a signal; returns the exit status as subprocess has it. Who does not end in time is killed."""
        self.process.send_signal(number)
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise

    def get(self, path: str, credentials: str | None = "admin:secret") -> http.client.HTTPResponse:
        """Return the answer of the statistics port, its body read into ``body``."""
        connection = http.client.HTTPConnection("127.0.0.1", self.stats_port, timeout=PATIENCE)
        basic = (
            {} if credentials is None else {"Authorization": f"Basic {base64.b64encode(credentials.encode()).decode()}"}
        )
        connection.request("GET", path, headers=basic)
        answer = connection.getresponse()
        answer.body = answer.read().decode()  # type: ignore[attr-defined] # carried along for the tests
        connection.close()
        return answer

    def csv(self) -> tuple[list[str], dict[str, dict[str, str]]]:
        """Return the columns, and the rows by ``proxy/server``."""
        text: str = self.get("/stats;csv").body  # type: ignore[attr-defined] # put there by get
        header, *lines = list(csv.reader(text.removeprefix("# ").splitlines()))
        rows = [dict(zip(header, line, strict=True)) for line in lines if line]
        return header, {f"{row['pxname']}/{row['svname']}": row for row in rows}

    def wait_for_status(self, name: str, status: str, check_status: str) -> dict[str, str]:
        """Return the row of a server once it shows a status and the result of its last check."""
        row: dict[str, str] = {}

        def shown() -> bool:
            row.update(self.csv()[1][name])
            return row["status"] == status and row["check_status"].removeprefix("* ") == check_status

        until(shown, f"{name} is {status} {check_status}; it is {row}")
        return row


class CheckTarget:
    """Answers HTTP checks with ``status``, which a test may change while it runs."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.requests: list[bytes] = []
        self._server = ScriptedServer(self._answer)
        self.port = self._server.port

    def _answer(self, peer: socket.socket) -> None:
        self.requests.append(peer.recv(4096))
        peer.sendall(f"HTTP/1.0 {self.status} X\r\n\r\n".encode())

    def __enter__(self) -> Self:
        self._server.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.__exit__(kind, value, trace)


class LabConfiguration:
    """The lab's kind of configuration on the loopback, on ports of its own."""

    def __init__(self, servers: Sequence[int], checks: Sequence[int]) -> None:
        self.stats_port, self.postgres_port, self.swarm_port = free_port(), free_port(), free_port()
        postgres = "\n".join(
            f"    server pg{number} 127.0.0.1:{server} check port {check}"
            for number, (server, check) in enumerate(zip(servers, checks, strict=True), 1)
        )
        swarm = "\n".join(
            f"    server m{number} 127.0.0.1:{server} check inter 200ms" for number, server in enumerate(servers, 1)
        )
        self.text = f"""\
global
    maxconn 100
defaults
    mode tcp
    retries 2
    timeout connect 1s
    timeout client 30s
    timeout server 30s
listen stats
    mode http
    bind 127.0.0.1:{self.stats_port}
    stats enable
    stats uri /stats
    stats realm Lab
    stats show-legends
    stats auth admin:secret
frontend postgresql_frontend
    bind 127.0.0.1:{self.postgres_port}
    default_backend postgresql_backend
backend postgresql_backend
    balance roundrobin
    option httpchk GET /primary
    http-check expect status 200
    default-server inter 200ms fall 2 rise 2 on-marked-down shutdown-sessions
{postgres}
listen swarm
    bind 127.0.0.1:{self.swarm_port}
    balance roundrobin
{swarm}
    server off 127.0.0.1:1 disabled
    server spare 127.0.0.1:1 check backup inter 200ms fall 1
"""
