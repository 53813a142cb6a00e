"""When the next check is due."""

from __future__ import annotations

import pytest

from hakit.health import RiseFall
from hakit.schedule import Intervals, first_check_delay, strewn

DOWN, RISING, FALLING, UP = (RiseFall(2, 3, health) for health in (0, 1, 3, 4))


def test_inter_alone_holds_in_every_state() -> None:
    assert {Intervals(3.0).pick(health) for health in (DOWN, RISING, FALLING, UP)} == {3.0}
    assert Intervals().inter == 2.0


def test_fastinter_holds_on_the_way_and_downinter_when_fully_down() -> None:
    intervals = Intervals(3.0, fastinter=1.0, downinter=9.0)
    assert [intervals.pick(health) for health in (DOWN, RISING, FALLING, UP)] == [9.0, 1.0, 1.0, 3.0]


@pytest.mark.parametrize(
    ("position", "inters", "delay"),
    [(0, (3.0, 3.0, 3.0), 0.0), (1, (3.0, 3.0, 3.0), 1.0), (2, (2.0, 2.0, 3.0), 2.0), (1, (0.3, 0.3, 0.3), 0.1)],
)
def test_first_checks_are_spread_over_the_smallest_interval_of_a_second_or_more(
    position: int, inters: tuple[float, ...], delay: float
) -> None:
    assert first_check_delay(position, 3, inters[position], inters) == pytest.approx(delay)


@pytest.mark.parametrize(
    ("percent", "draw", "seconds"), [(0, 0.3, 2.0), (5, 0.0, 2.1), (5, 0.5, 2.0), (5, 1.0, 1.9), (50, 1.0, 1.0)]
)
def test_spread_checks_moves_a_check_by_so_many_percent_to_either_side(
    percent: int, draw: float, seconds: float
) -> None:
    assert strewn(2.0, percent, draw) == pytest.approx(seconds)


def test_max_spread_checks_bounds_the_time_over_which_first_checks_are_spread() -> None:
    assert first_check_delay(1, 2, 60.0, (60.0, 60.0)) == 30.0
    assert first_check_delay(1, 2, 60.0, (60.0, 60.0), 4.0) == 2.0
    assert first_check_delay(1, 2, 2.0, (2.0, 2.0), 4.0) == 1.0
