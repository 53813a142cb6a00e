"""A line of keepalived.conf whose characters remember where they stood.

Laws: pure. Text may be cut, joined and replaced; what is put in its place stands in the column of what it replaces, and
in the line that was being read, which is the line that keepalived names. ``source`` is that line as it was written.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from hakit.diagnostics import Location

LONGEST_LINE = 1023
"""Characters: keepalived cuts longer lines and reads the pieces as lines of their own; here they are an error."""

SCRIPT_VALUED = frozenset({
    "script", "notify", "notify_master", "notify_backup", "notify_fault", "notify_stop", "notify_deleted",
    "notify_master_rx_lower_pri", "notify_fifo_script", "vrrp_notify_fifo_script", "process", "startup_script",
    "shutdown_script",
})  # fmt: skip
"""Keywords whose value may be in either kind of quotes, with escapes inside, because it is parsed once more."""

_SECRET = re.compile(r"pass|\bkey\b|hex:|(?:^|\s)\$\w+=", re.IGNORECASE)
_STOP = re.compile(r"""[!#"\\]""")
_BLANKS = " \t\r\f\v"
_IN_DOUBLE = re.compile(r"""\$\{[^{}]*\}|[{}"]""")
_IN_EITHER = re.compile(r"""\$\{[^{}]*\}|[{}]|(["'])(?:\\.|(?!\1)[^\\])*\1""")
_FIRST_WORD = re.compile(r"[^\s{}\"]*")


@dataclass(frozen=True, slots=True)
class Line:
    """``text``, and for each of its characters the column where it stands in line ``number`` of ``file``."""

    text: str
    file: str
    number: int
    columns: tuple[int, ...]
    source: str

    @classmethod
    def read(cls, text: str, file: str, number: int) -> Line:
        """Return the line as it stands in its file."""
        return cls(text, file, number, tuple(range(1, len(text) + 1)), text)

    def cut(self, start: int, end: int | None = None) -> Line:
        """Return the part from ``start`` to ``end``, without the blanks around it."""
        end = len(self.text) if end is None else end
        while start < end and self.text[start] in _BLANKS:
            start += 1
        while start < end and self.text[end - 1] in _BLANKS:
            end -= 1
        return Line(self.text[start:end], self.file, self.number, self.columns[start:end], self.source)

    def replaced(self, start: int, end: int, value: str) -> Line:
        """Return the line with ``value`` for what stands from ``start`` to ``end``."""
        column = self.columns[min(start, len(self.columns) - 1)] if self.columns else 1
        columns = (*self.columns[:start], *[column] * len(value), *self.columns[end:])
        return Line(self.text[:start] + value + self.text[end:], self.file, self.number, columns, self.source)

    def at(self, position: int) -> Location:
        """Return the place of a character."""
        if self.columns:
            return Location(self.file, self.number, self.columns[min(position, len(self.columns) - 1)])
        return Location(self.file, self.number)

    @property
    def location(self) -> Location:
        """Where the line begins."""
        return self.at(0)

    @property
    def shown(self) -> str | None:
        """The line as it was written, None if it may hold a secret; what a definition holds, nobody knows."""
        return None if _SECRET.search(self.source) else self.source


def without_comment(line: Line) -> Line:
    r"""Return the line up to a ``#`` or ``!`` outside of double quotes, and without the blanks around it.

    ``\#`` and ``\!`` become the characters themselves. The blanks before a backslash at the end go, too: keepalived
    reads ``priority \`` as one word.
    """
    position, quoted = 0, False
    while match := _STOP.search(line.text, position):
        found, here = match[0], match.start()
        position = match.end()
        if found == '"':
            quoted = not quoted
        elif found == "\\":
            following = line.text[position : position + 1]
            if not following:
                kept = line.cut(0, here)
                return kept.replaced(len(kept.text), len(kept.text), "\\")
            if following in "#!" and not quoted:
                line = line.replaced(here, position, "")
            else:
                position += 1
        elif not quoted:
            return line.cut(0, here)
    return line.cut(0)


def brace(line: Line) -> int | None:
    """Return where the first brace of the line stands that is no part of quoted text or of ``${NAME}``, or None."""
    first = _FIRST_WORD.match(line.text)
    either = first is not None and first[0] in SCRIPT_VALUED
    position = 0
    while match := (_IN_EITHER if either else _IN_DOUBLE).search(line.text, position):
        position = match.end()
        if match[0] in "{}":
            return match.start()
        if match[0] == '"':
            closing = line.text.find('"', position)
            if closing < 0:
                return None
            position = closing + 1
    return None
