"""What follows when a server could not be reached: ``retries`` and ``option redispatch``, and the limits of servers."""

from __future__ import annotations

import pytest

from tcpbalancer.limits import sessions_allowed
from tcpbalancer.retry import Failure, Step, next_step


def steps(
    retries: int = 3,
    interval: int | None = None,
    *,
    timed_out: bool = False,
    server_runs: bool = True,
    bound: bool = False,
    hashed: bool = False,
    active: int = 2,
) -> list[Step]:
    """Return what follows each of the failed attempts, up to the end."""
    told: list[Step] = []
    while not told or told[-1] is not Step.GIVE_UP:
        attempt = len(told) + 1
        told.append(next_step(Failure(attempt, retries, interval, timed_out, server_runs, bound, hashed, active)))
    return told


LATER, NOW = Step.SAME_LATER, Step.SAME_NOW
OTHER, OTHER_LATER, END = Step.OTHER_NOW, Step.OTHER_LATER, Step.GIVE_UP


def test_retries_3_means_three_more_attempts_on_the_same_server_with_a_wait_before_each() -> None:
    assert steps() == [LATER, LATER, LATER, END]
    assert steps(retries=0) == [END]


def test_after_a_timeout_nobody_waits() -> None:
    assert steps(timed_out=True) == [NOW, NOW, NOW, END]


def test_option_redispatch_changes_the_server_at_once_and_at_every_retry_where_there_is_another() -> None:
    assert steps(interval=-1) == [OTHER, OTHER, OTHER, END]
    assert steps(interval=-1, timed_out=True) == [OTHER, OTHER, OTHER, END]


@pytest.mark.parametrize("why", ["bound", "hashed"])
def test_who_belongs_to_a_server_leaves_it_at_the_last_retry_only(why: str) -> None:
    assert steps(interval=-1, bound=why == "bound", hashed=why == "hashed") == [LATER, LATER, OTHER, END]
    assert steps(interval=-1, hashed=True, timed_out=True) == [NOW, NOW, OTHER, END]


def test_option_redispatch_n_changes_the_server_at_every_nth_retry() -> None:
    assert steps(6, interval=2, hashed=True) == [LATER, OTHER, LATER, OTHER, LATER, OTHER, END]
    assert steps(3, interval=1, hashed=True) == [OTHER, OTHER, OTHER, END]


def test_option_redispatch_minus_n_counts_from_the_last_retry() -> None:
    assert steps(3, interval=-2, hashed=True) == [LATER, OTHER, LATER, END]
    assert steps(3, interval=-3, hashed=True) == [OTHER, OTHER, OTHER, END], "every (retries + 1 - N)th"


def test_an_interval_beyond_the_number_of_retries_never_comes() -> None:
    assert steps(2, interval=-3, hashed=True) == [LATER, LATER, END]
    assert steps(2, interval=-9, hashed=True) == [LATER, LATER, END]
    assert steps(2, interval=5, hashed=True) == [LATER, LATER, END]


def test_where_there_is_but_one_server_the_last_retry_chooses_again_after_the_wait() -> None:
    assert steps(interval=-1, active=1) == [LATER, LATER, OTHER_LATER, END]
    assert steps(interval=-1, active=1, timed_out=True) == [NOW, NOW, OTHER, END]


def test_a_server_that_has_gone_down_meanwhile_is_left_even_by_those_who_belong_to_it() -> None:
    assert steps(interval=-1, server_runs=False, bound=True) == [OTHER, OTHER, OTHER, END]
    assert steps(server_runs=False) == [LATER, LATER, LATER, END], "not without the option"


@pytest.mark.parametrize(
    ("maxconn", "minconn", "sessions", "throttle", "allowed"),
    [
        (0, 0, 50, 0, 0),
        (100, 0, 0, 0, 100),
        (100, 100, 0, 0, 100),
        (100, 10, 0, 0, 10),
        (100, 10, 10, 0, 20),
        (100, 10, 25, 0, 50),
        (100, 10, 49, 0, 98),
        (100, 10, 50, 0, 100),
        (100, 10, 500, 0, 100),
        (100, 0, 0, 25, 25),
        (100, 10, 10, 50, 10),
        (3, 0, 0, 1, 1),
    ],
)
def test_minconn_and_fullconn_make_the_limit_grow_with_the_load_and_slowstart_cuts_it(
    maxconn: int, minconn: int, sessions: int, throttle: int, allowed: int
) -> None:
    limit = sessions_allowed(maxconn, minconn, fullconn=50, backend_sessions=sessions, throttle=throttle)
    assert limit == allowed
