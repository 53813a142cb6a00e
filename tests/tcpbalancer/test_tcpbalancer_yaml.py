"""The YAML front end: the same model as haproxy.cfg, and errors with their place."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hakit.diagnostics import ConfigError, Location
from tcpbalancer.config.load import load, read_texts
from tcpbalancer.model import NOWHERE, Configuration

ROOT = Path(__file__).parents[2]


def without_places(value: object) -> object:
    """Return a model with every location set to NOWHERE."""
    if isinstance(value, Location):
        return NOWHERE
    if isinstance(value, dict):
        return {key: without_places(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(without_places(item) for item in value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{field.name: without_places(getattr(value, field.name)) for field in fields(value)})
    return value


def errors(text: str) -> list[tuple[str, str]]:
    with pytest.raises(ConfigError) as wrong:
        read_texts([("f.yaml", text)], {})
    return [(str(found.location), found.message) for found in wrong.value.diagnostics if found.location.line]


def test_both_configurations_of_the_lab_are_one() -> None:
    haproxy = load([ROOT / "configs/lab/haproxy.cfg"]).configuration
    yaml = load([ROOT / "configs/lab/tcpbalancer.yaml"]).configuration
    assert without_places(haproxy) == without_places(yaml)
    assert haproxy != yaml  # they differ in places, and in nothing else


def test_true_is_a_flag_false_takes_it_back_and_a_quoted_yes_is_a_word() -> None:
    text = """
defaults:
  timeout: {connect: 1s, client: 1s, server: 1s}
  option: {redispatch: true, log-health-checks: no}
  log: false
global: {daemon: true, node: "yes", description: two words}
listens:
  a:
    bind: ["*:1", "[::]:2"]
    default-server: {check: on, backup: true}
    servers:
      x: {address: 192.0.2.1:1, backup: false, disabled: false}
      y: 192.0.2.2:1 weight 3
"""
    seen = read_texts([("f.yml", text)], {}).configuration
    x, y = seen.backends["a"].servers
    assert (x.backup, y.backup, y.weight, x.check is not None) == (False, True, 3, True)
    assert (seen.backends["a"].redispatch, seen.backends["a"].log_health_checks) == (-1, False)
    assert (seen.daemon, seen.node, seen.description) == (True, "yes", "two words")
    assert [bind.port for bind in seen.frontends["a"].binds] == [1, 2]


def test_both_formats_can_be_one_configuration() -> None:
    texts = [
        ("a.cfg", "frontend f\n bind :1\n default_backend b\n"),
        ("b.yaml", "backends: {b: {servers: {s: 192.0.2.1:1}}}"),
    ]
    assert read_texts(texts, {}).configuration.order == ("f", "b")


@pytest.mark.parametrize("text", ["", "# nothing\n", "global:\n", "listens: ~\n"])
def test_an_empty_file_is_an_empty_configuration(text: str) -> None:
    assert read_texts([("f.yaml", text)], {}).configuration.order == ()


def test_all_mistakes_are_told_at_once_with_line_and_column() -> None:
    text = """\
defaults:
  timeout: {connect: 4s, clientt: 5, server: 3zz}
  bogus: 3
listens:
  a:
    bind: ["*:80", ":99999"]
    mdoe: http
    servers:
      x: {address: "1.2.3.4:1", chekc: true, inter: {a: 1}}
      y: {check: true}
      z: [a]
fronteds: {}
"""
    found = errors(text)
    assert [place for place, _ in found] == [
        "f.yaml:2:26", "f.yaml:2:46", "f.yaml:3:3", "f.yaml:6:20", "f.yaml:7:5", "f.yaml:9:53", "f.yaml:10:7",
        "f.yaml:11:10", "f.yaml:12:1",
    ]  # fmt: skip
    messages = [message for _, message in found]
    assert messages[2:5] == [
        "unknown key 'bogus'",
        "'bind' : invalid port '99999'",
        "unknown key 'mdoe'; did you mean 'mode' maybe ?",
    ]
    assert messages[6:] == [
        "server 'y' needs one 'address'",
        "a server is an address, or a mapping with 'address' and options",
        "unknown key 'fronteds'; did you mean 'frontends' maybe ?",
    ]


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("[1]", "f.yaml:1:1", "a mapping is expected here: 'key: value'"),
        ("global: 3", "f.yaml:1:9", "a mapping is expected here: 'key: value'"),
        ("global: {node: a}\nglobal: {node: b}", "f.yaml:2:1", "'global' is given twice"),
        ("? [a]\n: b", "f.yaml:1:3", "a key is a single word"),
        ("a: b: c", "f.yaml:1:5", "this is not YAML: mapping values are not allowed here"),
        ("a: \x00", "f.yaml:1:4", "this is not YAML: special characters are not allowed"),
        ("global: {node: !!python/object:os.system x}\nx: 1", "f.yaml:2:1", "unknown key 'x'"),
    ],
)
def test_what_is_not_the_shape_says_where(text: str, place: str, message: str) -> None:
    assert errors(text)[0] == (place, message)


@given(st.text(max_size=120))
@settings(derandomize=True, max_examples=300, deadline=None)
def test_any_text_gives_a_configuration_or_a_config_error(text: str) -> None:
    result: object
    try:
        result = read_texts([("f.yaml", text)], {}).configuration
    except ConfigError as wrong:
        result = wrong
    assert isinstance(result, Configuration | ConfigError)


NAMES = """
global defaults frontends backends listens bind servers address stats auth timeout option httpchk default-server check a
*:80 true false 3s 192.0.2.1:1 log
"""
KEYS = st.sampled_from([*NAMES.split(), ""])
TREES = st.recursive(
    KEYS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=25
)


@given(TREES)
@settings(derandomize=True, max_examples=400, deadline=None)
def test_any_tree_of_keys_gives_a_configuration_or_a_config_error(tree: object) -> None:
    import yaml

    test = yaml.safe_dump(tree)
    result: object
    try:
        result = read_texts([("f.yaml", test)], {}).configuration
    except ConfigError as wrong:
        result = wrong
    assert isinstance(result, Configuration | ConfigError)


ORDERED = """
- global: {setenv: PORT 7}
- global: {maxconn: 10}
- defaults: {timeout: {connect: 1s, client: 1s, server: 1s}}
- defaults pg from one: {}
- defaults one:
    - retries: 5
    - {retries: 7}
- "listen l from one":
    - bind: '"127.0.0.1:${PORT}"'
    - {log-tag: a\\ b}
    - servers: {a: '192.0.2.1:1 check'}
    - no: log
    - servers: {b: '192.0.2.1:1'}
- frontends: {f: {from: one, bind: ":9"}}
"""


def test_a_list_of_mappings_keeps_the_order_and_any_header_is_a_key() -> None:
    text = ORDERED.replace("- defaults pg from one: {}\n", "")
    seen = read_texts([("f.yaml", text)], {}).configuration
    listen = seen.backends["l"]
    assert ([server.name for server in listen.servers], listen.retries, seen.maxconn) == (["a", "b"], 7, 10)
    assert [bind.port for bind in seen.frontends["l"].binds] == [7]
    assert seen.frontends["l"].log.tag == "a b"
    assert errors(ORDERED) == [("f.yaml:5:3", "defaults section 'one' not found for defaults 'pg'.")]


def test_a_list_in_a_list_is_the_words_themselves() -> None:
    text = "listens: {l: {bind: [[':1', name, 'a b']], description: it's # not a comment}}"
    seen = read_texts([("f.yaml", text.replace("it's # not", "\"it's # not").replace("comment", 'comment"'))], {})
    assert [bind.port for bind in seen.configuration.frontends["l"].binds] == [1]


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("listens: {l: {bind: \"':1\"}}", "f.yaml:1:21", "unmatched quote at position 1:"),
        ("listens: {l: {from: [a]}}", "f.yaml:1:21",
         "argument number 3 at position 21 is empty and marks the end of the argument list:"),
        ("peers p: {a: b}", "f.yaml:1:1", "unknown keyword 'peers' in 'global' section: not supported by tcpbalancer"),
        ("listens: {a/b: {}}", "f.yaml:1:11", "character '/' is not permitted in 'listen' name 'a/b'."),
        ("listens: {l: {bind: '*:1 nmae x'}}", "f.yaml:1:21",
         "'bind *:1' in section 'listen': unknown keyword 'nmae'; did you mean 'name' maybe ?"),
        ("listens:\n  l:\n    bind: 1:1 nmae x", "f.yaml:3:15",
         "'bind 1:1' in section 'listen': unknown keyword 'nmae'; did you mean 'name' maybe ?"),
    ],
)  # fmt: skip
def test_a_value_is_cut_as_a_line_is_and_says_where_it_is_wrong(text: str, place: str, message: str) -> None:
    assert errors(text)[0] == (place, message)
