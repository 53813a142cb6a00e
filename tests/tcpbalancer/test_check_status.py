"""The codes of a check's end, as monitoring and state files know them."""

from __future__ import annotations

import pytest

from tcpbalancer.check_status import CheckResult, CheckStatus


@pytest.mark.parametrize(
    ("name", "number", "passed"),
    [
        ("UNK", 0, False),
        ("INI", 1, False),
        ("CHECKED", 3, False),
        ("HANA", 4, False),
        ("SOCKERR", 5, False),
        ("L4OK", 6, True),
        ("L4TOUT", 7, False),
        ("L4CON", 8, False),
        ("L6OK", 9, True),
        ("L6TOUT", 10, False),
        ("L6RSP", 11, False),
        ("L7TOUT", 12, False),
        ("L7RSP", 13, False),
        ("L7OK", 15, True),
        ("L7OKC", 16, True),
        ("L7STS", 17, False),
        ("PROCERR", 18, False),
        ("PROCTOUT", 19, False),
        ("PROCOK", 20, True),
    ],
)
def test_a_status_has_haproxys_number_and_says_whether_the_server_works(name: str, number: int, passed: bool) -> None:
    status = CheckStatus[name]
    assert (status.number, status.passed) == (number, passed)
    assert status.has_code is (number > 14)


def test_only_a_conditional_pass_asks_for_no_new_connections() -> None:
    assert [status for status in CheckStatus if status.is_conditional] == [CheckStatus.L7OKC]


def test_a_duration_is_shown_in_whole_milliseconds() -> None:
    assert CheckResult(CheckStatus.L4OK, duration=0.0126).duration_ms == 13
