"""The counter of rises and falls."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from hakit.health import RiseFall

COUNTS = st.integers(1, 6)
RESULTS = st.lists(st.booleans(), max_size=30)


def after(counter: RiseFall, results: list[bool]) -> RiseFall:
    for passed in results:
        counter = counter.passed() if passed else counter.failed()
    return counter


def test_haproxy_starts_up_and_the_first_failure_is_enough() -> None:
    start = RiseFall.barely_up(2, 3)
    assert start.is_up
    assert not start.is_settled
    assert not start.failed().is_up
    assert start.passed() == RiseFall(2, 3, 4)


def test_keepalived_starts_down_and_the_first_success_is_enough() -> None:
    start = RiseFall.nearly_up(3, 2)
    assert not start.is_up
    assert start.passed() == RiseFall(3, 2, 4)
    assert start.failed() == RiseFall(3, 2, 0)


def test_init_fail_wants_all_its_successes() -> None:
    start = RiseFall.fully_down(3, 2)
    assert not after(start, [True, True]).is_up
    assert after(start, [True, True, True]).is_up


def test_a_failure_on_the_way_up_begins_anew() -> None:
    assert after(RiseFall.fully_down(3, 1), [True, True, False]).health == 0


def test_a_success_on_the_way_down_makes_whole() -> None:
    assert after(RiseFall(2, 3, 4), [False, False, True]) == RiseFall(2, 3, 4)


@settings(derandomize=True, deadline=None)
@given(COUNTS, COUNTS, RESULTS)
def test_fall_failures_take_it_down_and_rise_successes_bring_it_back(rise: int, fall: int, results: list[bool]) -> None:
    counter = after(RiseFall.barely_up(rise, fall), results)
    assert counter.is_up is (counter.health >= rise)
    down = after(counter, [False] * fall)
    assert not down.is_up
    assert down.is_settled
    whole = after(down, [True] * rise)
    assert whole.is_up
    assert whole.is_settled
    assert after(whole, [False] * (fall - 1)).is_up
    assert not after(down, [True] * (rise - 1)).is_up
