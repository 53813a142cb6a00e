"""Keywords as data, and the one walk over a block that looks them up.

Laws: pure. A block is a table of keywords: how many parameters, whether a block of its own, and what it does. The walk
knows four kinds of words: carried out; known to keepalived but not carried out (a warning with its name, or an error
where to leave it out would be dangerous); and unknown (a warning in keepalived's words, with what was probably meant;
an error in YAML, which nobody wrote for another program). docs/reference/keepalived.md is made of the same tables.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from hakit.diagnostics import Findings, Location, did_you_mean
from pyvrrp.config.include import FORMS
from pyvrrp.config.known import Disposition, Known, find
from pyvrrp.config.tree import Statement, Word

Owner = TypeVar("Owner")


class Notes:
    """Takes findings about statements; ``strict`` turns an unknown keyword into an error."""

    def __init__(self, findings: Findings, *, strict: bool = False) -> None:
        self.findings = findings
        self.strict = strict

    def warn(self, about: Statement | Word | Location, message: str, source: str | None = None) -> None:
        """Something was corrected, left out or risky; the program starts."""
        place, line = _place(about)
        self.findings.warn(place, message, source or line)

    def advise(self, about: Statement | Word | Location, message: str, source: str | None = None) -> None:
        """As ``warn``, where keepalived itself would say nothing."""
        place, line = _place(about)
        self.findings.advise(place, message, source or line)

    def error(self, about: Statement | Word | Location, message: str, source: str | None = None) -> None:
        """Something leaves no sensible configuration."""
        place, line = _place(about)
        self.findings.error(place, message, source or line)

    def unknown(self, statement: Statement, known: Sequence[str]) -> None:
        """A keyword that nobody knows."""
        tell = self.error if self.strict else self.warn
        tell(statement, f"Unknown keyword '{statement.name}'{did_you_mean(statement.name, known)}")


def _place(about: Statement | Word | Location) -> tuple[Location, str | None]:
    if isinstance(about, Location):
        return about, None
    return about.location, about.source if isinstance(about, Statement) else None


@dataclass(frozen=True, slots=True)
class Keyword(Generic[Owner]):
    """What a keyword wants, and the method of a block's reader that carries it out.

    ``parameters`` are wanted; ``most`` (None: as many) are taken. ``block``: whether braces have to follow.

    The rest is what the reference says of it. ``tier``: 1 in nearly every file, 2 common, 3 rare, 0 not said.
    ``default``: what holds without it, and the range, as text. ``about``: one sentence.
    """

    handle: Callable[[Owner, Statement], None]
    parameters: int = 1
    most: int | None = None
    block: bool = False
    tier: int = 0
    default: str = ""
    about: str = ""
    disposition: Disposition = Disposition.DONE


@dataclass(frozen=True, slots=True)
class Table(Generic[Owner]):
    """The keywords of one block; ``elsewhere`` are those that keepalived knows there and that are not carried out."""

    keywords: Mapping[str, Keyword[Owner]]
    elsewhere: Sequence[Known] = ()
    secret: bool = False

    def read(self, owner: Owner, statements: Sequence[Statement], notes: Notes) -> None:
        """Carry out every statement of a block."""
        for statement in statements:
            keyword = self.keywords.get(statement.name)
            if keyword is not None:
                if _fits(keyword, statement, notes, secret=self.secret):
                    keyword.handle(owner, statement)
            elif self.secret and find(statement.name, self.elsewhere) is None:
                # The word may be a password that slipped to the next line: it is not repeated.
                notes.unknown(Statement((Word("********", statement.location),)), [])
            else:
                self._left_out(statement, notes)

    def _left_out(self, statement: Statement, notes: Notes) -> None:
        known = find(statement.name, self.elsewhere)
        if known is None:
            includes = () if notes.strict else FORMS
            notes.unknown(statement, [*self.keywords, *(one.name for one in self.elsewhere), *includes])
            return
        what = "block" if statement.block is not None else "keyword"
        name = " ".join(word.text for word in statement.words) if statement.block is not None else statement.name
        why = f": {known.why}" if known.why else ""
        if known.disposition is Disposition.REFUSED:
            notes.error(statement, f"the {what} '{name}' is not supported{why}")
        else:
            notes.advise(statement, f"the {what} '{name}' is known to keepalived, not carried out{why}")


MISSING_PARAMETER = "is missing a parameter"
"""In the message of a keyword without its value: keepalived ends with another status for it."""


def _fits(keyword: Keyword[Owner], statement: Statement, notes: Notes, *, secret: bool) -> bool:
    name, count = statement.name, len(statement.parameters)
    if count < keyword.parameters:
        notes.error(
            statement,
            f"*** Configuration line starting `{name}` {MISSING_PARAMETER}"
            f" after keyword `{name}` at word position {count + 2}",
        )
        return False
    most = keyword.parameters if keyword.most is None else keyword.most
    if count > most:
        extra = "********" if secret else " ".join(word.text for word in statement.parameters[most:])
        notes.advise(statement, f"extra words after '{name}' are ignored: '{extra}'")
    if keyword.block and statement.block is None:
        notes.error(statement, f"Missing '{{' at beginning of configuration block: '{name}' needs one")
        return False
    if not keyword.block and statement.block is not None:
        notes.warn(statement, f"Unexpected '{{' - ignoring: '{name}' has no block")
    return True
