"""The house keeps its own rules: sizes, and no leftovers."""

from __future__ import annotations

import ast
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("hakit", "pyvrrp", "tcpbalancer", "halab")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
LONGEST_FILE = 400
LONGEST_FUNCTION = 50


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("source", SOURCES, ids=name)
def test_a_file_has_one_subject_and_a_function_fits_on_a_screen(source: Path) -> None:
    text = source.read_text()
    assert text.count("\n") <= LONGEST_FILE
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length <= LONGEST_FUNCTION, f"{name(source)}:{node.lineno} {node.name} has {length} lines"


@pytest.mark.parametrize("source", SOURCES, ids=name)
def test_no_module_waits_by_the_clock(source: Path) -> None:
    assert "time.sleep(" not in source.read_text(), "wait for an event instead"


def test_the_root_folder_is_a_shop_window() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    shown = {path.split("/")[0] for path in listed}
    assert shown <= {
        ".ci", ".gitignore", "ARCHITECTURE.md", "CHANGELOG.md", "GLOSSARY.md", "LICENSE", "README.md", "Vagrantfile",
        "benchmarks", "configs", "docs", "hakit", "halab", "pyproject.toml", "pyvrrp", "run", "tcpbalancer", "tests",
    }  # fmt: skip
