"""What a doctor says of configurations: findings with a rule's name, a place, the reason and the remedy.

Laws: pure. A finding says what will happen and what to write instead. What somebody knows and means stands in the file
itself, behind a comment on the line of the finding or on the one above it: ``# doctor: accept RULE (why)``; such a
finding is counted, and not told. The exit status is 0 if nothing is told, 1 if the worst is a warning, 2 for an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from hakit.diagnostics import Location, Severity
from hakit.transcript import Value

_ACCEPTED = re.compile(r"[#!;]\s*doctor:\s*accept\s+([a-z0-9-]+(?:\s*,\s*[a-z0-9-]+)*)")

Accepted = Mapping[tuple[str, int], frozenset[str]]
"""The rules whose findings are accepted, by file and line."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding; ``rule`` is its name for programs, ``reason`` a sentence, ``remedy`` another one, or empty."""

    rule: str
    severity: Severity
    location: Location
    reason: str
    remedy: str = ""

    def render(self) -> str:
        """Return it as text: the place, how bad it is and why; in a second line what to do."""
        head = f"{self.location}: {self.severity.value}: {self.reason} [{self.rule}]"
        return f"{head}\n    remedy: {self.remedy}" if self.remedy else head

    def document(self) -> dict[str, Value]:
        """Return it for ``--json``."""
        return {
            "rule": self.rule,
            "severity": self.severity.value,
            "file": self.location.file,
            "line": self.location.line,
            "column": self.location.column,
            "reason": self.reason,
            "remedy": self.remedy,
        }


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All findings about some files, in the order of the files; ``accepted`` counts those that are meant."""

    findings: tuple[Finding, ...]
    accepted: int = 0

    @property
    def exit_status(self) -> int:
        """0: nothing; 1: warnings; 2: errors."""
        severities = {found.severity for found in self.findings}
        return 2 if Severity.ERROR in severities else 1 if severities else 0

    @property
    def summary(self) -> str:
        """One line: how much there is of what."""
        counts = [(self._count(Severity.ERROR), "error"), (self._count(Severity.WARNING), "warning")]
        told = ", ".join(f"{count} {word}{'s' * (count > 1)}" for count, word in counts if count)
        meant = f"{self.accepted} accepted" if self.accepted else ""
        return ", ".join(part for part in (told or "nothing to complain of", meant) if part)

    def render(self) -> str:
        """Return everything as text, the summary last."""
        return "".join(f"{line}\n" for line in (*(found.render() for found in self.findings), self.summary))

    def document(self) -> dict[str, Value]:
        """Return everything for ``--json``."""
        return {
            "findings": [found.document() for found in self.findings],
            "errors": self._count(Severity.ERROR),
            "warnings": self._count(Severity.WARNING),
            "accepted": self.accepted,
        }

    def _count(self, severity: Severity) -> int:
        return sum(found.severity is severity for found in self.findings)


def diagnose(findings: Iterable[Finding], texts: Sequence[tuple[str, str]]) -> Diagnosis:
    """Put findings in the order of their files and lines, without those that a file accepts.

    ``texts``: the files as (name, text), in the order in which they were given.
    """
    known = accepted_in(texts)
    order = {name: place for place, (name, _) in enumerate(texts)}
    found = sorted(
        dict.fromkeys(findings),
        key=lambda one: (order.get(one.location.file, len(order)), one.location.line, one.location.column),
    )
    told = [one for one in found if not is_accepted(one, known)]
    return Diagnosis(tuple(told), len(found) - len(told))


def is_accepted(found: Finding, known: Accepted) -> bool:
    """Return whether the line of a finding, or the one above it, accepts it."""
    file, line = found.location.file, found.location.line
    return any(found.rule in known.get((file, at), ()) for at in (line, line - 1))


def accepted_in(texts: Iterable[tuple[str, str]]) -> Accepted:
    """Return what the comments of these files (name, text) accept."""
    known: dict[tuple[str, int], frozenset[str]] = {}
    for name, text in texts:
        for number, line in enumerate(text.splitlines(), 1):
            if match := _ACCEPTED.search(line):
                known[name, number] = frozenset(word.strip() for word in match[1].split(","))
    return known
