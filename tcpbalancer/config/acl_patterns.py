"""What stands behind the expression of an ACL: flags, operators, values, files of values.

Laws: see ``acl``.

Source: HAProxy's configuration manual, section 7.1 "ACL basics"; ``acl.c``, ``pattern.c``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from tcpbalancer.model.rule import Pattern
from tcpbalancer.rules.patterns import METHODS, OPERATORS, compared, compared_version
from tcpbalancer.rules.samples import CASTS, Kind

_INTEGER = re.compile(r"[+-]?\d{1,10}", re.ASCII)
ReadFile = Callable[[str], Sequence[str]]
"""Returns the lines of a file of patterns; raises OSError."""


class AclError(ValueError):
    """What is wrong, in HAProxy's words; ``position`` is that of the word among those that were given."""

    def __init__(self, message: str, position: int = 0) -> None:
        self.position = position
        super().__init__(message)


class NotCarriedOutError(AclError):
    """It makes sense to HAProxy, but tcpbalancer does not know how to do it."""


class PatternReader:
    """The flags and patterns behind an expression."""

    def __init__(self, keyword: str, kind: Kind, method: str | None, read_file: ReadFile) -> None:
        self._keyword = keyword
        self._kind = kind
        self._method = method
        self._read_file = read_file
        self._forced = False
        self._ignore_case = False
        self._patterns: list[Pattern] = []
        self._operator = "eq"

    def read(self, words: Sequence[str]) -> tuple[str, tuple[Pattern, ...], bool]:
        """Return method, patterns, and whether case is ignored; raises AclError."""
        position = 1
        while position < len(words) and words[position].startswith("-"):
            if words[position] == "--":
                position += 1
                break
            value = words[position + 1] if position + 1 < len(words) else ""
            position += 1 + self._flag(words[position], value, position)
        method = self._known_method(position)
        for offset, word in enumerate(words[position:], position):
            if method in {"int", "version", "len"} and word in OPERATORS:
                self._operator = word
            elif method == "int" and word == "ne":  # HAProxy takes it, and compares as if it were "eq"
                raise AclError("'ne' is no operator: write 'eq', and '!' before the ACL", offset)
            elif method not in {"found", "bool"}:
                self._add(word, offset)
        return method, tuple(self._patterns), self._ignore_case

    def _flag(self, flag: str, value: str, position: int) -> int:
        """Take one flag; returns how many words belong to it besides."""
        match flag:
            case "-i":
                self._ignore_case = True
            case "-n":
                pass  # names are never looked up
            case "-u":
                if not _INTEGER.fullmatch(value):
                    raise AclError("the argument of -u must be an integer", position + 1)
                return 1
            case "-f":
                self._add_file(value, position)
                return 1
            case "-m":
                self._force(value, position)
                return 1
            case "-M":
                raise NotCarriedOutError("'-M' is not carried out by tcpbalancer", position)
            case _:
                raise AclError(
                    f"'{flag}' is not a valid ACL option. Please use '--' before any pattern beginning with a '-'",
                    position,
                )
        return 0

    def _force(self, name: str, position: int) -> None:
        if self._patterns:
            raise AclError("'-m' must only be specified before patterns and files in parsing ACL expression", position)
        if self._forced:
            raise AclError(
                "only one explicit matching method can be defined with '-m' parameter. if migrating from an old "
                "version, just keep the last one",
                position,
            )
        if name not in METHODS or name == "version":
            raise AclError(f"unknown matching method '{name}' when parsing ACL expression", position + 1)
        kind = METHODS[name].kind
        if kind is not None and kind not in CASTS[self._kind]:
            message = f"matching method '{name}' cannot be used with fetch keyword '{self._keyword}'"
            raise AclError(message, position + 1)
        self._method, self._forced = name, True

    def _known_method(self, position: int) -> str:
        if self._method is None:
            raise AclError(
                "matching method must be specified first (using '-m') when using a sample fetch of this type "
                f"('{self._keyword}')",
                position - 1,
            )
        return self._method

    def _add(self, text: str, position: int) -> None:
        method = self._known_method(position)
        try:
            if method in {"int", "len"}:
                self._patterns.append(compared(self._operator, text))
            elif method == "version":
                self._patterns.append(compared_version(self._operator, text))
            else:
                self._patterns.append(METHODS[method].read(text))
        except ValueError as wrong:
            raise AclError(str(wrong), position) from None

    def _add_file(self, path: str, position: int) -> None:
        self._known_method(position)
        try:
            lines = self._read_file(path)
        except OSError:
            raise AclError(f"failed to open pattern file <{path}>", position + 1) from None
        for number, line in enumerate(lines, 1):
            text = line.strip()
            if text and not text.startswith("#"):
                try:
                    self._add(text, position + 1)
                except AclError as wrong:
                    raise AclError(f"{wrong} at line {number} of file '{path}'", position + 1) from None
