"""A successor that is a process of its own: -sf, -st and -x, and what becomes of connections."""

from __future__ import annotations

import contextlib
import functools
import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import pytest
from again import again_and_again
from balancer_process import TCPBALANCER, until
from tcp_peers import PATIENCE, ScriptedServer, echo, free_port, read_exactly

from hakit.control import request


class Lineage:
    """Daemons that follow each other: each is started with ``-D`` and the same pid file."""

    def __init__(self, folder: Path, server: int, *lines: str) -> None:
        self.port = free_port()
        self.folder = folder
        self.stats = folder / "admin.sock"
        self.pid_file = folder / "x.pid"
        self.pids: list[int] = []
        self.file = folder / "f.cfg"
        head = "".join(f" {line}\n" for line in (f"stats socket {self.stats} level admin expose-fd listeners", *lines))
        self.file.write_text(
            f"global\n{head}defaults\n timeout client 30s\n timeout server 30s\n timeout connect 5s\n"
            f"listen l\n bind 127.0.0.1:{self.port}\n bind unix@{self.folder}/l.sock\n server s 127.0.0.1:{server}\n"
        )

    def start(self, *flags: str) -> subprocess.CompletedProcess[str]:
        control = str(self.folder / "control")
        command = [*TCPBALANCER, "-D", "-p", str(self.pid_file), "--control", control, "-f", str(self.file), *flags]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
        if done.returncode == 0:
            self.pids.append(int(self.pid_file.read_text()))
        return done

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), PATIENCE)

    def is_alive(self, pid: int) -> bool:
        return Path(f"/proc/{pid}/task").exists()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for pid in self.pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 9)


@pytest.fixture
def lineage(tmp_path: Path) -> Iterator[Lineage]:
    with ScriptedServer(echo(b"hi")) as peer, Lineage(tmp_path, peer.port) as started:
        yield started


@pytest.mark.parametrize("takes_over", [False, True], ids=["without -x", "with -x"])
def test_with_sf_the_old_process_finishes_its_connections(lineage: Lineage, takes_over: bool) -> None:
    assert lineage.start().returncode == 0
    with lineage.connect() as held:
        assert read_exactly(held, 2) == b"hi"
        old = lineage.pids[0]
        flags = ["-x", str(lineage.stats)] if takes_over else []
        done = lineage.start(*flags, "-sf", str(old))
        assert (done.returncode, lineage.pids[1] != old) == (0, True), done.stderr
        with lineage.connect() as newer:
            assert read_exactly(newer, 2) == b"hi"
        held.sendall(b"still")
        assert read_exactly(held, 5) == b"still"
        assert lineage.is_alive(old)
    until(lambda: not lineage.is_alive(old), "the old process has ended")
    assert lineage.pid_file.read_text() == f"{lineage.pids[1]}\n"
    assert lineage.is_alive(lineage.pids[1])
    status = request(lineage.folder / "control", "status")  # the successor's: the old one has not taken it away
    assert isinstance(status, dict)
    assert status["pid"] == lineage.pids[1]


def test_with_st_the_connections_of_the_old_process_end(lineage: Lineage) -> None:
    lineage.start()
    with lineage.connect() as held:
        assert read_exactly(held, 2) == b"hi"
        assert lineage.start("-st", str(lineage.pids[0])).returncode == 0
        assert held.recv(1) == b""
    until(lambda: not lineage.is_alive(lineage.pids[0]), "the old process has ended")


def test_pids_that_are_gone_or_none_at_all_are_no_reason_to_fail(lineage: Lineage) -> None:
    assert lineage.start("-sf").returncode == 0
    assert lineage.start("-sf", "4194303", str(lineage.pids[0])).returncode == 0


def test_over_takeovers_under_load_no_connection_fails(lineage: Lineage) -> None:
    def connect_to_the_path() -> socket.socket:
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(PATIENCE)
        client.connect(str(lineage.folder / "l.sock"))
        return client

    def knock(connect: Callable[[], socket.socket]) -> None:
        with connect() as client:
            client.sendall(b"x")
            assert read_exactly(client, 3) == b"hix"

    assert lineage.start().returncode == 0
    ways = [lineage.connect] * 6 + [connect_to_the_path] * 2
    with again_and_again(*(functools.partial(knock, way) for way in ways)) as knocked:
        for _ in range(5):
            done = lineage.start("-x", str(lineage.stats), "-sf", str(lineage.pids[-1]))
            assert done.returncode == 0, done.stderr
    assert not knocked.failures
    assert knocked.done > 10
    for pid in lineage.pids[:-1]:
        until(lambda pid=pid: not lineage.is_alive(pid), "an old process has ended")  # type: ignore[misc]


def test_a_predecessor_that_gives_nothing_is_told_in_haproxys_words(lineage: Lineage, tmp_path: Path) -> None:
    done = lineage.start("-x", str(tmp_path / "none.sock"))
    assert done.returncode == 1
    assert f"Failed to connect to the old process socket '{tmp_path}/none.sock'" in done.stderr
    assert "[ALERT]" in done.stderr
    assert "Failed to get the sockets from the old process!" in done.stderr
    assert not lineage.pid_file.exists()


def test_a_successor_that_cannot_start_leaves_the_old_one_alone(lineage: Lineage) -> None:
    lineage.start()
    lineage.file.write_text(lineage.file.read_text() + " bogus\n")
    assert lineage.start("-sf", str(lineage.pids[0])).returncode == 1
    assert lineage.pid_file.read_text() == f"{lineage.pids[0]}\n"
    with lineage.connect() as client:
        assert read_exactly(client, 2) == b"hi"


def test_noreuseport_makes_a_second_one_fail(tmp_path: Path) -> None:
    with Lineage(tmp_path, 1, "noreuseport") as lineage:
        lineage.start()
        lineage.pid_file.unlink()
        (tmp_path / "control").unlink()
        refused = lineage.start()
        assert refused.returncode == 1
        assert "cannot bind socket (Address already in use)" in refused.stderr
        assert not lineage.pid_file.exists()
