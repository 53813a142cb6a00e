"""Conditions and the lines that begin with a dot: HAProxy's manual, section 2.4, and what the real one says."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hakit.diagnostics import ConfigError
from tcpbalancer.cli import main
from tcpbalancer.config.conditions import Capabilities, ConditionError, holds
from tcpbalancer.config.load import Loaded, read_texts

ENVIRONMENT = {"HOME": "/root", "EMPTY": ""}
HAS = Capabilities("2.6.12", frozenset({"THREAD"}), frozenset({"POLL"}), lambda: "OpenSSL 3.0.19 27 Jan 2026")
TIMED = "defaults\n timeout connect 1s\n timeout client 1s\n timeout server 1s\n"


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("", False), ("1", True), ("0", False), ("0x10", True), ("00", False), ("-1", True), ("!0", True),
        ("! ! 1", True), ("1 && 0", False), ("1 && 1 && 1", True), ("0 || 0 || 1", True), ("(1 || 0) && 1", True),
        ("1&&1||0", True), ("0 && 1 || 1", True), ("( 1 ) ", True), ("!(1)", False), ("1 && ( 0 || 1 )", True),
        ("defined(HOME)", True), ("defined(EMPTY)", True), ("defined(NOPE)", False), ("defined()", False),
        ("defined", False), ("streq(a,a)", True), ("streq( a,a)", False), ('streq("a,b",\'a,b\')', True),
        (r"streq(a\ b,a b)", True), (r"streq(a\qb,'a\qb')", True), ("streq(,)", True), ("strneq(a,b)", True),
        ("strstr(abc,b)", True), ("strstr(abc,d)", False), ("feature(THREAD)", True), ("feature(LUA)", False),
        ("enabled(POLL)", True), ("enabled(SPLICE)", False), ("version_atleast(2.4)", True),
        ("version_atleast(2.6.12)", True), ("version_atleast(2.6.13)", False), ("version_before(2.7-dev0)", True),
        ("version_atleast(2.6-dev5)", True), ("version_before(2.6)", False), ("version_atleast(x)", True),
        ("openssl_version_atleast(1.1.1)", True), ("openssl_version_before(3.0.20)", True),
        ("openssl_version_before(3.0.19)", False), ("ssllib_name_startswith(OpenSSL)", True),
        ("ssllib_name_startswith(AWS-LC) && awslc_api_atleast(3)", False), ("fips_mode", False), ("fips_mode()", False),
        ("1 || awslc_api_before(3)", True),
    ],
)  # fmt: skip
def test_a_condition_holds_or_not(expression: str, value: bool) -> None:
    assert holds(expression, ENVIRONMENT, HAS) is value


@pytest.mark.parametrize(
    ("expression", "message", "position"),
    [
        ("true", "unparsable conditional expression 'true'", 0),
        (" ", "unparsable conditional sub-expression ' '", 0),
        ("1 1", "unexpected character '1' at the end of conditional expression '1 1'", 2),
        ("defined(HOME", "expected ')' in argument 1 of predicate 'defined' used in conditional expression", 12),
        (
            "defined(HOME,x)",
            "expected ')' before ',x)' in argument 1 of predicate 'defined' used in conditional expression", 12,
        ),
        (
            "streq(a)",
            (
                "missing arguments (got 1/2), type 'string' expected in argument 1 of predicate 'streq' used in "
                "conditional expression"
            ), 7,
        ),
        ("(1", "expected ')' after conditional expression '(1'", 0),
        ("(", "unparsable conditional expression '('", 0),
        ("1)", "unexpected character ')' at the end of conditional expression '1)'", 1),
        ("()", "unparsable conditional expression ')'", 1),
        ("1 ||", "unparsable conditional expression '1 ||'", 0),
        ("1 &&", "unparsable conditional expression '&&'", 2),
        ("1 || foo", "unparsable conditional expression 'foo'", 5),
        ("(" * 99 + "1" + ")" * 99, f"unparsable conditional expression '{'(' * 36}1{')' * 99}'", 63),
        ("awslc_api_atleast(3)", "invalid argument to conditional expression predicate 'awslc_api_atleast': '3'", 20),
        (
            "openssl_version_before(x)",
            "invalid argument to conditional expression predicate 'openssl_version_before': 'x'", 25,
        ),
    ],
)  # fmt: skip
def test_a_condition_that_makes_no_sense_is_told_in_haproxys_words(
    expression: str, message: str, position: int
) -> None:
    with pytest.raises(ConditionError) as wrong:
        holds(expression, ENVIRONMENT, HAS)
    assert (wrong.value.message, wrong.value.position) == (message, position)


@given(st.text(alphabet="01!&|() ,\"'\\astreqdfin", max_size=30))
@settings(derandomize=True, max_examples=300)
def test_any_condition_holds_or_not_or_is_refused(expression: str) -> None:
    with contextlib.suppress(ConditionError):
        assert holds(expression, ENVIRONMENT, HAS) in {True, False}


def read(text: str, **environment: str) -> Loaded:
    return read_texts([("f.cfg", text)], environment)


def ports(text: str, **environment: str) -> list[int]:
    seen = read(TIMED + "listen l\n" + text, **environment).configuration
    return [bind.port for bind in seen.frontends["l"].binds]


@pytest.mark.parametrize(
    ("environment", "seen"), [({"A": ""}, [1, 9]), ({"B": ""}, [2, 9]), ({"A": "", "B": ""}, [1, 4, 9]), ({}, [3, 9])]
)
def test_the_first_branch_that_holds_is_read_and_no_other(environment: dict[str, str], seen: list[int]) -> None:
    text = """\
 .if defined(A)
   bind :1
   .if defined(B)
     bind :4
   .endif
   .if 0
     .if defined(
       bogus
     .elif defined(
     .else
     .endif
   .endif
 .elif defined(B)
   bind :2
   .if 1
   .endif
 .elif defined(A)
   bogus
 .else
   bind :3
 .endif
 bind :9
"""
    assert ports(text, **environment) == seen


def test_setenv_acts_on_the_conditions_and_lines_that_follow() -> None:
    text = """\
global
 presetenv PORT 1
 setenv OTHER 2
 unsetenv GONE
.if defined(GONE)
 bogus
.endif
listen l
 bind ":${PORT}"
 bind ":${OTHER}"
global
 resetenv PORT
.if defined(OTHER)
 bogus
.endif
"""
    seen = read(TIMED + text, PORT="7", GONE="x").configuration.frontends["l"]
    assert [bind.port for bind in seen.binds] == [7, 2]


def test_pseudo_variables_say_where_a_line_stands() -> None:
    seen = read(TIMED + 'global\n description "${.FILE} $.LINE ${.SECTION}"\n')
    assert seen.configuration.description == "f.cfg 6 global"


def test_haproxys_own_variables_are_there() -> None:
    text = 'global\n description "${HAPROXY_BRANCH} ${HAPROXY_CFGFILES} ${HAPROXY_TCP_LOG_FMT}"\n'
    assert read(text).configuration.description == (
        "3.0 f.cfg %ci:%cp [%t] %ft %b/%s %Tw/%Tc/%Tt %B %ts %ac/%fc/%bc/%sc/%rc %sq/%bq"
    )


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        (".if 1\n", "1:1", "non-terminated '.if' block."),
        (".endif\n", "1:1", "lone '.endif' with no matching '.if'."),
        (".else\n", "1:1", "lone '.else' with no matching '.if'."),
        (".elif 1\n", "1:1", "lone '.elif' with no matching '.if'."),
        (".if 0\n.else\n.else\n.endif\n", "3:1", "'.else' after '.else' is not permitted."),
        (".if 0\n.else\n.elif 1\n.endif\n", "3:1", "'.elif' after '.else' is not permitted."),
        (".if 0\n.else x\n.endif\n", "2:7", "Unexpected argument 'x' for '.else'."),
        (".if 0\n.endif x\n", "2:8", "Unexpected argument 'x' for '.endif'."),
        (".if foo\n.endif\n", "1:5", "unparsable conditional expression 'foo' in '.if' at position 1:"),
        (".if 0\n.elif 1 1\n", "2:7", ("unexpected character '1' at the end of conditional expression '1 1' in '.elif' "
         "at position 3:")),
        (".if 1\n" * 101, "100:1", "too many nested '.if', max is 100."),
        (".bogus\n", "1:1", "unknown directive '.bogus'."),
        ('.alert "no way"\n', "1:1", "'no way'."),
        (".alert no way\n", "1:11",
         "Unexpected argument 'way' for '.alert'. Use quotes if the message should contain spaces."),
    ],
)  # fmt: skip
def test_a_directive_that_makes_no_sense_ends_the_reading_of_its_file(text: str, place: str, message: str) -> None:
    with pytest.raises(ConfigError) as wrong:
        read(text + "bogus\n" if not text.startswith((".if 1\n", ".alert no")) else text)
    told = [(str(found.location), found.message) for found in wrong.value.diagnostics if found.location.line]
    assert told == [(f"f.cfg:{place}", message)]


def test_warnings_and_notices_are_told_and_diagnostics_are_not() -> None:
    found = read('global\n.warning "look out"\n.notice hello\n.notice\n.diag quiet\n').warnings
    assert [(one.message, one.advice) for one in found] == [("'look out'.", False), ("'hello'.", True), ("''.", True)]


def test_cc_answers_with_its_exit_status(capsys: pytest.CaptureFixture[str]) -> None:
    assert [main(["-cc", text]) for text in ("1", "0", "streq('a b','a b')", "!version_atleast(99)")] == [0, 1, 0, 0]
    assert main(["-cc", "streq(\\'a b\\',a\\ b)"]) == 0
    assert capsys.readouterr() == ("", "")
    assert main(["-cc", "nope"]) == 2
    assert "[ALERT]    " in (said := capsys.readouterr().err)
    assert "Failed to evaluate condition: unparsable conditional expression 'nope'" in said
    assert main(["-cc", "'nope"]) == 2
    assert "Syntax Error in condition: unmatched quote" in capsys.readouterr().err


def test_after_fifty_errors_a_file_is_not_read_on() -> None:
    with pytest.raises(ConfigError) as wrong:
        read("global\n" + " bogus 'x\n" * 60)
    told = [found.message for found in wrong.value.diagnostics if found.location.line]
    assert told[-1] == "too many fatal errors (50), stopping now."
    assert len(told) == 51


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("[]", "empty scope name is forbidden."),
        ("[x", "empty scope name is forbidden."),
        ("[a/b]", "character '/' is not permitted in a scope name."),
        ("[a] b", "character 'b' is not permitted after scope declaration."),
    ],
)
def test_a_line_in_brackets_is_a_scope(line: str, message: str) -> None:
    assert read(f"global\n [a-1] # so it is\n maxconn 3\n{'' if line else line}").configuration.maxconn == 3
    with pytest.raises(ConfigError) as wrong:
        read(f"global\n {line}\n")
    assert wrong.value.diagnostics[0].message == message


def test_a_nul_ends_the_reading() -> None:
    with pytest.raises(ConfigError) as wrong:
        read("global\n max\0conn 3\n bogus\n")
    assert [found.message for found in wrong.value.diagnostics if found.location.line] == [
        "Stray NUL character at position 5."
    ]


def test_bytes_that_are_no_text_reach_only_those_who_take_bytes() -> None:
    assert read("global\n description a\\xffb\n").configuration.description == "a\ufffdb"


def test_what_diag_says_is_told_to_who_wants_to_know(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "f.cfg"
    path.write_text(f"{TIMED}listen l\n bind :1\n.diag 'so it is'\n")
    assert [main(["-c", *flags, "-f", str(path)]) for flags in ([], ["-dW"])] == [0, 0]
    assert capsys.readouterr() == ("", "")
    assert main(["-c", "-dD", "-dW", "-f", str(path)]) == 0
    out, err = capsys.readouterr()
    first = err.splitlines()[0]
    assert (out, first.partition(")")[2]) == ("", f" : config : parsing [{path}:7]: 'so it is'.")
    assert first.startswith("[DIAG]     (")
