r"""A line of haproxy.cfg as words: quotes, escapes, comments, environment variables.

Laws: pure; the environment comes in as a mapping. Every word knows the column in which it starts. Weak quotes
(``""``) expand variables and escapes, strong quotes (``''``) nothing; outside of both, ``\`` escapes and ``#`` starts a
comment.

Source: HAProxy's configuration manual, sections 2.2 "Quoting and escaping" and 2.3 "Environment variables".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from hakit.diagnostics import Location

SPACES = " \t\r\f\v"
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", " ": " ", "\\": "\\", "#": "#", '"': '"', "'": "'", "$": "$"}
_VARIABLE = re.compile(
    r"\$(?:\{(?P<braced>\.?\w+)(?P<list>\[\*\])?(?:-(?P<default>[^}]*))?\}|(?P<plain>\w+))", re.ASCII
)
_PLAIN = re.compile(r"\$\{(\w+)\}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Word:
    """One word; ``column`` counts from 1."""

    text: str
    column: int
    line: int = 0


@dataclass(frozen=True, slots=True)
class Statement:
    """One line of words (at least one), where it stands, and its text for messages."""

    words: tuple[Word, ...]
    location: Location
    source: str
    lines: Sequence[str] = ()  # of the whole file, if the words stand on several

    def at(self, position: int) -> Location:
        """Return the place of the word at ``position``, or of the statement's end if it has fewer words."""
        if position < len(self.words):
            word = self.words[position]
            return Location(self.location.file, word.line or self.location.line, word.column)
        return Location(self.location.file, self.location.line, len(self.source.rstrip()) + 1)

    def source_at(self, position: int) -> str:
        """Return the line on which that place is, without what may be a password."""
        place = self.at(position)
        text = self.lines[place.line - 1] if 0 < place.line <= len(self.lines) else self.source
        if [word.text for word in self.words[:2]] == ["stats", "auth"] and len(self.words) > 2:
            secret = self.words[2]
            if (secret.line or self.location.line) == place.line:
                return text[: secret.column - 1] + "********"
        return text


class TokenError(Exception):
    """A line that cannot be cut into words; ``column`` is where it goes wrong, counted from 1."""

    def __init__(self, message: str, column: int) -> None:
        self.message = message
        self.column = column
        super().__init__(message)


def split(line: str, environment: Mapping[str, str]) -> tuple[Word, ...]:
    """Return the words of one line, none for an empty line or a comment; raises TokenError."""
    return tuple(_Line(line, environment).words())


def expand_address(text: str, environment: Mapping[str, str]) -> str:
    """Return an address with ``${NAME}`` replaced, as HAProxy does on ``bind`` and ``server`` even without quotes."""
    return _PLAIN.sub(lambda found: environment.get(found[1], ""), text)


class _Line:
    def __init__(self, line: str, environment: Mapping[str, str]) -> None:
        self._line = line
        self._environment = environment
        self._at = 0
        self._quote = ""
        self._opened = 0
        self._parts: list[str] | None = None  # of the word being read; None between words
        self._start = 0

    def words(self) -> Iterator[Word]:
        """Yield word after word."""
        while self._at < len(self._line):
            character = self._line[self._at]
            if not self._quote and character == "#":
                break
            if not self._quote and character in SPACES:
                yield from self._finish()
                self._at += 1
                continue
            if self._parts is None:
                self._parts, self._start = [], self._at
            yield from self._take(character)
        if self._quote:
            raise TokenError("unmatched quote", self._opened + 1)
        yield from self._finish()

    def _finish(self) -> Iterator[Word]:
        if self._parts is not None:
            yield Word("".join(self._parts), self._start + 1)
            self._parts = None

    def _take(self, character: str) -> Iterator[Word]:
        if character == self._quote:
            self._quote = ""
        elif not self._quote and character in "\"'":
            self._quote, self._opened = character, self._at
        elif character == "\\" and self._quote != "'":
            self._push(self._escape())
        elif character == "$" and self._quote == '"':
            yield from self._variable()
            return
        else:
            self._push(character)
        self._at += 1

    def _push(self, text: str) -> None:
        assert self._parts is not None
        self._parts.append(text)

    def _escape(self) -> str:
        following = self._line[self._at + 1 : self._at + 2]
        if following == "x":
            digits = self._line[self._at + 2 : self._at + 4]
            if not re.fullmatch(r"[0-9a-fA-F]{2}", digits):
                raise TokenError("truncated or invalid hexadecimal sequence", self._at + 1)
            self._at += 3
            return chr(int(digits, 16))
        if following in _ESCAPES and following:
            self._at += 1
            return _ESCAPES[following]
        return "\\"

    def _variable(self) -> Iterator[Word]:
        found = _VARIABLE.match(self._line, self._at)
        if found is None:
            if self._line.startswith("${", self._at):
                raise TokenError("invalid or unterminated environment variable", self._at + 1)
            self._push("$")
            self._at += 1
            return
        name = found["braced"] or found["plain"]
        value = self._environment.get(name, found["default"] or "")
        self._at = found.end()
        if not found["list"]:
            self._push(value)
            return
        first, *others = value.split() or [""]
        self._push(first)
        for other in others:  # "${LIST[*]}": one word each
            yield from self._finish()
            self._parts = [other]
