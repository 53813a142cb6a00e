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

SPACES = " \t\r\n\f\v"
_ENDS = "\r\n\0"
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", " ": " ", "\\": "\\", '"': '"', "'": "'"}
_NAME = re.compile(r"\.?[A-Za-z0-9_]*")
_HEXADECIMAL = re.compile(r"[0-9a-fA-F]{2}")
_PLAIN = re.compile(r"\$\{(\w+)\}", re.ASCII)
MOST_WORDS = 64
"""More words on a line are an error (MAX_LINE_ARGS)."""
PSEUDO_VARIABLES = (".FILE", ".LINE", ".SECTION")


@dataclass(frozen=True, slots=True)
class Word:
    """One word; ``column`` counts from 1."""

    text: str
    column: int
    line: int = 0
    empty_at: int = 0
    """Of a word without text: the column that HAProxy names, that of the variable that is not set."""


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


def split(line: str, environment: Mapping[str, str], *, comments: bool = True) -> tuple[Word, ...]:
    """Return the words of one line, none for an empty line or a comment; raises TokenError.

    ``environment`` holds the pseudo-variables, too. A byte that is no UTF-8 (``\xff``) is a lone surrogate, as
    ``surrogateescape`` has it; see ``octets``.
    """
    words = tuple(_Line(line, environment, comments=comments).words())
    if len(words) > MOST_WORDS:
        last = words[MOST_WORDS - 1]
        message = f"too many words, truncating after word {MOST_WORDS}, position {last.column}: <{last.text}>."
        raise TokenError(message, last.column)
    return words


def octets(text: str) -> bytes:
    """Return a word as the bytes it stands for."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half a character that stands for no byte: no file holds one, YAML can write it
        return text.encode("utf-8", "replace")


def readable(text: str) -> str:
    """Return a word as text that can be shown: what is no UTF-8 is replaced."""
    return text if text.isascii() else octets(text).decode("utf-8", "replace")


def expand_address(text: str, environment: Mapping[str, str]) -> str:
    """Return an address with ``${NAME}`` replaced, as HAProxy does on ``bind`` and ``server`` even without quotes."""
    return _PLAIN.sub(lambda found: environment.get(found[1], ""), text)


class _Line:
    """The state of HAProxy's parse_line (src/tools.c), whose ``in_arg`` is ``parts`` not being None."""

    def __init__(self, line: str, environment: Mapping[str, str], *, comments: bool) -> None:
        self._line = line
        self._environment = environment
        self._comments = comments
        self._at = 0
        self._quote = ""
        self._opened = 0
        self._quotes_count = False  # whether quotes around nothing are a word
        self._parts: list[str] | None = None  # of the word being read; None between words
        self._start = 0
        self._empty_at = 0

    def words(self) -> Iterator[Word]:
        """Yield word after word."""
        while self._at < len(self._line) and self._line[self._at] not in _ENDS:
            character = self._line[self._at]
            if not self._quote and character == "#" and self._comments:
                break
            if not self._quote and character in SPACES:
                yield from self._finish()
                self._at += 1
            elif character == "$" and self._quote == '"':
                yield from self._variable()
            else:
                self._take(character)
        if self._quote:
            raise TokenError(f"unmatched quote at position {self._opened + 1}:", self._opened + 1)
        yield from self._finish()

    def _finish(self) -> Iterator[Word]:
        if self._parts is not None:
            text = "".join(self._parts)
            yield Word(_joined(text), self._start + 1, empty_at=0 if text else self._empty_at + 1)
            self._parts = None

    def _take(self, character: str) -> None:
        if character == self._quote:
            self._quote = ""
            if self._quotes_count and self._parts is None:
                self._begin(self._opened)
                self._empty_at = self._at
        elif not self._quote and character in "\"'":
            self._quote, self._opened, self._quotes_count = character, self._at, True
        elif character == "\\" and self._quote != "'":
            self._push(self._escape())
        else:
            self._push(character)
        self._at += 1

    def _begin(self, start: int) -> None:
        if self._parts is None:
            self._parts, self._start, self._empty_at = [], start, start

    def _push(self, text: str) -> None:
        self._begin(self._opened if self._quote and self._opened + 1 == self._at else self._at)
        assert self._parts is not None
        self._parts.append(text)

    def _escape(self) -> str:
        following = self._line[self._at + 1 : self._at + 2]
        if following == "x":
            digits = self._line[self._at + 2 : self._at + 4]
            if not _HEXADECIMAL.fullmatch(digits):
                place = self._at + 1
                raise TokenError(f"truncated or invalid hexadecimal sequence at position {place}:", place)
            self._at += 3
            return bytes([int(digits, 16)]).decode("utf-8", "surrogateescape")
        if following and (following in _ESCAPES or (following == "#" and self._comments)):
            self._at += 1
            return _ESCAPES.get(following, following)
        if following == "$" and self._quote:
            self._at += 1
            return "$"
        return "\\"

    def _variable(self) -> Iterator[Word]:
        began, self._at = self._at, self._at + 1
        brace = self._at if self._line.startswith("{", self._at) else None
        self._at += brace is not None
        found = _NAME.match(self._line, self._at)
        name = found[0] if found else ""
        if not name or name[0].isdigit() or (name[0] == "." and name not in PSEUDO_VARIABLES):
            place = self._at + 1
            raise TokenError(f"forbidden first char in environment variable name at position {place}:", place)
        at_name, self._at = self._at, self._at + len(name)
        value, several = self._environment.get(name), False
        if brace is not None:
            several = self._several()
            value = self._braced(brace, value)
        if several:
            # A list that is empty is no word at all, not even between quotes.
            self._quotes_count = False
            yield from self._list(value or "", began)
        elif value:
            self._begin(began)
            self._push(value)
        else:
            unset = self._parts is None and value is None
            self._begin(began)
            if unset:
                self._empty_at = at_name

    def _several(self) -> bool:
        """Whether ``[*]`` stands here: one word for each of the value's."""
        if not self._line.startswith("[", self._at):
            return False
        if not self._line.startswith("[*]", self._at):
            place = self._at + 1
            raise TokenError(f"truncated or invalid word expansion sequence at position {place}:", place)
        self._at += 3
        return True

    def _braced(self, brace: int, value: str | None) -> str | None:
        """Return the value, or the default behind ``-``, and go past the brace that closes."""
        end = self._line.find("}", self._at)
        if end < 0 or self._line[self._at] not in "-}":
            place = brace + 1
            raise TokenError(f"unmatched brace in environment variable name at position {place}:", place)
        default = self._line[self._at + 1 : end] if self._line[self._at] == "-" else None
        self._at = end + 1
        return default if value is None else value

    def _list(self, value: str, began: int) -> Iterator[Word]:
        for character in value:
            if character in SPACES:
                yield from self._finish()
            else:
                self._begin(began)
                assert self._parts is not None
                self._parts.append(character)


def _joined(text: str) -> str:
    """Return text whose bytes, written one by one, may be characters together."""
    return text if text.isascii() else octets(text).decode("utf-8", "surrogateescape")
