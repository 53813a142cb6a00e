"""Brings what a benchmark wrote into the documentation: `./run bench report [FILE]`.

Laws: the tables of docs/benchmarks.md, between their marks, and docs/benchmark.svg are made of docs/benchmark.json
alone, and a test holds them to it. What stands outside the marks is written by hand.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import bars
import results
import tables

DOCS = Path(__file__).resolve().parent.parent / "docs"
RESULT, PAGE, PICTURE = DOCS / "benchmark.json", DOCS / "benchmarks.md", DOCS / "benchmark.svg"
RENDERERS = {"balancer": tables.balancer, "vrrp": tables.vrrp}


def page(text: str, found: dict[str, Any]) -> str:
    """Return a page with the table of each section between its marks; raises ValueError if a mark is missing."""
    for section, result in found.items():
        begin, end = f"<!-- {section} -->\n", f"<!-- end of {section} -->"
        pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
        made = f"{begin}{RENDERERS[section](result)}\n{end}"
        text, count = pattern.subn(lambda _, made=made: made, text)  # type: ignore[misc]
        if count != 1:
            raise ValueError(f"{PAGE.name} has no place for '{section}': {begin.strip()} ... {end.strip()}")
    return text


def take(file: Path) -> None:
    """Take the sections of a result into the one in docs; raises SystemExit if it has none that the page knows."""
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise SystemExit(f"{file}: {problem}; './run bench --json {file}' writes one") from None
    if not isinstance(told, dict) or not told.keys() <= RENDERERS.keys():
        raise SystemExit(f"{file}: not what './run bench --json {file}' writes: sections {', '.join(RENDERERS)}")
    for section, result in told.items():
        results.keep(RESULT, section, result)


def main() -> None:
    """Take a result into the documentation, or show anew what is there if none is named."""
    if len(sys.argv) > 1:
        take(Path(sys.argv[1]))
    found = results.read(RESULT)
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), found), encoding="utf-8")
    PICTURE.write_text(bars.picture(found["balancer"]), encoding="utf-8")


if __name__ == "__main__":
    main()
