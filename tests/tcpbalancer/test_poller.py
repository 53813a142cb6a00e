"""The selector: what it reports, and what it must not hide."""

from __future__ import annotations

import selectors
import socket
from collections.abc import Iterator
from contextlib import closing

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
    with closing(Poller()) as poller:
        yield poller


def test_it_tells_a_reset_from_data(poller: Poller, pair: tuple[socket.socket, socket.socket]) -> None:
    near, far = pair
    poller.watch(near.fileno(), NOTHING, "near")
    assert poller.happened(0) == []
    reset(far)
    [(data, mask)] = poller.happened(PATIENCE)
    assert data == "near"
    assert mask & (HUP | ERROR) == HUP | ERROR
    assert not mask & READ


def test_it_tells_the_end_of_the_other_side_even_behind_unread_data(
    poller: Poller, pair: tuple[socket.socket, socket.socket]
) -> None:
    near, far = pair
    poller.watch(near.fileno(), PEER_CLOSED, "near")
    far.sendall(b"data")
    assert poller.happened(0.05) == []
    far.shutdown(socket.SHUT_WR)
    assert poller.happened(PATIENCE) == [("near", PEER_CLOSED)]


def test_interest_can_change_and_end(poller: Poller, pair: tuple[socket.socket, socket.socket]) -> None:
    near, _ = pair
    poller.watch(near.fileno(), READ, "near")
    assert near.fileno() in poller
    poller.change(near.fileno(), WRITE)
    assert poller.happened(PATIENCE) == [("near", WRITE)]
    poller.unwatch(near.fileno())
    assert near.fileno() not in poller
    assert poller.happened(0) == []


def test_who_is_forgotten_is_told_of_no_more(poller: Poller, pair: tuple[socket.socket, socket.socket]) -> None:
    near, far = pair
    poller.watch(near.fileno(), READ, "near")
    far.sendall(b"data")
    assert poller.happened(PATIENCE) == [("near", READ)]
    poller.forget(near.fileno())
    assert near.fileno() not in poller
    assert poller.happened(0) == []
    poller.forget(far.fileno())  # which was never watched


def test_watching_twice_or_changing_the_unknown_is_an_error(
    poller: Poller, pair: tuple[socket.socket, socket.socket]
) -> None:
    near, far = (each.fileno() for each in pair)
    poller.watch(near, READ, "near")
    with pytest.raises(FileExistsError):
        poller.watch(near, READ, "near")
    with pytest.raises(FileNotFoundError):
        poller.unwatch(far)
    with pytest.raises(FileNotFoundError):
        poller.change(far, READ)


def test_what_stays_is_registered_as_with_every_selector(
    poller: Poller, pair: tuple[socket.socket, socket.socket]
) -> None:
    near, far = pair
    assert isinstance(poller, selectors.BaseSelector)
    key = poller.register(near, READ, "near")
    assert poller.get_map() == {near.fileno(): key}
    with pytest.raises(KeyError, match="already registered"):
        poller.register(near, READ)
    far.sendall(b"data")
    assert poller.select(PATIENCE) == [(key, READ)]
    assert poller.happened(PATIENCE) == [("near", READ)]
    assert poller.modify(near, WRITE, "again").data == "again"
    assert poller.happened(PATIENCE) == [("again", WRITE)]
    assert poller.unregister(near).fileobj is near
    assert near.fileno() not in poller
    with pytest.raises(KeyError):
        poller.unregister(near)
