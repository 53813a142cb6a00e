"""The values behind keywords: numbers, switches, names, scripts.

Laws: pure. What cannot be understood raises ValueError with a sentence, in keepalived's words where it has them. The
caller knows the place.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal

from pyvrrp.model import LEAST_LEASE, LONGEST_LEASE

_WHOLE = re.compile(r"[+-]?\d+", re.ASCII)
_DECIMAL = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)", re.ASCII)
_INTERFACE = re.compile(r"[A-Za-z0-9_.:@-]{1,15}", re.ASCII)
_ESCAPES = {"a": "\a", "b": "\b", "E": "\x1b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_ESCAPE = re.compile(r"\\(?:(?P<octal>[0-7]{1,3})|x(?P<hex>[0-9A-Fa-f]{1,2})|c(?P<control>.)|(?P<other>.))", re.DOTALL)


def whole(text: str, low: int, high: int) -> int:
    """Return the number from ``low`` to ``high``."""
    if not _WHOLE.fullmatch(text):
        raise ValueError(f"invalid number '{text}'")
    number = int(text) if len(text) <= 19 else high + 1
    if not low <= number <= high:
        raise ValueError(f"number '{text}' outside range [{low}, {high}]")
    return number


def decimal(text: str, low: float, high: float) -> float:
    """Return the number from ``low`` to ``high``, which may have a fraction."""
    if not _DECIMAL.fullmatch(text):
        raise ValueError(f"invalid number '{text}'")
    number = float(Decimal(text))
    if not low <= number <= high:
        raise ValueError(f"number '{text}' outside range [{low:.6f}, {high:.6f}]")
    return number


def switch(text: str) -> bool:
    """Return what ``on``, ``true``, ``yes`` or ``off``, ``false``, ``no`` stands for: keepalived knows no capitals."""
    if text in {"on", "true", "yes"}:
        return True
    if text in {"off", "false", "no"}:
        return False
    raise ValueError(f"'{text}' is neither on, true, yes nor off, false, no")


def lease(text: str) -> int | None:
    """Return the seconds of a ``vip_lease``, 0 for ``off``, None for ``on``: what follows from the interval."""
    try:
        return None if switch(text) else 0
    except ValueError:
        pass
    if not _WHOLE.fullmatch(text) or not LEAST_LEASE <= int(text[:9]) <= LONGEST_LEASE:
        raise ValueError(f"'{text}' is neither off, on, nor whole seconds from {LEAST_LEASE} to {LONGEST_LEASE}")
    return int(text)


def interface_name(text: str) -> str:
    """Return ``text`` if a network interface can be called so."""
    if not _INTERFACE.fullmatch(text):
        raise ValueError(f"'{text}' cannot be the name of an interface: 1 to 15 letters, digits and _.:@-")
    return text


def split_script(text: str) -> tuple[str, ...]:
    """Return the words of a script's value: split at white space, both quotes, escapes outside of ``'...'``.

    keepalived.conf(5), "Scripts": ``\\a \\b \\E \\f \\n \\r \\t \\v \\nnn \\xXX \\cC``; any other
    character stands for itself.
    """
    words: list[str] = []
    word: str | None = None
    quote, position = "", 0
    while position < len(text):
        character = text[position]
        escape = _ESCAPE.match(text, position) if quote != "'" else None
        position += 1
        if escape is not None:
            word, position = (word or "") + _unescape(escape), escape.end()
        elif character == quote:
            quote = ""
        elif not quote and character in "\"'":
            quote, word = character, word or ""
        elif not quote and character.isspace():
            words.extend([] if word is None else [word])
            word = None
        else:
            word = (word or "") + character
    if quote:
        raise ValueError(f"a quotation mark {quote} is not closed in the script's words")
    words.extend([] if word is None else [word])
    if not words or not words[0]:
        raise ValueError("the script is empty: give the path of a program")
    if any("\0" in word for word in words):
        raise ValueError("a script's words cannot hold a zero byte")
    return tuple(words)


def _unescape(escape: re.Match[str]) -> str:
    if escape["octal"]:
        return chr(int(escape["octal"], 8) & 0xFF)
    if escape["hex"]:
        return chr(int(escape["hex"], 16))
    if escape["control"]:
        return chr(ord(escape["control"].upper()) & 0x1F)
    return _ESCAPES.get(escape["other"], escape["other"])


def quote_script(words: Sequence[str]) -> str:
    """Return a text that ``split_script`` splits into exactly ``words``."""
    return " ".join('"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"' for word in words)
