"""The tokenizer of haproxy.cfg: its manual's sections 2.2 (quoting) and 2.3 (environment) as examples."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hakit.diagnostics import Location
from tcpbalancer.config.tokens import Statement, TokenError, Word, expand_address, octets, readable, split

ENVIRONMENT = {"PORT": "80", "LIST": "a b  c", "EMPTY": "", "BLANKS": " 1  2 ", ".FILE": "f.cfg", ".LINE": "7"}


def texts(line: str) -> list[str]:
    return [word.text for word in split(line, ENVIRONMENT)]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", []),
        ("   \t ", []),
        ("# all of it", []),
        ("a b\tc\r", ["a", "b", "c"]),
        ("a#b c", ["a"]),
        ("a \\#b", ["a", "#b"]),
        ("a\\ b", ["a b"]),
        ('"a b"c', ["a bc"]),
        ("'a b'c", ["a bc"]),
        ('""', [""]),
        ("a '' b", ["a", "", "b"]),
        ('"#"', ["#"]),
        ("'\\n$PORT'", ["\\n$PORT"]),
        ('"\\n"', ["\n"]),
        ("\\r\\t\\x41\\q\\", ["\r\tA\\q\\"]),
        ('"\\"\\$PORT"', ['"$PORT']),
        ("$PORT ${PORT}", ["$PORT", "${PORT}"]),
        ('"$PORT" "${PORT}"', ["80", "80"]),
        ('"${NOPE}" "${NOPE-x y}" "${PORT-1}"', ["", "x y", "80"]),
        ('"x${LIST[*]}y"', ["xa", "b", "cy"]),
        ('"x${LIST[*]} y"', ["xa", "b", "c y"]),
        ('a "${EMPTY[*]}" "${NOPE[*]}" b', ["a", "b"]),
        ('"${EMPTY}" "${NOPE-}"', ["", ""]),
        ('"${PORT[*]}${LIST}"', ["80a b  c"]),
        ('"${NOPE[*]-a b}"', ["a", "b"]),
        ('"${BLANKS[*]}z"', ["1", "2", "z"]),
        ('"${.FILE} $.LINE"', ["f.cfg 7"]),
        ("a\\$b", ["a\\$b"]),
        ("a\\'b", ["a'b"]),
        ("a\x00b", ["a"]),
        ("a\\xc3\\xa9 \\xff", ["aé", "\udcff"]),
    ],
)
def test_a_line_is_cut_as_the_manual_says(line: str, words: list[str]) -> None:
    assert texts(line) == words


@pytest.mark.parametrize(
    ("line", "message", "column"),
    [
        ('a "b', "unmatched quote at position 3:", 3),
        ("a 'b", "unmatched quote at position 3:", 3),
        ("\\x4", "truncated or invalid hexadecimal sequence at position 1:", 1),
        ("\\xgg", "truncated or invalid hexadecimal sequence at position 1:", 1),
        ('"${A', "unmatched brace in environment variable name at position 3:", 3),
        ('"${A.B}"', "unmatched brace in environment variable name at position 3:", 3),
        ('"${1A}"', "forbidden first char in environment variable name at position 4:", 4),
        ('"$"', "forbidden first char in environment variable name at position 3:", 3),
        ('"${.HOME}"', "forbidden first char in environment variable name at position 4:", 4),
        ('"${A[x]}"', "truncated or invalid word expansion sequence at position 5:", 5),
        ("x " * 65, "too many words, truncating after word 64, position 127: <x>.", 127),
    ],
)
def test_a_line_that_cannot_be_cut_says_where(line: str, message: str, column: int) -> None:
    with pytest.raises(TokenError) as wrong:
        split(line, ENVIRONMENT)
    assert (wrong.value.message, wrong.value.column) == (message, column)


def test_every_word_knows_its_column() -> None:
    assert split("  a 'b c'  d", {}) == (Word("a", 3), Word("b c", 5), Word("d", 12))


def test_an_empty_word_knows_the_variable_that_is_not_set() -> None:
    words = split('a \'\' "${NOPE}" x"$NOPE"', {})
    assert [(word.text, word.empty_at) for word in words] == [("a", 0), ("", 4), ("", 9), ("x", 0)]


def test_a_word_is_bytes_where_bytes_are_meant_and_text_where_it_is_shown() -> None:
    word = split("\\xff\\xc3\\xa9z", {})[0].text
    assert (octets(word), readable(word)) == (b"\xff\xc3\xa9z", "\ufffdéz")
    assert (octets("\ud800"), readable("plain")) == (b"?", "plain")


def test_without_comments_a_hash_is_a_character() -> None:
    assert [word.text for word in split("a #b \\#", {}, comments=False)] == ["a", "#b", "\\#"]


def test_an_address_expands_variables_without_quotes_and_an_unset_one_is_empty() -> None:
    assert expand_address("h:${PORT}${NOPE}", ENVIRONMENT) == "h:80"
    assert expand_address("h:${PORT-81}", ENVIRONMENT) == "h:${PORT-81}"


def test_a_place_behind_the_last_word_is_the_end_of_the_line() -> None:
    statement = Statement((Word("a", 3),), Location("f", 7, 3), "  a  ")
    assert statement.at(0) == Location("f", 7, 3)
    assert statement.at(1) == Location("f", 7, 4)


@given(st.text(max_size=60))
@settings(derandomize=True, max_examples=300)
def test_any_line_gives_words_or_a_place(line: str) -> None:
    try:
        columns = [word.column for word in split(line, ENVIRONMENT)]
    except TokenError as wrong:
        columns = [wrong.column]
    assert all(1 <= column <= len(line) for column in columns)
