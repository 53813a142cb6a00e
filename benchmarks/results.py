"""The file that --json writes: one section for each benchmark, each with every figure of every round.

Laws: a benchmark writes its own section and leaves the others alone, so that one file holds both.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def read(file: Path) -> dict[str, Any]:
    """Return the sections of a file; one that is not there has none."""
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}


def keep(file: Path, section: str, found: dict[str, Any]) -> None:
    """Put a benchmark's result into the file."""
    file.write_text(json.dumps({**read(file), section: found}, indent=1) + "\n", encoding="utf-8")
