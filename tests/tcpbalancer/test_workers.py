"""Workers as processes: how they share, how they die, and that they never spin."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from balancer_process import until
from descriptors import descriptor_limit, limit_descriptors
from running_balancer import RunningBalancer, one_way, server
from tcp_peers import PATIENCE, ScriptedServer, echo, read_exactly, read_to_end, small_buffers

from tcpbalancer.generation import MISFORTUNES, SHORT_LIFE
from tcpbalancer.listening import ListenError
from tcpbalancer.model import Timeouts

QUIET = 0.5
"""Seconds over which a worker is watched for doing nothing."""


def worker_pid(balancer: RunningBalancer, number: int = 0) -> int:
    return balancer.snapshot().workers[number].pid


def cpu_seconds(pid: int) -> float:
    times = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(times[11]) + int(times[12])) / os.sysconf("SC_CLK_TCK")


def assert_sleeps(pid: int) -> None:
    """Watch a process for a while: it must hardly use the processor."""
    before = cpu_seconds(pid)
    one, other = socket.socketpair()
    with one, other:
        one.settimeout(QUIET)
        with pytest.raises(TimeoutError):
            one.recv(1)
    assert cpu_seconds(pid) - before <= 0.05 * QUIET + 0.01


def open_descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def test_a_killed_worker_is_replaced_and_its_listener_goes_on() -> None:
    with ScriptedServer(echo()) as peer, RunningBalancer(one_way([server(peer.port)])) as balancer:
        held = balancer.connect()
        assert read_exactly(held, 6) == b"hello\n"
        pid = worker_pid(balancer)
        os.kill(pid, signal.SIGKILL)
        died = balancer.wait_for("worker", action="died", pid=pid)
        assert died.reason == "killed by SIGKILL; 1 connections lost"
        with balancer.connect() as client:  # it waits in the backlog until the new worker takes it
            assert read_exactly(client, 6) == b"hello\n"
        started = balancer.wait_for("worker", count=2, action="started")
        assert started["pid"] != pid
        held.close()
        balancer.wait_for("session")
        snapshot = balancer.snapshot()
        assert snapshot.workers[0].restarts == 1
        assert (snapshot.current, snapshot.proxy("f").frontend.traffic.total) == (0, 2)  # type: ignore[union-attr]


def test_a_killed_worker_is_replaced_within_a_tenth_of_a_second_and_who_waited_in_the_kernel_is_served() -> None:
    took = []
    with ScriptedServer(echo()) as peer, RunningBalancer(one_way([server(peer.port)])) as balancer:
        for count in range(2, 7):
            pid = worker_pid(balancer)
            os.kill(pid, signal.SIGSTOP)
            until(lambda pid=pid: ") T " in Path(f"/proc/{pid}/stat").read_text(), "it is frozen")  # type: ignore[misc]
            waiting = [balancer.connect() for _ in range(20)]
            start = time.monotonic()
            os.kill(pid, signal.SIGKILL)
            balancer.wait_for("worker", count=count, action="started")
            took.append(time.monotonic() - start)
            for client in waiting:
                assert read_exactly(client, 6) == b"hello\n"
                client.close()
    assert sorted(took)[len(took) // 2] < 0.1


def test_workers_that_die_young_again_and_again_are_replaced_once_in_a_second() -> None:
    with ScriptedServer(echo()) as peer, RunningBalancer(one_way([server(peer.port)])) as balancer:
        gaps: list[float] = []
        while not gaps or gaps[-1] < SHORT_LIFE:
            assert len(gaps) < 4 * MISFORTUNES
            started = balancer.wait_for("worker", len(gaps) + 1, action="started")
            os.kill(started["pid"], signal.SIGKILL)  # type: ignore[arg-type]
            died = balancer.wait_for("worker", len(gaps) + 1, action="died")
            gaps.append(balancer.wait_for("worker", len(gaps) + 2, action="started").at - died.at)
        assert len(gaps) > MISFORTUNES


def test_workers_that_have_nothing_to_do_accept_in_turns() -> None:
    with ScriptedServer(echo()) as peer, contextlib.ExitStack() as stack:
        balancer = stack.enter_context(RunningBalancer(one_way([server(peer.port)], nbthread=2)))
        for count in range(1, 21):
            client = stack.enter_context(balancer.connect())
            client.sendall(b"hello\n")
            assert read_exactly(client, 6) == b"hello\n"
            until(lambda count=count: balancer.snapshot().current == count, "it is counted")  # type: ignore[misc]
        assert sorted(worker.current for worker in balancer.snapshot().workers) == [10, 10]


def test_when_one_of_two_workers_is_killed_the_connections_of_the_other_go_on_and_its_places_are_given_away() -> None:
    with ScriptedServer(echo()) as peer, contextlib.ExitStack() as stack:
        configuration = one_way([server(peer.port, maxconn=8)], back=Timeouts(60, 60, queue=PATIENCE), nbthread=2)
        balancer = stack.enter_context(RunningBalancer(configuration))
        clients = []
        for count in range(1, 25):  # one after the other: else whoever is quick may take them all
            clients.append(balancer.connect())
            until(lambda: balancer.snapshot().current == count, f"{count} have come")  # noqa: B023
        until(lambda: balancer.snapshot().proxy("b").backend.queued == 16, "16 of them wait")  # type: ignore[union-attr]
        victim, other = balancer.snapshot().workers
        os.kill(victim.pid, signal.SIGKILL)
        balancer.wait_for("worker", action="died", pid=victim.pid)
        ends = Counter[str]()
        with ThreadPoolExecutor(len(clients)) as all_at_once:
            ends.update(all_at_once.map(says_and_leaves, clients))
        assert ends == Counter(lost=victim.current, served=other.current)
        assert (victim.current + other.current, other.current > 0) == (24, True)
        balancer.wait_for("session", count=other.current)
        after = balancer.snapshot()
        assert (after.current, after.proxy("b").server("s1").traffic.peak) == (0, 8)
        assert other.pid in {worker.pid for worker in after.workers}


def says_and_leaves(client: socket.socket) -> str:
    """Return whether a client was served, or lost with its worker."""
    try:
        if read_exactly(client, 6) != b"hello\n":
            return "lost"
        client.sendall(b"still")
        return "served" if read_exactly(client, 5) == b"still" else "lost"
    except ConnectionResetError:
        return "lost"
    finally:
        client.close()


def test_a_frozen_worker_is_replaced_and_one_that_is_idle_is_not() -> None:
    with ScriptedServer(echo()) as peer, RunningBalancer(one_way([server(peer.port)], nbthread=2)) as balancer:
        frozen, idle = worker_pid(balancer, 0), worker_pid(balancer, 1)
        os.kill(frozen, signal.SIGSTOP)
        died = balancer.wait_for("worker", action="died", pid=frozen)
        assert died.reason == "killed by SIGKILL; 0 connections lost"
        assert balancer.line("does not move any more")[0] == "alert"
        balancer.wait_for("worker", count=3, action="started")
        assert worker_pid(balancer, 1) == idle
        with balancer.connect() as client:
            assert read_exactly(client, 6) == b"hello\n"


def test_a_lock_that_nobody_gives_back_stops_no_connection() -> None:
    with contextlib.ExitStack() as stack:
        peers = [stack.enter_context(ScriptedServer(echo(f"{number}\n".encode()))) for number in (1, 2)]
        servers = [server(peer.port, f"s{number}") for number, peer in enumerate(peers, 1)]
        balancer = stack.enter_context(RunningBalancer(one_way(servers, nbthread=2)))
        with balancer.supervisor.current.memory.locked(0) as held:
            assert held
            for _ in range(4):
                with balancer.connect() as client:
                    assert read_exactly(client, 2) in {b"1\n", b"2\n"}
        assert balancer.snapshot().inexact_picks == 4
        with balancer.connect() as client:
            assert read_exactly(client, 2)
        assert balancer.snapshot().inexact_picks == 4


@pytest.mark.parametrize("workers", [1, 2])
def test_round_robin_is_exact_whatever_the_number_of_workers(workers: int) -> None:
    with contextlib.ExitStack() as stack:
        peers = [stack.enter_context(ScriptedServer(echo(f"{number}\n".encode()))) for number in (1, 2, 3)]
        servers = [server(peer.port, f"s{number}") for number, peer in enumerate(peers, 1)]
        balancer = stack.enter_context(RunningBalancer(one_way(servers, nbthread=workers)))
        got = []
        for _ in range(30):
            with balancer.connect() as client:
                got.append(int(client.recv(2)))
        assert got == [1, 2, 3] * 10
        balancer.wait_for("session", count=30)
        assert [row.balanced for row in balancer.snapshot().proxy("b").servers] == [10, 10, 10]


def test_many_connections_at_once_over_two_workers_are_spread_exactly() -> None:
    with contextlib.ExitStack() as stack:
        peers = [stack.enter_context(ScriptedServer(echo(f"{number}\n".encode()))) for number in (1, 2)]
        servers = [server(peer.port, f"s{number}") for number, peer in enumerate(peers, 1)]
        balancer = stack.enter_context(RunningBalancer(one_way(servers, nbthread=2)))
        clients = [balancer.connect() for _ in range(100)]
        assert Counter(client.recv(2) for client in clients) == {b"1\n": 50, b"2\n": 50}
        traffic = balancer.snapshot().proxy("f").frontend.traffic  # type: ignore[union-attr]
        assert (traffic.current, traffic.peak, traffic.total) == (100, 100, 100)
        for client in clients:
            client.close()
        balancer.wait_for("session", count=100)
        assert balancer.snapshot().current == 0


def test_after_many_connections_nothing_is_left_open() -> None:
    with ScriptedServer(echo()) as peer, RunningBalancer(one_way([server(peer.port)])) as balancer:
        pid = worker_pid(balancer)
        before = open_descriptors(pid)
        for _ in range(200):
            with balancer.connect() as client:
                client.sendall(b"x")
                assert read_exactly(client, 7) == b"hello\nx"
        balancer.wait_for("session", count=200)
        assert open_descriptors(pid) == before


def test_idle_half_closed_and_throttled_connections_leave_the_worker_asleep() -> None:
    over = threading.Event()

    def deaf(peer: socket.socket) -> None:
        small_buffers(peer)
        peer.sendall(b"hello\n")
        over.wait(PATIENCE)

    with ScriptedServer(deaf) as peer, RunningBalancer(one_way([server(peer.port)])) as balancer:
        idle, half, full = (balancer.connect() for _ in range(3))
        for client in (idle, half, full):
            assert read_exactly(client, 6) == b"hello\n"
        half.shutdown(socket.SHUT_WR)
        full.settimeout(0.3)
        with pytest.raises(TimeoutError):
            full.sendall(bytes(1 << 26))
        assert_sleeps(worker_pid(balancer))
        full.shutdown(socket.SHUT_RDWR)
        full.close()
        assert_sleeps(worker_pid(balancer))
        idle.close()
        half.close()
        over.set()


def test_the_frontends_maxconn_leaves_the_rest_in_the_backlog_without_spinning() -> None:
    with ScriptedServer(echo()) as peer, RunningBalancer(one_way([server(peer.port)], maxconn=2)) as balancer:
        clients = [balancer.connect() for _ in range(3)]
        for client in clients[:2]:
            assert read_exactly(client, 6) == b"hello\n"
        clients[2].settimeout(0.2)
        with pytest.raises(TimeoutError):
            clients[2].recv(1)
        assert_sleeps(worker_pid(balancer))
        clients[0].close()
        clients[2].settimeout(PATIENCE)
        assert read_exactly(clients[2], 6) == b"hello\n"
        for client in clients:
            client.close()


def test_without_descriptors_accepting_pauses_without_spinning_and_then_goes_on() -> None:
    with ScriptedServer(echo()) as peer, RunningBalancer(one_way([server(peer.port)])) as balancer:
        pid = worker_pid(balancer)
        held = [balancer.connect() for _ in range(3)]
        for client in held:
            assert read_exactly(client, 6) == b"hello\n"
        taken = {int(entry.name) for entry in Path(f"/proc/{pid}/fd").iterdir()}
        limit = min(set(range(len(taken) + 1)) - taken)  # the next descriptor would be this one
        before = descriptor_limit(pid)
        limit_descriptors(pid, (limit, before[1]))
        late = balancer.connect()
        late.settimeout(0.2)
        with pytest.raises(TimeoutError):
            late.recv(1)
        assert_sleeps(pid)
        limit_descriptors(pid, before)
        late.settimeout(PATIENCE)
        assert read_exactly(late, 6) == b"hello\n"
        assert worker_pid(balancer) == pid
        for client in (*held, late):
            client.close()


def test_running_connections_show_their_bytes_in_the_statistics() -> None:
    with ScriptedServer(echo(b"")) as peer, RunningBalancer(one_way([server(peer.port)])) as balancer:
        with balancer.connect() as client:
            client.sendall(b"x" * 1000)
            assert read_exactly(client, 1000) == b"x" * 1000
            until = time.monotonic() + PATIENCE
            while balancer.snapshot().proxy("b").server("s1").traffic.bytes_out < 1000:
                assert time.monotonic() < until
            assert balancer.snapshot().current == 1
        balancer.wait_for("session")
        traffic = balancer.snapshot().proxy("b").backend.traffic  # type: ignore[union-attr]
        assert (traffic.bytes_in, traffic.bytes_out, traffic.current) == (1000, 1000, 0)


def test_a_worker_ends_when_its_supervisor_is_gone() -> None:
    with ScriptedServer(echo()) as peer, RunningBalancer(one_way([server(peer.port)])) as balancer:
        pid = worker_pid(balancer)
        balancer.ask(lambda: balancer.supervisor.current.workers[0]._channel.shutdown(socket.SHUT_RDWR))
        died = balancer.wait_for("worker", action="died", pid=pid)
        assert died.reason.startswith("exit status 0")


def test_signals_that_are_meant_for_the_supervisor_do_not_end_a_worker() -> None:
    with ScriptedServer(echo()) as peer, RunningBalancer(one_way([server(peer.port)])) as balancer:
        pid = worker_pid(balancer)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
            os.kill(pid, number)
        with balancer.connect() as client:
            assert read_exactly(client, 6) == b"hello\n"
        assert worker_pid(balancer) == pid


def test_a_port_that_is_taken_is_one_clear_error_and_nothing_stays_behind() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        configuration = one_way([])
        frontend = configuration.frontends["f"]
        port = taken.getsockname()[1]
        bad = type(frontend.binds[0])("127.0.0.1", port)
        bound = type(frontend)("f", (*frontend.binds, bad), default_backend="b", timeouts=Timeouts())
        with (
            pytest.raises(ListenError) as caught,
            RunningBalancer(type(configuration)({"f": bound}, configuration.backends, configuration.order)),
        ):
            pass
        assert str(caught.value).startswith(
            "Binding [<none>] for proxy f: protocol tcpv4: cannot bind socket (Address already in use) for "
            f"[127.0.0.1:{port}]. Another program holds this address"
        )
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", frontend.binds[0].port))


def test_an_address_that_no_interface_has_is_named() -> None:
    configuration = one_way([])
    frontend = configuration.frontends["f"]
    bound = type(frontend)("f", (type(frontend.binds[0])("192.0.2.77", frontend.binds[0].port),))
    with (
        pytest.raises(ListenError, match=r"\[192\.0\.2\.77:\d+\]\. No interface of this host"),
        RunningBalancer(type(configuration)({"f": bound}, {}, ("f",))),
    ):
        pass


def test_a_client_over_ipv6_reaches_a_server_over_ipv4() -> None:
    with ScriptedServer(echo()) as peer:
        configuration = one_way([server(peer.port)])
        frontend = configuration.frontends["f"]
        bound = type(frontend)("f", (type(frontend.binds[0])("::1", frontend.binds[0].port),), default_backend="b")
        six = type(configuration)({"f": bound}, configuration.backends, configuration.order)
        with RunningBalancer(six) as balancer, socket.create_connection(("::1", balancer.port)) as client:
            assert read_exactly(client, 6) == b"hello\n"
            client.shutdown(socket.SHUT_WR)
            assert read_to_end(client) == b""
            assert balancer.wait_for("session")["client"].startswith("::1:")  # type: ignore[union-attr]


def test_an_ipv6_socket_that_leaves_ipv4_alone_stands_beside_an_ipv4_one() -> None:
    with ScriptedServer(echo()) as peer:
        configuration = one_way([server(peer.port)])
        frontend = configuration.frontends["f"]
        port = frontend.binds[0].port
        binds = (type(frontend.binds[0])("", port), type(frontend.binds[0])("::", port, only_v6=True))
        both = type(configuration)(
            {"f": type(frontend)("f", binds, default_backend="b")}, configuration.backends, configuration.order
        )
        with RunningBalancer(both):
            for host in ("127.0.0.1", "::1"):
                with socket.create_connection((host, port)) as client:
                    assert read_exactly(client, 6) == b"hello\n"
