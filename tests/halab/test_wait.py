"""A wait that fails says what was seen."""

from __future__ import annotations

from http.client import BadStatusLine

import pytest

from halab.wait import NotSeenError, hold, poll


def test_polling_returns_the_first_true_thing() -> None:
    answers = iter(["", "", "yes"])
    assert poll(lambda: next(answers), 5, "an answer", every=0.001) == "yes"


@pytest.mark.parametrize("problem", [ConnectionRefusedError(), BadStatusLine("SSH-2.0")], ids=["refused", "no HTTP"])
def test_a_refused_connection_and_a_broken_answer_count_as_not_yet(problem: Exception) -> None:
    answers = iter([problem, "yes"])

    def probe() -> str:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert poll(probe, 5, "an answer", every=0.001) == "yes"


def test_a_poll_in_vain_tells_what_was_seen_last() -> None:
    def probe() -> str:
        raise ConnectionRefusedError("nobody listens")

    with pytest.raises(NotSeenError, match=r"the page: not within 0.01 s; seen last: nobody listens"):
        poll(probe, 0.01, "the page", every=0.001)


def test_what_holds_all_the_time_holds() -> None:
    hold(lambda: True, 0.01, "it", every=0.001)


def test_what_ends_too_early_is_told_with_its_time() -> None:
    answers = iter([True, True, False])
    with pytest.raises(NotSeenError, match=r"it: no longer so after 0\.\d\d s"):
        hold(lambda: next(answers), 5, "it", every=0.001)
