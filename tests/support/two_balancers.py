"""Two programs, ours and a real HAProxy, with a command line, a log and ports each, for tests that compare them."""

from __future__ import annotations

import contextlib
import csv
import re
import select
import socket
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Self

from balancer_process import TCPBALANCER, BalancerProcess, haproxy, until
from tcp_peers import PATIENCE, free_port, read_to_end

HEAD = """
global
    stats socket {folder}/cli.sock level admin
    log 127.0.0.1:{log} local0
    {whole}
defaults
    mode tcp
    log global
    balance roundrobin
    retries 0
    timeout client 30s
    timeout connect 1s
    timeout server 30s
listen stats
    mode http
    no log
    bind 127.0.0.1:{stats}
    stats enable
    stats uri /stats
    stats auth admin:secret
"""
SHOWN = """status weight act bck chkfail chkdown throttle tracked hanafail check_status check_code check_rise check_fall
    check_health"""
"""The columns of a server that must agree at each step."""


class Watched:
    """One program with its command line, its log, and the ports of its own."""

    def __init__(
        self, command: Sequence[str], folder: Path, body: str, whole: str, stack: contextlib.ExitStack
    ) -> None:
        folder.mkdir()
        self.folder = folder
        self._log = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        self._log.bind(("127.0.0.1", 0))
        self.port, stats = free_port(), free_port()
        text = HEAD.format(folder=folder, log=self._log.getsockname()[1], stats=stats, whole=whole)
        self.program = BalancerProcess(command, text + body.format(port=self.port), folder, stats)

    def __enter__(self) -> Self:
        self.program.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self.program.__exit__(None, None, None)

    def ask(self, command: str) -> str:
        """Return the answer to a command."""
        with socket.socket(socket.AF_UNIX) as cli:
            cli.settimeout(PATIENCE)
            cli.connect(str(self.folder / "cli.sock"))
            cli.sendall(command.encode() + b"\n")
            cli.shutdown(socket.SHUT_WR)
            return read_to_end(cli).decode()

    def rows(self) -> dict[str, dict[str, str]]:
        """Return the statistics of the servers and backends, by ``backend/server``."""
        header, *lines = csv.reader(self.ask("show stat -1 6 -1").removeprefix("# ").splitlines())
        rows = (dict(zip(header, line, strict=True)) for line in lines if line)
        return {f"{row['pxname']}/{row['svname']}": row for row in rows if row["pxname"] != "stats"}

    def shown(self) -> dict[str, list[str]]:
        """Return what must agree: words and numbers of all servers."""
        return {name: [row[column].removeprefix("* ") for column in SHOWN.split()] for name, row in self.rows().items()}

    def wait_for(self, server: str, **columns: str) -> None:
        """Wait until a server shows these values."""

        def there() -> bool:
            row = self.rows()[server]
            return all(row[name].removeprefix("* ") == value for name, value in columns.items())

        until(there, f"{server} {columns}; it is {self.rows()[server]}")

    def lines(self, last: str) -> list[str]:
        """Return the log lines since the last call, up to the one that contains ``last``."""
        found: list[str] = []
        self._log.settimeout(PATIENCE)
        while not found or last not in found[-1]:
            found.append(same(self._log.recv(9000).decode()))
        while select.select([self._log], [], [], 0)[0]:
            found.append(same(self._log.recv(9000).decode()))
        return found


def same(line: str) -> str:
    """Return a log line without what always differs (date, pid, durations), an error of the system in 2.6's words."""
    line = re.sub(r"^<(\d+)>\w+ +\d+ [\d:]+ haproxy\[\d+\]: ", r"<\1> ", line.strip())
    line = re.sub(r"check duration: \d+ms", "check duration: Nms", line)
    return re.sub(r'info: "E[A-Z]+ returned by OS \(([^)]*)\)', r'info: "\1', line)


@contextlib.contextmanager
def both(tmp_path: Path, body: str | Sequence[str], whole: str = "") -> Iterator[list[Watched]]:
    """Run ours and the real one on the same configuration, or on one each."""
    bodies = [body, body] if isinstance(body, str) else body
    with contextlib.ExitStack() as stack:
        control = str(tmp_path / "control.sock")
        yield [
            stack.enter_context(Watched(command, tmp_path / name, text, whole, stack))
            for name, command, text in (
                ("ours", [*TCPBALANCER, "-db", "--control", control], bodies[0]),
                ("real", [haproxy(), "-db"], bodies[1]),
            )
        ]


def seen(programs: Sequence[Watched], look: Callable[[Watched], object]) -> object:
    """Return what both programs show, which must be the same."""
    ours, real = (look(program) for program in programs)
    assert ours == real, f"ours: {ours}\nreal: {real}"
    return ours
