"""``~SEQ`` and ``~LST``: a line that is read once for each value.

Laws: pure. A specification that cannot be understood raises ValueError with what keepalived says of it besides that it
is invalid, which may be nothing. ``~SEQ(var, [[start,] [step,]] end)`` counts; ``~SEQx`` counts in hexadecimal;
``~LST(var, a, b)`` and ``~LST({v, w}, {a, b}, {c, d})`` take one value, or one of each, after the other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pyvrrp.config.lines import Line

_HEAD = re.compile(r"~(?P<kind>SEQx?|LST)[ \t]*\(")
_SEQ = re.compile(r"[ \t]*(?P<name>[^ \t,){][^ \t,)]*)[ \t]*,(?P<numbers>[^)]*)\)")
_NAMES = re.compile(r"[ \t]*(?:\{(?P<several>[^{}()]*)\}|(?P<one>[^ \t,{}()]+))[ \t]*,")
_VALUES = re.compile(r"[ \t]*(?:\{(?P<several>[^{}()]*)\}|(?P<one>[^ \t,{}()]*))[ \t]*(?P<end>[,)])")
_NUMBER = re.compile(r"[ \t]*([+-]?(?:0[xX][0-9A-Fa-f]+|\d+)?)[ \t]*", re.ASCII)
_MOST_DIGITS = 18


@dataclass(frozen=True, slots=True)
class Repetition:
    """What a line repeats: ``names`` get each of ``values`` in turn, and ``rest`` is read each time."""

    names: tuple[str, ...]
    values: Callable[[], Iterator[tuple[str, ...]]]
    rest: Line


def is_repetition(line: Line) -> bool:
    """Whether the line begins with ``~SEQ`` or ``~LST``."""
    return line.text.startswith(("~SEQ", "~LST"))


def repetition(line: Line, expand: Callable[[str], str]) -> Repetition:
    """Return what the line repeats; ``expand`` puts definitions into the numbers; raises ValueError."""
    head = _HEAD.match(line.text)
    if head is None:
        raise ValueError
    if head["kind"] == "LST":
        return _list(line, head.end())
    return _sequence(line, head.end(), expand, hexadecimal=head["kind"] == "SEQx")


def _sequence(line: Line, start: int, expand: Callable[[str], str], *, hexadecimal: bool) -> Repetition:
    match = _SEQ.match(line.text, start)
    if match is None:
        closed = ")" in line.text[start:]
        raise ValueError("Invalid ~SEQ definition" if closed else "~SEQ missing terminating ')'")
    numbers = [_number(text) for text in expand(match["numbers"]).split(",")]
    if len(numbers) > 3:
        raise ValueError("Invalid ~SEQ definition")
    end = numbers[-1]
    if len(numbers) == 3:
        first, step = numbers[0], numbers[1]
        if not step or (first < end and step < 0) or (first > end and step > 0):
            raise ValueError("Invalid ~SEQ values")
    elif len(numbers) == 2:
        first, step = numbers[0], 1 if numbers[0] <= end else -1
    else:
        first, step = -1 if end < 0 else 1, -1 if end < 1 else 1
    if hexadecimal and (first < 0 or end < 0):
        raise ValueError("~SEQx is only valid for positive numbers")

    def values() -> Iterator[tuple[str, ...]]:
        for number in range(first, end + (1 if step > 0 else -1), step):
            yield (f"{number:x}" if hexadecimal else str(number),)

    return Repetition((match["name"],), values, line.cut(match.end()))


def _number(text: str) -> int:
    match = _NUMBER.fullmatch(text)
    if match is None or len(match[1]) > _MOST_DIGITS:
        raise ValueError("Invalid ~SEQ definition")
    digits = match[1].lstrip("+-")
    if not digits:
        return 0
    base = 16 if digits[:2] in {"0x", "0X"} else 8 if digits.startswith("0") and set(digits) <= set("01234567") else 10
    return int(digits, base) * (-1 if match[1].startswith("-") else 1)


def _list(line: Line, start: int) -> Repetition:
    names = _NAMES.match(line.text, start)
    if names is None:
        raise ValueError
    wanted = _words(names)
    position, sets = names.end(), []
    while True:
        match = _VALUES.match(line.text, position)
        if match is None:
            raise ValueError
        found = _words(match)
        if len(found) > len(wanted):
            raise ValueError("~LST specification has too many values")
        sets.append((*found, *[""] * (len(wanted) - len(found))))
        position = match.end()
        if match["end"] == ")":
            break
    return Repetition(wanted, lambda: iter(sets), line.cut(position))


def _words(match: re.Match[str]) -> tuple[str, ...]:
    if match["several"] is None:
        return (match["one"],)
    return tuple(word.strip(" \t") for word in match["several"].split(","))
