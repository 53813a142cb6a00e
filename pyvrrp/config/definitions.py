"""``$NAME=value`` and ``${NAME}``: definitions, the built-in ones, and putting them where they are used.

Laws: pure. A definition is text: it is put in place where it is used, as it is at that moment, and what it holds is
looked at again. ``${NAME}`` stands anywhere; ``$NAME`` only before a blank, a comma, a closing parenthesis or the end
of the line. A definition of several lines is used only at the end of a line. Names that nobody defined stay as they
are. Numbers drawn at random follow from a seed: they are those of the C library that keepalived draws from, so that a
``random_seed`` gives the same configuration in both.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pyvrrp.config.lines import LONGEST_LINE, Line

MOST_REPLACEMENTS = 1000
"""In one line; a definition that contains itself would never end (keepalived hangs)."""

_DEFINITION = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)=[ \t]*")
_USE = re.compile(
    r"\$(?:\{(?P<braced>[A-Za-z_][A-Za-z0-9_]*)(?P<rest>[ \t][ \tA-Za-z0-9_]*)?\}"
    r"|(?P<bare>[A-Za-z_][A-Za-z0-9_]*)(?=[ \t,)]|$))"
)
_LARGEST_RANDOM = 32767


class EndlessError(ValueError):
    """A line that grows past all bounds when its definitions are put in place."""


class Random:
    """random(3) of the GNU C library: each number is the sum of two earlier ones."""

    def __init__(self, seed: int) -> None:
        self.seed(seed)

    def seed(self, seed: int) -> None:
        """Begin again, as srandom(3) does."""
        numbers = [seed & 0xFFFFFFFF or 1]
        for _ in range(30):
            numbers.append(16807 * numbers[-1] % 0x7FFFFFFF)
        self._last = [*numbers, *numbers[:3]]
        for _ in range(310):
            self._step()

    def _step(self) -> int:
        self._last.append((self._last[-31] + self._last[-3]) & 0xFFFFFFFF)
        del self._last[0]
        return self._last[-1]

    def draw(self) -> int:
        """Return the next number, 0 to 2^31 - 1."""
        return self._step() >> 1


@dataclass(frozen=True, slots=True)
class Used:
    """A line with definitions in place; ``following`` are the further lines of the one at its end, in its place."""

    line: Line
    changed: bool
    following: tuple[Line, ...] = ()


@dataclass(slots=True)
class Definitions:
    """All definitions so far. ``directory`` is asked each time, for it changes with the file that is being read."""

    config_id: str
    environment: Mapping[str, str]
    random: Random
    directory: Callable[[], str]
    lines: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def define(self, name: str, value: str) -> None:
        """Give a name a value of one line."""
        self.lines[name] = (value,)

    def use(self, line: Line) -> Used:
        """Return ``line`` with its definitions in place; raises EndlessError."""
        position, changed = 0, False
        following: tuple[Line, ...] = ()
        for _ in range(MOST_REPLACEMENTS):
            position = line.text.find("$", position)
            if position < 0:
                return Used(line, changed, following)
            match = _USE.match(line.text, position)
            value = None if match is None else self._value(match, at_end=match.end() == len(line.text))
            if match is None or value is None:
                position += 1
                continue
            changed = True
            column = line.columns[position]
            further = (Line(text, line.file, line.number, (column,) * len(text), line.source) for text in value[1:])
            following = (*further, *following)
            line = line.replaced(position, match.end(), value[0])
            if len(line.text) > LONGEST_LINE:
                raise EndlessError(f"'{match[0]}' makes this line longer than {LONGEST_LINE} characters")
            if value[0].lstrip(" \t").startswith("~"):
                return Used(line, changed, following)
        raise EndlessError("definitions that contain themselves: this line never ends")

    def _value(self, match: re.Match[str], *, at_end: bool) -> tuple[str, ...] | None:
        name, words = match["braced"] or match["bare"], (match["rest"] or "").split()
        if match["rest"] and match["rest"][-1] in " \t":
            return None
        if name in self.lines:
            lines = self.lines[name]
            return None if words or (len(lines) > 1 and not at_end) else lines
        built_in = self._built_in(name, words)
        return None if built_in is None else (built_in,)

    def _built_in(self, name: str, words: list[str]) -> str | None:
        if name == "_RANDOM":
            return self._random(words)
        if name == "_ENV" and len(words) == 1:
            return self.environment.get(words[0], "").replace("\n", " ")
        if words:
            return None
        values = {"_INSTANCE": self.config_id, "_HASH": "#", "_BANG": "!"}
        return self.directory() if name == "_PWD" else values.get(name)

    def _random(self, words: list[str]) -> str | None:
        if len(words) > 2 or not all(word.isdecimal() and len(word) < 19 for word in words):
            return None
        least, most = (*(int(word) for word in words), *(0, _LARGEST_RANDOM)[len(words) :])
        return str(self.random.draw() % (max(most, least) - least + 1) + least)


@dataclass(slots=True)
class Opening:
    """A definition that may go on in the next lines."""

    name: str
    lines: list[str]

    def add(self, text: str) -> bool:
        """Take the next line, and return whether the definition still goes on."""
        open_ = text.endswith("\\")
        kept = text[:-1].rstrip(" \t") if open_ else text
        if kept:
            self.lines.append(kept)
        return open_


def definition(line: Line) -> tuple[Opening, bool] | None:
    """Return what ``$NAME=value`` in this line begins, and whether it goes on in the next, or None for any other."""
    match = _DEFINITION.match(line.text)
    if match is None:
        return None
    opening = Opening(match[1], [])
    goes_on = opening.add(line.text[match.end() :])
    return opening, goes_on
