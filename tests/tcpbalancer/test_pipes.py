"""Pipes that are lent, and relays that take them only while they need them."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
from collections.abc import Iterator

import pytest
from tcp_peers import read_exactly, small_buffers, tcp_pair

from tcpbalancer.poller import READ, WRITE
from tcpbalancer.relay import CLIENT, RELAYS, SERVER, PipePool, Relay
from tcpbalancer.relay.adaptive import LITTLE, PROOF
from tcpbalancer.relay.pipes import DENIALS, USEFUL

BUFFER = 65536


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, ...]]:
    client, inner_client = tcp_pair()
    inner_server, server = tcp_pair()
    for each in (inner_client, inner_server):
        each.setblocking(False)
    yield client, inner_client, inner_server, server
    for each in (client, inner_client, inner_server, server):
        each.close()


def relay_of(name: str, ends: tuple[socket.socket, ...], pipes: PipePool) -> Relay:
    return RELAYS[name](ends[1], ends[2], memoryview(bytearray(BUFFER)), pipes)


def test_a_pipe_is_made_once_enlarged_once_and_lent_again() -> None:
    pool = PipePool()
    one = pool.take()
    assert one is not None
    assert one.size >= 65536
    pool.give(one)
    assert pool.take() is one
    pool.lose(one)
    assert pool.lent == 0
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(one.inlet)
    pool.close()


def test_no_more_pipes_are_made_than_are_allowed_and_none_without_descriptors(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = PipePool(most=1)
    one = pool.take()
    assert one is not None
    assert pool.take() is None
    pool.lose(one)

    def no_room(_flags: int) -> tuple[int, int]:
        raise OSError(errno.EMFILE, "no descriptor")

    monkeypatch.setattr(os, "pipe2", no_room)
    assert pool.take() is None


def test_a_pipe_that_the_kernel_keeps_small_is_none_and_after_a_while_it_is_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = []
    real = os.pipe2

    def counted(flags: int) -> tuple[int, int]:
        made.append(flags)
        return real(flags)

    def keeps_small(_descriptor: int, command: int, _size: int = 0) -> int:
        if command == fcntl.F_SETPIPE_SZ:
            raise PermissionError
        return 8192

    monkeypatch.setattr(os, "pipe2", counted)
    pool = PipePool()
    with monkeypatch.context() as scarce:
        scarce.setattr(fcntl, "fcntl", keeps_small)
        assert [pool.take() for _ in range(DENIALS)] == [None] * DENIALS
    assert (len(made), pool.lent) == (1, 0)
    assert pool.take() is None
    pipe = pool.take()
    assert pipe is not None
    assert pipe.size >= USEFUL
    pool.lose(pipe)


def test_without_a_pipe_a_splicing_relay_copies(ends: tuple[socket.socket, ...]) -> None:
    relay = relay_of("splice", ends, PipePool(most=0))
    ends[0].sendall(b"hello")
    relay.ready(CLIENT, READ)
    assert read_exactly(ends[3], 5) == b"hello"


def test_a_pipe_is_held_only_while_bytes_are_in_it_and_lost_with_them(ends: tuple[socket.socket, ...]) -> None:
    client, _, inner_server, server = ends
    pool = PipePool()
    relay = relay_of("splice", ends, pool)
    client.sendall(b"x" * 100)
    relay.ready(CLIENT, READ)
    assert pool.lent == 0
    small_buffers(inner_server)
    small_buffers(server)
    client.setblocking(False)
    while not relay.owes(SERVER):
        with contextlib.suppress(BlockingIOError):
            client.send(bytes(1 << 20))
        relay.ready(CLIENT, READ)
    assert pool.lent == 1
    assert relay.interest(SERVER) & WRITE
    relay.close()
    assert pool.lent == 0
    fresh = pool.take()
    assert fresh is not None
    with pytest.raises(BlockingIOError):
        os.read(fresh.outlet, 1)  # nothing of the other connection is in it
    pool.lose(fresh)


def test_a_direction_that_keeps_filling_the_buffer_goes_over_to_pages_and_comes_back(
    ends: tuple[socket.socket, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    spliced: list[int] = []
    real = os.splice

    def counted(source: int, sink: int, count: int, *, flags: int) -> int:
        moved = real(source, sink, count, flags=flags)
        spliced.append(moved)
        return moved

    monkeypatch.setattr(os, "splice", counted)
    client, _, _, server = ends
    relay = relay_of("adaptive", ends, PipePool())

    def send(size: int) -> None:
        client.sendall(bytes(size))
        left = size
        while left:
            before = relay.bytes_from_client
            relay.ready(CLIENT, READ)
            left -= relay.bytes_from_client - before
        assert len(read_exactly(server, size)) == size

    for _ in range(PROOF):
        send(100)
    assert not spliced
    for _ in range(50):  # how much one read finds is the kernel's to say
        send(BUFFER * (PROOF + 1))
        if spliced:
            break
    assert spliced
    for _ in range(2 * PROOF):
        send(LITTLE - 1)
    spliced.clear()
    send(100)
    assert not spliced
    relay.close()
