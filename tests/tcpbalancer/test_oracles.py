"""The page that says what a relay has to prove names tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
RELAYS, _, KERNEL = (TESTS.parent / "docs/reference/oracles.md").read_text().partition("\n## The kernel's data plane\n")
ROW = re.compile(r"^\| (\d[\d, ]*) \| .* \| (.*) \|$", re.MULTILINE)
NAMED = re.compile(r"`(\S+\.py): (test_\w+)`")


def functions(file: str) -> set[str]:
    tree = ast.parse((TESTS / file).read_text())
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_each_of_the_23_statements_is_proved_by_a_test_that_exists() -> None:
    rows = ROW.findall(RELAYS)
    assert [int(number) for number, _ in rows] == list(range(1, 24))
    for number, proofs in (*rows, *ROW.findall(KERNEL)):
        named = NAMED.findall(proofs)
        assert len(named) == len(proofs.split(", ")), f"{number}: {proofs}"
        for file, name in named:
            assert name in functions(file), f"{number}: {file} has no {name}"


def test_each_statement_is_proved_of_the_kernels_data_plane_or_said_to_be_the_kernels_own() -> None:
    own = re.search(r"each other: (.*) and 23 are the kernel's own", KERNEL.replace("\n", " "))
    assert own is not None
    others = {int(number) for number in own[1].split(", ")} | {19, 23}
    proved = {int(number) for numbers, _ in ROW.findall(KERNEL) for number in numbers.split(", ")}
    assert others | proved == set(range(1, 24))
    assert not others & proved
