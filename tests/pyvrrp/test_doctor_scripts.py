"""Which programs a shell script runs, seen without running it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyvrrp.doctor.script_text import interpreter, programs

REFERENCE = Path(__file__).parents[2] / "configs" / "reference"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("foo", ["foo"]),
        ("# foo\nbar # baz", ["bar"]),
        ("a#b", []),
        ("foo | bar && baz || qux; corge & grault", ["foo", "bar", "baz", "qux", "corge", "grault"]),
        ('foo "$(bar \'x y\' | baz)" `qux "a"`', ["bar", "baz", "foo", "qux"]),
        ('x="`foo`"', ["foo"]),
        ("if ! foo; then bar; elif baz; then qux; else corge; fi", ["foo", "bar", "baz", "qux", "corge"]),
        ("while foo; do bar; done < baz", ["foo", "bar"]),
        ("for one in a b; do foo $one; done", ["foo"]),
        ('case "$1" in\n  start|stop) foo ;;\n  *) bar;;\nesac\nbaz', ["foo", "bar", "baz"]),
        ("case $x in a) foo;; b) bar ;; esac", ["foo", "bar"]),
        ("case $x in", []),
        ('x="$(case $x in a) foo;; b) bar;; esac; baz)"; qux', ["foo", "bar", "baz", "qux"]),
        ("X=1 Y=2 foo", ["foo"]),
        ("X=1", []),
        ("foo >bar 2>&1 <baz", ["foo"]),
        ("foo >bar", ["foo"]),
        (">bar foo", ["foo"]),
        ("cat <<END\nfoo\nEND\nbar", ["cat", "bar"]),
        ("cat <<-'END'\n\tfoo\n\tEND\nbar", ["cat", "bar"]),
        ("cat <<END\nfoo", ["cat"]),
        ("f() { foo; }\nf", ["foo"]),
        ("function f() {\n foo\n}\nf", ["foo"]),
        ("command -v foo >/dev/null && foo bar", []),
        ("echo don\\'t; exit 0", []),
        ("$TOOL x; \"/usr/bin/y\" z; '/bin/x'", []),
        ("/usr/sbin/foo", ["/usr/sbin/foo"]),
        ("(cd / && foo)", ["foo"]),
        ("a=$(( 1 + 2 )); b=${c:-d}; foo", ["foo"]),
        ("exec foo; { bar; }", ["foo", "bar"]),
        ("foo \\\n bar; baz", ["foo", "baz"]),
        ("foo; foo", ["foo"]),
        ("foo )\nbar", ["foo", "bar"]),
        ("$(" * 60 + "foo", []),
    ],
)
def test_a_program_is_the_first_word_of_a_command(text: str, found: list[str]) -> None:
    assert list(programs(text)) == found


@given(st.text(alphabet="$(){}`'\"\\ \n;|&<>#a=EOF", max_size=60))
def test_any_text_gives_an_answer(text: str) -> None:
    assert all(programs(text))


def test_the_reference_set_up_s_check_needs_three_programs() -> None:
    text = (REFERENCE / "check_haproxy.sh").read_text()
    assert interpreter(text) == ("/bin/sh",)
    assert programs(text) == ("systemctl", "ss", "grep")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("#!/bin/sh -e\nfoo", ("/bin/sh", "-e")),
        ("#! /usr/bin/env -S LANG=C bash\n", ("bash",)),
        ("#!/usr/bin/env", ()),
        ("foo", ()),
        ("", ()),
    ],
)
def test_an_interpreter_is_what_the_first_line_names(text: str, words: tuple[str, ...]) -> None:
    assert interpreter(text) == words
