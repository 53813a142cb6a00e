"""What every relay promises, tried on each of them with real TCP connections."""

from __future__ import annotations

import hashlib
import random
import socket
import threading
from collections.abc import Iterator

import pytest
from relay_bench import QUIET, Bench, send_in_pieces
from tcp_peers import PATIENCE, read_exactly, read_to_end, reset, small_buffers

from tcpbalancer.poller import PEER_CLOSED, READ, WRITE
from tcpbalancer.relay import CLIENT, RELAYS, SERVER, Side
from tcpbalancer.relay.copy import CopyRelay

SEED = 20261122


@pytest.fixture(params=sorted(RELAYS))
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    bench = Bench(request.param)
    yield bench
    bench.close()


@pytest.mark.parametrize("sizes", [(0, 0), (1, 0), (0, 1), (70_000, 3), (8_000_000, 5_000_000)])
def test_every_byte_arrives_in_order_in_both_directions(bench: Bench, sizes: tuple[int, int]) -> None:
    chance = random.Random(SEED)  # noqa: S311 - test data, and it has to come again
    up, down = (chance.randbytes(size) for size in sizes)
    got: dict[str, bytes] = {}
    threads = [
        threading.Thread(target=send_in_pieces, args=(bench.client, up, random.Random(SEED + 1))),  # noqa: S311
        threading.Thread(target=send_in_pieces, args=(bench.server, down, random.Random(SEED + 2))),  # noqa: S311
        threading.Thread(target=lambda: got.update(server=read_to_end(bench.server))),
        threading.Thread(target=lambda: got.update(client=read_to_end(bench.client))),
    ]
    for thread in threads:
        thread.start()
    bench.run()
    bench.finish()
    for thread in threads:
        thread.join(PATIENCE)
    assert hashlib.sha256(got["server"]).digest() == hashlib.sha256(up).digest()
    assert hashlib.sha256(got["client"]).digest() == hashlib.sha256(down).digest()
    assert (bench.relay.bytes_from_client, bench.relay.bytes_to_client) == sizes
    assert bench.relay.failed is None


def test_the_end_of_file_is_passed_on_and_the_other_direction_lives_on(bench: Bench) -> None:
    bench.client.sendall(b"question")
    bench.client.shutdown(socket.SHUT_WR)
    bench.run_until_quiet()
    assert read_to_end(bench.server) == b"question"
    assert bench.relay.has_ended(CLIENT)
    assert bench.relay.passed_end_to(SERVER)
    assert not bench.relay.passed_end_to(CLIENT)
    bench.server.sendall(b"answer")
    bench.run_until_quiet()
    assert read_exactly(bench.client, 6) == b"answer"
    bench.server.shutdown(socket.SHUT_WR)
    bench.run()
    bench.finish()
    assert read_to_end(bench.client) == b""


def test_the_end_of_file_waits_until_everything_before_it_is_delivered(bench: Bench) -> None:
    data = random.Random(SEED).randbytes(12_000_000)  # noqa: S311 - test data
    small_buffers(bench.inner[SERVER])
    small_buffers(bench.server)
    sender = threading.Thread(target=send_in_pieces, args=(bench.client, data, random.Random(SEED)))  # noqa: S311
    sender.start()
    bench.run_until_quiet()
    assert not bench.relay.passed_end_to(SERVER)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(read_to_end(bench.server)))
    reader.start()
    while not bench.relay.passed_end_to(SERVER):
        assert bench.turn()
    reader.join(PATIENCE)
    sender.join(PATIENCE)
    assert hashlib.sha256(got[0]).digest() == hashlib.sha256(data).digest()
    assert isinstance(bench.relay, CopyRelay)
    assert [len(flow.kept) for flow in bench.relay._flows] == [0, 0], "what was delivered is not held in memory"


def test_a_reader_that_stops_slows_its_writer_down_and_memory_stays_bounded(bench: Bench) -> None:
    small_buffers(bench.inner[SERVER])
    small_buffers(bench.server)
    bench.client.setblocking(False)
    sent = 0
    while True:
        try:
            sent += bench.client.send(bytes(65536))
        except BlockingIOError:
            before = sent
            bench.run_until_quiet()
            try:
                sent += bench.client.send(bytes(65536))
            except BlockingIOError:
                break
            assert sent > before
    assert bench.relay.owes(SERVER)
    assert bench.relay.interest(CLIENT) & READ == 0
    assert bench.relay.interest(SERVER) == READ | PEER_CLOSED | WRITE
    assert bench.poller.happened(QUIET) == [], "throttled, it has to sleep"


def test_idle_and_half_closed_it_sleeps(bench: Bench) -> None:
    assert bench.poller.happened(QUIET) == []
    bench.client.shutdown(socket.SHUT_WR)
    bench.run_until_quiet()
    before = bench.wake_ups
    assert bench.poller.happened(QUIET) == []
    assert before <= 2


@pytest.mark.parametrize("side", [CLIENT, SERVER])
def test_what_came_before_a_reset_is_delivered_and_the_reset_is_told(bench: Bench, side: Side) -> None:
    near, far = (bench.client, bench.server) if side == CLIENT else (bench.server, bench.client)
    near.sendall(b"last words")
    bench.turn()  # they are on their way
    reset(near)
    bench.run()
    assert bench.relay.failed == side
    assert read_exactly(far, 10) == b"last words"


@pytest.mark.parametrize("side", [CLIENT, SERVER])
def test_a_reset_is_noticed_when_bytes_are_sent_there(bench: Bench, side: Side) -> None:
    near, far = (bench.client, bench.server) if side == CLIENT else (bench.server, bench.client)
    near.sendall(b"unread")
    reset(near)
    far.sendall(b"x")
    bench.run()
    assert bench.relay.failed == side


def test_a_reset_after_a_half_close_is_noticed(bench: Bench) -> None:
    bench.client.shutdown(socket.SHUT_WR)
    bench.run_until_quiet()
    reset(bench.client)
    bench.run()
    assert bench.relay.failed == CLIENT


def test_a_reset_while_its_bytes_wait_does_not_keep_the_relay_awake(bench: Bench) -> None:
    small_buffers(bench.inner[SERVER])
    small_buffers(bench.server)
    sender = threading.Thread(target=_send_until_reset, args=(bench.client,))
    sender.start()
    bench.run_until_quiet()
    assert bench.relay.owes(SERVER)
    bench.client.shutdown(socket.SHUT_RDWR)
    sender.join(PATIENCE)
    reset(bench.client)
    bench.run_until_quiet()
    assert bench.poller.happened(QUIET) == []
    reader = threading.Thread(target=read_to_end, args=(bench.server,))
    reader.start()
    bench.run()
    bench.finish()
    reader.join(PATIENCE)
    assert bench.relay.failed == CLIENT


def _send_until_reset(peer: socket.socket) -> None:
    try:
        while True:
            peer.sendall(bytes(65536))
    except OSError:
        pass


def test_an_urgent_byte_does_no_harm(bench: Bench) -> None:
    bench.client.sendall(b"before")
    bench.client.send(b"!", socket.MSG_OOB)
    bench.client.sendall(b"after")
    bench.client.shutdown(socket.SHUT_WR)
    bench.run_until_quiet()
    got = read_to_end(bench.server)
    assert got.replace(b"!", b"") == b"beforeafter"
    assert bench.wake_ups < 10


@pytest.mark.parametrize("name", sorted(RELAYS))
def test_connections_that_share_a_buffer_never_see_each_others_bytes(name: str) -> None:
    one = Bench(name)
    two = Bench(name, buffer=one.buffer, pipes=one.pipes)
    try:
        for bench in (one, two):
            small_buffers(bench.inner[SERVER])
            small_buffers(bench.server)
        senders = [
            threading.Thread(target=send_in_pieces, args=(bench.client, letter * 3_000_000, random.Random(SEED)))  # noqa: S311
            for bench, letter in ((one, b"1"), (two, b"2"))
        ]
        got: dict[int, bytes] = {}
        readers = [
            threading.Thread(target=lambda bench=bench, at=at: got.update({at: read_to_end(bench.server)}))
            for at, bench in enumerate((one, two))
        ]
        for thread in (*senders, *readers):
            thread.start()
        while not all(bench.relay.passed_end_to(SERVER) for bench in (one, two)):
            for bench in (one, two):
                bench.turn(0.01)
        for thread in (*senders, *readers):
            thread.join(PATIENCE)
        assert got == {0: b"1" * 3_000_000, 1: b"2" * 3_000_000}
    finally:
        two.close()
        one.close()
