"""docs/security.md names for each defence the tests that hold it, and these exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs/security.md").read_text()
_NAMED = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


def _names_in(file: str) -> set[str]:
    tree = ast.parse((ROOT / file).read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_defence_names_tests_and_each_of_them_exists() -> None:
    rows = [line for line in PAGE.partition("## What is defended")[2].splitlines() if line.startswith("| ")][2:]
    assert rows
    for row in rows:
        named = _NAMED.findall(row)
        assert named, f"no test is named in: {row}"
        for file, name in named:
            assert name in _names_in(file), f"{file} has no {name}"
