"""The page that says what is covered says what the cases say, and every test that it names is there."""

from __future__ import annotations

import rfc


def test_the_coverage_page_is_generated_from_the_cases() -> None:
    assert rfc.DOCUMENT.read_text() == rfc.as_markdown(rfc.load()), "run: .venv/bin/python tests/support/rfc.py"


def test_every_test_that_the_page_names_exists() -> None:
    tests = {path.name: path.read_text() for path in (rfc.ROOT / "tests").rglob("test_*.py")}
    for sentence in rfc.load():
        if sentence.by:
            file, _, name = sentence.by.partition(": ")
            assert f"def {name}(" in tests[file], sentence.by


def test_no_sentence_is_said_twice() -> None:
    said = [(one.rfc, one.section, one.text) for one in rfc.load()]
    assert len(set(said)) == len(said)
