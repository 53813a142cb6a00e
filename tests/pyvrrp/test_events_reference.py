"""docs/reference/events.md names every event that the daemon can tell, and none that it cannot."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
_TOLD = re.compile(
    r"(?:Observed\(|Finding\(|Remark\(|\.publish\(|publish_for\([\w.]+,|(?<!may)_tell\(|\.tell\(router,|\.remark\(router,|\btell\(|told\()"
    r"\s*\"([a-z_]+)\""
)
_ELSEWHERE = re.compile(r"set_aside\(\s*router,[^,]+,\s*\"([a-z_]+)\"")


def test_every_event_that_is_told_is_in_the_reference_and_nothing_else() -> None:
    told: set[str] = set()
    for source in (ROOT / "pyvrrp").rglob("*.py"):
        text = source.read_text()
        told |= {*_TOLD.findall(text), *_ELSEWHERE.findall(text)}
    page = (ROOT / "docs" / "reference" / "events.md").read_text()
    listed = {
        name
        for row in page.splitlines()
        if row.startswith("| `")
        for name in re.findall(r"`([a-z_]+)`", row.split("|")[1])
    }
    assert told - listed == set()
    assert listed - told == set()
