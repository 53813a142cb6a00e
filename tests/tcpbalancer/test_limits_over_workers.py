"""Several workers are one balancer: turns are exact, limits hold, and who waits longest is served first."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from balancer_process import until
from running_balancer import RunningBalancer, one_way, server
from tcp_peers import PATIENCE, ScriptedServer, echo, read_exactly

from tcpbalancer.counters import CURRENT, MAXCONN, SERVER_MAXCONN, WAITING_SINCE, SharedMemory
from tcpbalancer.model import Timeouts

BACK = Timeouts(connect=PATIENCE, queue=PATIENCE, server=60)


class Crowd:
    """A server's script that knows how many connections there are at a time, and how many there were at most."""

    def __init__(self) -> None:
        self.now = self.most = 0
        self._lock = threading.Lock()

    def __call__(self, peer: socket.socket) -> None:
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
        peer.sendall(b"x")
        peer.recv(1)
        with self._lock:
            self.now -= 1


def memory_of(balancer: RunningBalancer) -> SharedMemory:
    return balancer.supervisor.current.memory


def comes_and_goes(balancer: RunningBalancer) -> bytes:
    with balancer.connect() as client:
        word = read_exactly(client, 1)
        client.sendall(b".")
        return word


@pytest.mark.parametrize("algorithm", ["roundrobin", "static-rr", "leastconn"])
def test_turns_are_exact_over_two_workers(algorithm: str) -> None:
    with contextlib.ExitStack() as stack:
        peers = [stack.enter_context(ScriptedServer(echo(b"%d" % number))) for number in (1, 2, 3)]
        told = [server(peer.port, f"s{number}") for number, peer in enumerate(peers)]
        balancer = stack.enter_context(RunningBalancer(one_way(told, nbthread=2, balance=algorithm)))
        held: list[socket.socket] = []
        with ThreadPoolExecutor(30) as clients:
            while not held or min(worker.current for worker in balancer.snapshot().workers) == 0:
                held += clients.map(lambda _: balancer.connect(), range(30))
                seen = sorted(clients.map(lambda client: read_exactly(client, 1), held[-30:]))
                assert seen == [b"1"] * 10 + [b"2"] * 10 + [b"3"] * 10


def limited(port: int, maxconn: int = 0, frontend: int = 2000, **settings: Any) -> RunningBalancer:
    """Return a balancer of two workers with one server; ``maxconn`` is the server's limit."""
    told = server(port, maxconn=maxconn)
    return RunningBalancer(one_way([told], back=BACK, nbthread=2, maxconn=frontend, **settings))


@pytest.mark.parametrize("algorithm", ["roundrobin", "source"])
def test_a_server_never_gets_more_than_its_maxconn_over_two_workers_and_all_are_served(algorithm: str) -> None:
    crowd = Crowd()
    with (
        ScriptedServer(crowd) as peer,
        limited(peer.port, 3, balance=algorithm) as balancer,
        ThreadPoolExecutor(24) as clients,
    ):
        words = list(clients.map(lambda _: comes_and_goes(balancer), range(120)))
        snapshot = balancer.snapshot()
        row = snapshot.proxy("b").server("s1")
    assert words == [b"x"] * 120
    assert (crowd.most, row.traffic.peak) == (3, 3)
    assert snapshot.inexact_picks == 0


def test_a_frontend_never_takes_more_than_its_maxconn_over_two_workers_and_nobody_is_refused() -> None:
    crowd = Crowd()
    with ScriptedServer(crowd) as peer, limited(peer.port, frontend=4) as balancer, ThreadPoolExecutor(16) as clients:
        words: list[bytes] = []
        while crowd.most < 4:  # on a busy machine a server may see one go before it sees the next one come
            words += clients.map(lambda _: comes_and_goes(balancer), range(60))
        front = balancer.snapshot().proxy("f").frontend
    assert set(words) == {b"x"}
    assert front is not None
    assert (front.traffic.peak, crowd.most) == (4, 4)


def test_who_waits_longest_is_served_first_whichever_worker_it_came_to() -> None:
    with ScriptedServer(echo(b"x")) as peer, limited(peer.port, 1) as balancer, contextlib.ExitStack() as stack:
        first = stack.enter_context(balancer.connect())
        assert read_exactly(first, 1) == b"x"
        waiting = []
        for place in range(1, 13):
            waiting.append(stack.enter_context(balancer.connect()))
            until_queued(balancer, place)
        took = []
        first.close()
        for client in waiting:
            start = time.monotonic()
            assert read_exactly(client, 1) == b"x"
            took.append(time.monotonic() - start)
            others = waiting[waiting.index(client) + 1 :]
            assert not select.select(others, (), (), 0)[0], "nobody overtakes"
            client.close()
    assert max(took) < 1.0
    assert sorted(took)[len(took) // 2] < 0.08, "a bell rings at the other worker's, it does not find out by and by"


def until_queued(balancer: RunningBalancer, count: int) -> None:
    until(lambda: balancer.snapshot().proxy("b").backend.queued == count, f"{count} wait")  # type: ignore[union-attr]


def test_a_frozen_worker_holds_up_nobody_who_waits_in_another_one() -> None:
    with ScriptedServer(echo(b"x")) as peer, limited(peer.port, 1) as balancer, ThreadPoolExecutor(30) as threads:
        clients = list(threads.map(lambda _: balancer.connect(), range(30)))
        until_queued(balancer, 29)
        memory = memory_of(balancer)
        while True:  # until the first in the queue belongs to the worker that has not got the server
            (served, *_), _, _ = select.select(clients, (), (), PATIENCE)
            tickets = list(memory.values(memory.layout.backend(0), WAITING_SINCE))
            holder = list(memory.values(memory.layout.server(0, 0), CURRENT)).index(1)
            if not all(tickets):  # both workers are to have some who wait
                clients += threads.map(lambda _: balancer.connect(), range(10))
                until_queued(balancer, len(clients) - 1)
                continue
            if tickets[1 - holder] < tickets[holder]:
                break
            clients.remove(served)
            served.close()
            until_queued(balancer, len(clients) - 1)
        os.kill(balancer.snapshot().workers[1 - holder].pid, signal.SIGSTOP)
        clients.remove(served)
        start = time.monotonic()
        served.close()
        assert select.select(clients, (), (), PATIENCE)[0]
        assert time.monotonic() - start < 2.0, "long before the supervisor replaces the frozen one"


def test_a_maxconn_that_is_raised_lets_those_in_who_wait_and_bells_make_it_act_at_once() -> None:
    with ScriptedServer(echo(b"x")) as peer, limited(peer.port, 1) as balancer, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(balancer.connect()) for _ in range(4)]
        until_queued(balancer, 3)
        memory = memory_of(balancer)
        memory.words[memory.layout.server_setting(0, 0, SERVER_MAXCONN)] = 3
        memory.ring()
        until_queued(balancer, 1)
        assert balancer.snapshot().proxy("b").server("s1").traffic.limit == 3
        readable = select.select(clients, (), (), PATIENCE)[0]
        assert readable


def test_a_frontends_maxconn_and_the_process_s_act_at_once() -> None:
    with ScriptedServer(echo(b"x")) as peer, limited(peer.port) as balancer, contextlib.ExitStack() as stack:
        memory = memory_of(balancer)
        place = memory.layout.frontend_setting(0, MAXCONN)
        memory.words[place] = 1
        clients = [stack.enter_context(balancer.connect()) for _ in range(2)]
        assert read_exactly(clients[0], 1) == b"x"
        assert not select.select([clients[1]], (), (), 0.3)[0], "it waits in the kernel"
        assert balancer.snapshot().proxy("f").frontend.traffic.current == 1  # type: ignore[union-attr]
        memory.words[place] = 2
        memory.ring()
        assert read_exactly(clients[1], 1) == b"x"
