"""Round robin against what HAProxy did: which of the servers each of 40 successive connections got."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tcpbalancer.balance import Choice, eligible
from tcpbalancer.balance.roundrobin import RoundRobin

# Seen on HAProxy 2.6.12 and 3.5-dev5 with one thread, equal in both.
SEQUENCES = {
    (1, 1, 1): "1 2 3 1 2 3 1 2 3 1 2 3 1 2 3 1 2 3 1 2 3 1 2 3 1 2 3 1 2 3 1 2 3 1 2 3 1 2 3 1",
    (3, 2, 1): "1 2 1 3 1 2 1 2 1 3 1 2 1 2 1 3 1 2 1 2 1 3 1 2 1 2 1 3 1 2 1 2 1 3 1 2 1 2 1 3",
    (100, 50, 25): "1 1 2 1 3 1 2 1 1 2 1 3 1 2 1 1 2 1 3 1 2 1 1 2 1 3 1 2 1 1 2 1 3 1 2 1 1 2 1 3",
    (5, 1, 1): "1 1 1 2 1 1 3 1 1 1 2 1 1 3 1 1 1 2 1 1 3 1 1 1 2 1 1 3 1 1 1 2 1 1 3 1 1 1 2 1",
    (1, 0, 1): "1 3 1 3 1 3 1 3 1 3 1 3 1 3 1 3 1 3 1 3 1 3 1 3 1 3 1 3 1 3 1 3 1 3 1 3 1 3 1 3",
    (256, 128, 1): "1 1 2 1 1 2 1 1 2 1 1 2 1 1 2 1 1 2 1 1 2 1 1 2 1 1 2 1 1 2 1 1 2 1 1 2 1 1 2 1",
    (7, 3): "1 1 1 2 1 1 2 1 1 2 1 1 1 2 1 1 2 1 1 2 1 1 1 2 1 1 2 1 1 2 1 1 1 2 1 1 2 1 1 2",
    (1, 2, 3, 4): "4 3 4 2 3 4 1 4 3 2 4 3 4 2 3 4 1 4 3 2 4 3 4 2 3 4 1 4 3 2 4 3 4 2 3 4 1 4 3 2",
    (1, 1, 1, 1, 1, 1): "1 2 3 4 5 6 1 2 3 4 5 6 1 2 3 4 5 6 1 2 3 4 5 6 1 2 3 4 5 6 1 2 3 4 5 6 1 2 3 4",
    (0, 0, 1, 1): "3 4 3 4 3 4 3 4 3 4 3 4 3 4 3 4 3 4 3 4 3 4 3 4 3 4 3 4 3 4 3 4 3 4 3 4 3 4 3 4",
}


def algorithm() -> RoundRobin:
    return RoundRobin()


def picks(weights: list[int], count: int, memory: list[int] | None = None) -> list[int]:
    balancer = algorithm()
    memory = [0] * balancer.memory_size(len(weights)) if memory is None else memory
    chosen = [balancer.pick(memory, Choice(weights)) for _ in range(count)]
    assert None not in chosen
    return [index + 1 for index in chosen if index is not None]


@pytest.mark.parametrize("weights", SEQUENCES)
def test_the_sequence_is_that_of_haproxy(weights: tuple[int, ...]) -> None:
    assert picks(list(weights), 40) == [int(word) for word in SEQUENCES[weights].split()]


def test_memory_may_be_a_memoryview_so_that_several_processes_can_share_it() -> None:
    memory = memoryview(bytearray(8 * algorithm().memory_size(3))).cast("q")
    chosen = [algorithm().pick(memory, Choice([3, 2, 1])) for _ in range(6)]
    assert chosen == [0, 1, 0, 2, 0, 1]


def test_no_weight_means_no_server() -> None:
    assert algorithm().pick([0] * 7, Choice([0, 0])) is None


def test_a_server_that_was_tried_in_vain_loses_its_turn_to_another_one() -> None:
    memory = [0] * algorithm().memory_size(2)
    assert algorithm().pick(memory, Choice([1, 1])) == 0
    assert algorithm().pick(memory, Choice([1, 1], avoid=1)) == 0


@settings(derandomize=True, max_examples=300, deadline=None)
@given(
    st.lists(st.integers(0, 256), min_size=1, max_size=6).filter(any),
    st.integers(0, 40),
    st.none() | st.integers(0, 5),
    st.sets(st.integers(0, 5)),
)
def test_whatever_the_weights_a_server_to_avoid_is_not_picked_while_another_one_has_room(
    weights: list[int], before: int, avoid: int | None, full: set[int]
) -> None:
    memory = [0] * algorithm().memory_size(len(weights))
    picks(weights, before, memory)
    clock = memory[0] or 1
    chosen = algorithm().pick(memory, Choice(weights, full, avoid=avoid))
    usable = {index for index, weight in enumerate(weights) if weight}
    assert chosen in (usable - full - {avoid} or usable - full or {None})
    assert memory[0] - clock <= len(usable), "each server that was passed over has lost one turn, not several"


def test_a_heavy_server_that_is_avoided_does_not_come_back_within_the_same_pick() -> None:
    memory = [0] * algorithm().memory_size(2)
    assert [algorithm().pick(memory, Choice([10, 1], avoid=0)) for _ in range(100)] == [1] * 100


def test_the_last_server_left_is_picked_even_if_it_was_tried_in_vain() -> None:
    memory = [0] * algorithm().memory_size(2)
    assert algorithm().pick(memory, Choice([1, 0], avoid=0)) == 0


def test_a_server_that_comes_back_is_not_flooded() -> None:
    memory = [0] * algorithm().memory_size(3)
    picks([1, 1, 1], 3, memory)
    picks([1, 1, 0], 300, memory)
    after = picks([1, 1, 1], 60, memory)
    assert 3 not in after[:2]
    assert Counter(after)[3] in {19, 20}
    assert all(first != second for first, second in pairwise(after))


def test_a_server_that_becomes_heavier_does_not_sit_out_its_old_turn() -> None:
    memory = [0] * algorithm().memory_size(2)
    picks([1, 200], 202, memory)
    assert 1 in picks([200, 200], 3, memory)


def test_a_server_that_never_had_a_turn_may_change_its_weight_before_it() -> None:
    memory = [0] * algorithm().memory_size(3)
    assert picks([100, 1, 2], 1, memory) == [1]
    assert Counter(picks([1, 1, 2], 40, memory))[3] in range(19, 22)


@settings(derandomize=True, max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 256), min_size=1, max_size=6).filter(any))
def test_over_a_whole_round_every_server_gets_its_weight_give_or_take_one(weights: list[int]) -> None:
    total = sum(weights)
    counts = Counter(picks(weights, total))
    for index, weight in enumerate(weights):
        assert abs(counts[index + 1] - weight) <= 1


def test_backups_take_part_only_if_nobody_else_is_usable_and_then_the_first_one() -> None:
    assert eligible([1, 0, 5], {2}) == [1, 0, 0]
    assert eligible([0, 3, 5], {1, 2}) == [0, 3, 0]
    assert eligible([0, 0, 5], {1, 2}) == [0, 0, 5]
    assert eligible([0, 0], {1}) == [0, 0]
    assert eligible([0, 3, 5], {1, 2}, all_backups=True) == [0, 3, 5]
    assert eligible([1, 3, 5], {1, 2}, all_backups=True) == [1, 0, 0]
