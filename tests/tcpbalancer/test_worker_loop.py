"""The worker's loop from inside, for what cannot be brought about from outside."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest
from running_balancer import one_way, server
from tcp_peers import free_port, tcp_pair

from tcpbalancer.counters import DROPPED_RECORDS, SharedMemory
from tcpbalancer.handover import Handover, for_workers
from tcpbalancer.model import Secret, StatsPage
from tcpbalancer.route import make_layout
from tcpbalancer.session import Session
from tcpbalancer.session_log import SessionRecord
from tcpbalancer.worker import Worker

CONFIGURATION = one_way([server(free_port(), disabled=True)])


@pytest.fixture
def channel() -> Iterator[socket.socket]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    yield theirs
    ours.close()
    theirs.close()


@pytest.fixture
def worker(channel: socket.socket) -> Iterator[Worker]:
    memory = SharedMemory(make_layout(CONFIGURATION))
    worker = Worker(Handover(CONFIGURATION, 0, memory.descriptor, channel.dup().detach(), ()))
    yield worker
    worker._channel.close()
    worker.poller.close()
    memory.close()


def test_records_that_nobody_takes_are_dropped_and_counted(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tcpbalancer.worker.MAX_PENDING", 5)
    told: list[SessionRecord] = []
    for _ in range(5 + 3):
        near, far = tcp_pair()
        session = Session(worker, worker._routes[0], near, ("127.0.0.1", 1), 0.0)
        session.start(0.0)
        far.close()
        told.append(SessionRecord.from_bytes(worker._records[-1]))
    assert told[0].flags == "SC"
    assert len(worker._records) == 5
    assert worker._words[DROPPED_RECORDS] == 3


def test_an_error_of_ours_costs_one_connection_and_not_the_worker(
    worker: Worker, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(_session: Session, _mask: int, _now: float) -> None:
        raise ZeroDivisionError

    near, far = tcp_pair()
    session = Session(worker, worker._routes[0], near, ("127.0.0.1", 1), 0.0)
    near.setblocking(False)
    worker._routes[0].block.opened(0.0)
    worker._routes[0].pool.block.opened(0.0)  # type: ignore[union-attr]
    monkeypatch.setattr(Session, "client_ready", fails)
    worker._tell(session.client_ready, 0, 1.0)
    monkeypatch.undo()
    worker._tell(session.client_ready, 0, 1.0)
    assert SessionRecord.from_bytes(worker._records[-1]).flags == "ID"
    assert "ZeroDivisionError" in capsys.readouterr().err
    far.close()


def test_the_loop_is_not_woken_while_nothing_is_to_be_done(worker: Worker) -> None:
    assert worker._patience(0.0) is None


def test_a_worker_learns_no_password_and_imports_nothing_heavy() -> None:
    page = StatsPage(users=(("admin", Secret("admin123")),))
    frontend = CONFIGURATION.frontends["f"]
    secretive = type(CONFIGURATION)(
        {"f": type(frontend)("f", frontend.binds, stats=page)}, CONFIGURATION.backends, CONFIGURATION.order
    )
    assert "admin123" not in str(for_workers(secretive).frontends["f"].stats)
    assert for_workers(secretive).frontends["f"].stats is None
    script = "import sys, tcpbalancer.worker; print(*sorted({'asyncio', 'aiohttp', 'yaml'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert found == []
