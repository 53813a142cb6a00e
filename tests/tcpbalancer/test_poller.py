"""The selector: what it reports, and what it must not hide."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from tcp_peers import PATIENCE, reset, tcp_pair

from tcpbalancer.poller import ERROR, HUP, NOTHING, PEER_CLOSED, READ, WRITE, Poller


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    pair = tcp_pair()
    yield pair
    for each in pair:
        each.close()


@pytest.fixture
def poller() -> Iterator[Poller]:
    with Poller() as poller:
        yield poller


def seen(poller: Poller) -> list[tuple[object, int]]:
    return [(key.data, mask) for key, mask in poller.select(PATIENCE)]


def test_it_tells_a_reset_from_data(poller: Poller, pair: tuple[socket.socket, socket.socket]) -> None:
    near, far = pair
    poller.register(near, NOTHING, "near")
    assert poller.select(0) == []
    reset(far)
    [(data, mask)] = seen(poller)
    assert data == "near"
    assert mask & (HUP | ERROR) == HUP | ERROR
    assert not mask & READ


def test_it_tells_the_end_of_the_other_side_even_behind_unread_data(
    poller: Poller, pair: tuple[socket.socket, socket.socket]
) -> None:
    near, far = pair
    poller.register(near, PEER_CLOSED, "near")
    far.sendall(b"data")
    assert poller.select(0.05) == []
    far.shutdown(socket.SHUT_WR)
    assert seen(poller) == [("near", PEER_CLOSED)]


def test_interest_can_change_and_end(poller: Poller, pair: tuple[socket.socket, socket.socket]) -> None:
    near, _ = pair
    poller.register(near.fileno(), READ, 1)
    assert poller.modify(near, WRITE, 2).events == WRITE
    assert seen(poller) == [(2, WRITE)]
    assert poller.get_map()[near.fileno()].data == 2
    assert poller.unregister(near).data == 2
    assert poller.select(0) == []


def test_registering_twice_or_forgetting_the_unknown_is_an_error(
    poller: Poller, pair: tuple[socket.socket, socket.socket]
) -> None:
    poller.register(pair[0], READ)
    with pytest.raises(KeyError, match="already registered"):
        poller.register(pair[0], READ)
    with pytest.raises(KeyError):
        poller.unregister(pair[1])
    with pytest.raises(KeyError):
        poller.modify(pair[1], READ)
