"""Sentences of the RFCs as data: which one a test holds, where we depart and why, what somebody else carries out.

``tests/conformance/`` is written with these; run as a program, this file writes docs/reference/rfc-coverage.md. The
sentences are paraphrases: the RFC has the words.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

ROOT = Path(__file__).parent.parent.parent
CASES = ROOT / "tests" / "conformance"
DOCUMENT = ROOT / "docs" / "reference" / "rfc-coverage.md"
TITLES = {
    "3768": "RFC 3768: VRRP version 2",
    "5798": "RFC 5798 and RFC 9568: VRRP version 3",
    "9568": "RFC 9568: what it says otherwise than RFC 5798",
}
LEVELS = ("MUST", "MUST NOT", "SHOULD", "SHOULD NOT", "MAY")
INTRODUCTION = """# Which sentences of the RFCs are held, and by which test

Generated from `tests/conformance/` by `python tests/support/rfc.py`; a test holds this page equal to them. A sentence
is **held** by the test beside it; where we **depart**, the test shows what we do instead and the text says why; what is
**the kernel's** is done by Linux once the addresses and interfaces are as we set them; what is **not done** says so.
The rules of the state machine have no keyword in the RFCs; they count as MUST. Names are those of RFC 3768 and
RFC 5798; GLOSSARY.md has RFC 9568's beside them.
"""

Test = TypeVar("Test", bound=Callable[..., None])


@dataclass(frozen=True)
class Sentence:
    rfc: str
    section: str
    level: str
    text: str
    status: str
    by: str
    because: str = ""

    def __post_init__(self) -> None:
        assert self.rfc in TITLES
        assert self.level in LEVELS
        assert bool(self.because) == (self.status != "held")


SENTENCES: list[Sentence] = []


def holds(rfc: str, section: str, level: str, text: str) -> Callable[[Test], Test]:
    """The test holds this sentence."""
    return _recorded(rfc, section, level, text, "held", "")


def departs(rfc: str, section: str, level: str, text: str, because: str) -> Callable[[Test], Test]:
    """The test shows what we do instead of this sentence, for this reason."""
    return _recorded(rfc, section, level, text, "departs", because)


def _recorded(rfc: str, section: str, level: str, text: str, status: str, because: str) -> Callable[[Test], Test]:
    def record(test: Test) -> Test:
        path = Path(test.__code__.co_filename).name
        SENTENCES.append(Sentence(rfc, section, level, text, status, f"{path}: {test.__name__}", because))
        return test

    return record


def elsewhere(rfc: str, section: str, level: str, text: str, status: str, because: str, by: str = "") -> None:
    """A sentence without a test here: ``status`` "the kernel's", "not done" or "departs"; ``by`` names a test file."""
    SENTENCES.append(Sentence(rfc, section, level, text, status, by, because))


def load() -> list[Sentence]:
    """Return all sentences, read from the cases anew."""
    SENTENCES.clear()
    for path in sorted(CASES.glob("test_rfc_*.py")):
        specification = importlib.util.spec_from_file_location(f"loaded_{path.stem}", path)
        assert specification is not None
        assert specification.loader is not None
        specification.loader.exec_module(importlib.util.module_from_spec(specification))
    return list(SENTENCES)


def as_markdown(sentences: list[Sentence]) -> str:
    """Return the whole page."""
    return "\n".join([INTRODUCTION, *_summary(sentences), *_tables(sentences)])


def _summary(sentences: list[Sentence]) -> Iterator[str]:
    statuses = ["held", "departs", "the kernel's", "not done"]
    yield f"| | {' | '.join(statuses)} |\n|---|{'---|' * len(statuses)}"
    for rfc, title in TITLES.items():
        counts = [str(sum(one.rfc == rfc and one.status == status for one in sentences)) for status in statuses]
        yield f"| {title} | {' | '.join(counts)} |"


def _tables(sentences: list[Sentence]) -> Iterator[str]:
    for rfc, title in TITLES.items():
        yield f"\n## {title}\n"
        yield "| section | level | sentence | status | test |\n|---|---|---|---|---|"
        for one in sorted((one for one in sentences if one.rfc == rfc), key=_place):
            status = f"{one.status}: {one.because}" if one.because else one.status
            test = f"`{one.by}`" if one.by else ""
            yield f"| {one.section} | {one.level} | {one.text} | {status} | {test} |"
    yield ""


def _place(one: Sentence) -> tuple[tuple[int, ...], str, str]:
    return tuple(int(part) for part in one.section.split(".")), one.level, one.text


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    # The cases record in the module ``rfc``; this program is ``__main__``.
    import rfc

    DOCUMENT.write_text(as_markdown(rfc.load()))  # type: ignore[arg-type]
