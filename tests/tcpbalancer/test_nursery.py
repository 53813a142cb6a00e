"""The nursery: workers are there within milliseconds, its death is repaired, and nothing of it stays."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from balancer_process import until
from running_balancer import RunningBalancer, one_way, server
from tcp_peers import ScriptedServer, echo, read_exactly

from tcpbalancer.generation import SHORT_LIFE
from tcpbalancer.model import Identity
from tcpbalancer.nursery_process import NurseryError, NurseryProcess


@pytest.fixture
def nursery() -> Iterator[NurseryProcess]:
    process = NurseryProcess()
    yield process
    process.end()


def test_many_descriptors_reach_a_child_and_its_end_is_told(nursery: NurseryProcess) -> None:
    empty = os.memfd_create("empty")  # no handover: the child complains and ends
    try:
        child = nursery.fork([empty] * 450)
        os.close(child.pidfd)
        assert nursery.status(child.pid) == 1
    finally:
        os.close(empty)


def test_a_nursery_that_has_died_is_replaced(nursery: NurseryProcess) -> None:
    empty = os.memfd_create("empty")
    try:
        for _ in range(2):
            child = nursery.fork([empty])
            os.close(child.pidfd)
            assert nursery._process is not None
            nursery._process.kill()
            nursery._process.wait()
        assert nursery.status(child.pid) in {1, -signal.SIGKILL}  # nobody is left who could say
    finally:
        os.close(empty)


def test_a_nursery_that_is_frozen_is_replaced(nursery: NurseryProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tcpbalancer.nursery_process.PROMPT", 0.2)
    empty = os.memfd_create("empty")
    try:
        os.close(nursery.fork([empty]).pidfd)
        assert nursery._process is not None
        frozen = nursery._process.pid
        os.kill(frozen, signal.SIGSTOP)
        os.close(nursery.fork([empty]).pidfd)
        assert nursery._process.pid != frozen
    finally:
        os.close(empty)


def test_what_cannot_be_had_is_said(nursery: NurseryProcess) -> None:
    with pytest.raises(NurseryError, match=r"^Cannot chroot\(/nonexistent\)"):
        nursery.become(Identity(chroot="/nonexistent"))


def test_a_killed_worker_is_replaced_at_once_and_the_connections_of_others_go_on() -> None:
    with ScriptedServer(echo()) as peer, RunningBalancer(one_way([server(peer.port)], nbthread=2)) as balancer:
        clients = [balancer.connect() for _ in range(8)]
        for client in clients:
            assert read_exactly(client, 6) == b"hello\n"
        started = [worker.started_at for worker in balancer.supervisor.current.workers.values()]
        until(lambda: time.monotonic() > max(started) + SHORT_LIFE, "the workers are no newborns")
        busy = next(worker for worker in balancer.snapshot().workers if worker.current)
        killed = time.monotonic()
        os.kill(busy.pid, signal.SIGKILL)
        again = balancer.wait_for("worker", 2, action="started", worker=busy.number)
        assert again.at - killed < SHORT_LIFE  # some 5 ms on a machine that has nothing else to do
        lost = sum(client.recv(1) == b"" for client in clients if not _goes_on(client))
        assert lost == busy.current
        with balancer.connect() as client:
            assert read_exactly(client, 6) == b"hello\n"


def _goes_on(client: object) -> bool:
    try:
        client.sendall(b"x")  # type: ignore[attr-defined] # a socket
        return bool(client.recv(1) == b"x")  # type: ignore[attr-defined]
    except OSError:
        return False


def test_a_killed_nursery_is_no_reason_to_lose_a_connection_or_a_worker() -> None:
    with ScriptedServer(echo()) as peer, RunningBalancer(one_way([server(peer.port)])) as balancer:
        client = balancer.connect()
        assert read_exactly(client, 6) == b"hello\n"
        process = balancer.supervisor._nursery._process
        assert process is not None
        process.kill()
        process.wait()
        client.sendall(b"x")
        assert read_exactly(client, 1) == b"x"
        until(lambda: balancer.snapshot().uptime > 1.1, "the worker is no newborn")
        pid = balancer.snapshot().workers[0].pid
        os.kill(pid, signal.SIGKILL)
        balancer.wait_for("worker", 2, action="started")
        with balancer.connect() as newer:
            assert read_exactly(newer, 6) == b"hello\n"
        until(lambda: not Path(f"/proc/{pid}/task").exists(), "nothing of the old one is left")
