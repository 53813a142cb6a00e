"""What the walk-throughs of doctor and simulate show is what the programs print."""

from __future__ import annotations

from pathlib import Path

import doc_sessions
import pytest


@pytest.mark.parametrize("path", doc_sessions.DOCUMENTS, ids=lambda path: path.stem)
def test_the_sessions_of_the_documentation_are_real(path: Path, tmp_path: Path) -> None:
    shown = path.read_text()
    assert shown.count("    $ pyvrrp ") >= 2
    assert doc_sessions.renewed(shown, tmp_path) == shown, "run: .venv/bin/python tests/support/doc_sessions.py"
    for drawn in tmp_path.iterdir():
        assert drawn.read_text() == (path.parent / drawn.name).read_text()


def test_the_picture_of_the_documentation_is_drawn_by_a_session(tmp_path: Path) -> None:
    document = next(path for path in doc_sessions.DOCUMENTS if path.stem == "simulate")
    doc_sessions.renewed(document.read_text(), tmp_path)
    assert [drawn.name for drawn in tmp_path.iterdir()] == ["simulate.svg"]
