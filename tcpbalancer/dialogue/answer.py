"""The answer to an HTTP request, as far as it has come.

Laws: pure. A status line is all that an answer needs: Patroni answers OPTIONS and HEAD without a single header. What
comes behind it is read with the rules of RFC 9112 (sections 4 to 7), as far as an expectation asks for it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_STATUS_LINE = re.compile(rb"HTTP/\d\.\d (\d{3})(?: ([^\r\n]*))?\r?\n")
_END_OF_HEADERS = re.compile(rb"\r?\n\r?\n")
_BODILESS = frozenset({204, 304})


@dataclass(frozen=True, slots=True)
class Answer:
    """``headers`` None: not all of them are here yet. ``is_complete``: nothing more will come."""

    status: int
    reason: str
    headers: tuple[tuple[str, str], ...] | None
    body: bytes
    is_complete: bool

    def values(self, name: str, *, whole: bool) -> list[str]:
        """Return the values of a header, cut at commas unless ``whole``."""
        found = [value for given, value in self.headers or () if given == name.lower()]
        return found if whole else [part.strip() for value in found for part in value.split(",")]


def begins(data: bytes) -> bool:
    """Whether this may still become an answer: False for what is something else."""
    return b"HTTP/".startswith(data) or (data.startswith(b"HTTP/") and b"\n" not in data)


def read(data: bytes, *, ended: bool, is_head: bool) -> Answer | None:
    """Return the answer, or None if there is no status line. ``is_head``: the request was HEAD, so no body comes."""
    line = _STATUS_LINE.match(data)
    if line is None:
        return None
    status, reason = int(line[1]), (line[2] or b"").decode("latin-1")
    if data[line.end() :].startswith((b"\r\n", b"\n")):
        rest, end = b"", line.end() + (2 if data[line.end() :].startswith(b"\r") else 1)
    elif blank := _END_OF_HEADERS.search(data, line.end()):
        rest, end = data[line.end() : blank.start()], blank.end()
    elif ended:
        rest, end = data[line.end() :], len(data)
    else:
        return Answer(status, reason, None, b"", is_complete=False)
    if 100 <= status < 200 and status != 101:  # RFC 9110, section 15.2: an interim answer precedes the real one
        return read(data[end:], ended=ended, is_head=is_head)
    headers = tuple(_headers(rest))
    body, is_complete = _body(data[end:], headers, bodiless=is_head or status in _BODILESS)
    return Answer(status, reason, headers, body, is_complete or ended)


def _headers(text: bytes) -> list[tuple[str, str]]:
    lines = text.decode("latin-1").splitlines()
    pairs = (line.partition(":") for line in lines if ":" in line)
    return [(name.strip().lower(), value.strip()) for name, _, value in pairs]


def _body(data: bytes, headers: tuple[tuple[str, str], ...], *, bodiless: bool) -> tuple[bytes, bool]:
    """Return the body so far, and whether that is all of it."""
    given = dict(headers)
    length = given.get("content-length", "")
    if bodiless:
        return b"", True
    if given.get("transfer-encoding", "").lower().endswith("chunked"):
        return _chunks(data)
    if length.isascii() and length.isdigit() and len(length) < 10:
        return data[: int(length)], len(data) >= int(length)
    return data, False


def _chunks(data: bytes) -> tuple[bytes, bool]:
    body, position = b"", 0
    while True:
        end = data.find(b"\r\n", position)
        digits = data[position:end].partition(b";")[0].strip() if end >= 0 else b""
        if not re.fullmatch(rb"[0-9A-Fa-f]{1,8}", digits):
            return body, False
        size = int(digits, 16)
        if not size:
            return body, True
        body += data[end + 2 : end + 2 + size]
        position = end + 2 + size + 2
