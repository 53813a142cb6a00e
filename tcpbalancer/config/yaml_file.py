"""The YAML front end: the same statements in another spelling.

Laws: pure. YAML is composed into nodes and never into objects, so no tag can make anything happen. Every key is one of
HAProxy's words; every value becomes the words of a statement with the place where it stands, and the keywords that read
haproxy.cfg read it. So both formats take the same values, refuse the same mistakes, and build the same model.

The shape::

    global: {maxconn: 2000, log: ["stdout format raw local0"]}
    defaults: {mode: tcp, timeout: {connect: 4s, client: 30m, server: 30m}}
    frontends: {NAME: {bind: "*:5432", default_backend: OTHER}}
    backends: {OTHER: {balance: roundrobin, servers: {ONE: {address: "192.0.2.1:5432", check: true, port: 8008}}}}
    listens: {NAME: {from: DEFAULTS, ...}}
    resolvers NAME: {...}

A value is cut into words as a line of haproxy.cfg is, but for comments; a list is a statement for each of its values,
and a list in such a list is the words themselves. Any header of a section may be a key (``defaults NAME from OTHER``).
Where order counts, or a key is there twice, a list of mappings stands instead of a mapping.

Source: YAML 1.1 as PyYAML composes it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TypeAlias

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from hakit.diagnostics import Location
from tcpbalancer.config.findings import Report, maybe
from tcpbalancer.config.known import GLOBAL, PROXY, REFUSED_SECTIONS, SKIPPED_SECTIONS, TUNE
from tcpbalancer.config.registry import GLOBAL_KEYWORDS, KEYWORDS, OTHER_SECTIONS
from tcpbalancer.config.sections import PROXIES, SectionReader
from tcpbalancer.config.tokens import Statement, TokenError, Word, split

KINDS = {"frontends": "frontend", "backends": "backend", "listens": "listen"}
GROUPS = (
    "email-alert", "external-check", "hold", "http-check", "option", "stats", "stick", "tcp-check", "tcp-request",
    "tcp-response", "timeout",
)  # fmt: skip
"""Keys that may hold a mapping: each key in it is the second word of a statement."""
TEXTS = frozenset({"stats auth", "stats realm", "description"})
"""What is one word, whatever stands in it."""
_TRUE = frozenset({"true", "yes", "on"})
_FALSE = frozenset({"false", "no", "off"})
_Words: TypeAlias = list[Word]


class _ShapeError(Exception):
    """A node that is not what has to stand there."""

    def __init__(self, node: Node, message: str) -> None:
        self.node = node
        self.message = message
        super().__init__(message)


def read_yaml(text: str, file: str, report: Report, sections: SectionReader) -> None:
    """Read one YAML file into ``sections``; what is wrong is in the report."""
    reader = _Reader(text, file, report, sections)
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as wrong:
        mark = wrong.problem_mark or wrong.context_mark
        reader.error(mark.line if mark else 0, mark.column if mark else 0, f"this is not YAML: {wrong.problem}")
    except yaml.reader.ReaderError as wrong:
        line = text.count("\n", 0, wrong.position)
        reader.error(
            line, wrong.position - (text.rfind("\n", 0, wrong.position) + 1), f"this is not YAML: {wrong.reason}"
        )
    except RecursionError:
        reader.error(0, 0, "this is nested too deeply")
    else:
        if root is not None:
            sections.begin_file()
            reader.file(root)


class _Reader:
    def __init__(self, text: str, file: str, report: Report, sections: SectionReader) -> None:
        self._lines = text.split("\n")
        self._file = file
        self._report = report
        self._sections = sections

    def error(self, line: int, column: int, message: str) -> None:
        """Report an error; ``line`` and ``column`` count from 0, as YAML's marks do."""
        source = self._lines[line] if line < len(self._lines) else None
        self._report.error(Location(self._file, line + 1, column + 1), message, source)

    def file(self, root: Node) -> None:
        """Read all sections: in a mapping ``global`` and ``defaults`` first, then the others in the file's order."""
        top = list(self._in_order(root, None))
        if isinstance(root, MappingNode):
            first = ("global", "defaults")
            top.sort(key=lambda entry: first.index(entry[0].value) if entry[0].value in first else len(first))
        for key, node in top:
            kind = (key.value.split() or [""])[0]
            if key.value in KINDS:
                for name, body in self._entries(node, None):
                    self._section([_word(key, KINDS[key.value]), _word(name, name.value)], name, body)
            elif kind in {"global", *PROXIES, *OTHER_SECTIONS, *SKIPPED_SECTIONS, *REFUSED_SECTIONS}:
                self._section([_word(key, part) for part in key.value.split()], key, node)
            else:
                mark, known = key.start_mark, ("global", "defaults", *KINDS)
                self.error(mark.line, mark.column, f"unknown key '{key.value}'{maybe(key.value, known)}")

    def _section(self, header: _Words, key: ScalarNode, body: Node) -> None:
        kind = header[0].text
        known = _global_keys() if kind == "global" else _proxy_keys() if kind in PROXIES else None
        entries = list(self._in_order(body, known))
        for entry, value in entries:
            if entry.value == "from" and kind in PROXIES:
                parent = value.value if isinstance(value, ScalarNode) else ""
                header = [*header, _word(entry, "from"), _word(value, parent)]
        self._sections.take(self._statement(key, header))
        for entry, value in entries:
            if entry.value != "from" or kind not in PROXIES:
                for read in self._statements(entry, value):
                    self._try(read)

    def _try(self, read: Callable[[], Iterable[Statement]]) -> None:
        try:
            for statement in read():
                self._sections.take(statement)
        except _ShapeError as wrong:
            mark = wrong.node.start_mark
            self.error(mark.line, mark.column, wrong.message)

    def _in_order(self, node: Node, known: Sequence[str] | None) -> Iterator[tuple[ScalarNode, Node]]:
        """Yield the entries of a mapping, or those of all mappings in a list."""
        if isinstance(node, SequenceNode) and all(isinstance(item, MappingNode) for item in node.value):
            for item in node.value:
                yield from self._entries(item, known)
        else:
            yield from self._entries(node, known)

    def _entries(self, node: Node, known: Sequence[str] | None) -> Iterator[tuple[ScalarNode, Node]]:
        """Yield keys and values of a mapping; keys that are not ``known`` (None: all are) or twice there are errors."""
        if isinstance(node, ScalarNode) and node.value in {"", "~", "null"}:
            return
        if not isinstance(node, MappingNode):
            self.error(node.start_mark.line, node.start_mark.column, "a mapping is expected here: 'key: value'")
            return
        seen: set[str] = set()
        for key, value in node.value:
            mark = key.start_mark
            if not isinstance(key, ScalarNode):
                self.error(mark.line, mark.column, "a key is a single word")
            elif key.value in seen:
                self.error(mark.line, mark.column, f"'{key.value}' is given twice")
            elif known is not None and key.value not in known:
                self.error(mark.line, mark.column, f"unknown key '{key.value}'{maybe(key.value, known)}")
            else:
                seen.add(key.value)
                yield key, value

    def _statements(self, key: ScalarNode, value: Node) -> Iterator[Callable[[], Iterable[Statement]]]:
        """Yield what reads the statements of one entry, piece by piece, so that one mistake does not hide the next."""
        first = _word(key, key.value)
        if key.value == "servers":
            for name, body in self._entries(value, None):
                yield partial(self._server, key, name, body)
        elif key.value in GROUPS and isinstance(value, MappingNode):
            for second, rest in self._entries(value, None):
                yield partial(self._repeated, second, [first, _word(second, second.value)], rest)
        elif key.value == "default-server" and isinstance(value, MappingNode):
            yield lambda: [self._statement(key, [first, *self._options(value)])]
        else:
            yield partial(self._repeated, key, [first], value)

    def _repeated(self, key: ScalarNode, words: _Words, value: Node) -> Iterator[Statement]:
        """One statement for a value, one each for those of a list; ``false`` is ``no``, ``true`` adds nothing."""
        values = value.value if isinstance(value, SequenceNode) else [value]
        for item in values:
            if isinstance(item, SequenceNode):
                yield self._statement(key, [*words, *(_word(part, _text(part)) for part in item.value)])
            elif _is_bare(item) and _text(item).lower() in _FALSE:
                yield self._statement(key, [_word(key, "no"), *words])
            elif _is_bare(item) and _text(item).lower() in _TRUE:
                yield self._statement(key, words)
            elif " ".join(word.text for word in words) in TEXTS:
                yield self._statement(key, [*words, _word(item, _text(item))])
            else:
                yield self._statement(key, [*words, *self._cut(item)])

    def _cut(self, item: Node) -> _Words:
        """Return a value as the words that it would be in haproxy.cfg, a ``#`` being one of its characters."""
        try:
            words = split(_text(item), self._sections.environment, comments=False)
        except TokenError as wrong:
            raise _ShapeError(item, wrong.message) from wrong
        # In a plain value the words stand where they can be seen; quoted or folded ones begin where it begins.
        line, column = item.start_mark.line, item.start_mark.column
        plain = _is_bare(item) and item.end_mark.line == line
        return [Word(word.text, column + (word.column if plain else 1), line + 1) for word in words]

    def _server(self, key: ScalarNode, name: ScalarNode, body: Node) -> list[Statement]:
        words = [_word(key, "server"), _word(name, name.value)]
        if isinstance(body, ScalarNode):
            return [self._statement(name, [*words, *self._cut(body)])]
        if not isinstance(body, MappingNode):
            raise _ShapeError(body, "a server is an address, or a mapping with 'address' and options")
        options = [(entry, value) for entry, value in body.value if _text(entry) != "address"]
        addresses = [value for entry, value in body.value if _text(entry) == "address"]
        if len(addresses) != 1:
            raise _ShapeError(name, f"server '{name.value}' needs one 'address'")
        rest = MappingNode("tag:yaml.org,2002:map", options, body.start_mark, body.end_mark)
        return [self._statement(name, [*words, _word(addresses[0], _text(addresses[0])), *self._options(rest)])]

    def _options(self, node: MappingNode) -> _Words:
        """Return the options of a server as words: ``check: true`` is a flag, ``backup: false`` is ``no-backup``."""
        words: _Words = []
        for key, value in self._entries(node, None):
            if isinstance(value, SequenceNode):  # several words behind one option
                words += [_word(key, key.value), *(_word(item, _text(item)) for item in value.value)]
                continue
            text = _text(value)
            if text.lower() in _TRUE and _is_bare(value):
                words.append(_word(key, key.value))
            elif text.lower() in _FALSE and _is_bare(value):
                words.append(_word(key, "enabled" if key.value == "disabled" else f"no-{key.value}"))
            else:
                words += [_word(key, key.value), _word(value, text)]
        return words

    def _statement(self, key: Node, words: _Words) -> Statement:
        mark = key.start_mark
        source = self._lines[mark.line] if mark.line < len(self._lines) else ""
        return Statement(tuple(words), Location(self._file, mark.line + 1, mark.column + 1), source, self._lines)


def _word(node: Node, text: str) -> Word:
    return Word(text, node.start_mark.column + 1, node.start_mark.line + 1)


def _text(node: Node) -> str:
    if not isinstance(node, ScalarNode):
        raise _ShapeError(node, "a single value is expected here")
    return str(node.value)


def _is_bare(node: Node) -> bool:
    """Whether a word stands without quotes: only then is ``yes`` a truth value."""
    return isinstance(node, ScalarNode) and node.style is None


def _proxy_keys() -> tuple[str, ...]:
    first = {name.split()[0] for name in KEYWORDS}
    return tuple(sorted({*first, *PROXY, "servers", "from", "no"} - {"server"}))


def _global_keys() -> tuple[str, ...]:
    return tuple(sorted({*(name.split()[0] for name in GLOBAL_KEYWORDS), *GLOBAL, *TUNE, "no"}))
