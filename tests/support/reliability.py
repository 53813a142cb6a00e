"""The figures of docs/reliability.md: recorded by the runs themselves, rendered in one place.

Laws: a run that measures something calls ``record`` with its section's rows; they go to docs/reliability.json, and the
page is rendered anew. Between the markers of a section stands what was recorded and nothing else; a test holds page and
record equal. Rendering alone: ``python tests/support/reliability.py``.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[2] / "docs"
RECORD, PAGE = DOCS / "reliability.json", DOCS / "reliability.md"
_SECTION = re.compile(r"<!-- recorded: (?P<name>\S+) -->\n.*?<!-- end -->", re.DOTALL)


def record(section: str, columns: Sequence[str], rows: Sequence[Sequence[object]], by: str) -> None:
    """Write down the rows of a section, made ``by`` this command, and render the page.

    Raises KeyError if the page has no such section (``<!-- recorded: SECTION -->`` and ``<!-- end -->``).
    """
    if section not in sections(PAGE.read_text()):
        raise KeyError(f"docs/reliability.md has no section {section}: write its markers first")
    told = json.loads(RECORD.read_text())
    told[section] = {"by": by, "columns": list(columns), "rows": [[str(cell) for cell in row] for row in rows]}
    RECORD.write_text(json.dumps(dict(sorted(told.items())), indent=1, ensure_ascii=False) + "\n")
    PAGE.write_text(rendered(PAGE.read_text(), told))


def record_if_asked(section: str, columns: Sequence[str], rows: Sequence[Sequence[object]], by: str) -> None:
    """As ``record``, by a test that measures in every run: only with RECORD in its environment."""
    if os.environ.get("RECORD"):
        record(section, columns, rows, f"RECORD=yes {by}")


def sections(page: str) -> list[str]:
    """Return the names of the recorded sections of a page, in their order."""
    return [found["name"] for found in _SECTION.finditer(page)]


def rendered(page: str, told: dict[str, Any]) -> str:
    """Return ``page`` with what was recorded between the markers: nothing, where nothing was."""

    def section(found: re.Match[str]) -> str:
        name = found["name"]
        return f"<!-- recorded: {name} -->\n{_table(told[name]) if name in told else ''}<!-- end -->"

    return _SECTION.sub(section, page)


def _table(one: dict[str, Any]) -> str:
    lines = [one["columns"], ["---"] * len(one["columns"]), *one["rows"]]
    table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    return f"\n{table}\n\nMade by `{one['by']}`.\n\n"


if __name__ == "__main__":
    PAGE.write_text(rendered(PAGE.read_text(), json.loads(RECORD.read_text())))
