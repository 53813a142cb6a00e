"""The conditions of ``.if``, ``.elif`` and ``-cc``: read whole, then asked.

Laws: pure: what the program can do, and the environment, come in. Whatever is wrong is a ConditionError in HAProxy's
words. All of an expression is read before any of it is asked; what ``&&`` and ``||`` make superfluous is not asked.

Source: HAProxy's configuration manual, section 2.4 "Conditional blocks"; src/cfgcond.c; src/arg.c (make_arg_list).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NoReturn

_INTEGER = re.compile(r"\s*([+-]?)(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)", re.ASCII)
_VERSION = re.compile(r"(\d+)?(?:\.(\d+))?(?:(-dev|\.)(\d+))?", re.ASCII)
_LIBRARY = re.compile(r"(\d+)\.(\d+)\.(\d+)([a-z])?.*", re.ASCII)
_DEEPEST = 64
"""Parentheses within parentheses."""
_ESCAPES = {"\\": "\\", " ": " ", '"': '"', "'": "'", "r": "\r", "n": "\n", "t": "\t"}
_BLANKS = " \t"

_Ask = Callable[[], bool]


class ConditionError(Exception):
    """A condition that makes no sense; ``position`` counts the characters of the expression from 0."""

    def __init__(self, message: str, position: int) -> None:
        self.message = message
        self.position = position
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What the predicates ask for; ``library`` returns name and version of the TLS library, empty if there is none."""

    version: str
    features: frozenset[str] = frozenset()
    enabled: frozenset[str] = frozenset()
    library: Callable[[], str] = str


NONE = Capabilities("0")
"""Nothing at all."""


def holds(expression: str, environment: Mapping[str, str], capabilities: Capabilities) -> bool:
    """Return whether a condition holds; an empty one does not. Raises ConditionError."""
    if not expression:
        return False
    parser = _Parser(expression, environment, capabilities)
    ask = parser.whole()
    return ask()


class _Parser:
    def __init__(self, text: str, environment: Mapping[str, str], capabilities: Capabilities) -> None:
        self._text = text
        self._environment = environment
        self._capabilities = capabilities
        self._at = 0

    def whole(self) -> _Ask:
        """Read all of the text."""
        ask = self._either(_DEEPEST)
        self._skip()
        if self._at < len(self._text):
            message = f"unexpected character '{self._text[self._at]}' at the end of conditional expression"
            raise ConditionError(f"{message} '{self._text}'", self._at)
        return ask

    def _skip(self) -> None:
        while self._at < len(self._text) and self._text[self._at] in _BLANKS:
            self._at += 1

    def _unparsable(self, start: int, what: str = "expression") -> NoReturn:
        raise ConditionError(f"unparsable conditional {what} '{self._text[start:]}'", start)

    def _either(self, depth: int) -> _Ask:
        return self._joined("||", depth, self._both, any)

    def _both(self, depth: int) -> _Ask:
        return self._joined("&&", depth, self._term, all)

    def _joined(
        self, sign: str, depth: int, inner: Callable[[int], _Ask], quantify: Callable[[map[bool]], bool]
    ) -> _Ask:
        asks = [inner(depth)]
        self._skip()
        start = self._at if sign == "&&" else 0  # where HAProxy says that it goes wrong if nothing follows
        while True:
            self._skip()
            if not self._text.startswith(sign, self._at):
                return lambda: quantify(map(_asked, asks))
            self._at += 2
            self._skip()
            if self._at >= len(self._text):
                self._unparsable(start)
            asks.append(inner(depth))

    def _term(self, depth: int) -> _Ask:
        start = self._at
        self._skip()
        if self._at >= len(self._text):
            self._unparsable(start, "sub-expression")
        negated = False
        while self._text.startswith("!", self._at):
            negated = not negated
            self._at += 1
            self._skip()
        ask = self._bare(start, depth)
        return (lambda: not ask()) if negated else ask

    def _bare(self, start: int, depth: int) -> _Ask:
        number = _INTEGER.match(self._text, self._at)
        if number is not None:
            self._at = number.end()
            value = any(digit not in "0xX" for digit in number[2])
            return lambda: value
        if self._text.startswith("(", self._at):
            return self._parenthesis(start, depth)
        name = re.split(r"[ (]", self._text[self._at :], maxsplit=1)[0]
        if name not in PREDICATES:
            self._unparsable(start)
        self._at += len(name)
        wanted, predicate = PREDICATES[name]
        arguments = self._arguments(name, wanted)
        return lambda: self._call(name, predicate, arguments)

    def _call(self, name: str, predicate: _Predicate, arguments: list[str]) -> bool:
        try:
            return predicate(self._environment, self._capabilities, *arguments)
        except ValueError as wrong:
            message = f"invalid argument to conditional expression predicate '{name}': '{arguments[0]}'"
            raise ConditionError(message, len(self._text)) from wrong

    def _parenthesis(self, start: int, depth: int) -> _Ask:
        if depth <= 1:
            self._unparsable(start)
        self._at += 1
        self._skip()
        if self._at >= len(self._text):
            self._unparsable(start)
        ask = self._either(depth - 1)
        self._skip()
        if not self._text.startswith(")", self._at):
            message = f"expected ')' after conditional expression '{self._text[start:]}'"
            raise ConditionError(message, start)
        self._at += 1
        self._skip()
        return ask

    def _arguments(self, name: str, wanted: int) -> list[str]:
        """Read what stands in parentheses; without any, the first argument is empty."""
        opened = self._text.startswith("(", self._at)
        self._at += opened
        arguments: list[str] = []
        while len(arguments) < wanted:
            arguments.append(self._argument() if opened else "")
            if not self._text.startswith(",", self._at) or len(arguments) == wanted or not opened:
                break
            self._at += 1
        end = f" in argument {{}} of predicate '{name}' used in conditional expression"
        if len(arguments) < wanted:
            got = f"missing arguments (got {len(arguments)}/{wanted}), type 'string' expected"
            raise ConditionError(got + end.format(len(arguments)), self._at)
        if opened and not self._text.startswith(")", self._at):
            rest = self._text[self._at :]
            before = f"expected ')' before '{rest}'" if rest else "expected ')'"
            raise ConditionError(before + end.format(max(1, wanted - 1)), self._at)
        self._at += opened
        return arguments

    def _argument(self) -> str:
        out: list[str] = []
        quote = ""
        while self._at < len(self._text):
            character = self._text[self._at]
            if character in "\"'" and quote in {"", character}:
                quote = "" if quote else character
            elif character == "\\" and quote != "'" and self._text[self._at + 1 : self._at + 2] in _ESCAPES:
                self._at += 1
                out.append(_ESCAPES[self._text[self._at]])
            elif character in ",)" and not quote:
                break
            else:
                out.append(character)
            self._at += 1
        return "".join(out)


def _asked(ask: _Ask) -> bool:
    return ask()


def _version(text: str) -> tuple[int, int, int, int]:
    """Return a version as something that compares: development before its release."""
    found = _VERSION.match(text)
    assert found is not None
    release = int(found[3] != "-dev")
    return int(found[1] or 0), int(found[2] or 0), release, int(found[4] or 0)


def _library_before(library: str, text: str) -> bool:
    """Whether the TLS library is older than ``text``; raises ValueError if that is no version, or there is none."""
    have, asked = _LIBRARY.fullmatch(library.partition(" ")[2]), _LIBRARY.fullmatch(text)
    if have is None or asked is None:
        raise ValueError(text)
    return _letters(have) < _letters(asked)


def _letters(found: re.Match[str]) -> tuple[int, int, int, str]:
    return int(found[1]), int(found[2]), int(found[3]), found[4] or ""


def _no_such_library(_: Mapping[str, str], __: Capabilities, text: str) -> bool:
    raise ValueError(text)


_Predicate = Callable[..., bool]
PREDICATES: dict[str, tuple[int, _Predicate]] = {
    "defined": (1, lambda environment, _, name: name in environment),
    "feature": (1, lambda _, has, name: name in has.features),
    "streq": (2, lambda _, __, one, other: one == other),
    "strneq": (2, lambda _, __, one, other: one != other),
    "strstr": (2, lambda _, __, one, other: other in one),
    "version_atleast": (1, lambda _, has, text: _version(has.version) >= _version(text)),
    "version_before": (1, lambda _, has, text: _version(has.version) < _version(text)),
    "openssl_version_atleast": (1, lambda _, has, text: not _library_before(has.library(), text)),
    "openssl_version_before": (1, lambda _, has, text: _library_before(has.library(), text)),
    "ssllib_name_startswith": (1, lambda _, has, text: bool(library := has.library()) and library.startswith(text)),
    "awslc_api_atleast": (1, _no_such_library),
    "awslc_api_before": (1, _no_such_library),
    "enabled": (1, lambda _, has, name: name in has.enabled),
    "fips_mode": (0, lambda _, __: False),
}
"""How many arguments each has, and what it says: environment and capabilities come first."""
