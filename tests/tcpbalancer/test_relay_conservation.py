"""Nothing is lost, made up or mixed up on the way: the books of every relay balance at each step.

Unix sockets stand for the connections: what waits in one is known exactly, at any moment, without asking the relay.
"""

from __future__ import annotations

import contextlib
import random
import socket
from collections import Counter
from dataclasses import dataclass, field

import pytest
from relay_bench import BUFFER, Bench
from tcp_peers import read_to_end, unread

from tcpbalancer.relay import CLIENT, RELAYS, SERVER, PipePool, Side, other
from tcpbalancer.relay.pipes import WANTED

SEED = 20261126
STEPS = 600


def unix_pair() -> tuple[socket.socket, socket.socket]:
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)


@dataclass
class Books:
    """What the far ends of a relay have sent and received, by the side that sent it."""

    bench: Bench
    most_waiting: int
    sent: list[int] = field(default_factory=lambda: [0, 0])
    received: list[int] = field(default_factory=lambda: [0, 0])

    def __post_init__(self) -> None:
        self.far = (self.bench.client, self.bench.server)
        for each in self.far:
            each.setblocking(False)

    def send(self, side: Side, count: int) -> None:
        with contextlib.suppress(BlockingIOError):
            self.sent[side] += self.far[side].send(bytes(count))

    def receive(self, side: Side, count: int) -> None:
        """Let the other side take what came from ``side``."""
        with contextlib.suppress(BlockingIOError):
            self.received[side] += len(self.far[other(side)].recv(count))

    def balance(self) -> None:
        """Hold what the relay says against what the sockets say."""
        relay = self.bench.relay
        for side, passed in ((CLIENT, relay.bytes_from_client), (SERVER, relay.bytes_to_client)):
            came_in = self.sent[side] - unread(self.bench.inner[side])
            gone_out = self.received[side] + unread(self.far[other(side)])
            assert gone_out == passed
            assert 0 <= came_in - gone_out <= self.most_waiting
            assert (came_in > gone_out) == relay.owes(other(side))


@pytest.mark.parametrize("name", sorted(RELAYS))
def test_what_came_in_has_gone_out_or_waits_here_at_every_step_and_all_is_out_at_the_end(name: str) -> None:
    chance = random.Random(SEED)  # noqa: S311 - test data, and it has to come again
    bench = Bench(name, pair=unix_pair)
    books = Books(bench, most_waiting=max(BUFFER, WANTED))
    try:
        for _ in range(STEPS):
            side = chance.choice((CLIENT, SERVER))
            match chance.randrange(4):
                case 0:
                    books.send(side, chance.choice((1, 1448, BUFFER, 1 << 20)))
                case 1:
                    books.receive(side, chance.choice((1, 4096, 1 << 20)))
                case _:
                    bench.turn(0)
            books.balance()
        for each in books.far:
            each.shutdown(socket.SHUT_WR)
        while not bench.relay.is_over:
            for side in (CLIENT, SERVER):
                books.receive(side, 1 << 20)
            bench.turn(0)
            books.balance()
        assert [bench.relay.bytes_from_client, bench.relay.bytes_to_client] == books.sent
        assert min(books.sent) > WANTED, "there was too little of it to fill anything"
    finally:
        bench.close()


@pytest.mark.parametrize("name", sorted(RELAYS))
def test_of_connections_that_break_off_anywhere_no_byte_is_ever_seen_in_another_one(name: str) -> None:
    chance = random.Random(SEED)  # noqa: S311 - as above
    pipes, buffer = PipePool(most=4), memoryview(bytearray(BUFFER))
    seen: Counter[str] = Counter()
    running: list[tuple[bytes, Bench]] = []
    for number in range(120):
        letter = bytes([33 + number % 90])  # poison: a connection says nothing but its own name
        running.append((letter, Bench(name, pair=unix_pair, buffer=buffer, pipes=pipes)))
        for poison, bench in running:
            bench.client.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                bench.client.send(poison * chance.choice((1, BUFFER, 1 << 20)))
            bench.turn(0)
        if len(running) > 6:
            poison, bench = running.pop(chance.randrange(len(running)))
            seen["broke off with bytes inside" if bench.relay.owes(SERVER) else "broke off empty"] += 1
            bench.relay.close()
            bench.inner[SERVER].close()
            assert set(read_to_end(bench.server)) <= set(poison)
            bench.close()
    for _, bench in running:
        bench.close()
    assert pipes.lent == 0
    pipes.close()
    assert seen["broke off with bytes inside"] > 10
