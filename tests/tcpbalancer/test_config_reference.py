"""The reference of keywords: what the program's own tables say, and no keyword twice."""

from __future__ import annotations

import pytest

from tcpbalancer.config import known, removed
from tcpbalancer.config.line_options import BIND_OPTIONS, SERVER_OPTIONS
from tcpbalancer.config.reference import COMMAND, FILE, TABLES, Row, rows, text
from tcpbalancer.config.registry import GLOBAL_KEYWORDS, KEYWORDS

ALL = [(title, row) for title in TABLES for row in rows(title)]


def test_the_page_is_the_one_that_the_tables_make() -> None:
    assert FILE.read_text() == text(), f"run .venv/bin/{COMMAND}"


@pytest.mark.parametrize(("title", "row"), ALL, ids=[f"{title}: {row.name}" for title, row in ALL])
def test_a_row_that_explains_ends_with_a_full_stop(title: str, row: Row) -> None:
    assert not row.about or row.about.endswith((".", "...")), (title, row)
    assert row.state in {"done", "accepted", "refused"}


@pytest.mark.parametrize("title", TABLES)
def test_no_keyword_is_there_twice(title: str) -> None:
    names = [row.name for row in rows(title)]
    assert len(names) == len(set(names))


def test_what_is_registered_is_on_no_list_of_what_is_refused() -> None:
    assert not set(KEYWORDS) & {*removed.REMOVED, *known.REFUSED_PROXY}
    assert not set(GLOBAL_KEYWORDS) & {*removed.REMOVED_GLOBAL, *known.REFUSED_GLOBAL}
    assert not set(SERVER_OPTIONS) & set(known.REFUSED_SERVER)


def test_what_is_carried_out_has_a_summary() -> None:
    entries = [*KEYWORDS.values(), *GLOBAL_KEYWORDS.values(), *SERVER_OPTIONS.values(), *BIND_OPTIONS.values()]
    assert [entry.name for entry in entries if not entry.summary.endswith((".", "..."))] == []
