"""The same configuration in YAML: keepalived's nouns, in YAML's shape.

    global:     {router_id: LVS_DEVEL, script_user: root, interface_up_down_delays: {eth0: [1, 2]}}
    scripts:    {NAME: {script: [/path/of/check, argument], interval: 2, ...}}
    files:      {NAME: {file: /path, ...}}
    processes:  {NAME: {process: [haproxy], ...}}
    urls:       {NAME: {url: http://127.0.0.1:8008/health, ...}}
    static:     {track_groups: {NAME: [VI_1]}, static_ipaddress: [...], static_routes: [...], static_rules: [...]}
    groups:     {NAME: {group: [VI_1, VI_2], ...}}
    instances:  {NAME: {state: MASTER, interface: eth0, virtual_ipaddress: [192.168.50.10/24], ...}}

A block of lines (``virtual_ipaddress``, ``track_script``, ...) is a list: of texts as they would stand in
keepalived.conf, of lists of words, or of mappings such as ``{address: 10.9.0.1/24, dev: eth0, home: true}``; or it is a
mapping such as ``{chk: {weight: 5}}``. A switch is true or false. A notify script is a text, the list of its words, or
``{script: [...], user: root}``.

Laws: pure. YAML is turned into the statements that keepalived.conf would have, so that both have one meaning; every
word keeps the line and column of its node. Scalars are taken as they are written (no ``yes`` that turns into true
except where a switch is meant). Unknown keys are errors, aliases are refused, and no object is ever built from a tag.
"""

from __future__ import annotations

from typing import Any

from hakit.diagnostics import ConfigError, Findings, Location, did_you_mean
from pyvrrp.config.global_block import TABLE as GLOBAL
from pyvrrp.config.group_block import TABLE as GROUP
from pyvrrp.config.instance_block import TABLE as INSTANCE
from pyvrrp.config.keepalived import TABLE as ROOT
from pyvrrp.config.keywords import Keyword
from pyvrrp.config.script_block import TABLE as SCRIPT
from pyvrrp.config.tracker_blocks import FILE, HTTP, PROCESS
from pyvrrp.config.tree import SCRIPT_VALUED, Statement, Word
from pyvrrp.config.values import quote_script

ROOTS = {
    "scripts": "vrrp_script",
    "files": "track_file",
    "processes": "vrrp_track_process",
    "urls": "vrrp_track_http",
    "groups": "vrrp_sync_group",
    "instances": "vrrp_instance",
}
PARTS = ("global", "scripts", "files", "processes", "urls", "static", "groups", "instances")
"""All keys of a document, in the order in which they are read: what is named stands before what names it."""
BESIDE = frozenset({"net_namespace", "instance", "use_pid_dir", "interface_up_down_delays", "garp_group"})
"""Keys of ``global`` that stand beside ``global_defs`` in keepalived.conf."""
STATIC = frozenset({"static_ipaddress", "static_routes", "static_rules"})
LINES = STATIC | {
    "virtual_ipaddress", "virtual_ipaddress_excluded", "virtual_routes", "virtual_rules", "unicast_peer", "group",
    "track_script", "track_interface", "track_file", "track_process", "track_http", "interfaces",
    "interface_up_down_delays", "notification_email",
}  # fmt: skip
"""Keys whose value is a list of lines."""
LEADING = frozenset({"address", "name", "interface"})
"""Keys that begin a line that is written as a mapping; in keepalived.conf nothing stands before their value."""
REPEATED = frozenset({"key", "garp_group"})
"""Keys that may stand several times in keepalived.conf: a list of what each of them says."""
WHOLE = frozenset({"auth_pass", "router_id", "file", "notify_fifo", "vrrp_notify_fifo"})
"""Keys whose value is one word, white space included."""
OMITTED_IF_FALSE = frozenset({
    "use_vmac", "notify_deleted", "old_unicast_checksum", "init_file", "param_match", "dynamic_interfaces", "nftables",
    "reload_file",
})  # fmt: skip
"""Switches that can have words; all others that can are written ``off``."""
MAX_DEPTH = 16
"""Levels of nesting: a configuration has six; what is far deeper would cost PyYAML much time and then the stack."""
_TRUE, _FALSE = frozenset({"true", "yes", "on", ""}), frozenset({"false", "no", "off"})


def _keyword(name: str) -> Keyword[Any] | None:
    """Return the row of a keyword, whatever block it is in: those that share a name are of one shape."""
    for table in (INSTANCE, GROUP, GLOBAL, SCRIPT, FILE, PROCESS, HTTP, ROOT):
        found = table.keywords.get(name)
        if found is not None:
            return found
    return None


class _Translation:
    def __init__(self, text: str, file: str, findings: Findings) -> None:
        self._text = text.split("\n")
        self._file = file
        self._findings = findings

    def root(self, node: Any) -> tuple[Statement, ...]:
        """Return the statements of a document, in the order of PARTS, wherever they stand."""
        found: dict[str, list[Statement]] = {key: [] for key in PARTS}
        for key, value in self._pairs(node, "a configuration"):
            if key.text not in PARTS:
                self._error(key.location, f"Unknown key '{key.text}'{did_you_mean(key.text, PARTS)}")
            elif key.text == "global":
                found["global"] = self._global(key, value)
            elif key.text == "static":
                found["static"] = self._static(value)
            else:
                found[key.text] = [
                    self._block((Word(ROOTS[key.text], name.location), name), block)
                    for name, block in self._pairs(value, f"'{key.text}'")
                ]
        return tuple(statement for key in PARTS for statement in found[key])

    def _global(self, key: Word, node: Any) -> list[Statement]:
        inside: list[Statement] = []
        beside: list[Statement] = []
        for name, value in self._pairs(node, "'global'"):
            (beside if name.text in BESIDE else inside).extend(self._statements(name, value))
        return [Statement((Word("global_defs", key.location),), tuple(inside), self._source(key)), *beside]

    def _static(self, node: Any) -> list[Statement]:
        groups: list[Statement] = []
        found: list[Statement] = []
        for key, value in self._pairs(node, "'static'"):
            if key.text == "track_groups":
                for name, members in self._pairs(value, "'track_groups'"):
                    block = self._statements(Word("group", name.location), members)
                    groups.append(Statement((Word("track_group", name.location), name), tuple(block), None))
            elif key.text in STATIC:
                found += self._statements(key, value)
            else:
                near = did_you_mean(key.text, [*STATIC, "track_groups"])
                self._error(key.location, f"Unknown key '{key.text}'{near}")
        return [*groups, *found]

    def _block(self, words: tuple[Word, ...], node: Any) -> Statement:
        pairs = self._pairs(node, f"'{words[-1].text}'")
        inside = [statement for key, value in pairs for statement in self._statements(key, value)]
        return Statement(words, tuple(inside), self._source(words[0]))

    def _statements(self, key: Word, node: Any) -> list[Statement]:
        """Return what a key and its value stand for: one statement, as a rule."""
        if key.text in REPEATED and node.id == "sequence" and all(item.id != "scalar" for item in node.value):
            return [statement for item in node.value for statement in self._statements(key, item)]
        if key.text in LINES and node.id != "scalar":
            return [Statement((key,), tuple(self._lines(key, node)), self._source(key))]
        switch = _keyword(key.text)
        if switch is not None and not switch.parameters and not switch.block:
            words = switch.most is not None and switch.most > 0
            if node.id == "scalar" or not words:
                return self._switch(key, node, words=words)
        if node.id == "mapping" and key.text in SCRIPT_VALUED:
            return [self._script(key, node)]
        if node.id == "mapping":
            return [self._block((key,), node)]
        return [self._words(key, node)]

    def _words(self, key: Word, node: Any) -> Statement:
        source = self._source(key)
        if node.id == "sequence":
            words = [word for item in node.value if (word := self._scalar(item, f"'{key.text}'")) is not None]
            if key.text in SCRIPT_VALUED - {"process"} and words:
                text = quote_script([word.text for word in words])
                words = [Word(text, words[0].location, quoted=True)]
            return Statement((key, *words), None, source)
        word = self._scalar(node, f"'{key.text}'")
        if word is None or (not word.text and not word.quoted):
            return Statement((key,), None, source)
        keep = key.text in (SCRIPT_VALUED - {"process"}) | WHOLE
        return Statement((key, word) if keep else (key, *self._split(word)), None, source)

    def _script(self, key: Word, node: Any) -> Statement:
        """Return ``{script: ..., user: ...}`` as one statement."""
        parts = {name.text: self._words(name, value) for name, value in self._pairs(node, f"'{key.text}'")}
        for name in parts.keys() - {"script", "user"}:
            place = parts[name].location
            self._error(place, f"Unknown key '{name}'{did_you_mean(name, ['script', 'user'])}")
        words = [word for name in ("script", "user") if name in parts for word in parts[name].parameters]
        if "script" not in parts:
            self._error(key.location, f"'{key.text}' has no script")
        return Statement((key, *words), None, self._source(key))

    def _lines(self, key: Word, node: Any) -> list[Statement]:
        found: list[tuple[Word, ...]] = []
        if node.id == "mapping":
            for name, value in self._pairs(node, f"'{key.text}'"):
                found.append((name, *self._options(value, f"'{name.text}'")))
        else:
            found = [words for item in node.value if (words := self._line(key, item))]
        return [Statement(words, None, self._source(words[0])) for words in found]

    def _line(self, key: Word, item: Any) -> tuple[Word, ...]:
        if item.id == "sequence":
            words = (self._scalar(word, f"'{key.text}'") for word in item.value)
            return tuple(word for word in words if word is not None)
        if item.id == "mapping":
            return self._options(item, f"a line of '{key.text}'")
        if key.text == "group":
            return (Word(item.value, self._place(item), quoted=True),)  # a name, blanks included
        return self._split(Word(item.value, self._place(item), quoted=item.style is not None))

    def _options(self, node: Any, what: str) -> tuple[Word, ...]:
        """Return ``{weight: 5, reverse: true}`` as words; a scalar or a list is words already."""
        if node.id == "sequence":
            found = [self._scalar(item, what) for item in node.value]
            return tuple(word for word in found if word is not None)
        if node.id == "scalar":
            nothing = node.style is None and node.value in {"", "~", "null"}
            return () if nothing else self._split(Word(node.value, self._place(node)))
        words: list[Word] = []
        for name, value in self._pairs(node, what):
            word = self._scalar(value, f"'{name.text}'")
            if word is None or (not word.quoted and word.text.lower() in _FALSE):
                continue
            if name.text in LEADING and not words:
                words.append(word)
            elif not word.quoted and word.text.lower() in _TRUE:
                words.append(name)
            else:
                words += [name, word]
        return tuple(words)

    def _switch(self, key: Word, node: Any, *, words: bool) -> list[Statement]:
        """Return a switch: on without a word, off by the word or by not being there; ``words``: it can have some."""
        word = self._scalar(node, f"'{key.text}'")
        if word is None:
            return []
        if word.text.lower() in _TRUE and not word.quoted:
            return [Statement((key,), None, self._source(key))]
        if word.text.lower() in _FALSE and not word.quoted:
            off = Statement((key, Word("off", word.location)), None, self._source(key))
            return [off] if words and key.text not in OMITTED_IF_FALSE else []
        if not words:
            self._error(word.location, f"'{key.text}' is a switch: true or false")
            return []
        return [self._words(key, node)]

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
        line = self._text[word.location.line - 1] if 0 < word.location.line <= len(self._text) else None
        secret = line is not None and any(word in line.lower() for word in ("pass", "key", "hex:"))
        return None if secret else line

    def _error(self, location: Location, message: str) -> None:
        self._findings.error(location, message, self._source(Word("", location)))


def statements_of_yaml(text: str, file: str, findings: Findings) -> tuple[Statement, ...]:
    """Return the statements that keepalived.conf would have for a YAML text; raises ConfigError if it is none."""
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
        return () if node is None else _Translation(text, file, findings).root(node)
    except yaml.MarkedYAMLError as wrong:
        mark = wrong.problem_mark or wrong.context_mark
        place = Location(file, mark.line + 1, mark.column + 1) if mark is not None else Location(file)
        raise ConfigError.at(place, f"not YAML: {wrong.problem or wrong.context}") from wrong
    except (yaml.YAMLError, ValueError, OverflowError) as wrong:
        raise ConfigError.at(Location(file, 1, 1), f"not YAML: {str(wrong).splitlines()[0]}") from wrong
