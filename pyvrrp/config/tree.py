"""keepalived.conf as a tree of statements, before anything is known of keywords.

Laws: pure; no meaning, only words and braces. Every word knows its line and column. Braces have to match; what stands
between them is kept whether or not anybody knows the word before them, so that an unknown block cannot derail the rest
(keepalived's own parser ends the block around it). Lines that may hold a password are never quoted in a finding.

The grammar is that of keepalived.conf(5): a statement is a line; ``#`` and ``!`` begin a comment outside of double
quotes, ``\\#`` and ``\\!`` are the characters; ``{`` and ``}`` stand on the same or the next line, and the text behind
them counts as a line of its own. There is no continuation of lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from hakit.diagnostics import Findings, Location

SCRIPT_VALUED = frozenset({
    "script", "notify", "notify_master", "notify_backup", "notify_fault", "notify_stop", "notify_deleted",
    "notify_master_rx_lower_pri", "notify_fifo_script", "vrrp_notify_fifo_script", "process", "startup_script",
    "shutdown_script",
})  # fmt: skip
"""Keywords whose value may be in either kind of quotes, with escapes inside, because it is parsed once more."""

_PIECE = re.compile(r"""(?P<space>[ \t\r\f\v]+)|(?P<comment>[#!].*)|(?P<brace>[{}])|"(?P<quoted>[^"]*)"|(?P<word>.)""")
_VALUE = re.compile(r"""(["'])((?:\\.|(?!\1)[^\\])*)\1""")
_BARE = re.compile(r"""(?:\$\{[^}]*\}|\\[#!]|[^\s{}#!])+""")
_ESCAPED = re.compile(r"\\([#!])")


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

    def line(self, number: int, text: str) -> None:
        """Take one line; a statement at its end stays open, for its brace may come on the next."""
        begin = True
        for piece, word in self._pieces(number, text):
            if piece == "{":
                self._open(word)
            elif piece == "}":
                self._close(word, text)
            else:
                if begin or not self._words:
                    self._flush()
                    self._source = self._shown(text, word)
                self._words.append(word)
            begin = False
        if len(self._words) > 1 and self._words[-1].text == "\\" and self._words[-1].location.line == number:
            # keepalived takes the blanks before a backslash at the end of a line away: `priority \` is one word.
            self._words[-2:] = [replace(self._words[-2], text=self._words[-2].text + "\\")]

    def finish(self) -> tuple[Statement, ...]:
        """Return the statements of the file."""
        self._flush()
        missing = len(self._frames) - 1
        if missing:
            self._findings.error(self._frames[-1].brace, f"There are {missing} missing '}}'s or extra '{{'s")
        while len(self._frames) > 1:
            self._pop()
        return tuple(self._frames[0].children)

    def _pieces(self, number: int, text: str) -> Iterator[tuple[str, Word]]:
        """Yield the words and braces of a line; a brace comes as itself, a word as ""."""
        position, first = 0, ""
        while position < len(text):
            place = Location(self._file, number, position + 1)
            value = _VALUE.match(text, position) if first in SCRIPT_VALUED else None
            if value is not None:
                position = value.end()
                yield "", Word(value[2].replace("\\" + value[1], value[1]), place, quoted=True)
                continue
            match = _PIECE.match(text, position)
            if match is None or match["comment"] is not None:
                return
            position = match.end()
            if match["brace"]:
                first = ""
                yield match["brace"], Word(match["brace"], place)
            elif match["quoted"] is not None:
                first = first or match["quoted"]
                yield "", Word(match["quoted"], place, quoted=True)
            elif match["word"]:
                bare = _BARE.match(text, place.column - 1)
                raw = bare[0] if bare is not None else match["word"]
                position = place.column - 1 + len(raw)
                if raw.startswith('"'):
                    self._findings.error(place, "a quotation mark opens here, and none closes it in this line")
                first = first or raw
                yield "", Word(_ESCAPED.sub(r"\1", raw), place)

    def _shown(self, text: str, word: Word) -> str | None:
        secret = "pass" in text.lower() or any(
            frame.words and frame.words[0].text == "authentication" for frame in self._frames
        )
        return None if secret or not word.location.line else text

    def _open(self, brace: Word) -> None:
        if not self._words:
            self._findings.error(brace.location, "Unexpected '{': no keyword stands before it")
            self._words = [Word("{", brace.location)]
        self._frames.append(_Frame(self._words, self._source, brace.location))
        self._words = []

    def _close(self, brace: Word, text: str) -> None:
        self._flush()
        if len(self._frames) == 1:
            self._findings.error(brace.location, "Extra '}' found", self._shown(text, brace))
            return
        self._pop()

    def _pop(self) -> None:
        frame = self._frames.pop()
        self._frames[-1].children.append(Statement(tuple(frame.words), tuple(frame.children), frame.source))

    def _flush(self) -> None:
        if self._words:
            self._frames[-1].children.append(Statement(tuple(self._words), None, self._source))
            self._words = []


def parse(text: str, file: str, findings: Findings) -> tuple[Statement, ...]:
    """Return the statements of ``text``; braces and quotation marks that do not match are errors in ``findings``."""
    parser = _Parser(file, findings)
    for number, line in enumerate(text.split("\n"), start=1):
        parser.line(number, line)
    return parser.finish()
