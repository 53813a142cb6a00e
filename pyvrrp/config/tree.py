"""keepalived.conf as a tree of statements, before anything is known of keywords.

Laws: pure; no meaning, only words and braces. Every word knows its line and column. Braces have to match; what stands
between them is kept whether or not anybody knows the word before them, so that an unknown block cannot derail the rest
(keepalived's own parser ends the block around it). Lines that may hold a password are never quoted in a finding.

The grammar is that of keepalived.conf(5): a statement is a line; ``{`` and ``}`` stand on the same or the next line,
and the text behind them counts as a line of its own. There is no continuation of lines. Comments, definitions and
includes are gone before (``expand.py``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from hakit.diagnostics import Findings, Location
from pyvrrp.config.expand import Expansion, Outside
from pyvrrp.config.lines import SCRIPT_VALUED, Line

__all__ = ["SCRIPT_VALUED", "Statement", "Word", "parse", "statements_of"]

_PIECE = re.compile(r"""(?P<space>[ \t\r\f\v]+)|(?P<brace>[{}])|"(?P<quoted>[^"]*)"|(?P<word>.)""", re.DOTALL)
_VALUE = re.compile(r"""(["'])((?:\\.|(?!\1)[^\\])*)\1""", re.DOTALL)
_BARE = re.compile(r"""(?:\$\{[^}]*\}|[^\s{}])+""")
_SECRET_BLOCKS = frozenset({"authentication", "auth_hmac"})


@dataclass(frozen=True, slots=True)
class Word:
    """A word and its place; ``quoted`` if it stood in quotes, which ``text`` no longer has."""

    text: str
    location: Location
    quoted: bool = False


@dataclass(frozen=True, slots=True)
class Statement:
    """A keyword, its parameters and its block, if it has one; ``source`` is the line, None if it may hold a secret."""

    words: tuple[Word, ...]
    block: tuple[Statement, ...] | None = None
    source: str | None = None

    @property
    def name(self) -> str:
        """The keyword."""
        return self.words[0].text

    @property
    def location(self) -> Location:
        """Where the keyword stands."""
        return self.words[0].location

    @property
    def parameters(self) -> tuple[Word, ...]:
        """The words behind the keyword."""
        return self.words[1:]


@dataclass(slots=True)
class _Frame:
    """A block whose end has not been seen yet."""

    words: list[Word]
    source: str | None
    brace: Location
    children: list[Statement] = field(default_factory=list)


class _Parser:
    def __init__(self, file: str, findings: Findings) -> None:
        self._file = file
        self._findings = findings
        self._frames: list[_Frame] = [_Frame([], None, Location(file))]
        self._words: list[Word] = []
        self._source: str | None = None

    def line(self, line: Line) -> None:
        """Take one line; a statement at its end stays open, for its brace may come on the next."""
        begin = True
        for piece, word in self._pieces(line):
            if piece == "{":
                self._open(word)
            elif piece == "}":
                self._close(word, line)
            else:
                if begin or not self._words:
                    self._flush()
                    self._source = self._shown(line)
                self._words.append(word)
            begin = False

    def finish(self) -> tuple[Statement, ...]:
        """Return the statements of the file."""
        self._flush()
        missing = len(self._frames) - 1
        if missing:
            self._findings.error(self._frames[-1].brace, f"There are {missing} missing '}}'s or extra '{{'s")
        while len(self._frames) > 1:
            self._pop()
        return tuple(self._frames[0].children)

    def _pieces(self, line: Line) -> Iterator[tuple[str, Word]]:
        """Yield the words and braces of a line; a brace comes as itself, a word as ""."""
        position, first, text = 0, "", line.text
        while position < len(text):
            place = line.at(position)
            value = _VALUE.match(text, position) if first in SCRIPT_VALUED else None
            if value is not None:
                position = value.end()
                yield "", Word(value[2].replace("\\" + value[1], value[1]), place, quoted=True)
                continue
            match = _PIECE.match(text, position)
            assert match is not None  # every character is a space, a brace, a quotation mark or begins a word
            position = match.end()
            if match["brace"]:
                first = ""
                yield match["brace"], Word(match["brace"], place)
            elif match["quoted"] is not None:
                first = first or match["quoted"]
                yield "", Word(match["quoted"], place, quoted=True)
            elif match["word"]:
                bare = _BARE.match(text, match.start())
                raw = bare[0] if bare is not None else match["word"]
                position = match.start() + len(raw)
                if raw.startswith('"'):
                    self._findings.error(place, "a quotation mark opens here, and none closes it in this line")
                first = first or raw
                yield "", Word(raw, place)

    def _shown(self, line: Line) -> str | None:
        secret = any(frame.words and frame.words[0].text in _SECRET_BLOCKS for frame in self._frames)
        return None if secret else line.shown

    def _open(self, brace: Word) -> None:
        if not self._words:
            self._findings.error(brace.location, "Unexpected '{': no keyword stands before it")
            self._words = [Word("{", brace.location)]
        self._frames.append(_Frame(self._words, self._source, brace.location))
        self._words = []

    def _close(self, brace: Word, line: Line) -> None:
        self._flush()
        if len(self._frames) == 1:
            self._findings.error(brace.location, "Extra '}' found", self._shown(line))
            return
        self._pop()

    def _pop(self) -> None:
        frame = self._frames.pop()
        self._frames[-1].children.append(Statement(tuple(frame.words), tuple(frame.children), frame.source))

    def _flush(self) -> None:
        if self._words:
            self._frames[-1].children.append(Statement(tuple(self._words), None, self._source))
            self._words = []


def statements_of(lines: Iterable[Line], file: str, findings: Findings) -> tuple[Statement, ...]:
    """Return the statements of ``lines``; braces and quotation marks that do not match are errors in ``findings``."""
    parser = _Parser(file, findings)
    for line in lines:
        parser.line(line)
    return parser.finish()


def parse(text: str, file: str, findings: Findings) -> tuple[Statement, ...]:
    """Return the statements of a text that stands alone: it includes nothing, and no ``@id`` is its own."""
    return statements_of(Expansion(text, file, findings, Outside()), file, findings)
