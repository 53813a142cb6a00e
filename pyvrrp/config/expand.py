"""The text stage: from a file as it was written to the lines that mean something.

Laws: pure; other files come through a Reader. In keepalived's order a line loses its comment, is left out if its
``@id`` does not fit, becomes a definition (``$NAME=``), is repeated (``~SEQ``, ``~LST``), has its definitions put in
place, is an include, and ends at its first brace: what stands behind a brace is a line of its own and goes the same
way. Whatever a file says, there is an end: lines, files and the depth of includes are bounded, with one error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from hakit.diagnostics import ConfigError, Findings, Location
from pyvrrp.config.definitions import Definitions, EndlessError, Opening, Random, definition
from pyvrrp.config.include import (
    NOTHING,
    Check,
    Complaint,
    Included,
    Reader,
    SkippedError,
    checks_after,
    directive,
    look_up,
)
from pyvrrp.config.lines import LONGEST_LINE, Line, brace, without_comment
from pyvrrp.config.repetition import Repetition, is_repetition, repetition

MOST_LINES = 100_000
MOST_FILES = 1_000
DEEPEST_INCLUDE = 16
_SEED = re.compile(r"[0-9]{1,10}")


@dataclass(frozen=True, slots=True)
class Outside:
    """What a configuration's text may refer to outside of itself.

    ``config_id`` is what ``@id`` is compared with. ``directory``: of the main file, in full. ``seed``: what random
    numbers follow from, unless the file says. ``reader`` None: includes cannot be followed.
    """

    config_id: str = ""
    environment: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    directory: str = "."
    seed: int = 1
    reader: Reader | None = None


@dataclass(slots=True)
class _File:
    """A file that is being read, and the include checks that hold in it."""

    name: str
    identity: str
    directory: str
    checks: Check


@dataclass(slots=True)
class _Work:
    """Lines still to come; ``file`` is set if they are those of a file."""

    lines: Iterator[Line]
    file: _File | None = None


def _physical(text: str, file: str) -> Iterator[Line]:
    for number, line in enumerate(text.split("\n"), start=1):
        yield Line.read(line.removesuffix("\r"), file, number)


class Expansion:
    """The lines of one configuration. ``files``: the names of all files that were read, the main one first."""

    def __init__(self, text: str, file: str, findings: Findings, outside: Outside) -> None:
        self._findings = findings
        self._reader = outside.reader
        self._work = [_Work(_physical(text, file), _File(file, file, outside.directory, NOTHING))]
        self._definitions = Definitions(
            outside.config_id, outside.environment, Random(outside.seed), lambda: self._file.directory
        )
        self._opening: Opening | None = None
        self._count = 0
        self.files = [file]

    def __iter__(self) -> Iterator[Line]:
        """Return the lines one by one: no comments, nothing empty, a brace only at the beginning."""
        while self._work:
            work = self._work[-1]
            found = next(work.lines, None)
            if found is None:
                self._work.pop()
                continue
            self._count += 1
            if self._count > MOST_LINES:
                raise ConfigError.at(
                    found.location, f"the configuration grows past {MOST_LINES} lines here: does it repeat itself?"
                )
            line = found if work.file is None else self._stripped(found)
            if line.text:
                yield from self._meaning(line)

    @property
    def _file(self) -> _File:
        return next(work.file for work in reversed(self._work) if work.file is not None)

    def _stripped(self, line: Line) -> Line:
        """Return a line of a file without comment; where nothing is left, a definition ends.

        Of keepalived's two readers the one whose process runs VRRP is followed: it reads a copy without blanks.
        """
        goes_on = line.text.endswith("\\")
        line = without_comment(line)
        if goes_on and not line.text.endswith("\\") and (self._opening is not None or definition(line) is not None):
            # A definition goes on even where the backslash stands in a comment (2.2.7; its successors end it there).
            line = line.replaced(len(line.text), len(line.text), "\\")
        if self._opening is not None and not line.text:
            self._close()
        if len(line.text) <= LONGEST_LINE:
            return line
        self._error(line, f"this line has {len(line.text)} characters: {LONGEST_LINE} at most are read as one line")
        return line.cut(0, 0)

    def _meaning(self, line: Line) -> Iterator[Line]:
        """Yield the line if there is something left of it, and note what follows from it."""
        if self._opening is not None:
            if not self._opening.add(line.text):
                self._close()
            return
        settled = self._settled(line)
        if settled is None or self._is_include(settled):
            return
        self._note(settled)
        cut = brace(settled)
        if cut is None:
            yield settled
            return
        end = cut or 1
        self._push(iter([settled.cut(end)]))
        yield settled.cut(0, end)

    def _settled(self, line: Line) -> Line | None:
        """Return the line with conditions, definitions and repetitions carried out, None if nothing is left."""
        while line.text:
            if line.text.startswith("@"):
                kept = self._condition(line)
                if kept is None:
                    return None
                line = kept
            begun = definition(line)
            if begun is not None:
                self._opening, goes_on = begun
                if not goes_on:
                    self._close()
                return None
            if is_repetition(line):
                self._repeat(line)
                return None
            try:
                used = self._definitions.use(line)
            except EndlessError as wrong:
                self._error(line, str(wrong))
                return None
            if used.following:
                self._push(iter(used.following))
            if not used.changed:
                return line
            line = without_comment(used.line)
            if not line.text.startswith(("@", "~")) and "$" not in line.text:
                return line
        return None

    def _condition(self, line: Line) -> Line | None:
        """Return what stands behind ``@id`` or ``@^id``, None if it does not hold here."""
        word, *rest = line.text.split(None, 1)
        reverse = word.startswith("@^")
        name = word[2 if reverse else 1 :]
        holds = bool(name) and name == self._definitions.config_id
        return line.cut(len(word)) if rest and holds is not reverse else None

    def _close(self) -> None:
        assert self._opening is not None
        self._definitions.lines[self._opening.name] = tuple(self._opening.lines) or ("",)
        self._opening = None

    def _repeat(self, line: Line) -> None:
        try:
            found = repetition(line, self._numbers)
        except ValueError as wrong:
            text = f" '{line.text}'" if line.shown is not None else ""
            if str(wrong):
                self._findings.warn(line.location, f"{wrong}{text}", line.shown)
            self._findings.warn(line.location, f"Invalid {line.text[:4]} specification{text}", line.shown)
            return
        self._push(self._repeated(found))

    def _repeated(self, found: Repetition) -> Iterator[Line]:
        for values in found.values():
            for name, value in zip(found.names, values, strict=True):
                self._definitions.define(name, value)
            yield found.rest

    def _numbers(self, text: str) -> str:
        return self._definitions.use(Line.read(text, "", 0)).line.text

    def _push(self, lines: Iterator[Line]) -> None:
        self._work.append(_Work(lines))

    def _note(self, line: Line) -> None:
        """Two keywords matter while text is still text."""
        words = line.text.split()
        if words[:1] == ["include_check"]:
            self._file.checks = checks_after(words[1:], self._file.checks)
        elif words[:1] == ["random_seed"] and len(words) > 1 and _SEED.fullmatch(words[1]):
            self._definitions.random.seed(int(words[1]))

    def _is_include(self, line: Line) -> bool:
        """Whether the line is an include; if so, its files come next."""
        asked = directive(line.text)
        if asked is None:
            return False
        if self._reader is None:
            self._error(line, "include: there are no other files here")
            return True
        including = self._file
        checks = asked.checks | including.checks
        found, complaints = look_up(asked.pattern, including.name, self._reader)
        if any(one.check & checks for one in complaints):
            found = []
        for complaint in complaints:
            self._complain(line, complaint, checks)
        self._push(self._opened(found, line, checks, self._reader))
        return True

    def _opened(self, paths: list[str], line: Line, checks: Check, reader: Reader) -> Iterator[Line]:
        """Open one file after the other, each once the one before was read to its end; yield nothing that counts."""
        for path in paths:
            try:
                found = reader.read(path)
            except SkippedError as wrong:
                self._complain(line, Complaint(str(wrong), Check.READABLE, wrong.harmless), checks)
                continue
            if not self._may_open(path, found, line):
                continue
            self.files.append(path)
            if len(self.files) > MOST_FILES:
                raise ConfigError.at(line.location, f"more than {MOST_FILES} files are included")
            file = _File(path, found.identity, found.directory, self._file.checks)
            self._work.append(_Work(_physical(found.text, path), file))
            yield line.cut(0, 0)

    def _may_open(self, path: str, found: Included, line: Line) -> bool:
        being_read = [work.file.identity for work in self._work if work.file is not None]
        if found.identity in being_read:
            self._error(line, f"'{path}' includes itself, by way of {len(being_read)} file(s)")
        elif len(being_read) >= DEEPEST_INCLUDE:
            self._error(line, f"'{path}': files include each other deeper than {DEEPEST_INCLUDE} levels")
        else:
            return True
        return False

    def _complain(self, line: Line, complaint: Complaint, checks: Check) -> None:
        place, source = line.location, line.shown
        if complaint.check & checks:
            self._findings.error(place, complaint.message, source)
        elif complaint.harmless:
            self._findings.advise(place, complaint.message, source)
        else:
            self._findings.warn(place, complaint.message, source)

    def _error(self, line: Line, message: str) -> None:
        place: Location = line.location
        self._findings.error(place, message, line.shown)
