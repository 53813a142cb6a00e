"""The same configuration in YAML: keepalived's nouns, in YAML's shape.

    global:     {router_id: LVS_DEVEL, script_user: root}
    scripts:    {NAME: {script: [/path/of/check, argument], interval: 2, ...}}
    instances:  {NAME: {state: MASTER, interface: eth0, virtual_ipaddress: [192.168.50.10/24], ...}}

Laws: pure. YAML is turned into the statements that keepalived.conf would have, so that both have one meaning; every
word keeps the line and column of its node. Scalars are taken as they are written (no ``yes`` that turns into true
except where a switch is meant). Unknown keys are errors, aliases are refused, and no object is ever built from a tag.
"""

from __future__ import annotations

from typing import Any

from hakit.diagnostics import ConfigError, Findings, Location, did_you_mean
from pyvrrp.config.keepalived import build
from pyvrrp.config.surroundings import Surroundings
from pyvrrp.config.tree import SCRIPT_VALUED, Statement, Word
from pyvrrp.config.values import quote_script
from pyvrrp.model import Configuration

ROOTS = {"global": "global_defs", "scripts": "vrrp_script", "instances": "vrrp_instance"}
LINES = frozenset({"virtual_ipaddress", "track_script", "track_interface"})
"""Keys whose value is a list of lines, each as it would stand in keepalived.conf."""
SWITCHES = frozenset({"preempt", "nopreempt", "init_fail"})
WHOLE = frozenset({"auth_pass", "router_id"})
"""Keys whose value is one word, white space included."""
MAX_DEPTH = 16
"""Levels of nesting: a configuration has five; what is far deeper would cost PyYAML much time and then the stack."""
_TRUE, _FALSE = frozenset({"true", "yes", "on", ""}), frozenset({"false", "no", "off"})


class _Translation:
    def __init__(self, text: str, file: str, findings: Findings) -> None:
        self._lines = text.split("\n")
        self._file = file
        self._findings = findings

    def root(self, node: Any) -> tuple[Statement, ...]:
        """Return the statements of a document; ``scripts`` come before ``instances``, wherever they stand."""
        found: dict[str, list[Statement]] = {key: [] for key in ROOTS}
        for key, value in self._pairs(node, "a configuration"):
            if key.text not in ROOTS:
                self._error(key.location, f"Unknown key '{key.text}'{did_you_mean(key.text, list(ROOTS))}")
            elif key.text == "global":
                found["global"] = [self._block((Word("global_defs", key.location),), value)]
            else:
                found[key.text] = [
                    self._block((Word(ROOTS[key.text], name.location), name), block)
                    for name, block in self._pairs(value, f"'{key.text}'")
                ]
        return tuple(statement for key in ROOTS for statement in found[key])

    def _block(self, words: tuple[Word, ...], node: Any) -> Statement:
        inside = (self._statement(key, value) for key, value in self._pairs(node, f"'{words[-1].text}'"))
        return Statement(
            words, tuple(statement for statement in inside if statement is not None), self._source(words[0])
        )

    def _statement(self, key: Word, node: Any) -> Statement | None:
        source = self._source(key)
        if key.text in SWITCHES:
            return self._switch(key, node)
        if node.id == "mapping":
            return self._block((key,), node)
        if node.id == "sequence" and key.text in LINES:
            lines = (self._scalar(item, f"'{key.text}'") for item in node.value)
            block = tuple(Statement(self._split(line), None, self._source(line)) for line in lines if line is not None)
            return Statement((key,), block, source)
        if node.id == "sequence":
            words = [word for item in node.value if (word := self._scalar(item, f"'{key.text}'")) is not None]
            if key.text in SCRIPT_VALUED and words:
                text = quote_script([word.text for word in words])
                words = [Word(text, words[0].location, quoted=True)]
            return Statement((key, *words), None, source)
        word = self._scalar(node, f"'{key.text}'")
        if word is None or (not word.text and not word.quoted):
            return Statement((key,), None, source)
        keep = key.text in SCRIPT_VALUED | WHOLE
        return Statement((key, word) if keep else (key, *self._split(word)), None, source)

    def _switch(self, key: Word, node: Any) -> Statement | None:
        word = self._scalar(node, f"'{key.text}'")
        if word is not None and word.text.lower() not in _TRUE | _FALSE:
            self._error(word.location, f"'{key.text}' is a switch: true or false")
        if word is None or word.text.lower() not in _TRUE:
            return None
        return Statement((key,), None, self._source(key))

    def _pairs(self, node: Any, what: str) -> list[tuple[Word, Any]]:
        if node.id == "scalar" and not node.value and node.style is None:
            return []
        if node.id != "mapping":
            self._error(self._place(node), f"{what} has to be a mapping of keys to values")
            return []
        pairs: dict[str, tuple[Word, Any]] = {}
        for key_node, value in node.value:
            key = self._scalar(key_node, "a key")
            if key is None:
                continue
            if key.text in pairs:
                self._error(
                    key.location, f"'{key.text}' stands twice in {what}: first at {pairs[key.text][0].location}"
                )
            pairs.setdefault(key.text, (key, value))
        return list(pairs.values())

    def _scalar(self, node: Any, what: str) -> Word | None:
        if node.id == "scalar":
            return Word(node.value, self._place(node), quoted=node.style is not None)
        self._error(self._place(node), f"{what} has to be a single value")
        return None

    def _split(self, word: Word) -> tuple[Word, ...]:
        return tuple(Word(text, word.location) for text in word.text.split()) or (Word("", word.location),)

    def _place(self, node: Any) -> Location:
        return Location(self._file, node.start_mark.line + 1, node.start_mark.column + 1)

    def _source(self, word: Word) -> str | None:
        line = self._lines[word.location.line - 1] if 0 < word.location.line <= len(self._lines) else None
        return None if line is None or "pass" in line.lower() else line

    def _error(self, location: Location, message: str) -> None:
        self._findings.error(location, message, self._source(Word("", location)))


def read_yaml(text: str, file: str, findings: Findings, surroundings: Surroundings | None = None) -> Configuration:
    """Return what a YAML text says; warnings go to ``findings``, errors raise ConfigError."""
    import yaml  # late: a daemon that reads a keepalived.conf has no need of it

    try:
        depth = 0
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            mark = event.start_mark
            place = Location(file, mark.line + 1, mark.column + 1) if mark is not None else Location(file)
            if isinstance(event, yaml.AliasEvent):
                raise ConfigError.at(place, f"aliases such as *{event.anchor} are not supported: write the value again")
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH:
                raise ConfigError.at(place, f"nested deeper than {MAX_DEPTH} levels: no configuration is")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        statements = () if node is None else _Translation(text, file, findings).root(node)
    except yaml.MarkedYAMLError as wrong:
        mark = wrong.problem_mark or wrong.context_mark
        place = Location(file, mark.line + 1, mark.column + 1) if mark is not None else Location(file)
        raise ConfigError.at(place, f"not YAML: {wrong.problem or wrong.context}") from wrong
    except (yaml.YAMLError, ValueError, OverflowError) as wrong:
        raise ConfigError.at(Location(file, 1, 1), f"not YAML: {str(wrong).splitlines()[0]}") from wrong
    return build(statements, findings, file, strict=True, surroundings=surroundings)
