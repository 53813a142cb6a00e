"""The page that says what a relay has to prove names tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
PAGE = (TESTS.parent / "docs" / "reference" / "oracles.md").read_text()
ROW = re.compile(r"^\| (\d+) \| .* \| (.*) \|$", re.MULTILINE)
NAMED = re.compile(r"`(\S+\.py): (test_\w+)`")


def functions(file: str) -> set[str]:
    tree = ast.parse((TESTS / file).read_text())
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_each_of_the_23_statements_is_proved_by_a_test_that_exists() -> None:
    rows = ROW.findall(PAGE)
    assert [int(number) for number, _ in rows] == list(range(1, 24))
    for number, proofs in rows:
        named = NAMED.findall(proofs)
        assert len(named) == len(proofs.split(", ")), f"{number}: {proofs}"
        for file, name in named:
            assert name in functions(file), f"{number}: {file} has no {name}"
