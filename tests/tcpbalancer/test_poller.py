"""The selector: what it reports, and what it must not hide."""

from __future__ import annotations

import select
import selectors
import socket
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import closing

import pytest
from tcp_peers import PATIENCE, reset, tcp_pair

from tcpbalancer import poller as module
from tcpbalancer.poller import DIALOGUE, ERROR, HUP, MOST_SKIPS, NOTHING, PEER_CLOSED, READ, WRITE, Poller


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


# -- the lookout -------------------------------------------------------------------------------------------------------


class Script:
    """Stands for epoll: every look of no length takes 8 us and finds what ``soon`` has next, every other ``later``."""

    def __init__(self) -> None:
        self.now = 0.0
        self.soon: deque[Sequence[int]] = deque()
        self.later: deque[Sequence[int]] = deque()
        self.looks: list[float | None] = []

    def poll(self, timeout: float | None, _most: int) -> list[tuple[int, int]]:
        self.looks.append(timeout)
        if timeout == 0:
            self.now += 8e-6
        found = self.soon if timeout == 0 else self.later
        return [(number, READ) for number in (found.popleft() if found else ())]

    def register(self, number: int, events: int) -> None:
        pass


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Script:
    script = Script()
    monkeypatch.setattr(select, "epoll", lambda: script)
    monkeypatch.setattr(module, "monotonic", lambda: script.now)
    return script


def turns(script: Script, *events: Sequence[int]) -> Poller:
    """Return a poller that has heard these descriptors speak, turn by turn."""
    poller = Poller()
    for number in (1, 2, 3):
        poller.watch(number, READ, number)
    script.later.extend(events)
    for each in events:
        assert [number for number, _ in poller.happened(1)] == list(each)
    script.looks.clear()
    return poller


A_DIALOGUE = [(1,), (2,)] * (DIALOGUE // 2)


@pytest.mark.parametrize("events", [A_DIALOGUE, [(1,), (2,), (3,), (2,)] * (DIALOGUE // 4)], ids=["two", "three"])
def test_while_each_speaks_alone_the_next_is_looked_out_for_and_found_without_sleep(
    script: Script, events: list[tuple[int, ...]]
) -> None:
    poller = turns(script, *events)
    script.soon.extend([(), (1,), (2,)])
    assert poller.happened(1) == [(1, READ)]
    assert poller.happened(None) == [(2, READ)]
    assert script.looks == [0, 0, 0]


@pytest.mark.parametrize(
    "events",
    [A_DIALOGUE[1:], [(1,)] * 2 * DIALOGUE, [*A_DIALOGUE, (1, 2)], [*A_DIALOGUE, ()], [*A_DIALOGUE, (2,)]],
    ids=["too short", "a stream", "a crowd", "nobody", "the same twice"],
)
def test_nobody_else_is_looked_out_for(script: Script, events: list[tuple[int, ...]]) -> None:
    poller = turns(script, *events)
    script.later.append((3,))
    assert poller.happened(1) == [(3, READ)]
    assert script.looks == [1]


def test_who_is_only_asked_what_there_is_does_not_wait(script: Script) -> None:
    poller = turns(script, *A_DIALOGUE)
    assert poller.happened(0) == []
    assert script.looks == [0]


def test_lookouts_in_vain_become_rare_and_one_that_is_not_makes_them_frequent_again(script: Script) -> None:
    poller = turns(script, *A_DIALOGUE)
    distances, since = [], 0
    for turn in range(400):
        script.later.append((1 + turn % 2,))
        script.looks.clear()
        assert poller.happened(1) == [(1 + turn % 2, READ)]
        since += 1
        if 0 in script.looks:
            assert script.looks == [0, 0, 0, 0, 1], "no longer than it may take"
            distances.append(since)
            since = 0
    assert distances == [1, 1, 3, 7, 15, 31, 63, *[MOST_SKIPS] * 4]
    # One who speaks while it looks out, and all that was in vain before is forgotten.
    script.looks.clear()
    while 0 not in script.looks:
        turn += 1
        script.soon = deque([(1 + turn % 2,)])
        script.later = deque([(1 + turn % 2,)])
        poller.happened(1)
    for late in range(turn + 1, turn + 3):
        script.looks.clear()
        script.later = deque([(1 + late % 2,)])
        poller.happened(1)
        assert script.looks == [0, 0, 0, 0, 1]
