"""The runtime API as bytes: lines, commands, words, payloads, and how an answer ends.

Laws: pure; any bytes are fine. A line ends with LF or CR LF; only then it counts, so that half a command is never
carried out. Commands on it are separated by ``;``, a backslash takes the next character as it is. A line that ends with
``<<`` and up to seven characters is followed by a payload, which ends with a line of just these characters (an empty
one if there are none) and belongs to the line's last command. What is longer than a line may be ends the connection.

Source: HAProxy's management guide, section 9.3 "Unix Socket commands"; ``cli_parse_request`` (``cli.c``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

LONGEST = 16384
"""Bytes of a line, and of a payload (tune.bufsize)."""
_PAYLOAD = "<<"
_LONGEST_PATTERN = 7
_BLANKS = " \t"
_ENCODING = ("utf-8", "surrogateescape")


class TooLongError(Exception):
    """Somebody sends more than a line may hold."""


@dataclass(frozen=True, slots=True)
class Request:
    """One command with its words; ``payload`` is None if there is none."""

    words: tuple[str, ...]
    payload: str | None = None


class Reader:
    """Takes bytes as they come, gives requests as far as they are complete."""

    def __init__(self) -> None:
        self._pending = b""
        self._waiting: tuple[str, str] | None = None  # a line that waits for its payload, and what ends that
        self._payload: list[str] = []

    @property
    def awaits_payload(self) -> bool:
        """Whether what comes next belongs to a payload."""
        return self._waiting is not None

    @property
    def has_line(self) -> bool:
        """Whether another line is complete."""
        return b"\n" in self._pending

    def feed(self, data: bytes) -> None:
        """Take bytes. Raises TooLongError if no line may be that long."""
        self._pending += data
        if len(self._pending) > LONGEST and b"\n" not in self._pending[: LONGEST + 1]:
            raise TooLongError

    def next_line(self) -> list[Request] | None:
        """Return the requests of the next line; none of them if it begins or goes on with a payload, None if no line
        is complete. Raises TooLongError.
        """
        raw, end, rest = self._pending.partition(b"\n")
        if len(raw) > LONGEST:
            raise TooLongError
        if not end:
            return None
        self._pending = rest
        line = raw.removesuffix(b"\r").decode(*_ENCODING)
        if self._waiting is not None:
            return self._take_payload(line)
        command, pattern = _payload_start(line)
        if pattern is None:
            return requests(line)
        self._waiting, self._payload = (command, pattern), []
        return []

    def _take_payload(self, line: str) -> list[Request]:
        assert self._waiting is not None
        command, pattern = self._waiting
        if line != pattern:
            self._payload.append(line)
            if sum(map(len, self._payload)) > LONGEST:
                raise TooLongError
            return []
        self._waiting = None
        return requests(command, "\n".join(self._payload) + "\n" if self._payload else "")


def requests(line: str, payload: str | None = None) -> list[Request]:
    """Return the commands of one line; the payload goes to the last of them."""
    parts = list(_split(line))
    made = [Request(_words(part)) for part in parts[:-1]]
    return [*made, Request(_words(parts[-1]), payload)]


def _payload_start(line: str) -> tuple[str, str | None]:
    before, found, pattern = line.rpartition(_PAYLOAD)
    pattern = pattern.rstrip(_BLANKS)
    is_one = found and before[-1:] in {"", " ", "\t"} and len(pattern) <= _LONGEST_PATTERN
    return (before, pattern) if is_one and not set(_BLANKS) & set(pattern) else (line, None)


def _split(line: str) -> Iterator[str]:
    """Yield the parts between semicolons, escapes still in place."""
    start, position = 0, 0
    while position < len(line):
        if line[position] == "\\":
            position += 1
        elif line[position] == ";":
            yield line[start:position]
            start = position + 1
        position += 1
    yield line[start:]


def _words(part: str) -> tuple[str, ...]:
    words: list[str] = []
    word: str | None = None
    characters = iter(part)
    for character in characters:
        if character in _BLANKS:
            if word is not None:
                words.append(word)
            word = None
            continue
        word = (word or "") + (next(characters, "") if character == "\\" else character)
    return tuple(words) if word is None else (*words, word)


def encode(text: str) -> bytes:
    """Return a text as bytes; what a client sent comes back as it was."""
    return text.encode(*_ENCODING)


def finished(text: str) -> str:
    """Return an answer with its end: an empty line, or nothing but that for a plain success."""
    return text + ("\n" if text and not text.endswith("\n") else "") + "\n"
