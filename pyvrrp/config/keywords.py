"""Keywords as data, and the one walk over a block that looks them up.

Laws: pure. A block is a table of keywords: how many parameters, whether a block of its own, and what it does. The walk
knows four kinds of words: carried out; known to keepalived but not carried out (a warning with its name); unknown (the
same, in keepalived's words, with what was probably meant; an error in YAML, which nobody wrote for another program);
and what this version of the grammar cannot do, such as variables.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from hakit.diagnostics import Findings, Location, did_you_mean
from pyvrrp.config.known import is_known
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
    """

    handle: Callable[[Owner, Statement], None]
    parameters: int = 1
    most: int | None = None
    block: bool = False


@dataclass(frozen=True, slots=True)
class Table(Generic[Owner]):
    """The keywords of one block; ``elsewhere`` are those that keepalived knows there and that are not carried out."""

    keywords: Mapping[str, Keyword[Owner]]
    elsewhere: list[str] = field(default_factory=list)
    secret: bool = False

    def read(self, owner: Owner, statements: Sequence[Statement], notes: Notes) -> None:
        """Carry out every statement of a block."""
        for statement in statements:
            keyword = self.keywords.get(statement.name)
            if keyword is not None:
                if _fits(keyword, statement, notes, secret=self.secret):
                    keyword.handle(owner, statement)
            elif self.secret and not is_known(statement.name, self.elsewhere):
                # The word may be a password that slipped to the next line: it is not repeated.
                notes.unknown(Statement((Word("********", statement.location),)), [])
            else:
                self._left_out(statement, notes)

    def _left_out(self, statement: Statement, notes: Notes) -> None:
        name = statement.name
        if name[0] in "$@~" if name else False:
            what = {"$": "a definition", "@": "a condition", "~": "a repetition"}[name[0]]
            notes.advise(statement, f"'{name}': {what} is known to keepalived, not carried out: the line has no effect")
        elif is_known(name, self.elsewhere):
            what = "block" if statement.block is not None else "keyword"
            words = " ".join(word.text for word in statement.words) if statement.block is not None else name
            notes.advise(statement, f"the {what} '{words}' is known to keepalived, not carried out")
        else:
            notes.unknown(statement, [*self.keywords, *self.elsewhere])


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
