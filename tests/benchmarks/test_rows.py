from __future__ import annotations

import pytest
from rows import (
    BULK,
    BULK_COST,
    DIRECT,
    IDLE,
    KERNEL,
    NEW,
    NGINX,
    OURS,
    ROWS,
    THEIRS,
    Spread,
    figures_of,
    is_limited,
    is_short,
    ratios,
)  # fmt: skip

BY_NAME = {row.name: row for row in ROWS}


def test_a_ratio_is_taken_within_a_round_and_never_over_two_of_them() -> None:
    rounds = [{OURS: {NEW: 100.0}, THEIRS: {NEW: 200.0}}, {OURS: {NEW: 900.0}, THEIRS: {NEW: 1000.0}}]
    assert ratios(rounds, BY_NAME[NEW], OURS) == [0.5, 0.9]


def test_a_round_without_one_of_the_two_figures_gives_no_ratio() -> None:
    rounds = [{OURS: {NEW: 100.0}}, {THEIRS: {NEW: 200.0}}, {OURS: {NEW: 1.0}, THEIRS: {NEW: 0.0}}]
    assert ratios(rounds, BY_NAME[NEW], OURS) == []
    assert Spread.of([]) is None
    assert figures_of(rounds, BY_NAME[NEW], THEIRS) == [200.0, 0.0]


def test_a_spread_is_the_least_the_median_and_the_greatest() -> None:
    assert Spread.of([3.0, 1.0, 2.0, 10.0]) == Spread(1.0, 2.5, 10.0)


@pytest.mark.parametrize(
    ("name", "program", "median", "short"),
    [
        (BULK, OURS, 1.8, False), (BULK, OURS, 1.7951, False), (BULK, OURS, 1.7949, True), (BULK, KERNEL, 1.9, True),
        (BULK_COST, OURS, 0.404, False), (BULK_COST, OURS, 0.406, True), (BULK_COST, KERNEL, 0.0, False),
        (IDLE, OURS, 1.01, True), (NEW, NGINX, 0.1, False),
    ],
)  # fmt: skip
def test_a_row_is_short_if_its_median_as_printed_misses_the_aim(
    name: str, program: str, median: float, short: bool
) -> None:
    assert is_short(BY_NAME[name], program, Spread(0.0, median, 99.0)) is short


@pytest.mark.parametrize(("direct", "limited"), [(1499.0, True), (1500.0, False), (None, False)])
def test_a_load_that_without_a_balancer_is_hardly_faster_than_through_the_best_proxy_is_its_own_limit(
    direct: float | None, limited: bool
) -> None:
    figures = {OURS: {NEW: 700.0}, THEIRS: {NEW: 1000.0}, NGINX: {NEW: 900.0}, KERNEL: {NEW: 1490.0}}
    rounds = [figures if direct is None else {**figures, DIRECT: {NEW: direct}}]
    assert is_limited(rounds, BY_NAME[NEW]) is limited


def test_what_a_thing_costs_is_not_limited_by_the_client() -> None:
    rounds = [{DIRECT: {IDLE: 1.0}, THEIRS: {IDLE: 1.0}}]
    assert not is_limited(rounds, BY_NAME[IDLE])
