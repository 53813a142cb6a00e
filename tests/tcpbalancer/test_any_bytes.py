"""Whatever is in a file: a configuration, or a ConfigError whose every finding has a file, a line and a column."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hakit.diagnostics import ConfigError, Severity
from tcpbalancer.config import known
from tcpbalancer.config.line_options import BIND_OPTIONS, SERVER_OPTIONS
from tcpbalancer.config.load import load, read_texts
from tcpbalancer.config.messages import messages
from tcpbalancer.config.registry import GLOBAL_KEYWORDS, KEYWORDS, OTHER_SECTIONS
from tcpbalancer.model import Configuration

ENVIRONMENT = {"PORT": "80", "EMPTY": "", "LIST": "a b"}
SUMMARIES = ("Error(s) found in configuration file", "Fatal errors found", "Failed to initialize server(s) addr.")


def outcome(text: str, name: str = "f.cfg") -> None:
    """Read a text; assert that what comes out is what may."""
    try:
        loaded = read_texts([(name, text)], ENVIRONMENT, resolve=lambda _: None)
    except ConfigError as wrong:
        found = wrong.diagnostics
        said = [one for one in found if one.severity is Severity.ERROR and not one.message.startswith(SUMMARIES)]
        assert said
        assert [one for one in said if one.location.file != name or not one.location.line] == []
    else:
        assert isinstance(loaded.configuration, Configuration)
        found = loaded.warnings
    for line in messages(found, 7):
        line.encode("utf-8", "backslashreplace")
    for one in found:
        one.render()


WORDS = st.one_of(
    st.sampled_from(
        [
            "192.0.2.1:1", ":80", "*:1-3", "[::1]:80", "db:5432", "/run/x.sock", "fd@3", "abns@x", "3s", "0", "-1",
            "100", "99999999999", "if", "unless", "{", "}", "!", "||", "TRUE", "src", "10.0.0.0/8", "-m", "beg", "from",
            "no", "default", "global", "b", "s", "${PORT}", '"${LIST[*]}"', '"${EMPTY}"', "'", '"', "\\", "\\x41", "#",
            "\\xff", ".if", ".endif", "[x]", "%ci", "string", "status", "200", "GET", "/", "HTTP/1.1",
        ]
    ),
    st.text(max_size=6),
)  # fmt: skip
FIRST = st.sampled_from(
    [
        *KEYWORDS, *GLOBAL_KEYWORDS, *known.PROXY, *known.GLOBAL, *(f"option {name}" for name in known.OPTIONS),
        "no option", "no log", "default option", ".if", ".elif", ".else", ".endif", ".notice", ".diag", "bogus",
        *(f"server s 192.0.2.1:1 {name}" for name in (*SERVER_OPTIONS, *known.SERVER)),
        *(f"bind :1 {name}" for name in (*BIND_OPTIONS, *known.BIND)), "default-server",
    ]
)  # fmt: skip
HEADERS = st.sampled_from(
    [
        "global", "defaults", "defaults d", "defaults e from d", "frontend f", "backend b", "listen l", "listen",
        "listen l from d", "global x", *OTHER_SECTIONS, *known.REFUSED_SECTIONS,
        *(f"{kind} x" for kind in (*OTHER_SECTIONS, *known.SKIPPED_SECTIONS)),
    ]
)  # fmt: skip
LINES = st.tuples(FIRST, st.lists(WORDS, max_size=5)).map(lambda line: f" {line[0]} {' '.join(line[1])}")
BODIES = st.lists(st.one_of(LINES, HEADERS), max_size=14)


@given(BODIES)
@settings(derandomize=True, max_examples=400, deadline=None)
def test_any_statements_give_a_configuration_or_findings_with_their_places(lines: list[str]) -> None:
    outcome("\n".join(lines) + "\n")


@pytest.mark.parametrize("name", ["f.cfg", "f.yaml"])
@given(content=st.binary(max_size=200))
@example(content=b"\xff\xfe")
@example(content=b"global\n description \xe4\n")
@example(content=b"listen l\r\n bind :1\r\n")
@example(content=b"\0")
@settings(derandomize=True, max_examples=200, deadline=None)
def test_any_bytes_give_a_configuration_or_findings_with_their_places(
    name: str, content: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / f"bytes{Path(name).suffix}"
    path.write_bytes(content)
    try:
        assert isinstance(load([path], ENVIRONMENT).configuration, Configuration)
    except ConfigError as wrong:
        nowhere = [found for found in wrong.diagnostics if not found.location.file]
        assert not nowhere  # either outcome is right


def test_a_line_of_a_million_characters_and_a_file_of_a_hundred_thousand_lines_are_read() -> None:
    outcome(f"global\n description {'x' * 1_000_000}\n")
    outcome("global\n" + "# nothing\n" * 100_000)
    outcome("listen l\n" + " bogus\n" * 100_000)
