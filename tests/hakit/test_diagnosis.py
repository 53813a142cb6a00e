"""What a doctor says: rendering, order, exit status, and what a file accepts."""

from __future__ import annotations

import pytest

from hakit.diagnosis import Diagnosis, Finding, Level, Rule, Spot, accepted_in, diagnose
from hakit.diagnostics import Location

UNCHECKED = Rule("no-check", Level.WARNING, "a server that nobody checks")
TWICE = Rule("bound-twice", Level.ERROR, "one address in two frontends")
SAID = Rule("said", Level.NOTE, "worth knowing")
WARNING = Finding(
    UNCHECKED, "", Spot(Location("a.cfg", 7, 3), "\tserver s"), "nobody looks after s", "it may go", "check it"
)
ERROR = Finding(TWICE, "lb1", Spot(Location("b.cfg", 2)), "both take *:80")
NOTE = Finding(SAID, "", Spot(Location("b.cfg", 3)), "so it is")


def test_a_finding_says_where_how_bad_what_why_and_what_to_do() -> None:
    assert WARNING.render() == (
        "a.cfg:7:3: warning: nobody looks after s [no-check]\n"
        "    \tserver s\n    \t ^\n    why: it may go\n    do: check it"
    )
    assert ERROR.render() == "b.cfg:2: error: both take *:80 [bound-twice]"
    assert str(WARNING.spot) == "a.cfg:7:3"


@pytest.mark.parametrize(
    ("findings", "status", "summary"),
    [
        ((), 0, "nothing to complain of"),
        ((NOTE,), 0, "1 note"),
        ((WARNING, NOTE), 1, "1 warning, 1 note"),
        ((WARNING, WARNING), 1, "2 warnings"),
        ((WARNING, ERROR), 2, "1 error, 1 warning"),
    ],
)
def test_the_exit_status_is_that_of_the_worst(findings: tuple[Finding, ...], status: int, summary: str) -> None:
    assert (Diagnosis(findings).exit_status, Diagnosis(findings).summary) == (status, summary)


def test_findings_come_in_the_order_of_the_files_and_once() -> None:
    texts = [("b.cfg", ""), ("a.cfg", "")]
    elsewhere = Finding(UNCHECKED, "", Spot(Location("included.cfg", 1)), "w")
    assert diagnose([elsewhere, WARNING, NOTE, ERROR, WARNING], texts).findings == (ERROR, NOTE, WARNING, elsewhere)
    assert diagnose([WARNING], texts).render() == f"{WARNING.render()}\n1 warning\n"


@pytest.mark.parametrize("at", [6, 7])
def test_a_file_may_accept_what_is_meant_on_its_line_or_the_one_above(at: int) -> None:
    text = "\n" * (at - 1) + "  # doctor: accept no-check, bound-twice (a lab)\n"
    assert accepted_in([("a.cfg", text)]) == {("a.cfg", at): frozenset({"no-check", "bound-twice"})}
    known = diagnose([WARNING, ERROR], [("a.cfg", text), ("b.cfg", "")])
    assert (known.findings, known.accepted, known.exit_status) == ((ERROR,), 1, 2)
    assert diagnose([WARNING], [("a.cfg", text)]).summary == "nothing to complain of, 1 accepted"


def test_another_rule_or_another_line_accepts_nothing() -> None:
    text = "\n" * 6 + "# doctor: accept no-timeout\n# doctor: accept no-check\n"
    assert diagnose([WARNING], [("a.cfg", text)]).findings == (WARNING,)


def test_the_document_has_the_same_words() -> None:
    document = diagnose([WARNING, ERROR], [("a.cfg", ""), ("b.cfg", "")]).as_dict()
    assert document == {
        "findings": [
            {
                "level": "warning",
                "rule": "no-check",
                "file": "a.cfg",
                "line": 7,
                "column": 3,
                "what": "nobody looks after s",
                "why": "it may go",
                "remedy": "check it",
            },
            {
                "level": "error",
                "rule": "bound-twice",
                "node": "lb1",
                "file": "b.cfg",
                "line": 2,
                "column": 0,
                "what": "both take *:80",
                "why": "",
                "remedy": "",
            },
        ],
        "notes": 0,
        "warnings": 1,
        "errors": 1,
        "accepted": 0,
    }
