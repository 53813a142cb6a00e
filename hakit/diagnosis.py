"""What a doctor says of configurations: the rule that is broken, where, what follows from it, and what to do.

Laws: pure. A finding always has a place and says what will not work; how bad it is belongs to its rule, not to the
case. The exit status is the worst level: 0 if there is nothing but notes, 1 for warnings, 2 for errors. What somebody
knows and means stands in the file itself, in a comment on the line of the finding or on the one above it: ``# doctor:
accept RULE (why)``; such a finding is counted, and not told. No text holds a secret.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

from hakit.diagnostics import Location
from hakit.transcript import Value

_ACCEPTED = re.compile(r"[#!;]\s*doctor:\s*accept\s+([a-z0-9-]+(?:\s*,\s*[a-z0-9-]+)*)")

Accepted = Mapping[tuple[str, int], frozenset[str]]
"""The rules whose findings are accepted, by file and line."""


class Level(IntEnum):
    """How bad it is; the worst one of all findings is the exit status."""

    NOTE = 0
    WARNING = 1
    ERROR = 2

    @property
    def word(self) -> str:
        """The level as it is printed."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that can be wrong. ``about``: one sentence for the list of rules.

    ``instead_of``: words by which a warning of the configuration's reader is known that says the same with less.
    """

    name: str
    level: Level
    about: str
    instead_of: str | None = None


@dataclass(frozen=True, slots=True)
class Spot:
    """A place in a file, and the line that stands there: None if it may hold a secret, or is not known."""

    location: Location
    source: str | None = None

    def __str__(self) -> str:
        return str(self.location)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: ``what`` will not work, ``why``, and ``remedy``, what to do; these may be empty.

    ``node``: whose configuration it is, where there are several.
    """

    rule: Rule
    node: str
    spot: Spot
    what: str
    why: str = ""
    remedy: str = ""

    @property
    def level(self) -> Level:
        """How bad it is."""
        return self.rule.level

    def render(self) -> str:
        """Return the finding as text: the place and what is wrong, the line with a caret, why, and what to do."""
        location, source = self.spot.location, self.spot.source
        lines = [f"{location}: {self.level.word}: {self.what} [{self.rule.name}]"]
        if source is not None and location.column:
            before = source[: location.column - 1]
            padding = "".join("\t" if character == "\t" else " " for character in before)
            lines += [f"    {source}", f"    {padding}^"]
        lines += [f"    {word}: {text}" for word, text in (("why", self.why), ("do", self.remedy)) if text]
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Value]:
        """Return the finding for programs (``--json``)."""
        location = self.spot.location
        return {
            "level": self.level.word,
            "rule": self.rule.name,
            **({"node": self.node} if self.node else {}),
            "file": location.file,
            "line": location.line,
            "column": location.column,
            "what": self.what,
            "why": self.why,
            "remedy": self.remedy,
        }


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All findings about some files, in the order of the files; ``accepted`` counts those that are meant."""

    findings: tuple[Finding, ...]
    accepted: int = 0

    @property
    def exit_status(self) -> int:
        """0: nothing, or notes; 1: warnings; 2: errors."""
        return max((found.level for found in self.findings), default=Level.NOTE).value

    @property
    def summary(self) -> str:
        """One line: how much there is of what."""
        counted = [(self.count(level), level.word) for level in sorted(Level, reverse=True)]
        told = ", ".join(f"{count} {word}{'s' * (count > 1)}" for count, word in counted if count)
        meant = f"{self.accepted} accepted" if self.accepted else ""
        return ", ".join(part for part in (told or "nothing to complain of", meant) if part)

    def count(self, level: Level) -> int:
        """Return how many findings are of this level."""
        return sum(found.level is level for found in self.findings)

    def render(self) -> str:
        """Return everything as text, the summary last."""
        return "".join(f"{line}\n" for line in (*(found.render() for found in self.findings), self.summary))

    def as_dict(self) -> dict[str, Value]:
        """Return everything for programs (``--json``)."""
        counts: dict[str, Value] = {f"{level.word}s": self.count(level) for level in Level}
        return {"findings": [found.as_dict() for found in self.findings], **counts, "accepted": self.accepted}


def diagnose(findings: Iterable[Finding], texts: Sequence[tuple[str, str]]) -> Diagnosis:
    """Put findings in the order of their files and lines, without those that a file accepts.

    ``texts``: the files as (name, text), in the order in which they were given.
    """
    known = accepted_in(texts)
    order = {name: place for place, (name, _) in enumerate(texts)}

    def place(one: Finding) -> tuple[int, int, int]:
        location = one.spot.location
        return order.get(location.file, len(order)), location.line, location.column

    found = sorted(dict.fromkeys(findings), key=place)
    told = [one for one in found if not is_accepted(one, known)]
    return Diagnosis(tuple(told), len(found) - len(told))


def is_accepted(found: Finding, known: Accepted) -> bool:
    """Return whether the line of a finding, or the one above it, accepts it."""
    location = found.spot.location
    return any(found.rule.name in known.get((location.file, at), ()) for at in (location.line, location.line - 1))


def accepted_in(texts: Iterable[tuple[str, str]]) -> Accepted:
    """Return what the comments of these files (name, text) accept."""
    known: dict[tuple[str, int], frozenset[str]] = {}
    for name, text in texts:
        for number, line in enumerate(text.splitlines(), 1):
            if match := _ACCEPTED.search(line):
                known[name, number] = frozenset(word.strip() for word in match[1].split(","))
    return known
