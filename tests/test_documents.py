"""What the documents point at is there: links, headings, rules of the doctors."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted({*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")})
_LINK = re.compile(r"\[[^\]]*\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)")


def anchors(text: str) -> set[str]:
    """Return what a page calls its headings: small letters, no punctuation, hyphens for spaces."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_link_leads_somewhere(document: Path) -> None:
    for target, anchor in _LINK.findall(document.read_text()):
        path = document.parent / target if target else document
        assert path.exists(), f"{target} is not there"
        if anchor:
            assert anchor in anchors(path.read_text()), f"{target}#{anchor} is no heading"


def test_the_answers_of_the_doctors_are_rules_that_they_have() -> None:
    rows = re.findall(r"^\| .*\? \| (.*) \|$", (ROOT / "docs/doctor.md").read_text(), re.MULTILINE)
    known = "".join(path.read_text() for path in (ROOT / "docs/reference").glob("*-doctor.md"))
    told = [rule for row in rows for rule in re.findall(r"`([a-z-]+)`", row)]
    assert len(told) > 30
    assert not [rule for rule in told if f"`{rule}`" not in known]
