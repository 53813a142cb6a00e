"""keepalived.conf as words and braces: places, comments, quotes, blocks."""

from __future__ import annotations

from hakit.diagnostics import Findings
from pyvrrp.config.tree import Statement, parse

Shape = list[tuple[list[str], "Shape | None"]]


def shape(statements: tuple[Statement, ...]) -> Shape:
    return [
        ([word.text for word in found.words], None if found.block is None else shape(found.block))
        for found in statements
    ]


def parsed(text: str) -> tuple[Shape, list[str]]:
    findings = Findings()
    found = shape(parse(text, "f", findings))
    return found, [f"{item.location}: {item.message}" for item in findings.items]


def test_comments_begin_anywhere_outside_of_quotes() -> None:
    text = '# a\n! b\nrouter_id "my # router!" # c\nauth_pass KeepAlive123!\nx a\\#b\\!c#d\n'
    assert parsed(text) == (
        [
            (["router_id", "my # router!"], None),
            (["auth_pass", "KeepAlive123"], None),
            (["x", "a#b!c"], None),
        ],
        [],
    )


def test_braces_stand_on_the_same_line_the_next_line_or_all_on_one() -> None:
    same, _ = parsed("a b {\n c 1\n}\n")
    following, _ = parsed("a b\n\n# comment\n{ c 1\n}\n")
    one, _ = parsed("a b { c 1 }")
    glued, _ = parsed("a b {c 1}")
    assert same == following == one == glued == [(["a", "b"], [(["c", "1"], None)])]


def test_text_behind_a_brace_counts_as_the_next_line() -> None:
    found, _ = parsed("a { b { 1\n 2 } c 3\n} d 4\n")
    assert found == [(["a"], [(["b"], [(["1"], None), (["2"], None)]), (["c", "3"], None)]), (["d", "4"], None)]


def test_a_variable_keeps_its_braces() -> None:
    assert parsed("virtual_router_id ${VR}")[0] == [(["virtual_router_id", "${VR}"], None)]


def test_there_is_no_continuation_of_lines() -> None:
    assert parsed("priority \\\n 33")[0] == [(["priority\\"], None), (["33"], None)]


def test_the_value_of_a_script_may_hold_both_quotes_braces_and_comment_signs() -> None:
    assert parsed(r"""script '/bin/sh -c "exit 0"' # c""")[0] == [(["script", '/bin/sh -c "exit 0"'], None)]
    assert parsed(r"""script "/bin/echo \"x # y\" '{p q}' r\x41" u g""")[0] == [
        (["script", r"""/bin/echo "x # y" '{p q}' r\x41""", "u", "g"], None)
    ]
    assert parsed("s { script '/a b' }")[0] == [(["s"], [(["script", "/a b"], None)])]


def test_every_word_knows_its_line_and_column() -> None:
    (block,) = parse('a {\n\tinterface  "eth0"\n}\n', "f", Findings())
    assert block.block is not None
    (inner,) = block.block
    assert [str(word.location) for word in inner.words] == ["f:2:2", "f:2:13"]
    assert inner.source == '\tinterface  "eth0"'
    assert (inner.name, str(inner.location), inner.words[1].quoted) == ("interface", "f:2:2", True)


def test_braces_that_do_not_match_are_told_with_their_place() -> None:
    assert parsed("a {\n b {\n}\n")[1] == ["f:1:3: There are 1 missing '}'s or extra '{'s"]
    assert parsed("a {\n b {\n")[1] == ["f:2:4: There are 2 missing '}'s or extra '{'s"]
    assert parsed("a 1\n}\n")[1] == ["f:2:1: Extra '}' found"]
    assert parsed("{ a 1\n}\n")[1] == ["f:1:1: Unexpected '{': no keyword stands before it"]


def test_a_quotation_mark_that_nobody_closes_is_an_error() -> None:
    assert parsed('router_id "x\n')[1] == ["f:1:11: a quotation mark opens here, and none closes it in this line"]


def test_lines_that_may_hold_a_password_are_not_kept() -> None:
    text = "authentication {\n x y\n}\nauth_pass secret\n z\n}"
    findings = Findings()
    outer, password, last = parse(text, "f", findings)
    assert outer.block is not None
    assert (outer.block[0].source, password.source, last.source) == (None, None, " z")
