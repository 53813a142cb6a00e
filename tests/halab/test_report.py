"""What is printed is what was measured, and a failed step says what was seen."""

from __future__ import annotations

import io

from halab.report import Report, Seen, Step
from halab.wait import NotSeenError


def fails() -> Seen:
    raise NotSeenError("the VIP stayed")


def test_all_steps_are_carried_out_and_all_must_hold() -> None:
    report = Report(io.StringIO())
    good = Step("good", "did", "expected", lambda: Seen("fine", 1.5))
    assert report.carry_out([good])
    assert not report.carry_out([Step("bad", "did", "expected", fails), good])
    assert [(row.title, row.held) for row in report.rows] == [("good", True), ("bad", False), ("good", True)]


def test_the_table_shows_each_step_with_its_milliseconds_and_no_colour_in_a_file() -> None:
    out = io.StringIO()
    report = Report(out)
    report.carry_out([Step("good", "did", "expected", lambda: Seen("fine", 1.5)), Step("bad", "a", "b", fails)])
    report.table()
    text = out.getvalue()
    assert "  1  good  yes     1500  fine" in text
    assert "2  bad   NO  " in text
    assert "the VIP stayed" in text
    assert "1 of 2 held" in text
    assert "ms: from the deed to its effect" in text
    assert "\x1b" not in text


def test_a_terminal_too_narrow_for_anything_ends_no_plan() -> None:
    report = Report(io.StringIO())
    report._width = 12
    assert report.carry_out([Step("good", "did", "expected", lambda: Seen("fine", 1.5))])
    report.table()
