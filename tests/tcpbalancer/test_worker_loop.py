"""The worker's loop from inside, for what cannot be brought about from outside."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from unittest.mock import Mock

import pytest
from running_balancer import one_way, server
from tcp_peers import PATIENCE, free_port, full_backlog, reset, tcp_pair

from tcpbalancer.attempt import open_connection
from tcpbalancer.channel import Answer, Ended, SessionView, answers, pack_report, unpack_reports
from tcpbalancer.counters import (
    CONNECTS,
    CURRENT,
    DROPPED_RECORDS,
    GLOBAL_CONNECTION_RATE,
    GLOBAL_MAXCONN,
    GLOBAL_SESSION_RATE,
    HEARTBEAT,
    INEXACT_PICKS,
    MAXCONN,
    PAUSED,
    RUNNING,
    SCALE,
    SERVER_MAXCONN,
    SESSION_RATE,
    SLOTS_USED,
    WEIGHT,
)
from tcpbalancer.handover import Handover, for_workers
from tcpbalancer.model import Secret, Server, StatsPage, Timeouts
from tcpbalancer.poller import HUP, READ, WRITE
from tcpbalancer.pool import Pool, Shortage, Target, Wait
from tcpbalancer.relay import CLIENT
from tcpbalancer.route import Route, make_memory
from tcpbalancer.session import Session
from tcpbalancer.session_log import SessionRecord
from tcpbalancer.waiting import Line
from tcpbalancer.worker import BUFFER, SPARE_ALARMS, TICK, Worker

CONFIGURATION = one_way([server(free_port(), disabled=True)], nbthread=2)
RECORD = SessionRecord(
    "127.0.0.1", 1, 0.0, "f", "b", None, 0, 0, 0, 0, 0, "--", "", actconn=0, feconn=0, beconn=0, srvconn=0, retries=0,
    redispatched=False,
)  # fmt: skip


@dataclass
class Through:
    """What a session came through."""

    route: Route
    open: int = 0


def last_record(worker: Worker) -> SessionRecord:
    return records(worker)[-1]


def records(worker: Worker) -> list[SessionRecord]:
    reports = [report for line in worker._outbox.waiting for report in unpack_reports(line)]
    return [report.record for report in reports if isinstance(report, Ended)]


Connect = Callable[[], tuple[socket.socket, socket.socket]]


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Make connected pairs, which are closed whatever happens."""
    with contextlib.ExitStack() as stack:

        def connect() -> tuple[socket.socket, socket.socket]:
            near, far = tcp_pair()
            near.setblocking(False)
            for each in (near, far):
                stack.callback(each.close)
            return near, far

        yield connect


@pytest.fixture
def channel() -> Iterator[socket.socket]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    yield theirs
    ours.close()
    theirs.close()


@pytest.fixture
def worker(channel: socket.socket) -> Iterator[Worker]:
    memory = make_memory(CONFIGURATION)
    worker = Worker(Handover(CONFIGURATION, 0, memory.descriptor, channel.dup().detach(), ()))
    yield worker
    worker._channel.close()
    worker.poller.close()
    memory.close()


def test_records_that_nobody_takes_are_dropped_and_counted(
    worker: Worker, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tcpbalancer.outbox.MAX_PENDING", 5)
    told: list[SessionRecord] = []
    for _ in range(5 + 3):
        near, _ = connect()
        session = Session(worker, worker._routes[0], near, ("127.0.0.1", 1), 0.0)
        session.start(0.0)
        told.append(last_record(worker))
    assert told[0].flags == "SC"
    assert len(worker._outbox.waiting) == 5
    assert worker._words[DROPPED_RECORDS] == 3


def test_an_error_of_ours_costs_one_connection_and_not_the_worker(
    worker: Worker, connect: Connect, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fails(_session: Session, _mask: int, _now: float) -> None:
        raise ZeroDivisionError

    near, _ = connect()
    session = Session(worker, worker._routes[0], near, ("127.0.0.1", 1), 0.0)
    near.setblocking(False)
    worker._routes[0].block.opened(0.0)
    worker._routes[0].pool.block.opened(0.0)  # type: ignore[union-attr]
    monkeypatch.setattr(Session, "client_ready", fails)
    worker._tell(session.client_ready, 1.0, 0)
    monkeypatch.undo()
    worker._tell(session.client_ready, 1.0, 0)
    assert last_record(worker).flags == "ID"
    assert "ZeroDivisionError" in capfd.readouterr().err


def test_the_loop_is_woken_for_its_heartbeat_only_while_nothing_is_to_be_done(worker: Worker) -> None:
    before = worker._words[HEARTBEAT]
    worker._tick(5.0)
    assert worker._next_due(5.0) == 5.0 + TICK
    assert worker._words[HEARTBEAT] == before + 1


def current(worker: Worker) -> list[int]:
    route = worker._routes[0]
    assert route.pool is not None
    return [block.row[CURRENT] for block in (route.block, route.pool.block, route.pool.targets[0].block)]


def test_an_error_at_the_very_beginning_leaves_no_session_behind(
    worker: Worker, connect: Connect, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fails(*_arguments: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Pool, "pick", fails)
    near, far = connect()
    with far:
        worker.begin(Through(worker._routes[0]), near, ("127.0.0.1", 1), 0.0)
        assert far.recv(1) == b""
    assert (worker._sessions, current(worker)) == ({}, [0, 0, 0])
    assert last_record(worker).flags == "ID"
    assert "ZeroDivisionError" in capfd.readouterr().err


def test_an_error_while_the_queue_is_served_costs_one_session(
    worker: Worker, connect: Connect, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fails(*_arguments: object) -> None:
        raise ZeroDivisionError

    pool = worker._routes[0].pool
    assert pool is not None
    monkeypatch.setattr(Pool, "pick", lambda *_: Shortage.FULL)
    pairs = [connect() for _ in range(2)]
    for near, _ in pairs:
        worker.begin(Through(worker._routes[0]), near, ("127.0.0.1", 1), 0.0)
    assert len(pool.line) == 2
    open_to_all(worker, pool)
    monkeypatch.setattr(Pool, "take", fails)
    pool.serve_queues(worker._tell, 1.0)
    assert (len(pool.line), worker._sessions, current(worker)) == (0, {}, [0, 0, 0])
    assert "ZeroDivisionError" in capfd.readouterr().err


def open_to_all(worker: Worker, pool: Pool) -> None:
    """Let the one server be used."""
    layout, words = worker._memory.layout, worker._memory.words
    words[layout.server_setting(pool.index, 0, WEIGHT)] = SCALE
    words[layout.server_setting(pool.index, 0, RUNNING)] = 1


@pytest.fixture
def served(worker: Worker) -> Iterator[socket.socket]:
    """The listening socket of the one server, which may be used."""
    pool = worker._routes[0].pool
    assert pool is not None
    open_to_all(worker, pool)
    with socket.create_server(("127.0.0.1", pool.targets[0].server.port)) as listening:
        listening.settimeout(PATIENCE)
        yield listening
        for session in tuple(worker._sessions):
            session.cut("KC", "the end of the test", 1.0)


def begun(worker: Worker, near: socket.socket) -> Session:
    """Return the session of a connection that comes at 0 s."""
    worker.begin(Through(worker._routes[0]), near, ("127.0.0.1", 1), 0.0)
    (session,) = worker._sessions
    return session


def go_round(worker: Worker, now: float, patience: float = PATIENCE) -> None:
    """Tell what epoll tells, once."""
    for handler, mask in worker.poller.happened(patience):
        worker._tell(handler, now, mask)


@pytest.mark.parametrize("words", [b"", b"question"])
def test_what_a_server_answers_is_acknowledged_at_once_so_that_nagle_holds_nothing_back(
    worker: Worker, connect: Connect, served: socket.socket, words: bytes
) -> None:
    near, far = connect()
    far.sendall(words)
    session = begun(worker, near)
    with served.accept()[0] as peer:
        assert peer.recv(len(words)) == words
        assert session._server is not None
        assert session._server.getsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK) == 1


def test_nothing_waits_for_words_on_a_connection_that_does_not_stand_at_once() -> None:
    with full_backlog() as port, socket.socket() as client:
        target = Target(server(port), 0, Mock(), socket.AF_INET, Mock(), ("127.0.0.1", port), is_plain=True)
        connection, stands = open_connection(target, client, has_words=True)
        with contextlib.closing(connection):
            assert (stands, connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK)) == (False, 1)


def test_a_client_that_has_ended_is_bounded_again_as_soon_as_it_is_owed_bytes(
    worker: Worker, connect: Connect, served: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = worker._routes[0].pool
    assert pool is not None
    monkeypatch.setattr(pool, "backend", replace(pool.backend, timeouts=Timeouts(connect=2)))  # the server may think
    near, far = connect()
    session = begun(worker, near)
    with served.accept()[0] as peer:
        far.shutdown(socket.SHUT_WR)
        go_round(worker, 1.0)
        worker._ring(60.0)
        assert session.alarm is None, "only the server is waited for, and that for ever"
        peer.setblocking(False)
        while session._relay is None or not session._relay.owes(CLIENT):
            with contextlib.suppress(BlockingIOError):
                peer.send(bytes(1 << 20))
            go_round(worker, 100.0)
        assert session.alarm == 160.0
        worker._ring(160.0)
    assert last_record(worker).flags == "cD"


def test_a_client_that_reset_its_connection_costs_no_attempt(
    worker: Worker, connect: Connect, served: socket.socket
) -> None:
    near, far = connect()
    reset(far)
    worker.begin(Through(worker._routes[0]), near, ("127.0.0.1", 1), 0.0)
    assert last_record(worker).flags == "CD"
    pool = worker._routes[0].pool
    assert pool is not None
    assert (pool.block.row[CONNECTS], pool.targets[0].block.row[CONNECTS]) == (0, 0)


def test_what_the_supervisor_could_not_take_is_sent_as_soon_as_it_can(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox, channel = worker._outbox, worker._channel
    worker.poller.watch(channel.fileno(), READ, worker._channel_ready)
    refused = Mock(send=Mock(side_effect=[BlockingIOError, 1]), fileno=channel.fileno)
    monkeypatch.setattr(outbox, "_channel", refused)
    outbox.put(b"report")
    outbox.send()
    ((_, mask),) = worker.poller.happened(PATIENCE)
    assert mask == WRITE
    outbox.send_in_time(0.0, is_last=False)
    assert not outbox.waiting
    assert worker.poller.happened(0.0) == [], "it would be told of room without end"


def test_an_alarm_that_is_set_while_others_ring_waits_until_events_were_looked_at(worker: Worker) -> None:
    class Restless:
        alarm: float | None = None
        rang = 0

        def on_deadline(self, _mask: int, now: float) -> None:
            self.rang += 1
            worker.wake(self, now)  # type: ignore[arg-type]

    session = Restless()
    worker.wake(session, 1.0)  # type: ignore[arg-type]
    worker._look_around(1.0)
    assert (session.rang, worker._due) == (1, 1.0)


def test_who_finds_that_another_worker_was_faster_keeps_its_place_in_the_queue_and_its_start(
    worker: Worker, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = worker._routes[0].pool
    assert pool is not None
    monkeypatch.setattr(Pool, "pick", lambda *_: Shortage.FULL)
    pairs = [connect() for _ in range(3)]
    for at, (near, _) in enumerate(pairs):
        worker.begin(Through(worker._routes[0]), near, ("127.0.0.1", 1), float(at))
    before = [(waiter, waiter.deadline) for waiter in pool.line.waiters if isinstance(waiter, Session)]
    open_to_all(worker, pool)
    monkeypatch.setattr(Pool, "take", lambda *_: False)  # it was taken since this worker looked
    pool.serve_queues(worker._tell, 5.0)
    assert [(waiter, waiter.deadline) for waiter in pool.line.waiters if isinstance(waiter, Session)] == before
    monkeypatch.undo()
    pool.serve_queues(worker._tell, 6.0)
    assert not pool.line
    for session in list(worker._sessions):
        session.cut("KC", "the end of the test", 7.0)
    assert [(record.backend_queue, record.wait_ms) for record in records(worker)] == [(1, 6000), (2, 5000), (3, 4000)]


def test_who_waits_for_a_server_that_goes_down_while_nobody_else_is_up_ends_and_the_worker_goes_on(
    worker: Worker, connect: Connect, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    pool = worker._routes[0].pool
    assert pool is not None
    monkeypatch.setattr(pool, "backend", replace(pool.backend, redispatch=-1))
    monkeypatch.setattr(Pool, "pick", lambda *_: Wait(pool.targets[0]))
    near, far = connect()
    worker.begin(Through(worker._routes[0]), near, ("127.0.0.1", 1), 0.0)
    assert len(pool.targets[0].line) == 1
    monkeypatch.setattr(Pool, "pick", lambda *_: Shortage.NONE)
    pool.serve_queues(worker._tell, 1.0)  # it is not running, and its weight is 0
    assert (len(pool.targets[0].line), worker._sessions, current(worker)) == (0, {}, [0, 0, 0])
    assert (last_record(worker).flags, far.recv(1), capfd.readouterr().err) == ("SC", b"", "")


def test_an_error_of_ours_in_the_end_of_a_session_costs_that_session_only(
    worker: Worker, connect: Connect, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fails(*_arguments: object, **_named: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Pool, "pick", lambda *_: Shortage.FULL)
    monkeypatch.setattr(Line, "leave", fails)
    near, far = connect()
    worker.begin(Through(worker._routes[0]), near, ("127.0.0.1", 1), 0.0)
    (session,) = worker._sessions
    number = near.fileno()
    monkeypatch.setattr(Session, "on_deadline", fails)
    worker._tell(session.on_deadline, 1.0, 0)
    assert (worker._sessions, far.recv(1)) == ({}, b"")
    assert number not in worker.poller, "it would be told of without end"
    assert "ZeroDivisionError" in capfd.readouterr().err


def test_an_answer_about_thousands_of_sessions_goes_up_in_datagrams_that_the_supervisor_can_take(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = SessionView(1 << 60, "f" * 30, "b" * 30, "s" * 30, "2001:db8::1", 40000, "relaying", 1 / 3, 1 / 3)
    worker._outbox.waiting.extend(pack_report(part) for part in answers(7, [view] * 5000, 0))
    sent: list[bytes] = []
    channel = worker._channel
    worker.poller.watch(channel.fileno(), READ, worker._channel_ready)
    monkeypatch.setattr(worker._outbox, "_channel", Mock(send=sent.append, fileno=channel.fileno))
    worker._outbox.send()
    monkeypatch.undo()
    assert max(map(len, sent)) <= BUFFER
    parts = [part for datagram in sent for part in unpack_reports(datagram)]
    assert sum(len(part.sessions) for part in parts if isinstance(part, Answer)) == 5000


def test_a_client_on_a_unix_socket_that_asks_and_closes_does_not_keep_the_worker_awake_while_it_waits(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Pool, "pick", lambda *_: Shortage.FULL)
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    near.setblocking(False)
    with near:
        worker.begin(Through(worker._routes[0]), near, ("unix", 0), 0.0)
        far.sendall(b"question")
        far.close()
        ((handler, mask),) = worker.poller.happened(PATIENCE)
        worker._tell(handler, 1.0, mask)
        assert len(worker._sessions) == 1, "it wants an answer to its question"
        assert worker.poller.happened(0.0) == []


def test_weights_that_change_while_they_are_read_do_not_hurt(worker: Worker) -> None:
    class Changing:
        """Settings that the supervisor sets to zero as soon as they were read once."""

        def tobytes(self) -> bytes:
            before = settings.tobytes()
            settings[:] = memoryview(bytes(len(before))).cast("q")
            return before

    pool = worker._routes[0].pool
    assert pool is not None
    settings = pool._settings
    settings[WEIGHT] = 3
    pool._settings = Changing()  # type: ignore[assignment] # stands in for the shared row
    target = pool.pick(0.0)
    assert isinstance(target, Target)
    assert target.index == 0
    assert pool.pick(0.0) is Shortage.NONE


def test_a_lock_that_cannot_be_had_costs_exactness_and_nothing_else(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = worker._routes[0].pool
    assert pool is not None
    monkeypatch.setattr(worker._memory, "_take_lock", lambda _backend: False)
    pool._settings[WEIGHT] = 1
    for count in (1, 2, 3):
        assert isinstance(pool.pick(0.0), Target)
        assert worker._words[INEXACT_PICKS] == count
    assert pool._memory[0] == 4, "the algorithm's clock went on"


def test_sessions_that_have_ended_do_not_stay_until_their_deadline(worker: Worker) -> None:
    class Over:
        alarm: float | None = None
        deadline = 1800.0
        chosen = None
        entry = Through(worker._routes[0])

        def report_bytes(self) -> None:
            """It has moved nothing."""

    for _ in range(1000):
        session = Over()
        worker._sessions[session] = None  # type: ignore[index]
        worker.schedule(session)  # type: ignore[arg-type]
    kept = session
    for each in list(worker._sessions):
        if each is not kept:
            worker.ended(each, RECORD)
    worker._tick(0.0)
    assert len(worker._alarms) <= 2 * 1 + SPARE_ALARMS
    worker._ring(1799.0)
    assert kept.alarm == 1800.0
    assert any(alarm[2] is kept for alarm in worker._alarms)


def test_a_worker_whose_supervisor_was_killed_ends_without_a_word(
    worker: Worker, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    class Gone:
        def recv(self, _size: int) -> bytes:
            raise ConnectionResetError

    monkeypatch.setattr(worker, "_channel", Gone())
    with pytest.raises(SystemExit):
        worker._channel_ready(READ | HUP, 0.0)
    assert capfd.readouterr().err == ""
    monkeypatch.undo()


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


def test_a_limit_that_the_supervisor_changes_holds_for_the_next_connection(worker: Worker) -> None:
    route = worker._routes[0]
    whole = worker._memory.view(worker._memory.layout.settings)
    assert worker._gate.has_room(route, 7.0)
    route.block.opened(7.0)
    worker._gate.opened()
    route.block.arrived(7.0)
    for settings, setting in (
        (route.settings, MAXCONN),
        (route.settings, PAUSED),
        (route.settings, SESSION_RATE),
        (whole, GLOBAL_MAXCONN),
        (whole, GLOBAL_CONNECTION_RATE),
        (whole, GLOBAL_SESSION_RATE),
    ):
        before, settings[setting] = settings[setting], 1
        assert not worker._gate.has_room(route, 7.5)
        settings[setting] = before
        assert worker._gate.has_room(route, 7.5)


def test_a_place_that_somebody_takes_to_accept_is_no_other_workers(worker: Worker) -> None:
    route = worker._routes[0]
    route.settings[MAXCONN] = 2
    taken = [worker._gate.take(route, 0.0) for _ in range(3)]
    assert taken == [True, True, False]
    worker._gate.give_back(route)
    assert worker._gate.take(route, 0.0)


def test_the_connections_of_all_frontends_are_one_word_of_each_worker(
    worker: Worker, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = worker._memory.view(worker._memory.layout.settings)
    route, whole[GLOBAL_MAXCONN] = worker._routes[0], 3
    monkeypatch.setattr(Pool, "pick", lambda *_: Shortage.FULL)
    for count in (1, 2):
        worker.begin(Through(route), connect()[0], ("127.0.0.1", 1), 0.0)
        assert worker.connections() == count
    assert worker._gate.take(route, 0.0)
    assert not worker._gate.take(route, 0.0), "two are open, and one is being accepted"
    worker._gate.give_back(route)
    for session in tuple(worker._sessions):
        session.cut("KC", "the end of the test", 1.0)
    assert worker.connections() == 0
    worker._gate.opened()
    worker._memory.forget_gauges(0)
    assert worker.connections() == 0


def test_a_rate_counts_the_second_before_as_far_as_it_is_still_within_the_last_one(worker: Worker) -> None:
    block = worker._routes[0].block
    for at in (10.1, 10.2, 10.9, 11.5):
        block.arrived(at)
    assert [block.rate(at) for at in (10.0, 11.5, 12.25, 13.0)] == [0, 1 + 3 * 0.5, 0.75, 0]
    block.arrived(20.0)
    assert block.rate(20.5) == 1


def test_a_server_that_was_added_gets_connections_until_it_is_removed(worker: Worker) -> None:
    pool = worker._routes[0].pool
    assert pool is not None
    layout, words = worker._memory.layout, worker._memory.words
    words[layout.server_setting(pool.index, 1, WEIGHT)] = SCALE
    assert pool.pick(0.0) is Shortage.NONE  # the slot is not in use
    words[layout.backend_setting(pool.index, SLOTS_USED)] = 2
    assert pool.pick(0.0) is Shortage.NONE  # nobody has told this worker whose it is
    pool.add(Server("late", "::1", 5432), 1)
    words[layout.server_setting(pool.index, 1, SERVER_MAXCONN)] = 1
    target = pool.pick(0.0)
    assert isinstance(target, Target)
    assert (target.server.name, target.index, target.family) == ("late", 1, socket.AF_INET6)
    assert pool.pick(0.0) is Shortage.FULL
    words[layout.server_setting(pool.index, 1, SERVER_MAXCONN)] = 2
    assert pool.pick(0.0) == target
    pool.remove(1)
    assert pool.pick(0.0) is Shortage.NONE
