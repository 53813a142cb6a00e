"""Reloads under load: not one connection fails, and sessions live through as many reloads as come.

``RELOADS=50`` in the environment makes it as many, of each kind; without it, the same in small.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest
from balancer_process import TCPBALANCER, until
from relaying import relaying
from tcp_peers import PATIENCE, ScriptedServer, free_port, read_exactly, read_to_end

RELOADS = int(os.environ.get("RELOADS", "16"))
SUCCESSORS = int(os.environ.get("RELOADS", "4"))
CONNECTORS = 32
LONG_SESSIONS = 4
"""How many begin, evenly over the reloads; each lasts until the end."""
CHUNK = 16384
SEED = 20261126


def returns(peer: socket.socket) -> None:
    """Return all bytes, and at the end their digest."""
    digest = hashlib.sha256()
    while data := peer.recv(65536):
        digest.update(data)
        peer.sendall(data)
    peer.sendall(digest.digest())


class Load:
    """Connectors that come and go without a pause, and sessions that stay until the end."""

    def __init__(self, connect: Callable[[], socket.socket]) -> None:
        self._connect = connect
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []
        self.failures: list[BaseException] = []
        self.served = 0
        self.carried: list[int] = []

    def _start(self, act: Callable[[random.Random], None]) -> None:
        chance = random.Random(SEED + len(self._threads))  # noqa: S311 - test data, and it has to come again

        def acts() -> None:
            try:
                act(chance)
            except (OSError, AssertionError) as failure:
                self.failures.append(failure)

        self._threads.append(threading.Thread(target=acts))
        self._threads[-1].start()

    def _come_and_go(self, chance: random.Random) -> None:
        while not self._over.is_set():
            data = chance.randbytes(chance.randrange(1, 2000))
            with self._connect() as client:
                client.sendall(data)
                client.shutdown(socket.SHUT_WR)
                assert read_to_end(client) == data + hashlib.sha256(data).digest()
            self.served += 1

    def _stay(self, chance: random.Random) -> None:
        digest, rounds = hashlib.sha256(), 0
        with self._connect() as client:
            while rounds < 3 or not self._over.wait(0.02):
                data = chance.randbytes(CHUNK)
                digest.update(data)
                client.sendall(data)
                assert read_exactly(client, CHUNK) == data
                rounds += 1
            client.shutdown(socket.SHUT_WR)
            assert read_to_end(client) == digest.digest()
        self.carried.append(rounds * CHUNK)

    def begin_session(self) -> None:
        """Begin a session that lasts until the end."""
        self._start(self._stay)

    def __enter__(self) -> Self:
        for _ in range(CONNECTORS):
            self._start(self._come_and_go)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(2 * PATIENCE)
            assert not thread.is_alive()


def reload_again_and_again(load: Load, times: int, reload: Callable[[], object]) -> None:
    """Reload under the load, and hold everybody to have got what it wanted."""
    with load:
        for count in range(times):
            if count % (times // LONG_SESSIONS) == 0:
                load.begin_session()
            before = load.served
            reload()
            until(lambda before=before: load.served > before or bool(load.failures), "somebody is served")  # type: ignore[misc]
    assert not load.failures, f"of {load.served} connections: {load.failures[:3]}"
    assert len(load.carried) >= LONG_SESSIONS
    assert load.served > CONNECTORS


@pytest.mark.timeout(600)
def test_over_reloads_with_sigusr2_no_connection_fails_and_no_session_breaks(tmp_path: Path) -> None:
    with (
        ScriptedServer(returns) as peer,
        relaying(tmp_path, {"l": f"server s 127.0.0.1:{peer.port}"}, whole="nbthread 2\n    master-worker") as running,
    ):
        output = running.process.output.read_text

        def reload() -> None:
            loaded = output().count("Loading success.")
            running.process.process.send_signal(signal.SIGUSR2)
            until(lambda: output().count("Loading success.") > loaded, "it has loaded again")

        reload_again_and_again(Load(running.connect), RELOADS, reload)
        until(lambda: output().count("Former worker (") == 2 * RELOADS, "all old workers have ended")
        assert "died" not in output()
        assert len(running.workers) == 2


@contextlib.contextmanager
def succession(folder: Path, server: int) -> Iterator[tuple[int, Callable[[], int]]]:
    """Daemons that follow each other; gives the port, and what starts the next one and returns its pid."""
    port, pids = free_port(), []
    (folder / "f.cfg").write_text(
        f"global\n nbthread 2\n stats socket {folder}/admin level admin expose-fd listeners\n"
        "defaults\n timeout client 30s\n timeout server 30s\n timeout connect 5s\n"
        f"listen l\n bind 127.0.0.1:{port}\n server s 127.0.0.1:{server}\n"
    )
    command = [
        *TCPBALANCER,
        "-D",
        "-p",
        str(folder / "pid"),
        "--control",
        str(folder / "c"),
        "-f",
        str(folder / "f.cfg"),
    ]

    def start() -> int:
        follows = ["-x", str(folder / "admin"), "-sf", str(pids[-1])] if pids else []
        done = subprocess.run([*command, *follows], capture_output=True, text=True, check=False, timeout=PATIENCE)
        assert done.returncode == 0, done.stderr
        pids.append(int((folder / "pid").read_text()))
        return pids[-1]

    try:
        start()
        yield port, start
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@pytest.mark.timeout(600)
def test_over_successors_with_sf_no_connection_fails_and_no_session_breaks(tmp_path: Path) -> None:
    with ScriptedServer(returns) as peer, succession(tmp_path, peer.port) as (port, start):
        old: list[int] = [int((tmp_path / "pid").read_text())]
        load = Load(lambda: socket.create_connection(("127.0.0.1", port), PATIENCE))
        reload_again_and_again(load, SUCCESSORS, lambda: old.append(start()))
        for pid in old[:-1]:
            until(lambda pid=pid: not Path(f"/proc/{pid}/task").exists(), "an old process has ended")  # type: ignore[misc]
