"""Findings: where, how bad, what, and what was probably meant."""

from __future__ import annotations

import pytest

from hakit.diagnostics import ConfigError, Diagnostic, Findings, Location, Severity, closest, did_you_mean

PLACE = Location("k.conf", 3, 5)


def test_a_place_reads_as_editors_read_it() -> None:
    assert str(PLACE) == "k.conf:3:5"
    assert str(Location("k.conf", 3)) == "k.conf:3"
    assert str(Location("k.conf")) == "k.conf"


def test_a_finding_shows_its_line_with_a_caret_under_the_column() -> None:
    found = Diagnostic(Severity.WARNING, PLACE, "what", "\tab cd")
    assert found.render() == "k.conf:3:5: warning: what\n    \tab cd\n    \t   ^"
    assert found.summary() == "k.conf:3:5: warning: what"


def test_without_a_line_or_a_column_there_is_no_caret() -> None:
    assert Diagnostic(Severity.ERROR, PLACE, "what").render() == "k.conf:3:5: error: what"
    assert Diagnostic(Severity.ERROR, Location("f", 3), "what", "line").render() == "f:3: error: what"


def test_an_error_carries_all_that_was_found() -> None:
    findings = Findings()
    findings.warn(PLACE, "one")
    findings.advise(PLACE, "two")
    findings.raise_if_errors()
    findings.error(PLACE, "three", "line")
    with pytest.raises(ConfigError) as refused:
        findings.raise_if_errors()
    assert [found.message for found in refused.value.diagnostics] == ["one", "two", "three"]
    assert [(found.message, found.advice) for found in findings.warnings] == [("one", False), ("two", True)]
    assert str(refused.value) == "\n".join(found.render() for found in findings.items)


def test_an_error_may_have_a_single_finding() -> None:
    wrong = ConfigError.at(PLACE, "what", "some line")
    assert wrong.diagnostics == (Diagnostic(Severity.ERROR, PLACE, "what", "some line"),)


def test_what_was_probably_meant_is_named_only_if_it_is_near() -> None:
    known = ["priority", "interface"]
    assert (closest("priorty", known), closest("zzz", known)) == ("priority", None)
    assert did_you_mean("priorty", known) == "; did you mean 'priority'?"
    assert did_you_mean("zzz", known) == ""
