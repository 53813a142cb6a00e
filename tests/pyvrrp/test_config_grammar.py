"""The text stage of keepalived.conf: includes, conditions, definitions, repetitions; measured on keepalived 2.2.7."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hakit.diagnostics import ConfigError, Findings, Severity
from pyvrrp.config.definitions import Random
from pyvrrp.config.expand import DEEPEST_INCLUDE, Expansion, Outside
from pyvrrp.config.include import Check, alternatives, checks_after
from pyvrrp.config.lines import LONGEST_LINE
from pyvrrp.config.load import IncludedFiles, Loaded, read
from pyvrrp.config.tree import statements_of
from pyvrrp.model import Configuration

OUTSIDE = Outside("lb1", {"HOME": "/root"}, "/etc/keepalived", 1)


def lines(text: str, outside: Outside = OUTSIDE) -> list[str]:
    return [line.text for line in Expansion(text, "k.conf", Findings(), outside)]


def said(text: str, outside: Outside = OUTSIDE) -> list[str]:
    findings = Findings()
    try:
        statements_of(Expansion(text, "k.conf", findings, outside), "k.conf", findings)
        found = tuple(findings.items)
    except ConfigError as refused:
        found = (*findings.items, *refused.diagnostics)
    return [one.summary() for one in found]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$X=5\na$X", ["a5"]),
        ("$X=5\na$X.5\nb${X}.5\nc$X,5\nd$X)\ne$X/24\nf$X f", ["a$X.5", "b5.5", "c5,5", "d5)", "e$X/24", "f5 f"]),
        ("$X=5\n$Y=a b\ni${X} ${Y}\np$X$X", ["i5 a b", "p$X5"]),
        ("a$X ${X}", ["a$X ${X}"]),
        ("$X=5\n$A=${X}\n$X=6\ny${A}", ["y6"]),
        ("$X=5\n$V${X}=3\nx${V5}", ["x3"]),
        ("$B = y\n$1=3\n$a-b=5", ["$B = y", "$1=3", "$a-b=5"]),
        ("  $C= z  # comment\n[${C}]", ["[z]"]),
        ("$E=\nm${E}n", ["mn"]),
        ("blk {\n $L=7\n}\np$L", ["blk", "{", "}", "p7"]),
        ('$D="q # r"\nx ${D}', ['x "q # r"']),
    ],
)
def test_a_definition_is_put_where_it_is_used_and_looked_at_again(text: str, expected: list[str]) -> None:
    assert lines(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$G= \\\n g1 \\\n g2\npre ${G}\n${G} post\n$G", ["pre g1", "g2", "${G} post", "g1", "g2"]),
        ("$F=a1 \\\n a2 \\\n a3 # c \\\n a4\n$F", ["a1", "a2", "a3", "a4"]),
        ("$F=a1 \\\n  \\\n a3\n$F", ["a1", "a3"]),
        ("$F=a1 \\\n # c \\\n a3\n$F", ["a1", "a3"]),
        ("$F=a1 \\\n # c\na3\n$F", ["a3", "a1"]),
        ("$F=a1 \\\n a2 \\\n\na3\n$F", ["a3", "a1", "a2"]),
        ("$Q= \\\n q1\nq${Q}z", ["qq1z"]),
        ("$F=a \\\n b\n$K= \\\n k1 ${F} \\\n k2\n${K}", ["k1 a", "b", "k2"]),
        ("$B= \\\n v { \\\n ${N} \\\n }\n$N=1\n$B\n$N=2\n$B", ["v", "{", "1", "}", "v", "{", "2", "}"]),
        ("$R= \\\n r${N} \\\n s\n$V= \\\n $N=1 \\\n $R \\\n $N=2 \\\n $R\n$V", ["r1", "s", "r2", "s"]),
        ("$A= \\\n @lb1 yes \\\n @lb2 no \\\n x\n$A", ["yes", "x"]),
        ("$X=1 \\\n", []),
    ],
)
def test_a_definition_of_several_lines_goes_on_after_a_backslash_and_is_used_at_the_end_of_a_line(
    text: str, expected: list[str]
) -> None:
    assert lines(text) == expected


def test_the_built_in_definitions() -> None:
    assert lines("${_PWD} $_PWD ${_INSTANCE} ${_ENV HOME} ${_ENV NOPE}x") == [
        "/etc/keepalived /etc/keepalived lb1 /root x"
    ]
    assert lines('x "${_HASH}${_BANG}"\ny${_HASH}z') == ['x "#!"', "y"]
    assert lines("${_HASH 1} ${_PWD x} ${_RANDOM x} ${_RANDOM 1 2 3} ${_ENV A B} ${_RANDOM 1 }") == [
        "${_HASH 1} ${_PWD x} ${_RANDOM x} ${_RANDOM 1 2 3} ${_ENV A B} ${_RANDOM 1 }"
    ]
    assert lines("$_PWD=x\n${_PWD}") == ["x"]


def test_random_numbers_are_those_of_the_c_library_and_follow_from_the_seed() -> None:
    source = Random(1)
    assert [source.draw() for _ in range(4)] == [1804289383, 846930886, 1681692777, 1714636915]
    assert lines("random_seed 5\n${_RANDOM}\n${_RANDOM 7 7}\n${_RANDOM 9 2}") == [
        "random_seed 5", str(590011675 % 32768), "7", "9",
    ]  # fmt: skip
    assert lines("${_RANDOM 5}") == [str(1804289383 % 32763 + 5)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("@lb1 a\n@^lb1 b\n@lb2 c\n@^lb2 d", ["a", "d"]),
        ("@ c\n@^ d\n@lb1\n@^lb2", ["d"]),
        ("@^lb2 @lb1 f", ["@lb1 f"]),
        ("@lb1 $X=1\n@lb2 $X=2\n$X", ["1"]),
        ("$ID=lb1\n@${ID} i\n@^${ID} j", ["j"]),
        ("blk { @lb1 a\n@lb2 b }\n}", ["blk", "{", "a", "}"]),
        ("foo @lb1 x", ["foo @lb1 x"]),
    ],
)
def test_a_line_with_a_condition_counts_only_for_that_config_id(text: str, expected: list[str]) -> None:
    assert lines(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("~SEQ(A, 3) a${A}", "a1 a2 a3"),
        ("~SEQ(A, 2, 4) a$A", "a2 a3 a4"),
        ("~SEQ(A, 0, 5, 12) a${A}", "a0 a5 a10"),
        ("~SEQ(A, -3) a${A}", "a-1 a-2 a-3"),
        ("~SEQ(A, 0) a${A}", "a1 a0"),
        ("~SEQ(A, 5, 2) a${A}", "a5 a4 a3 a2"),
        ("~SEQ(A, 5, -2, 0) a${A}", "a5 a3 a1"),
        ("~SEQ(A, 010) a${A}", "a1 a2 a3 a4 a5 a6 a7 a8"),
        ("~SEQx(A, 8, 12) a${A}", "a8 a9 aa ab ac"),
        ("~SEQx(A, 0x8, 0x2, 0xc) a${A}", "a8 aa ac"),
        ("~SEQ (A, 2)a${A}", "a1 a2"),
        ("~SEQ(A,1,2) ~SEQ(B,1,3) ${A}${B}", "11 12 13 21 22 23"),
        ("$E=2\n~SEQ(A, ${E}) a${A}\n~SEQ(B, $E) b${B}", "a1 a2 b1 b2"),
        ("$M= \\\n m${A} \\\n n\n~SEQ(A, 2) $M", "m1 n m2 n"),
        ("$P=~SEQ(A,2) a${A}\n${P}", "a1 a2"),
        ("~SEQ(A,2) @lb1 a${A}\n~SEQ(B,2) @lb2 b${B}", "a1 a2"),
        ("~SEQ(A,2) $B=${A}\nb${B}\na${A}", "b2 a2"),
        ("$A=9\n~SEQ(A,2) a${A}\n${A}", "a1 a2 2"),
        ("~LST({R, S}, {1,2}, {3, 4}) r${R}s${S}", "r1s2 r3s4"),
        ("~LST({R,S}, {1}, {3,4}) r${R}s${S}", "r1s r3s4"),
        ("~LST(T, x, y) ~SEQ(U, 1, 2) t${T}u${U}", "tx1 tx2".replace("x", "xu") + " tyu1 tyu2"),
        ("~LST(T, 1) ", ""),
    ],
)
def test_a_repeated_line_is_read_once_for_each_value_the_rightmost_running_fastest(text: str, expected: str) -> None:
    assert lines(text) == expected.split()


def test_a_repetition_inside_of_a_block_repeats_what_stands_behind_it() -> None:
    assert lines("v { ~SEQ(N, 1, 2) 10.9.1.$N\n }") == ["v", "{", "10.9.1.1", "10.9.1.2", "}"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("~SEQ(M, 5, 1, 2) m", "Invalid ~SEQ values"),
        ("~SEQ(M, 1, 0, 2) m", "Invalid ~SEQ values"),
        ("~SEQ(M, a) m", "Invalid ~SEQ definition"),
        ("~SEQ(M) m", "Invalid ~SEQ definition"),
        ("~SEQ() m", "Invalid ~SEQ definition"),
        ("~SEQ(A,1,2,3,4) m", "Invalid ~SEQ definition"),
        ("~SEQ(A,9999999999999999999) m", "Invalid ~SEQ definition"),
        ("~SEQ(A, 2 m", "~SEQ missing terminating ')'"),
        ("~SEQx(A, -2) m", "~SEQx is only valid for positive numbers"),
        ("~LST({A}, {1,2}) m", "~LST specification has too many values"),
        ("~LST(A, x y) m", None),
        ("~LST(A) m", None),
        ("~LST m", None),
        ("~SEQ m", None),
    ],
)
def test_a_repetition_that_is_not_understood_is_left_out_in_keepaliveds_words(line: str, message: str | None) -> None:
    kind = line[:4]
    expected = [] if message is None else [f"k.conf:1:1: warning: {message} '{line}'"]
    assert said(f"{line}\nx") == [*expected, f"k.conf:1:1: warning: Invalid {kind} specification '{line}'"]


def test_a_repetition_that_may_hold_a_password_is_not_repeated_in_its_message() -> None:
    assert said("~SEQ(M) auth_pass secret") == [
        "k.conf:1:1: warning: Invalid ~SEQ definition",
        "k.conf:1:1: warning: Invalid ~SEQ specification",
    ]


def test_what_was_put_in_place_stands_where_it_was_used() -> None:
    findings = Findings()
    text = "$X=eth 0\n$B= \\\n one \\\n two\n interface ${X} end\n $B\n~SEQ(N, 1) v ${N}\n"
    found = statements_of(Expansion(text, "k.conf", findings, OUTSIDE), "k.conf", findings)
    assert [(word.text, word.location.line, word.location.column) for one in found for word in one.words] == [
        ("interface", 5, 2), ("eth", 5, 12), ("0", 5, 12), ("end", 5, 17),
        ("one", 6, 2), ("two", 6, 2), ("v", 7, 12), ("1", 7, 14),
    ]  # fmt: skip
    assert found[0].source == " interface ${X} end"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("$A=$A\nx $A", "2:1: error: definitions that contain themselves: this line never ends"),
        ("$A=xxxxxxxxxxxxxxxxxxxx${A}\nx $A", "2:1: error: '${A}' makes this line longer than 1023 characters"),
        (
            "$B=y \\\n $B \\\n z\n$B",
            "4:2: error: the configuration grows past 100000 lines here: does it repeat itself?",
        ),
        ("~SEQ(A,999999999)\n", "1:17: error: the configuration grows past 100000 lines here: does it repeat itself?"),
        ("x " + "y" * LONGEST_LINE, "1:1: error: this line has 1025 characters: 1023 at most are read as one line"),
        ("include x.conf", "1:1: error: include: there are no other files here"),
    ],
)
def test_whatever_grows_has_an_end_and_one_error(text: str, message: str) -> None:
    told = said(text)
    assert [one.partition("k.conf:")[2] for one in told] == [message] or told[-1].endswith(message.partition(" ")[2])
    assert sum(": error: " in one for one in told) == 1


def test_a_long_comment_is_only_a_comment() -> None:
    assert said("x # " + "y" * 2000) == []


def including(tmp_path: Path, text: str) -> tuple[list[str], list[str], list[str]]:
    """Return lines, findings and the files read of a main file with this text."""
    file = tmp_path / "main.conf"
    findings = Findings()
    expansion = Expansion(text, str(file), findings, Outside("lb1", {}, str(tmp_path), 1, IncludedFiles()))
    found = [f"{Path(line.file).name}:{line.number} {line.text}" for line in expansion]
    shown = [f"{one.severity.value}{' (advice)' * one.advice}: {one.message}" for one in findings.items]
    return (
        found,
        [one.replace(f"{tmp_path}/", "") for one in shown],
        [str(Path(name).relative_to(tmp_path)) for name in expansion.files],
    )


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "d/sub").mkdir(parents=True)
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.conf").write_text("a ${_PWD}\n")
    (tmp_path / "b.conf").write_text("b\n")
    (tmp_path / "d/s.conf").write_text("sub1\ninclude sub/c.conf\nsub2")
    (tmp_path / "d/sub/c.conf").write_text("subc ${_PWD}\ninclude ../../b.conf\n")
    program = tmp_path / "x.conf"
    program.write_text("x\n")
    program.chmod(0o755)
    return tmp_path


def test_an_included_file_stands_where_the_line_stood_and_names_are_relative_to_the_including_file(tree: Path) -> None:
    found, findings, files = including(tree, "one\ninclude d/s.conf # c\nblk { include b.conf\n }\n")
    assert found == [
        "main.conf:1 one", "s.conf:1 sub1", f"c.conf:1 subc {tree}/d/sub", "b.conf:1 b", "s.conf:3 sub2",
        "main.conf:3 blk", "main.conf:3 {", "b.conf:1 b", "main.conf:4 }",
    ]  # fmt: skip
    assert findings == []
    assert files == ["main.conf", "d/s.conf", "d/sub/c.conf", "b.conf", "b.conf"]


def test_patterns_and_braces_stand_for_several_files(tree: Path) -> None:
    assert including(tree, "include {b,a}.conf\ninclude [ab].conf")[0] == [
        "b.conf:1 b", f"a.conf:1 a {tree}", f"a.conf:1 a {tree}", "b.conf:1 b",
    ]  # fmt: skip
    assert alternatives("{foo/{,cat,dog},bar}") == ["foo/", "foo/cat", "foo/dog", "bar"] or set(
        alternatives("{foo/{,cat,dog},bar}")
    ) == {"foo/", "foo/cat", "foo/dog", "bar"}
    assert len(alternatives("{a,b}" * 40)) == 256


def test_an_include_may_stand_behind_a_condition_a_definition_or_a_repetition(tree: Path) -> None:
    text = "@lb2 include a.conf\n@lb1 include b.conf\n$F=b\ninclude ${F}.conf\n~SEQ(X,2) include b.conf\n"
    assert including(tree, text)[0] == ["b.conf:1 b"] * 4


def test_a_definition_may_be_begun_in_one_file_and_ended_in_the_next(tree: Path) -> None:
    (tree / "open.conf").write_text("$M= \\\n m1 \\\n")
    (tree / "nonl.conf").write_text("$N= \\\n m1 \\")
    assert including(tree, "include nonl.conf\n n\n$N\n")[0] == ["main.conf:3 m1", "main.conf:3 n"]


MISSING = "Config files missing 'nope.conf'."
SOME = 'Some config files missing: "{b,nope}.conf".'
NONE = "No config files matched 'nope*.conf'."
DIRECTORY = "Configuration file 'empty' is a directory - skipping"
PROGRAM = "Configuration file 'x.conf' is not a regular non-executable file - skipping"


@pytest.mark.parametrize(
    ("asked", "message", "stricter"),
    [
        ("nope.conf", f"warning: {MISSING}", "mwa"),
        ("{b,nope}.conf", f"warning: {SOME}", "ba"),
        ("nope*.conf", f"warning (advice): {NONE}", "wa"),
        ("empty", f"warning (advice): {DIRECTORY}", "rmwba"),
        ("x.conf", f"warning (advice): {PROGRAM}", "rmwba"),
    ],
)
def test_what_include_warns_of_is_an_error_for_its_stricter_forms(
    asked: str, message: str, stricter: str, tree: Path
) -> None:
    error = "error" + message[message.index(":") :]
    for form in ("", "r", "m", "w", "b", "a"):
        strict = form and form in stricter
        found, findings, _ = including(tree, f"include{form} {asked}\nq")
        assert findings == [error if strict else message], form
        assert ("b.conf:1 b" in found) is (asked.startswith("{") and not strict)
        assert found[-1] == "main.conf:2 q"


def test_include_check_makes_every_include_behind_it_stricter(tree: Path) -> None:
    assert including(tree, "include_check match\ninclude nope.conf")[1] == [f"error: {MISSING}"]
    assert including(tree, "include_check\ninclude nope*.conf")[1] == [f"error: {NONE}"]
    assert including(tree, "include_check +match -match\ninclude nope.conf")[1] == [f"warning: {MISSING}"]
    (tree / "strict.conf").write_text("include_check match\n")
    assert including(tree, "include strict.conf\ninclude nope.conf")[1] == [f"warning: {MISSING}"]
    assert checks_after(["+", "match", "-", "read"], Check.READABLE) == Check.MATCH
    assert checks_after(["brace_match", "bogus"], Check.READABLE) == Check.BRACE


def test_a_file_that_includes_itself_is_one_error(tree: Path) -> None:
    (tree / "l1.conf").write_text("l1\ninclude l2.conf\n")
    (tree / "l2.conf").write_text("l2\ninclude ./d/../l1.conf\n")
    found, findings, _ = including(tree, "include l1.conf\nq")
    assert found == ["l1.conf:1 l1", "l2.conf:1 l2", "main.conf:2 q"]
    assert findings == ["error: 'l1.conf' includes itself, by way of 3 file(s)"]


def test_files_do_not_include_each_other_without_end(tree: Path) -> None:
    for number in range(20):
        (tree / f"n{number}.conf").write_text(f"include n{number + 1}.conf\n")
    _, findings, files = including(tree, "include n0.conf\n")
    assert findings == [
        f"error: 'n{DEEPEST_INCLUDE - 1}.conf': files include each other deeper than {DEEPEST_INCLUDE} levels"
    ]
    assert len(files) == DEEPEST_INCLUDE
    with pytest.raises(ConfigError, match="more than 1000 files are included"):
        including(tree, "~SEQ(X, 2000) include b.conf\n")


def test_an_included_file_that_is_not_text_is_an_error_with_its_own_name(tree: Path) -> None:
    (tree / "bad.conf").write_bytes(b"x\nab\xff\n")
    with pytest.raises(ConfigError, match=r"bad\.conf:2:3: error: this byte is not UTF-8"):
        including(tree, "include bad.conf")
    (tree / "zero.conf").write_bytes(b"x\0\n")
    with pytest.raises(ConfigError, match=r"zero\.conf:1:2: error: this byte is a zero"):
        including(tree, "include zero.conf")


PIECES = st.sampled_from([
    "$A=", "$B=", "$A", "${A}", "$B", "${B}", "\\", "\\\n", "\n", "\n", " ", " ", "~SEQ(A,", "~SEQ(B, 1, 3)", "\x1c",
    "~LST(A,x,y)", "~SEQx(B, 300)", "@id", "@^id", "{", "}", '"', "#", "!", "x", "include y", "${_RANDOM}", "\t",
    "${_ENV X}", "${_PWD", "random_seed 7", "include_check +match", "auth_pass",
])  # fmt: skip


@settings(derandomize=True, deadline=None, max_examples=300)
@given(st.lists(PIECES, max_size=40).map("".join) | st.text())
def test_any_text_comes_to_an_end_with_lines_or_with_an_error(text: str) -> None:
    findings = Findings()
    try:
        expansion = Expansion(text, "k.conf", findings, OUTSIDE)
        for line in expansion:
            assert line.text == line.text.strip(" \t")
            assert len(line.columns) == len(line.text)
            assert 1 <= line.number <= text.count("\n") + 1
            assert all(0 < column <= len(line.source) + 1 for column in line.columns)
    except ConfigError as refused:
        found = {one.severity for one in refused.diagnostics}
    else:
        found = {Severity.ERROR}
    assert found == {Severity.ERROR}


@pytest.mark.parametrize("line", ["auth_pass", " key 1", "$SECRET=", "@lb1 $A=", "x hex:"])
def test_a_line_that_may_hold_a_secret_is_never_shown(line: str) -> None:
    findings = Findings()
    list(Expansion(f"{line} {'s' * LONGEST_LINE}", "k.conf", findings, OUTSIDE))
    (found,) = findings.items
    assert found.source is None
    assert "sss" not in found.render()


BLOCKS = st.sampled_from([
    "vrrp_instance V {\n", "interface eth0\n", "virtual_router_id 51\n", "virtual_ipaddress {", "10.9.0.${A}\n", "}\n",
    "\n", "$A=1\n", "$B= \\\n interface eth0 \\\n virtual_router_id ${A}\n", "${B}\n", "~SEQ(A,1,3) 10.0.0.${A}\n",
    "@lb1 ", "@^lb1 ", "priority ${_RANDOM 1 254}\n", "global_defs {\n", "router_id ${_INSTANCE}\n", '"', "\\",
    "include nothing.conf\n", "~LST(A,x) $B\n", 'notify "${_PWD}/x ${_HASH}"\n', "random_seed 1\n",
    "vrrp_version 3\n", "authentication { auth_pass $A\n",
])  # fmt: skip


@settings(derandomize=True, deadline=None, max_examples=300)
@given(st.lists(BLOCKS, max_size=30).map("".join))
def test_any_text_gives_a_configuration_or_a_config_error_expanded_or_not(text: str) -> None:
    found: Loaded | ConfigError
    try:
        found = read(text.encode(), "k.conf", config_id="lb1", environment={})
    except ConfigError as refused:
        found = refused
    assert isinstance(found, ConfigError) or isinstance(found.configuration, Configuration)
    assert not isinstance(found, ConfigError) or any(one.severity is Severity.ERROR for one in found.diagnostics)


def test_a_host_without_a_name_is_nobody() -> None:
    assert lines("@ a\n@^ b", Outside("")) == ["b"]


def test_a_misspelt_include_is_told_what_it_was_meant_to_be() -> None:
    (found, _) = read(b"inclde x.conf\n", "k.conf").warnings
    assert found.message == "Unknown keyword 'inclde'; did you mean 'include'?"
