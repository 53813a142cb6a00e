"""What the sections of a configuration mean: each statement goes to the keyword that reads it.

Laws: pure; nothing is raised, everything is reported. A statement is carried out, is named as not carried out, or is an
error.

Source: HAProxy's configuration manual, section 4 "Proxies" (which keyword stands where, how defaults are inherited).
"""

from __future__ import annotations

import importlib
import pkgutil
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

from tcpbalancer import config
from tcpbalancer.config import known
from tcpbalancer.config.drafts import Drafts, ProxyDraft
from tcpbalancer.config.findings import DUPLICATE, NOT_SUPPORTED, PARSING_TIGHT, SERVER, Report, maybe
from tcpbalancer.config.inheritance import Inheritance, kind_of
from tcpbalancer.config.registry import GLOBAL_KEYWORDS, KEYWORDS, OTHER_SECTIONS, Keyword, OtherSection, Reading, find
from tcpbalancer.config.removed import REMOVED, REMOVED_GLOBAL
from tcpbalancer.config.rule_order import RuleOrder
from tcpbalancer.config.sections import MOST_ERRORS, PROXIES, Section
from tcpbalancer.config.tokens import Statement

READERS = tuple(
    importlib.import_module(f"{config.__name__}.{found.name}")
    for found in pkgutil.iter_modules(config.__path__)
    if found.name.endswith("_keywords")
)
"""The modules whose import fills the registries: whatever is called ``*_keywords.py`` in this folder."""
_NEGATABLE = frozenset(
    {"option", "log", "busy-polling", "set-dumpable", "strict-limits", "insecure-fork-wanted", "numa-cpu-mapping"}
)
_NEGATION = (
    "negation/default currently supported only for options, log, busy-polling, set-dumpable, strict-limits, "
    "insecure-fork-wanted and numa-cpu-mapping."
)


def interpret(
    sections: Sequence[Section],
    report: Report,
    environment: Mapping[str, str],
    read_lines: Callable[[str], Sequence[str]] | None = None,
) -> Drafts:
    """Return the drafts of all sections; what is wrong is in the report. ``read_lines`` reads a file of patterns."""
    interpreter = _Interpreter(report, environment)
    interpreter.drafts.whole.read_lines = read_lines
    return interpreter.run(sections)


class _Interpreter:
    def __init__(self, report: Report, environment: Mapping[str, str]) -> None:
        self._report = report
        self.drafts = Drafts()
        self.drafts.whole.environment = environment
        self._inheritance = Inheritance(report)
        self._by_name: dict[str, list[ProxyDraft]] = defaultdict(list)
        self._wrong: Counter[str] = Counter()  # statements, by file

    def run(self, sections: Sequence[Section]) -> Drafts:
        for section in sections:
            if section.kind == "global":
                for statement in self._statements(section):
                    self._read_global(statement)
            elif section.kind in OTHER_SECTIONS:
                self._read_other(section, OTHER_SECTIONS[section.kind])
            elif section.kind in PROXIES:
                self._read_proxy(section)
        return self.drafts

    def _statements(self, section: Section) -> Iterator[Statement]:
        """Yield statement after statement, until too many of the file are wrong."""
        for statement in section.statements:
            file = statement.location.file
            if self._wrong[file] >= MOST_ERRORS:
                if self._wrong[file] == MOST_ERRORS:
                    message = f"too many fatal errors ({MOST_ERRORS}), stopping now."
                    self._report.error_as(PARSING_TIGHT, statement.location, message)
                    self._wrong[file] += 1
                return
            before = self._report.errors
            yield statement
            self._wrong[file] += self._report.errors > before

    def _read_global(self, statement: Statement) -> None:
        reading = Reading(statement, self._report, self.drafts.whole, negated=_is_negated(statement))
        name = reading.words[0]
        if reading.negated and name not in _NEGATABLE:
            self._report.error_as(PARSING_TIGHT, statement.at(0), _NEGATION, statement.source)
            return
        entry = find(GLOBAL_KEYWORDS, reading.words)
        if entry is not None and (entry.negatable or not reading.negated):
            entry.handler(reading)
        elif name in REMOVED_GLOBAL:
            reading.error(0, REMOVED_GLOBAL[name])
        elif known.is_global(name) or name in GLOBAL_KEYWORDS:
            reading.not_carried_out(0, f"'{name}'")
        else:
            hint = (
                NOT_SUPPORTED
                if name in known.REFUSED_GLOBAL
                else maybe(name, [*GLOBAL_KEYWORDS, *known.GLOBAL, *known.TUNE])
            )
            reading.error(0, f"unknown keyword '{name}' in 'global' section{hint}")

    def _read_other(self, section: Section, kind: OtherSection) -> None:
        inside = kind.begin(Reading(section.header, self._report, self.drafts.whole))
        if inside is None:
            return
        for statement in self._statements(section):
            reading = Reading(statement, self._report, self.drafts.whole, None, _is_negated(statement), inside)
            entry = find(kind.keywords, reading.words)
            if entry is not None and not reading.negated:
                entry.handler(reading)
            else:
                name = reading.words[0]
                hint = maybe(name, sorted(kind.keywords))
                reading.error(0, f"unknown keyword '{name}' in '{kind.kind}' section{hint}")

    def _read_proxy(self, section: Section) -> None:
        draft = ProxyDraft(section, self._inheritance.settings_for(section))
        self._refuse_duplicate(draft)
        order = RuleOrder()
        for statement in self._statements(section):
            order.look_at(Reading(statement, self._report, self.drafts.whole, draft, _is_negated(statement)))
            self._read_statement(draft, statement)
        if section.kind == "defaults":
            self._inheritance.remember(draft)
        else:
            self.drafts.proxies.append(draft)
            self._by_name[draft.name].append(draft)

    def _refuse_duplicate(self, draft: ProxyDraft) -> None:
        for earlier in self._by_name[draft.name]:
            both = (earlier.has_frontend and draft.has_frontend) or (earlier.has_backend and draft.has_backend)
            if both:
                header = draft.section.header
                message = (
                    f"{kind_of(draft.section)} '{draft.name}' has the same name as {kind_of(earlier.section)} "
                    f"'{earlier.name}' declared at "
                    f"{earlier.section.header.location.file}:{earlier.section.header.location.line}."
                )
                self._report.error_as(DUPLICATE, header.at(1), message, header.source)
                hint = "This is no longer supported as of 3.3. Please rename one or the other."
                self._report.error_as(DUPLICATE, header.at(1), f"{message} {hint}")

    def _read_statement(self, draft: ProxyDraft, statement: Statement) -> None:
        reading = Reading(statement, self._report, self.drafts.whole, draft, _is_negated(statement))
        name = reading.words[0]
        if reading.negated and name not in _NEGATABLE:
            self._report.error_as(PARSING_TIGHT, statement.at(0), _NEGATION, statement.source)
            return
        entry = find(KEYWORDS, reading.words)
        # A rule that somebody carries out is not refused; ``stats`` alone would take its rules for settings.
        denial = _denial(reading.words) if entry is None or entry.name == "stats" else None
        if denial is not None:
            reading.error(0, f"'{denial}' is not supported by tcpbalancer: everybody would be let in")
        elif entry is None and name in REMOVED:
            reading.error(0, REMOVED[name])
        elif entry is None and name in known.PROXY:
            reading.not_carried_out(0, f"'{name}'")
        elif entry is None:
            candidates = [*(word.split()[0] for word in KEYWORDS), *known.PROXY]
            hint = NOT_SUPPORTED if name in known.REFUSED_PROXY else maybe(name, candidates)
            reading.error(0, f"unknown keyword '{name}' in '{draft.kind}' section{hint}")
        elif reading.negated and not entry.negatable:
            message = f"negation/default is not supported for option '{reading.words[1]}'."
            reading.report.error_as(PARSING_TIGHT, statement.at(0), message, statement.source)
        elif draft.kind in entry.sections:
            entry.handler(reading)
        else:
            _misplaced(reading, entry)


def _denial(words: Sequence[str]) -> str | None:
    """Return the rule of a statement that keeps clients out, such as ``tcp-request connection reject``."""
    rule = words[1:] if words[0] == "stats" else words
    if not rule or rule[0] not in known.ACCESS_RULES:
        return None
    head = rule[: 2 if rule[0] == "http-request" else 3]
    return " ".join(words[: len(words) - len(rule) + len(head)]) if head[-1] in known.DENIALS else None


def _is_negated(statement: Statement) -> bool:
    """Whether ``no`` stands before it; ``default`` is the same: what both can stand before is off by itself."""
    return statement.words[0].text in {"no", "default"} and len(statement.words) > 1


def _misplaced(reading: Reading, entry: Keyword) -> None:
    draft = reading.draft
    name = "stick" if entry.name.startswith("stick ") else entry.name
    if draft.kind == "defaults":
        reading.error(0, f"'{name}' not allowed in 'defaults' section.")
        return
    missing = "backend" if draft.kind == "frontend" else "frontend"
    if name == "server":
        message = f"'server' not allowed because {draft.kind} '{draft.name}' has no {missing} capability."
        reading.error(0, message, SERVER)
    else:
        name = name.removeprefix("option ")
        reading.warn(0, f"'{name}' ignored because {draft.kind} '{draft.name}' has no {missing} capability.")
