"""Sections as the text of a YAML file.

Laws: pure. Read again, the text gives the same statements. ``yaml_text`` groups them under their keywords, as one would
write them by hand; ``ordered_yaml_text`` keeps every statement in its place, and is not as pleasant.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from tcpbalancer.config.cfg_writer import line
from tcpbalancer.config.known import SERVER
from tcpbalancer.config.line_options import SERVER_OPTIONS
from tcpbalancer.config.sections import Section
from tcpbalancer.config.yaml_file import GROUPS, KINDS, TEXTS

_PLURALS = {kind: key for key, kind in KINDS.items()}
_UNORDERED = frozenset({"email-alert", "external-check", "option", "stats", "timeout"})
"""Groups whose statements say the same in any order."""
_Words = tuple[str, ...]


class _Dumper(yaml.SafeDumper):
    """YAML as people write it: lists are indented below their keys."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> Any:  # noqa: FBT001, ARG002
        return super().increase_indent(flow, indentless=False)


def _represent(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    """Write what cannot be printed with escapes: between single quotes it would be taken for the end of a line."""
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if text.isprintable() else '"')


_Dumper.add_representer(str, _represent)


def yaml_text(sections: Sequence[Section]) -> str:
    """Return the sections grouped by kind, and the statements by keyword.

    Raises ValueError for what has no place there, such as two sections of one name.
    """
    root: dict[str, Any] = {}
    for section in sections:
        words = [word.text for word in section.header.words]
        body = _grouped(section)
        if section.parent is not None and section.kind in _PLURALS:
            body = {"from": section.parent.text, **body}
            words = words[:2]
        if section.kind in _PLURALS:
            group = root.setdefault(_PLURALS[section.kind], {})
            _put(group, section.name, body)
        else:
            _put(root, " ".join(words), body)
    return _dumped(root)


def ordered_yaml_text(sections: Sequence[Section]) -> str:
    """Return the sections as a list of headers, and the statements of each as a list."""
    return _dumped(
        [{_header(section): [_entry(_words(found)) for found in section.statements]} for section in sections]
    )


def _header(section: Section) -> str:
    return " ".join(word.text for word in section.header.words)


def _dumped(root: Any) -> str:
    text: str = yaml.dump(
        root, Dumper=_Dumper, sort_keys=False, default_flow_style=False, allow_unicode=True, width=10_000
    )
    return text


def _words(statement: Any) -> _Words:
    return tuple(word.text for word in statement.words)


def _put(mapping: dict[str, Any], key: str, value: Any) -> None:
    if key in mapping:
        raise ValueError(f"'{key}' is there twice")
    mapping[key] = value


def _grouped(section: Section) -> dict[str, Any]:
    body: dict[str, Any] = {}
    by_first: dict[str, list[_Words]] = {}
    for statement in section.statements:
        words = _words(statement)
        negated = words[0] == "no" and len(words) > 1
        by_first.setdefault(words[1] if negated else words[0], []).append(words)
    for first, found in by_first.items():
        if first == "server":
            servers: dict[str, Any] = {}
            for words in found:
                _put(servers, words[1], _server(words))
            body["servers"] = servers
        elif first in GROUPS and (group := _group(found)) is not None:
            body[first] = group
        else:
            values = [_value(words, 1) for words in found]
            body[first] = values[0] if len(values) == 1 and not isinstance(values[0], list) else values
    return body


def _group(found: Sequence[_Words]) -> dict[str, Any] | None:
    """Return statements by their second word, None if it cannot tell them apart, or their order counts."""
    if len(found) > 1 and found[0][found[0][0] == "no"] not in _UNORDERED:
        return None
    group: dict[str, Any] = {}
    for words in found:
        start = 1 if words[0] == "no" else 0
        if len(words) < start + 2 or words[start + 1] in group:
            return None
        value = _value(words, 2)
        group[words[start + 1]] = [value] if isinstance(value, list) else value
    return group


def _value(words: _Words, count: int) -> Any:
    """Return what stands behind the first ``count`` words: true for nothing, false behind ``no``, a text, or a list."""
    if words[0] == "no" and len(words) > 1:
        if len(words) > count + 1:
            raise ValueError(f"'{' '.join(words)}' has words behind what 'no' takes back")
        return False
    rest = words[count:]
    if not rest:
        return True
    if " ".join(words[:count]) in TEXTS:
        return _scalar(rest[0]) if len(rest) == 1 else list(rest)
    return _scalar(line(rest))


def _scalar(text: str) -> Any:
    """Return a text, or the number that is written like it."""
    return int(text) if text.isascii() and text.isdigit() and str(int(text)) == text else text


def _entry(words: _Words) -> dict[str, Any]:
    """Return one statement as a mapping of one key."""
    if words[0] == "server" and len(words) > 2:
        return {"servers": {words[1]: line(words[2:])}}
    value = _value(words, 1) if words[0] != "no" else _scalar(line(words[1:]))
    return {words[0]: [value] if isinstance(value, list) else value}


def _server(words: _Words) -> Any:
    """Return a server as a mapping of its options, or as a line if one of them cannot be told from its values."""
    options: dict[str, Any] = {"address": words[2]}
    rest = list(words[3:])
    while rest:
        name = rest.pop(0)
        option = SERVER_OPTIONS.get(name)
        needed = option.values if option is not None else SERVER.get(name)
        if needed is None or needed > len(rest) or name in options or (option is not None and "[" in option.syntax):
            return line(words[2:])
        values = [_scalar(rest.pop(0)) for _ in range(needed)]
        options[name] = True if not values else values[0] if len(values) == 1 else values
    return options
