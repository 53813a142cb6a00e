"""What a doctor says: rendering, order, exit status, and what a file accepts."""

from __future__ import annotations

import pytest

from hakit.diagnosis import Diagnosis, Finding, accepted_in, diagnose
from hakit.diagnostics import Location, Severity

WARNING = Finding("no-check", Severity.WARNING, Location("a.cfg", 7, 3), "nobody looks after s", "add 'check'")
ERROR = Finding("bound-twice", Severity.ERROR, Location("b.cfg", 2), "both take *:80")


def test_a_finding_says_where_how_bad_why_and_what_to_do() -> None:
    assert WARNING.render() == "a.cfg:7:3: warning: nobody looks after s [no-check]\n    remedy: add 'check'"
    assert ERROR.render() == "b.cfg:2: error: both take *:80 [bound-twice]"


@pytest.mark.parametrize(
    ("findings", "status", "summary"),
    [
        ((), 0, "nothing to complain of"),
        ((WARNING,), 1, "1 warning"),
        ((WARNING, WARNING), 1, "2 warnings"),
        ((WARNING, ERROR), 2, "1 error, 1 warning"),
    ],
)
def test_the_exit_status_is_that_of_the_worst(findings: tuple[Finding, ...], status: int, summary: str) -> None:
    assert (Diagnosis(findings).exit_status, Diagnosis(findings).summary) == (status, summary)


def test_findings_come_in_the_order_of_the_files_and_once() -> None:
    texts = [("b.cfg", ""), ("a.cfg", "")]
    elsewhere = Finding("x", Severity.WARNING, Location("included.cfg", 1), "r")
    assert diagnose([elsewhere, WARNING, ERROR, WARNING], texts).findings == (ERROR, WARNING, elsewhere)
    assert diagnose([WARNING], texts).render() == f"{WARNING.render()}\n1 warning\n"


@pytest.mark.parametrize("at", [6, 7])
def test_a_file_may_accept_what_is_meant_on_its_line_or_the_one_above(at: int) -> None:
    lines = ["\n"] * (at - 1)
    text = "".join(lines) + "  # doctor: accept no-check, bound-twice (a lab)\n"
    assert accepted_in([("a.cfg", text)]) == {("a.cfg", at): frozenset({"no-check", "bound-twice"})}
    known = diagnose([WARNING, ERROR], [("a.cfg", text), ("b.cfg", "")])
    assert (known.findings, known.accepted, known.exit_status) == ((ERROR,), 1, 2)
    assert diagnose([WARNING], [("a.cfg", text)]).summary == "nothing to complain of, 1 accepted"


def test_another_rule_or_another_line_accepts_nothing() -> None:
    text = "\n" * 6 + "# doctor: accept no-timeout\n# doctor: accept no-check\n"
    assert diagnose([WARNING], [("a.cfg", text)]).findings == (WARNING,)


def test_the_document_has_the_same_words() -> None:
    document = diagnose([WARNING, ERROR], [("a.cfg", ""), ("b.cfg", "")]).document()
    assert document == {
        "findings": [
            {
                "rule": "no-check",
                "severity": "warning",
                "file": "a.cfg",
                "line": 7,
                "column": 3,
                "reason": "nobody looks after s",
                "remedy": "add 'check'",
            },
            {
                "rule": "bound-twice",
                "severity": "error",
                "file": "b.cfg",
                "line": 2,
                "column": 0,
                "reason": "both take *:80",
                "remedy": "",
            },
        ],
        "errors": 1,
        "warnings": 1,
        "accepted": 0,
    }
