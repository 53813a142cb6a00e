"""What supervisor and workers say to each other comes out as it went in."""

from __future__ import annotations

import pytest

from tcpbalancer.channel import (
    PER_ANSWER,
    Admission,
    Answer,
    Attempted,
    ClearCounters,
    Cut,
    Ended,
    Exhausted,
    ListSessions,
    Noted,
    Order,
    Ready,
    RemoveServer,
    Report,
    SessionView,
    SetFrontend,
    SetServer,
    SoftStop,
    Stop,
    answers,
    pack_order,
    pack_report,
    unpack_order,
    unpack_reports,
)
from tcpbalancer.model import Server
from tcpbalancer.session_log import SessionRecord

RECORD = SessionRecord(
    "127.0.0.1", 1, 0.5, "f", "b", None, 0, 0, 0, 0, 0, "--", "why\nso", actconn=0, feconn=0, beconn=0, srvconn=0,
    retries=0, redispatched=False,
)  # fmt: skip
VIEW = SessionView(0x1F400000001, "f", "b", "s", "::1", 4711, "relaying", 1.5, None, 10, 20, "127.0.0.1:5432")
ORDERS: list[Order] = [
    SoftStop(),
    Stop(),
    ListSessions(),
    ClearCounters(everything=True),
    Cut("KC", "an operator said so", session=7),
    SetServer(0, 3, Server("s", "127.0.0.1", 5432)),
    RemoveServer(0, 3),
    SetFrontend(0, Admission.PAUSED),
]
REPORTS: list[Report] = [
    Ready(),
    Ended(RECORD),
    Noted(RECORD),
    Attempted(0, 3, passed=False, info="refused\n"),
    Exhausted("b", 24),
    Answer(2, is_last=True, count=1, sessions=(VIEW,)),
]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("question", [None, 7])
def test_an_order_arrives_as_it_was_given(order: Order, question: int | None) -> None:
    assert unpack_order(pack_order(order, question)) == (order, question)


@pytest.mark.parametrize("report", REPORTS)
def test_a_report_arrives_as_it_was_given_on_one_line(report: Report) -> None:
    assert b"\n" not in pack_report(report)
    assert unpack_reports(pack_report(report)) == [report]


def test_a_datagram_holds_many_reports_in_their_order() -> None:
    assert unpack_reports(b"\n".join(map(pack_report, REPORTS))) == REPORTS


def test_what_no_worker_says_is_an_error_and_not_a_report() -> None:
    with pytest.raises(ValueError, match="no such report"):
        unpack_reports(b"X1")


@pytest.mark.parametrize(("sessions", "parts"), [(0, 1), (1, 1), (PER_ANSWER, 1), (PER_ANSWER + 1, 2)])
def test_an_answer_has_as_many_parts_as_it_needs_and_the_last_one_says_so(sessions: int, parts: int) -> None:
    made = answers(5, [VIEW] * sessions, 0)
    assert [part.is_last for part in made] == [False] * (parts - 1) + [True]
    assert sum(len(part.sessions) for part in made) == sessions
