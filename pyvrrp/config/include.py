"""``include`` and its stricter forms: which files a line asks for, and what is said of those that are not there.

Laws: pure; files are found and read by whoever implements Reader. Names are relative to the directory of the file that
includes them. What one form only warns about is an error for a stricter one: READABLE (no directory, no program, no
lack of rights), MATCH (a name without wildcards has to be there), WILDCARD (and a pattern has to match something),
BRACE (every alternative in braces has to be there).
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Flag, auto
from typing import Protocol


class Check(Flag):
    """What has to hold of an include."""

    READABLE = auto()
    MATCH = auto()
    WILDCARD = auto()
    BRACE = auto()


NOTHING = Check(0)
EVERYTHING = Check.READABLE | Check.MATCH | Check.WILDCARD | Check.BRACE
FORMS = {
    "include": NOTHING,
    "includer": Check.READABLE,
    "includem": Check.READABLE | Check.MATCH,
    "includew": Check.READABLE | Check.MATCH | Check.WILDCARD,
    "includeb": Check.READABLE | Check.BRACE,
    "includea": EVERYTHING,
}
_LEVELS = {
    "readable": Check.READABLE,
    "read": Check.READABLE,  # the manual has the first, the program the second
    "match": Check.MATCH,
    "wildcard_match": Check.WILDCARD,
    "brace_match": Check.BRACE,
}
_DIRECTIVE = re.compile(r"(include[rmwba]?)[ \t]+(\S.*)")
_BRACES = re.compile(r"(?<!\\)\{([^{}]*)\}")
_WILDCARD = re.compile(r"(?<!\\)[*?\[]")
MOST_ALTERNATIVES = 256


class SkippedError(Exception):
    """A file that is there and is not read; the message is keepalived's. ``harmless``: a directory or a program."""

    def __init__(self, message: str, *, harmless: bool) -> None:
        super().__init__(message)
        self.harmless = harmless


@dataclass(frozen=True, slots=True)
class Included:
    """A file that was read: its text, the one name that it has whatever it was called, its directory in full."""

    text: str
    identity: str
    directory: str


class Reader(Protocol):
    """Finds and reads files."""

    def find(self, pattern: str) -> Sequence[str]:
        """Return the paths that a pattern without braces matches, sorted."""

    def read(self, path: str) -> Included:
        """Return the file; raises SkippedError, or ConfigError for one that is not text."""


@dataclass(frozen=True, slots=True)
class Directive:
    """An include line: what it asks for, and what has to hold of it."""

    pattern: str
    checks: Check


@dataclass(frozen=True, slots=True)
class Complaint:
    """What is said of an include; ``check`` makes it an error, ``harmless`` does not fail a configuration test."""

    message: str
    check: Check
    harmless: bool = False


def directive(text: str) -> Directive | None:
    """Return what a line asks for if it is an include line, or None."""
    match = _DIRECTIVE.fullmatch(text)
    return None if match is None else Directive(match[2], FORMS[match[1]])


def checks_after(words: Sequence[str], before: Check) -> Check:
    """Return the checks that ``include_check WORDS`` leaves: ``+x`` adds to those before, ``-x`` takes away."""
    if not words:
        return EVERYTHING
    result, sign = (before if words[0][:1] in {"+", "-"} else NOTHING), "+"
    for word in words:
        if word[:1] in {"+", "-"}:
            sign = word[0]
        level = _LEVELS.get(word.lstrip("+-"), NOTHING)
        result = result & ~level if sign == "-" else result | level
    return result


def alternatives(pattern: str) -> list[str]:
    """Return the patterns that one with braces stands for, MOST_ALTERNATIVES at most."""
    patterns = [pattern]
    while any(_BRACES.search(one) for one in patterns) and len(patterns) <= MOST_ALTERNATIVES:
        patterns = [
            one[: match.start()] + choice + one[match.end() :] if match else one
            for one in patterns
            for match in [_BRACES.search(one)]
            for choice in (match[1].split(",") if match else [""])
        ]
    return patterns[:MOST_ALTERNATIVES]


def look_up(pattern: str, including: str, reader: Reader) -> tuple[list[str], list[Complaint]]:
    """Return the files that ``pattern`` in the file ``including`` stands for, and what there is to say about it."""
    found: list[str] = []
    missing = unmatched = False
    choices = alternatives(pattern)
    for choice in choices:
        paths = reader.find(beside(including, choice))
        found.extend(path for path in paths if path not in found)
        wild = _WILDCARD.search(choice) is not None
        missing |= not paths and not wild
        unmatched |= not paths and wild
    if found and missing:
        return found, [Complaint(f'Some config files missing: "{pattern}".', Check.BRACE)]
    if missing:
        check = Check.BRACE if len(choices) > 1 else Check.MATCH
        return [], [Complaint(f"Config files missing '{pattern}'.", check)]
    if not found and unmatched:
        return [], [Complaint(f"No config files matched '{pattern}'.", Check.WILDCARD, harmless=True)]
    return found, []


def beside(including: str, name: str) -> str:
    """Return the path of ``name``, seen from the directory of the file ``including``."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(including), name))
