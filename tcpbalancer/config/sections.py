"""A haproxy.cfg cut into sections of statements; what they mean is not known here.

Laws: pure. Every line ends up in a section, in a finding, is empty, or is left out by a condition. ``setenv`` and its
relatives in ``global`` act on the lines that follow, on a copy of the environment and never on the process.

Source: HAProxy's configuration manual, sections 2.1 "Configuration file format" and 4 "Proxies"; src/cfgparse.c.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from hakit.diagnostics import Location
from tcpbalancer.config.conditions import NONE, Capabilities
from tcpbalancer.config.directives import Directives, FileAbortedError
from tcpbalancer.config.findings import NOT_SUPPORTED, PARSING_TIGHT, Report, maybe
from tcpbalancer.config.known import REFUSED_SECTIONS, SKIPPED_SECTIONS
from tcpbalancer.config.tokens import PSEUDO_VARIABLES, Statement, TokenError, Word, readable, split

PROXIES = ("defaults", "frontend", "backend", "listen")
MOST_ERRORS = 50
"""Lines that are wrong, after which a file is not read on."""
_HOLD_BYTES = frozenset({"acl", "default-server", "http-check", "server", "tcp-check", "tcp-request", "tcp-response"})
"""Statements whose words may be bytes that are no text (``tokens.octets``); elsewhere they are replaced."""
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
    """Reads the text of one or more files into ``sections``.

    ``others`` names the sections, besides ``global`` and the proxies, that somebody reads.
    """

    def __init__(
        self,
        report: Report,
        environment: Mapping[str, str],
        capabilities: Capabilities = NONE,
        others: Collection[str] = (),
    ) -> None:
        self.sections: list[Section] = []
        self.environment = dict(environment)
        self._report = report
        self._capabilities = capabilities
        self._others = others
        self._current: Section | None = None
        self._skipping = False
        self._fatal = 0

    def begin_file(self) -> None:
        """A section does not go on from one file to the next."""
        self._current, self._skipping, self._fatal = None, False, 0

    def read(self, text: str, file: str) -> None:
        """Read one file."""
        self.begin_file()
        lines = text.split("\n")
        directives = Directives(self._report, self.environment, self._capabilities)
        self.environment |= {".FILE": file, ".SECTION": ""}
        try:
            for number, line in enumerate(lines, 1):
                self.environment[".LINE"] = str(number)
                self._line(line, Location(file, number, 1), directives)
            directives.end(Location(file, len(lines) - (not lines[-1]), 1))
        except FileAbortedError:
            return
        finally:
            for name in PSEUDO_VARIABLES:
                self.environment.pop(name, None)
        if lines[-1]:
            message = f"Missing LF on last line, file might have been truncated at position {len(lines[-1]) + 1}."
            self._report.error_as(PARSING_TIGHT, Location(file, len(lines), 1), message)

    def _line(self, line: str, location: Location, directives: Directives) -> None:
        if self._fatal >= MOST_ERRORS:
            message = f"too many fatal errors ({self._fatal}), stopping now."
            self._report.error_as(PARSING_TIGHT, location, message)
            raise FileAbortedError
        before = self._report.errors
        if "\0" in line:
            message = f"Stray NUL character at position {line.index(chr(0)) + 1}."
            self._report.error_as(PARSING_TIGHT, location, message)
            raise FileAbortedError
        if line.lstrip().startswith("["):
            self._scope(line, location)
            return
        try:
            words = split(line, self.environment)
        except TokenError as wrong:
            place = Location(location.file, location.line, wrong.column)
            self._report.error_as(PARSING_TIGHT, place, wrong.message, readable(line))
        else:
            if words and words[0].text:
                if words[0].text not in _HOLD_BYTES:
                    words = tuple(replace(word, text=readable(word.text)) for word in words)
                statement = Statement(words, Location(location.file, location.line, words[0].column), readable(line))
                if not directives.take(statement):
                    self.take(statement)
        self._fatal += self._report.errors > before

    def _scope(self, line: str, location: Location) -> None:
        """A line ``[name]``: HAProxy takes it, and nothing follows from it."""
        name, bracket, rest = line.strip()[1:].partition("]")
        if not name or not bracket:
            self._report.error(location, "empty scope name is forbidden.", line)
        elif (wrong := invalid_character(name)) is not None:
            self._report.error(location, f"character '{wrong}' is not permitted in a scope name.", line)
        elif rest.strip() and not rest.strip().startswith("#"):
            message = f"character '{rest.strip()[0]}' is not permitted after scope declaration."
            self._report.error(location, message, line)

    def take(self, statement: Statement) -> None:
        """Take the header of a section, or a statement of the section that is open."""
        if not self._has_no_empty_word(statement):
            return
        keyword = statement.words[0].text
        if keyword in {"global", *PROXIES}:
            self._open(statement)
        elif keyword in self._others:
            name = statement.words[1].text if len(statement.words) > 1 else ""
            self._begin(Section(keyword, name, statement))
        elif keyword in REFUSED_SECTIONS and self._is_a_header(statement):
            self._current, self._skipping = None, True
            inside = self.sections[-1].kind if self.sections else "global"
            self._error(statement, 0, f"unknown keyword '{keyword}' in '{inside}' section{NOT_SUPPORTED}")
        elif keyword in SKIPPED_SECTIONS and self._is_a_header(statement):
            self._begin(Section(keyword, statement.words[1].text if len(statement.words) > 1 else "", statement))
            self._report.advise(
                statement.location, f"section '{keyword}' is not carried out by tcpbalancer", statement.source
            )
        elif self._current is not None:
            self._current.statements.append(statement)
            self._set_environment(statement)
        elif not self._skipping:
            known = ["global", *PROXIES]
            message = f"unknown keyword '{keyword}' out of section.{maybe(keyword, known).replace('; d', ' D')}"
            self._report.error_as(PARSING_TIGHT, statement.location, message, statement.source)

    def _has_no_empty_word(self, statement: Statement) -> bool:
        """An empty word would end the line for HAProxy, and hide what stands behind it; 3.x refuses it."""
        for number, word in enumerate(statement.words):
            if not word.text:
                place = Location(statement.location.file, statement.location.line, word.empty_at or word.column)
                message = (
                    f"argument number {number} at position {place.column} is empty and marks the end of the argument "
                    "list:"
                )
                self._report.error_as(PARSING_TIGHT, place, message, statement.source)
                return False
        return True

    def _is_a_header(self, statement: Statement) -> bool:
        """Whether the name of a section opens one here, and is not the wrong use of a keyword."""
        return len(statement.words) <= 2 or self._current is None or self._current.kind == "global"

    def _begin(self, section: Section) -> None:
        self._current, self._skipping = section, False
        self.environment[".SECTION"] = section.name or section.kind
        self.sections.append(section)

    def _open(self, statement: Statement) -> None:
        words = [word.text for word in statement.words]
        kind = words[0]
        # "defaults from x" has no name; "listen from" has a strange one.
        unnamed = kind == "global" or (kind == "defaults" and words[1:2] == ["from"] and len(words) == 3)
        name = "" if unnamed or len(words) < 2 else words[1]
        rest = words[2 if name else 1 :]
        if kind in {"frontend", "backend", "listen"} and not name:
            self._error(statement, 1, f"'{kind}' expects an <id> argument")
        elif kind != "defaults" and (wrong := invalid_character(name)) is not None:
            self._error(statement, 1, f"character '{wrong}' is not permitted in '{kind}' name '{name}'.")
        inherits = rest[:1] == ["from"] and len(rest) > 1 and kind != "global"
        self._refuse_rest(statement, len(words) - len(rest) + (2 if inherits else 0))
        # Whatever is wrong with its header, the section is read, so that its other mistakes are told, too.
        parent = statement.words[len(words) - len(rest) + 1] if inherits else None
        self._begin(Section(kind, name, statement, parent))

    def _refuse_rest(self, statement: Statement, position: int) -> None:
        """Report words of a header that mean nothing; behind the name of ``defaults``, HAProxy takes them."""
        kind = statement.words[0].text
        if position >= len(statement.words) or (kind == "defaults" and position <= 2):
            return
        if kind in {"frontend", "listen"} and position <= 2:
            self._error(statement, position, "please use the 'bind' keyword for listening addresses.")
        else:
            text = statement.words[position].text
            self._error(statement, position, f"'{kind}' cannot handle unexpected argument '{text}'.")

    def _set_environment(self, statement: Statement) -> None:
        """Act on the lines that follow; what is wrong with the words, their keyword says."""
        name, *words = (word.text for word in statement.words)
        if self._current is None or self._current.kind != "global":
            return
        if name in {"setenv", "presetenv"} and len(words) == 2:
            if name == "setenv" or words[0] not in self.environment:
                self.environment[words[0]] = words[1]
        elif name == "unsetenv":
            for word in words:
                self.environment.pop(word, None)
        elif name == "resetenv":
            for word in {*self.environment} - {*words, *PSEUDO_VARIABLES}:
                del self.environment[word]

    def _error(self, statement: Statement, position: int, message: str) -> None:
        self._report.error(statement.at(position), message, statement.source_at(position))
