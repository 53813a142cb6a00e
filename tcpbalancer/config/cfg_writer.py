"""Sections as the text of a haproxy.cfg.

Laws: pure. Read again, the text gives the same words; comments, blank lines and conditions are gone.

Source: HAProxy's configuration manual, section 2.2 "Quoting and escaping".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from tcpbalancer.config.sections import Section
from tcpbalancer.config.tokens import octets

_SAFE = re.compile(r"[^\s\"'\\#\x00-\x1f\x7f\ud800-\udfff]+")
_CLEAN = re.compile(r"[^'\x00-\x1f\x7f\ud800-\udfff]+")
_ESCAPED = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\\": "\\\\", '"': '\\"', "$": "\\$"}


def cfg_text(sections: Iterable[Section]) -> str:
    """Return the whole file."""
    parts = []
    for section in sections:
        lines = [line(word.text for word in section.header.words)]
        lines += [f"    {line(word.text for word in statement.words)}" for statement in section.statements]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def line(words: Iterable[str]) -> str:
    """Return words as a line that is cut into them."""
    return " ".join(quoted(word) for word in words)


def quoted(word: str) -> str:
    """Return one word as it has to be written: plain, in quotes, or with escapes."""
    if _SAFE.fullmatch(word):
        return word
    if _CLEAN.fullmatch(word):
        return f"'{word}'"
    return '"' + "".join(_escaped(character) for character in word) + '"'


def _escaped(character: str) -> str:
    if character in _ESCAPED:
        return _ESCAPED[character]
    if character.isprintable() or character == " ":
        return character
    return "".join(f"\\x{byte:02x}" for byte in octets(character))


def same(one: Sequence[Section], other: Sequence[Section]) -> bool:
    """Whether both are the same sections of the same words in the same order."""
    return [written(section) for section in one] == [written(section) for section in other]


def written(section: Section) -> tuple[tuple[str, ...], ...]:
    """Return the words of a section, line by line."""
    return tuple(tuple(word.text for word in found.words) for found in (section.header, *section.statements))
