"""Who may be picked, and who has to wait where: a backend as a worker sees it, without a connection."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from running_balancer import one_way, server

from tcpbalancer.counters import (
    BALANCED,
    QUEUED,
    RUNNING,
    SCALE,
    SERVER_MAXCONN,
    SERVER_MAXQUEUE,
    THROTTLE,
    TOTAL,
    WEIGHT,
)
from tcpbalancer.pool import Crowded, Pool, Shortage, Target, Wait
from tcpbalancer.route import make_memory, make_pools

Make = Callable[..., Pool]


@pytest.fixture
def make() -> Iterator[Make]:
    """Return what makes a pool of two servers that are up; the options are the backend's."""
    memories = []

    def made(**options: Any) -> Pool:
        configuration = one_way([server(1, "s1"), server(2, "s2")], **options)
        memory = make_memory(configuration)
        memories.append(memory)
        pool = make_pools(configuration, memory, 0)["b"]
        for slot in (0, 1):
            say(pool, slot, WEIGHT, SCALE)
            say(pool, slot, RUNNING, 1)
        return pool

    yield made
    for memory in memories:
        memory.close()


def say(pool: Pool, slot: int, setting: int, value: int) -> None:
    """Write a setting as the supervisor does."""
    memory = pool._shared
    memory.words[memory.layout.server_setting(pool.index, slot, setting)] = value


class Waiting:
    """A session in a queue."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.got: list[Target | str] = []

    def turn_came(self, target: Target, now: float) -> None:
        if self.pool.take(target, now):
            self.pool.line.leave(self, served=True) if self in self.pool.line.waiters else None
            target.line.leave(self, served=True) if self in target.line.waiters else None
            self.got.append(target)

    def turned_away(self, _now: float) -> None:
        next(t for t in self.pool.targets.values() if self in t.line.waiters).line.leave(self, served=False)
        self.got.append("turned away")


def tell(handler: Callable[..., None], now: float, *what: object) -> None:
    handler(*what, now)


def test_a_server_that_a_rule_names_gets_the_session_whatever_its_weight_is(make: Make) -> None:
    pool = make()
    say(pool, 1, WEIGHT, 0)
    for _ in range(3):
        target = pool.bound_to(1, 0.0)
        assert isinstance(target, Target)
        assert target.server.name == "s2", "drained, or a backup that is not needed"
    assert pool.targets[1].block.row[TOTAL] == 3
    assert pool.targets[1].block.row[BALANCED] == 0, "nobody has balanced"


def test_a_server_that_is_down_gets_what_is_bound_to_it_with_option_persist_only(make: Make) -> None:
    without, persistent = make(), make(persist=True)
    for pool in (without, persistent):
        say(pool, 0, RUNNING, 0)
    assert without.bound_to(0, 0.0) is None
    assert isinstance(persistent.bound_to(0, 0.0), Target)
    assert persistent.bound_to(7, 0.0) is None, "there is no such server"


def test_who_is_bound_to_a_full_server_waits_for_it_until_its_queue_is_full(make: Make) -> None:
    pool = make()
    say(pool, 0, SERVER_MAXCONN, 1)
    say(pool, 0, SERVER_MAXQUEUE, 1)
    first = pool.bound_to(0, 0.0)
    assert isinstance(first, Target)
    assert pool.bound_to(0, 0.0) == Wait(first)
    first.line.join(Waiting(pool), 1.0)
    assert pool.bound_to(0, 0.0) == Crowded(first)
    assert isinstance(pool.pick(0.0), Target), "the other one has room"


def test_all_full_means_the_queue_of_the_backend_and_nobody_overtakes_those_who_wait_there(make: Make) -> None:
    pool = make()
    for slot in (0, 1):
        say(pool, slot, SERVER_MAXCONN, 1)
    first, second = pool.pick(0.0), pool.pick(0.0)
    assert isinstance(first, Target)
    assert isinstance(second, Target)
    assert pool.pick(0.0) is Shortage.FULL
    waiting = Waiting(pool)
    pool.line.join(waiting, 1.0)
    pool.released(second)
    assert pool.pick(0.0) is Shortage.FULL, "there is room, but it is not for those who come now"
    pool.serve_queues(tell, 2.0)
    assert waiting.got == [second]
    assert (pool.block.row[QUEUED], second.block.row[BALANCED]) == (0, 1), "a turn out of the queue is no pick"


def test_room_goes_to_the_one_who_waits_longest_of_both_queues(make: Make) -> None:
    pool = make()
    say(pool, 1, WEIGHT, 0)
    say(pool, 0, SERVER_MAXCONN, 1)
    taken = pool.pick(0.0)
    assert isinstance(taken, Target)
    bound, anybody, later = Waiting(pool), Waiting(pool), Waiting(pool)
    pool.line.join(anybody, 1.0)
    taken.line.join(bound, 2.0)
    pool.line.join(later, 3.0)
    order = []
    for _ in range(3):
        pool.released(taken)
        pool.serve_queues(tell, 4.0)
        order.append([bool(each.got) for each in (anybody, bound, later)])
    assert order == [[True, False, False], [True, True, False], [True, True, True]]


def test_a_server_without_a_weight_serves_its_own_queue_only(make: Make) -> None:
    pool = make()
    say(pool, 0, SERVER_MAXCONN, 1)
    taken = pool.bound_to(0, 0.0)
    assert isinstance(taken, Target)
    bound, anybody = Waiting(pool), Waiting(pool)
    pool.line.join(anybody, 1.0)
    taken.line.join(bound, 2.0)
    say(pool, 0, WEIGHT, 0)
    say(pool, 1, WEIGHT, 0)
    pool.released(taken)
    pool.serve_queues(tell, 3.0)
    assert (bound.got, anybody.got) == ([taken], [])


@pytest.mark.parametrize(
    ("options", "turned_away"),
    [({}, False), ({"redispatch": -1}, True), ({"redispatch": -1, "persist": True}, False)],
)
def test_who_waits_for_a_server_that_goes_down_looks_for_another_with_redispatch(
    make: Make, options: dict[str, Any], turned_away: bool
) -> None:
    pool = make(**options)
    say(pool, 0, SERVER_MAXCONN, 1)
    taken = pool.bound_to(0, 0.0)
    assert isinstance(taken, Target)
    bound = Waiting(pool)
    taken.line.join(bound, 2.0)
    say(pool, 0, RUNNING, 0)
    pool.serve_queues(tell, 3.0)
    assert bound.got == (["turned away"] if turned_away else [])


def test_slowstart_lets_only_a_part_of_maxconn_in(make: Make) -> None:
    pool = make()
    say(pool, 1, WEIGHT, 0)
    say(pool, 0, SERVER_MAXCONN, 10)
    say(pool, 0, THROTTLE, 25)
    picked = [pool.pick(0.0) for _ in range(3)]
    assert [isinstance(each, Target) for each in picked] == [True, True, False]
    say(pool, 0, THROTTLE, 0)
    assert isinstance(pool.pick(0.0), Target)


def test_a_retry_knows_how_many_active_servers_there_are_and_which_of_them_run(make: Make) -> None:
    pool = make()
    assert (pool.active(), pool.is_running(0)) == (2, True)
    say(pool, 0, WEIGHT, 0)
    say(pool, 0, RUNNING, 0)
    assert (pool.active(), pool.is_running(0)) == (1, False)
