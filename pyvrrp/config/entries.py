"""A configuration as it is about to be written: keywords with their words, blocks in blocks; no file format yet.

Laws: pure. ``conf_writer.py`` makes keepalived.conf of it and ``yaml_writer.py`` YAML, so that both say the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from pyvrrp.model import Script


@dataclass(frozen=True, slots=True)
class Entry:
    """One keyword: a switch (nothing else), words, a script, lines, or a block.

    ``lines``: a block whose lines are words without a keyword. ``named``: the first word is the name of the block.
    """

    keyword: str
    words: tuple[str, ...] = ()
    script: Script | None = None
    lines: tuple[tuple[str, ...], ...] | None = None
    block: tuple[Entry, ...] | None = None
    named: bool = False


def words(keyword: str, *values: object) -> Entry:
    """Return a keyword with its values as text."""
    return Entry(keyword, tuple(number(value) if isinstance(value, float) else str(value) for value in values))


def number(value: float) -> str:
    """Return the shortest text that is read as exactly ``value``, without an exponent."""
    text = f"{Decimal(repr(value)):f}"
    return text.removesuffix(".0")


def switches(*pairs: tuple[str, bool]) -> list[Entry]:
    """Return those keywords whose switch is on."""
    return [Entry(keyword) for keyword, on in pairs if on]


def differing(*triples: tuple[str, object, object]) -> list[Entry]:
    """Return those keywords whose value (second) is not its default (third)."""
    return [words(keyword, value) for keyword, value, default in triples if value != default]


def lines(keyword: str, content: Sequence[tuple[str, ...]]) -> list[Entry]:
    """Return a block of lines, or nothing if there are none."""
    return [Entry(keyword, lines=tuple(content))] if content else []
