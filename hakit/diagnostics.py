"""Where a configuration is wrong, what was expected there, and what was probably meant.

Laws: pure. Every diagnostic has a place. A ``ConfigError`` carries all that was found in one go, and nothing else
comes out of a configuration reader. Secrets are never part of a message: readers mask them before they get here.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum


class Severity(Enum):
    """How bad it is: a WARNING lets the program start, an ERROR does not."""

    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Location:
    """A place in a configuration; line and column count from 1, 0 stands for the file as a whole."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        """Return the place as editors read it: ``file:line:column``."""
        if not self.line:
            return self.file
        return f"{self.file}:{self.line}:{self.column}" if self.column else f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding: where, how bad, what, and (if known) the line of text it speaks of.

    ``advice``: ours alone; the program whose file this is would say nothing, so a configuration test passes.
    """

    severity: Severity
    location: Location
    message: str
    source: str | None = None
    advice: bool = False

    def summary(self) -> str:
        """Return the finding as one line."""
        return f"{self.location}: {self.severity.value}: {self.message}"

    def render(self) -> str:
        """Return the finding as text: one line; then, if both are known, the source line and a caret under it."""
        head = self.summary()
        if self.source is None or not self.location.column:
            return head
        before = self.source[: self.location.column - 1]
        padding = "".join("\t" if character == "\t" else " " for character in before)
        return f"{head}\n    {self.source}\n    {padding}^"


class ConfigError(Exception):
    """A configuration that cannot be carried out; ``diagnostics`` holds at least one ERROR, and the warnings so far."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics: tuple[Diagnostic, ...] = tuple(diagnostics)
        assert any(found.severity is Severity.ERROR for found in self.diagnostics)
        super().__init__("\n".join(found.render() for found in self.diagnostics))

    @classmethod
    def at(cls, location: Location, message: str, source: str | None = None) -> ConfigError:
        """Return an error with a single finding."""
        return cls([Diagnostic(Severity.ERROR, location, message, source)])


class Findings:
    """Collects findings while a file is read, so that all errors are told at once."""

    def __init__(self) -> None:
        self.items: list[Diagnostic] = []

    def warn(self, location: Location, message: str, source: str | None = None) -> None:
        """Add a finding that lets the program start."""
        self.items.append(Diagnostic(Severity.WARNING, location, message, source))

    def advise(self, location: Location, message: str, source: str | None = None) -> None:
        """Add a warning of our own, about something that the original program takes without a word."""
        self.items.append(Diagnostic(Severity.WARNING, location, message, source, advice=True))

    def error(self, location: Location, message: str, source: str | None = None) -> None:
        """Add a finding that does not."""
        self.items.append(Diagnostic(Severity.ERROR, location, message, source))

    @property
    def warnings(self) -> tuple[Diagnostic, ...]:
        """The findings that let the program start, in the order in which they were made."""
        return tuple(found for found in self.items if found.severity is Severity.WARNING)

    def raise_if_errors(self) -> None:
        """Raise ``ConfigError`` with everything found, if any of it is an error."""
        if any(found.severity is Severity.ERROR for found in self.items):
            raise ConfigError(self.items)


def closest(word: str, known: Sequence[str]) -> str | None:
    """Return the known word that was probably meant, or None if none is near."""
    matches = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return matches[0] if matches else None


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """Return ``; did you mean 'x'?`` for the nearest known word, or nothing: made to be put behind a message."""
    guess = closest(word, known)
    return f"; did you mean '{guess}'?" if guess else ""
