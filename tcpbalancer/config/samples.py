"""Samples and log-format strings in the rules of checks.

Laws: pure. A sample that cannot be looked up here is refused by name: without it other bytes would be sent, or others
expected, than the file asks for.

Source: HAProxy's configuration manual, sections 7.3 "Fetching samples" and 8.2.6 "Custom log format".
"""

from __future__ import annotations

import re

from tcpbalancer.dialogue.sample import CONVERTERS, FETCHES
from tcpbalancer.model.dialogue import Sample, Template

_NAME = re.compile(r"[A-Za-z0-9_.-]+")
_VARIABLE = re.compile(r"(check|proc)\.[A-Za-z0-9_.]+")
_SCOPES = ("proc", "sess", "txn", "req", "res", "check")
_PIECE = re.compile(r"%%|%\[|%[^%\[]?|[^%]+", re.DOTALL)


def parse_template(text: str) -> Template:
    """Return a log-format string; raises ValueError in HAProxy's words."""
    parts: list[str | Sample] = []
    position = 0
    while position < len(text):
        piece = _PIECE.match(text, position)
        assert piece is not None
        position = piece.end()
        if piece[0] == "%[":
            sample, position = _bracketed(text, position)
            parts.append(sample)
        elif piece[0] == "%%":
            parts.append("%")
        elif piece[0].startswith("%"):
            raise ValueError(f"the variable '{piece[0]}' is not carried out by tcpbalancer in checks")
        else:
            parts.append(piece[0])
    return tuple(parts)


def _bracketed(text: str, position: int) -> tuple[Sample, int]:
    """Return the sample that begins at ``position``, and the position behind the bracket that ends it."""
    try:
        sample, end = _expression(text, position, "]")
        if text[end : end + 1] != "]":
            raise ValueError("expected ']'")
    except ValueError as wrong:
        raise ValueError(f"failed to parse sample expression <{text[position:]}> : {wrong}") from wrong
    return sample, end + 1


def parse_sample(text: str) -> Sample:
    """Return a sample expression; raises ValueError in HAProxy's words."""
    sample, end = _expression(text, 0, "")
    if end < len(text):
        raise ValueError(f"unexpected '{text[end:]}' behind the sample expression")
    return sample


def parse_variable(name: str) -> str:
    """Return the name of a variable; raises ValueError for one that is out of a check's reach."""
    if not name:
        raise ValueError("Empty variable name cannot be accepted")
    if name.partition(".")[0] not in _SCOPES:
        scopes = "The scope can be 'proc', 'sess', 'txn', 'req', 'res' or 'check'"
        raise ValueError(f"invalid variable name '{name}'. A variable name must be start by its scope. {scopes}")
    if not _VARIABLE.fullmatch(name):
        raise ValueError(f"the variable '{name}' is not carried out by tcpbalancer: in checks they begin with 'check.'")
    return name


def _expression(text: str, position: int, end: str) -> tuple[Sample, int]:
    """Return a sample and the position behind it."""
    name, arguments, position = _call(text, position, end)
    if name not in FETCHES:
        raise ValueError(f"unknown fetch method '{name}'")
    _count("fetch method", name, arguments, *FETCHES[name][:2])
    if name == "var":
        parse_variable(arguments[0])
    converters: list[tuple[str, tuple[str, ...]]] = []
    while text[position : position + 1] == ",":
        converter, values, position = _call(text, position + 1, end)
        if converter not in CONVERTERS:
            raise ValueError(f"unknown converter '{converter}'")
        _count("converter", converter, values, *CONVERTERS[converter][:2])
        converters.append((converter, values))
    return Sample(name, arguments, tuple(converters)), position


def _count(kind: str, name: str, arguments: tuple[str, ...], least: int, most: int) -> None:
    if not least <= len(arguments) <= most:
        wanted = str(least) if least == most else f"{least} to {most}"
        raise ValueError(f"{kind} '{name}' expects {wanted} arguments but got {len(arguments)}")


def _call(text: str, position: int, end: str) -> tuple[str, tuple[str, ...], int]:
    """Return a name, its arguments, and the position behind them."""
    while text[position : position + 1] == " ":
        position += 1
    name = _NAME.match(text, position)
    if name is None:
        raise ValueError(f"missing fetch method in '{text}'")
    position = name.end()
    if text[position : position + 1] != "(":
        return name[0], (), position
    arguments, position = _arguments(text, position + 1)
    while end and text[position : position + 1] == " ":
        position += 1
    return name[0], arguments, position


def _arguments(text: str, position: int) -> tuple[tuple[str, ...], int]:
    """Return what stands between parentheses, cut at commas; quotes keep commas and parentheses together."""
    found = [""]
    quote = ""
    while position < len(text):
        character = text[position]
        position += 1
        if quote:
            if character == quote:
                quote = ""
            else:
                found[-1] += character
        elif character in {"'", '"'}:
            quote = character
        elif character == ")":
            return tuple(found) if found != [""] else (), position
        elif character == ",":
            found.append("")
        else:
            found[-1] += character
    raise ValueError("expected ')'")
