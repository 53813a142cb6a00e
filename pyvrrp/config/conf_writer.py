"""A configuration as the text of a keepalived.conf.

Laws: pure. What the grammar of keepalived.conf has no way to say (a quotation mark and a blank in one word) raises
ValueError; nothing is written in part. Words that a definition, a condition or a comment could be seen in are quoted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from pyvrrp.config.entries import Entry
from pyvrrp.model import Script

_PLAIN = re.compile(r"[A-Za-z0-9_./:*+,=%-][A-Za-z0-9_./:*+,=%@-]*", re.ASCII)
_SPECIAL = re.compile(r"[^A-Za-z0-9_./:*+,=%@ -]", re.ASCII)


def conf_text(parts: dict[str, list[Entry]]) -> str:
    """Return the file; a part after the other, an empty line between two blocks."""
    inside = parts["global"]
    found = [Entry("global_defs", block=tuple(inside))] if inside else []
    for name, entries in parts.items():
        found += [] if name == "global" else entries
    blocks = ["\n".join(_lines(entry, "")) for entry in found]
    return "\n\n".join(blocks) + "\n" if blocks else ""


def _lines(entry: Entry, indent: str) -> Iterator[str]:
    head = indent + " ".join([entry.keyword, *(_word(word) for word in entry.words)])
    if entry.script is not None:
        yield f"{head} {_script(entry.script, named=entry.keyword == 'script')}"
    elif entry.lines is not None:
        yield head + " {"
        for line in entry.lines:
            yield indent + "    " + " ".join(_word(word) for word in line)
        yield indent + "}"
    elif entry.block is not None:
        yield head + " {"
        yield from _inside(entry.block, indent + "    ")
        yield indent + "}"
    else:
        yield head


def _inside(block: Iterable[Entry], indent: str) -> Iterator[str]:
    for entry in block:
        yield from _lines(entry, indent)


def _word(word: str) -> str:
    if _PLAIN.fullmatch(word):
        return word
    if '"' in word or "\n" in word or "\r" in word or "\0" in word or "$" in word:
        raise ValueError(f"keepalived.conf has no way to write a word with {_which(word)} in it: use YAML")
    return f'"{word}"'


def _which(word: str) -> str:
    return next(name for sign, name in _NAMES.items() if sign in word)


_NAMES = {
    '"': "a quotation mark",
    "\n": "a line end",
    "\r": "a carriage return",
    "\0": "a zero byte",
    "$": "a dollar sign",
}


def _script(script: Script, *, named: bool) -> str:
    """Return the quoted words of a script, and its user; a vrrp_script has a keyword of its own for that."""
    for word in script.words:
        if any(ord(character) > 0xFF for character in word if not character.isprintable()):
            raise ValueError("keepalived.conf has no way to write this character of a script: use YAML")
    text = " ".join('"' + _SPECIAL.sub(_escaped, word) + '"' for word in script.words)
    user = [] if named else [_word(one) for one in (script.user, script.group) if one is not None]
    return " ".join([f"'{text}'", *user])


def _escaped(match: re.Match[str]) -> str:
    """Return a character as an escape where it could mean something to any of the stages that read it."""
    character = match[0]
    return f"\\x{ord(character):02x}" if ord(character) < 0x80 else character
