"""The YAML front end: the same statements in another spelling.

Laws: pure. YAML is composed into nodes and never into objects, so no tag can make anything happen. Every key is one of
HAProxy's words; every value becomes a word of a statement with the place where it stands, and the keywords that read
haproxy.cfg read it. So both formats take the same values, refuse the same mistakes, and build the same model.

The shape::

    global: {maxconn: 2000, log: ["stdout format raw local0"]}
    defaults: {mode: tcp, timeout: {connect: 4s, client: 30m, server: 30m}}
    frontends: {NAME: {bind: "*:5432", default_backend: OTHER}}
    backends: {OTHER: {balance: roundrobin, servers: {ONE: {address: "192.0.2.1:5432", check: true, port: 8008}}}}
    listens: {NAME: {...}}

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
from tcpbalancer.config.known import GLOBAL, PROXY, TUNE
from tcpbalancer.config.registry import GLOBAL_KEYWORDS, KEYWORDS
from tcpbalancer.config.sections import Section
from tcpbalancer.config.tokens import Statement, Word

KINDS = {"frontends": "frontend", "backends": "backend", "listens": "listen"}
_GROUPS = ("timeout", "option", "stats", "http-check", "tcp-check", "tcp-request", "tcp-response", "stick")
"""Keys that hold a mapping: each key in it is the second word of a statement."""
_TRUE = frozenset({"true", "yes", "on"})
_FALSE = frozenset({"false", "no", "off"})
_Words: TypeAlias = list[Word]


class _ShapeError(Exception):
    """A node that is not what has to stand there."""

    def __init__(self, node: Node, message: str) -> None:
        self.node = node
        self.message = message
        super().__init__(message)


def read_yaml(text: str, file: str, report: Report) -> list[Section]:
    """Return the sections of one YAML file; what is wrong is in the report."""
    reader = _Reader(text, file, report)
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as wrong:
        mark = wrong.problem_mark or wrong.context_mark
        reader.error(mark.line if mark else 0, mark.column if mark else 0, f"this is not YAML: {wrong.problem}")
        return []
    except yaml.reader.ReaderError as wrong:
        line = text.count("\n", 0, wrong.position)
        reader.error(
            line, wrong.position - (text.rfind("\n", 0, wrong.position) + 1), f"this is not YAML: {wrong.reason}"
        )
        return []
    except RecursionError:
        reader.error(0, 0, "this is nested too deeply")
        return []
    return [] if root is None else list(reader.sections(root))


class _Reader:
    def __init__(self, text: str, file: str, report: Report) -> None:
        self._lines = text.split("\n")
        self._file = file
        self._report = report

    def error(self, line: int, column: int, message: str) -> None:
        """Report an error; ``line`` and ``column`` count from 0, as YAML's marks do."""
        source = self._lines[line] if line < len(self._lines) else None
        self._report.error(Location(self._file, line + 1, column + 1), message, source)

    def sections(self, root: Node) -> Iterator[Section]:
        """Yield ``global`` and ``defaults`` first, whatever their place, then the proxies in the order of the file."""
        top = dict(self._entries(root, ("global", "defaults", *KINDS)))
        by_name = {key.value: (key, node) for key, node in top.items()}
        for kind in ("global", "defaults"):
            if kind in by_name:
                yield self._section(kind, by_name[kind][0], "", by_name[kind][1])
        for key, node in top.items():
            if key.value in KINDS:
                for name, body in self._entries(node, None):
                    yield self._section(KINDS[key.value], name, name.value, body)

    def _section(self, kind: str, key: ScalarNode, name: str, body: Node) -> Section:
        header = [Word(kind, key.start_mark.column + 1), Word(name, key.start_mark.column + 1)]
        section = Section(kind, name, self._statement(key, header))
        known = _global_keys() if kind == "global" else _proxy_keys()
        for entry, value in self._entries(body, known):
            for read in self._statements(entry, value):
                self._try(section, read)
        return section

    def _try(self, section: Section, read: Callable[[], Iterable[Statement]]) -> None:
        try:
            section.statements += read()
        except _ShapeError as wrong:
            mark = wrong.node.start_mark
            self.error(mark.line, mark.column, wrong.message)

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
        elif key.value in _GROUPS and isinstance(value, MappingNode):
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
            text = _text(item)
            if text.lower() in _FALSE and _is_bare(item):
                yield self._statement(key, [_word(key, "no"), *words])
            elif text.lower() in _TRUE and _is_bare(item):
                yield self._statement(key, words)
            else:
                yield self._statement(key, [*words, *self._cut(words, item)])

    @staticmethod
    def _cut(words: _Words, item: Node) -> _Words:
        """A value is cut at spaces, but for the texts that hold some."""
        text = _text(item)
        name = " ".join(word.text for word in words)
        if name in {"stats auth", "stats realm", "description"}:
            return [_word(item, text)]
        return [_word(item, part) for part in text.split()]

    def _server(self, key: ScalarNode, name: ScalarNode, body: Node) -> list[Statement]:
        words = [_word(key, "server"), _word(name, name.value)]
        if isinstance(body, ScalarNode):
            return [self._statement(name, [*words, *(_word(body, part) for part in body.value.split())])]
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
    return tuple(sorted({*(name.split()[0] for name in KEYWORDS), *PROXY, "servers"} - {"server"}))


def _global_keys() -> tuple[str, ...]:
    return tuple(sorted({*(name.split()[0] for name in GLOBAL_KEYWORDS), *GLOBAL, *TUNE}))
