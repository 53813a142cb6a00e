"""What the reader found, in the forms in which HAProxy says where.

Laws: pure. A finding is a Diagnostic that also knows how HAProxy would introduce it; the texts behind the place are
HAProxy's own where it has one (3.x). Passwords are masked before a line of text becomes part of a finding.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from hakit.diagnostics import Diagnostic, Findings, Location, Severity

# How HAProxy introduces a message: {} stands for file:line.
PARSING = "config : parsing [{}] : "
PARSING_TIGHT = "config : parsing [{}]: "
DUPLICATE = "config : Parsing [{}]: "
PARSING_OF_PROXY = "parsing [{}] : "
SERVER = "config : [{}] : "
RESOLVING = "[{}] : "
CHECKING = ""
FILE = "config : "

NOT_SUPPORTED = ": not supported by tcpbalancer"
"""Behind what HAProxy says of a keyword that it does not know."""

_SECRETS = re.compile(
    r"((?:\b(?:auth|authorization|users?|agent-send)\b|\b\w*(?:password|passwd|secret|token)\w*\b"
    r"|\b(?:tcp|http)-check\b.*?\bsend(?:-lf|-binary|-binary-lf)?\b)[\"']?\s*:?\s*[\[{]?\s*)(\S.*)",
    re.IGNORECASE,
)
_ACCOUNT = re.compile(r"(^\s*stats\s+\S+\s+)\S*:.*")


@dataclass(frozen=True, slots=True)
class Finding(Diagnostic):
    """A diagnostic and how HAProxy introduces it; ``level``, if any: it says something, and warns of nothing."""

    form: str = PARSING
    level: str = ""

    def haproxy_text(self) -> str:
        """Return what HAProxy prints behind ``[ALERT]    (PID) : ``."""
        place = f"{self.location.file}:{self.location.line}"
        return self.form.format(place) + self.message


class Report(Findings):
    """Collects findings with their forms; ``source`` is a line of the file, and masked here.

    ``errors`` counts the findings so far that stop the start; ``diagnose``: what ``.diag`` says is one, too.
    """

    def __init__(self, *, diagnose: bool = False) -> None:
        super().__init__()
        self.errors = 0
        self.diagnose = diagnose

    def error(self, location: Location, message: str, source: str | None = None) -> None:
        """Add an error found while parsing."""
        self.error_as(PARSING, location, message, source)

    def warn(self, location: Location, message: str, source: str | None = None) -> None:
        """Add a warning found while parsing."""
        self.warn_as(PARSING, location, message, source)

    def advise(self, location: Location, message: str, source: str | None = None) -> None:
        """Add a warning of our own."""
        self._add(Finding(Severity.WARNING, location, message, source, advice=True))

    def error_as(self, form: str, location: Location, message: str, source: str | None = None) -> None:
        """Add an error with a form of its own."""
        self._add(Finding(Severity.ERROR, location, message, source, form=form))

    def warn_as(self, form: str, location: Location, message: str, source: str | None = None) -> None:
        """Add a warning with a form of its own."""
        self._add(Finding(Severity.WARNING, location, message, source, form=form))

    def notice_as(self, form: str, location: Location, message: str, source: str | None = None) -> None:
        """Add something that is only said."""
        self._add(Finding(Severity.WARNING, location, message, source, advice=True, form=form, level="NOTICE"))

    def diag_as(self, form: str, location: Location, message: str, source: str | None = None) -> None:
        """Add something that is only said to those who want to know (``-dD``)."""
        if self.diagnose:
            self._add(Finding(Severity.WARNING, location, message, source, advice=True, form=form, level="DIAG"))

    @property
    def has_errors(self) -> bool:
        """Whether any finding so far stops the start."""
        return bool(self.errors)

    def _add(self, found: Finding) -> None:
        self.errors += found.severity is Severity.ERROR
        self.items.append(found if found.source is None else replace(found, source=masked(found.source)))


def masked(source: str) -> str:
    """Return a line of configuration without what follows ``auth``, ``user``, ``password`` or what checks send."""
    return _ACCOUNT.sub(r"\1********", _SECRETS.sub(r"\1********", source))


def maybe(word: str, known: Sequence[str]) -> str:
    """Return HAProxy's ``; did you mean 'x' maybe ?``, or nothing."""
    guess = nearest(word, known)
    return f"; did you mean '{guess}' maybe ?" if guess else ""


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that HAProxy takes for the one that was meant, or None if all are too far away.

    Its measure: how often each pair of neighbours occurs, and which characters occur at all, digits being one and
    everything that is no letter another (src/tools.c, word_fingerprint_distance).
    """
    mine = _fingerprint(word)
    best, distance = None, 2 * len(word) + 1
    for other in known:
        theirs = _fingerprint(other)
        apart = sum(abs(mine[key] - theirs[key]) for key in {*mine, *theirs})
        if apart < distance:
            best, distance = other, apart
    return best if best is not None and distance <= 2 * len(best) else None


@lru_cache(maxsize=4096)
def _fingerprint(word: str) -> Counter[str]:
    kinds = ["." if not character.isascii() or not character.isalnum() else character for character in word.lower()]
    kinds = ["0" if kind.isdigit() else kind for kind in kinds]
    pairs = Counter(before + behind for before, behind in zip([".", *kinds], [*kinds, "."], strict=True))
    return pairs + Counter(set(kinds))
