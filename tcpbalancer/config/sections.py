"""A haproxy.cfg cut into sections of statements; what they mean is not known here.

Laws: pure. Every line ends up in a section, in a finding, or is empty. ``setenv`` and ``presetenv`` of ``global`` act
on the lines that follow, on a copy of the environment and never on the process.

Source: HAProxy's configuration manual, sections 2.1 "Configuration file format" and 4 "Proxies".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hakit.diagnostics import Location
from tcpbalancer.config.findings import PARSING_TIGHT, Report, maybe
from tcpbalancer.config.known import REFUSED_SECTIONS, SKIPPED_SECTIONS
from tcpbalancer.config.tokens import Statement, TokenError, Word, split

PROXIES = ("defaults", "frontend", "backend", "listen")
_NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:")


@dataclass(slots=True)
class Section:
    """A section: ``kind`` is ``global`` or one of PROXIES, ``name`` is empty where there is none."""

    kind: str
    name: str
    header: Statement
    parent: Word | None = None
    statements: list[Statement] = field(default_factory=list)


def invalid_character(name: str) -> str | None:
    """Return the first character that may not stand in the name of a proxy or server."""
    return next((character for character in name if character not in _NAME_CHARACTERS), None)


class SectionReader:
    """Reads the text of one or more files into ``sections``."""

    def __init__(self, report: Report, environment: Mapping[str, str]) -> None:
        self.sections: list[Section] = []
        self.environment = dict(environment)
        self._report = report
        self._current: Section | None = None
        self._skipping = False

    def read(self, text: str, file: str) -> None:
        """Read one file; a section does not go on from one file to the next."""
        self._current, self._skipping = None, False
        lines = text.split("\n")
        for number, line in enumerate(lines, 1):
            location = Location(file, number, 1)
            try:
                words = split(line, self.environment)
            except TokenError as wrong:
                place = Location(file, number, wrong.column)
                self._report.error_as(PARSING_TIGHT, place, f"{wrong.message} at position {wrong.column}:", line)
                continue
            if words:
                self._take(Statement(words, Location(file, number, words[0].column), line))
            if number == len(lines) and line:
                message = f"Missing LF on last line, file might have been truncated at position {len(line) + 1}."
                self._report.error_as(PARSING_TIGHT, location, message)

    def _take(self, statement: Statement) -> None:
        keyword = statement.words[0].text
        if keyword in {"global", *PROXIES}:
            self._open(statement)
        elif keyword in REFUSED_SECTIONS and self._is_a_header(statement):
            self._current, self._skipping = None, True
            inside = self.sections[-1].kind if self.sections else "global"
            self._error(
                statement, 0, f"unknown keyword '{keyword}' in '{inside}' section: not supported by tcpbalancer"
            )
        elif keyword in SKIPPED_SECTIONS and self._is_a_header(statement):
            self._current, self._skipping = None, True
            self._report.advise(
                statement.location, f"section '{keyword}' is not carried out by tcpbalancer", statement.source
            )
        elif keyword.startswith(".") and len(keyword) > 1:
            self._error(statement, 0, f"'{keyword}' is not supported by tcpbalancer: write the file without conditions")
        elif self._current is not None:
            self._current.statements.append(statement)
            self._set_environment(statement)
        elif not self._skipping:
            known = ["global", *PROXIES]
            message = f"unknown keyword '{keyword}' out of section.{maybe(keyword, known).replace('; d', ' D')}"
            self._report.error_as(PARSING_TIGHT, statement.location, message, statement.source)

    def _is_a_header(self, statement: Statement) -> bool:
        """Whether the name of a section opens one here, and is not the wrong use of a keyword."""
        return len(statement.words) <= 2 or self._current is None or self._current.kind == "global"

    def _open(self, statement: Statement) -> None:
        words = statement.words
        kind = words[0].text
        name = words[1].text if len(words) > 1 and words[1].text != "from" else ""
        rest = words[2 if name else 1 :]
        if kind == "global" and len(words) > 1:
            self._error(statement, 1, f"'global' cannot handle unexpected argument '{words[1].text}'.")
        elif kind in {"frontend", "backend", "listen"} and not name:
            self._error(statement, 1, f"'{kind}' expects an <id> argument")
        elif (wrong := invalid_character(name)) is not None:
            self._error(statement, 1, f"character '{wrong}' is not permitted in '{kind}' name '{name}'.")
        elif rest and (rest[0].text != "from" or len(rest) != 2):
            hint = " please use the 'bind' keyword for listening addresses." if kind in {"frontend", "listen"} else ""
            self._error(statement, len(words) - len(rest), f"'{kind}' cannot handle unexpected argument.{hint}")
        # Whatever is wrong with its header, the section is read, so that its other mistakes are told, too.
        self._current = Section(kind, name, statement, rest[1] if len(rest) == 2 else None)
        self.sections.append(self._current)

    def _set_environment(self, statement: Statement) -> None:
        words = [word.text for word in statement.words]
        assert self._current is not None
        if self._current.kind != "global" or len(words) != 3:
            return
        if words[0] == "setenv" or (words[0] == "presetenv" and words[1] not in self.environment):
            self.environment[words[1]] = words[2]

    def _error(self, statement: Statement, position: int, message: str) -> None:
        self._report.error(statement.at(position), message, statement.source_at(position))
