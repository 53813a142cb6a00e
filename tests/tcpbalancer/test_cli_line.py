"""The runtime API's lines: what is a command, what is a payload, how an answer ends."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from tcpbalancer.control.cli_line import LONGEST, Reader, Request, TooLongError, encode, finished, requests


def read(*portions: bytes) -> list[list[Request]]:
    reader = Reader()
    lines: list[list[Request]] = []
    for portion in portions:
        reader.feed(portion)
        while (line := reader.next_line()) is not None:
            lines.append(line)
    return lines


def words(line: str) -> list[tuple[str, ...]]:
    return [request.words for request in requests(line)]


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_line_ends_with_lf_or_cr_lf(end: bytes) -> None:
    assert read(b"show info" + end) == [[Request(("show", "info"))]]


def test_half_a_command_is_never_carried_out() -> None:
    assert read(b"disable server b/s1") == []
    assert read(b"disable server b/s1", b"0\n") == [[Request(("disable", "server", "b/s10"))]]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("get weight b/s;disable server b/s", [("get", "weight", "b/s"), ("disable", "server", "b/s")]),
        ("get weight b/s;;show info", [("get", "weight", "b/s"), (), ("show", "info")]),
        ("  get \t weight   b/s  ", [("get", "weight", "b/s")]),
        ("get weight b\\/s", [("get", "weight", "b/s")]),
        ("echo a\\;b \\\\ c\\ d", [("echo", "a;b", "\\", "c d")]),
        ("echo \\", [("echo", "")]),
        ("", [()]),
        (";", [(), ()]),
    ],
)
def test_commands_are_separated_by_semicolons_and_a_backslash_escapes(
    line: str, expected: list[tuple[str, ...]]
) -> None:
    assert words(line) == expected


def test_a_payload_ends_with_an_empty_line_and_belongs_to_the_last_command() -> None:
    lines = read(b"show info;set map m <<\nk v\n", b"k2 v2\n\nshow stat\n")
    assert lines == [
        [],
        [],
        [],
        [Request(("show", "info")), Request(("set", "map", "m"), "k v\nk2 v2\n")],
        [Request(("show", "stat"))],
    ]


def test_a_payload_may_end_with_a_pattern_and_then_holds_empty_lines() -> None:
    assert read(b"add map m <<%EOF\na\n\nb\n%EOF\n")[-1] == [Request(("add", "map", "m"), "a\n\nb\n")]


def test_an_empty_payload_is_an_empty_text() -> None:
    assert read(b"x <<\n\n")[-1] == [Request(("x",), "")]


@pytest.mark.parametrize("line", ["echo a<<", "echo <<toolongx", "echo << b c"])
def test_what_only_looks_like_a_payload_is_words(line: str) -> None:
    assert len(read(line.encode() + b"\n")[-1]) == 1


def test_while_a_payload_comes_the_reader_says_so() -> None:
    reader = Reader()
    reader.feed(b"x <<\n")
    assert (reader.next_line(), reader.awaits_payload, reader.has_line) == ([], True, False)


def test_a_line_that_is_too_long_is_not_waited_for() -> None:
    with pytest.raises(TooLongError):
        read(b"x" * (LONGEST + 1))
    reader = Reader()
    reader.feed(b"ok\n" + b"x" * (LONGEST + 1) + b"\n")
    reader.next_line()
    with pytest.raises(TooLongError):
        reader.next_line()


def test_a_payload_that_is_too_long_is_not_waited_for() -> None:
    with pytest.raises(TooLongError):
        read(b"x <<\n", *[b"y" * 1000 + b"\n"] * 20)


@pytest.mark.parametrize(("text", "ended"), [("", "\n"), ("1", "1\n\n"), ("a\nb\n", "a\nb\n\n")])
def test_an_answer_ends_with_an_empty_line_and_success_is_nothing_else(text: str, ended: str) -> None:
    assert finished(text) == ended


@given(some.binary(max_size=200))
def test_any_bytes_are_read_and_come_back_as_they_were(data: bytes) -> None:
    line = data.replace(b"\n", b"").replace(b"\r", b"").replace(b"<", b"")
    for request in read(line + b"\n")[0]:
        for word in request.words:
            encode(word)
    assert b"".join(encode(word) for request in requests(line.decode("utf-8", "surrogateescape")) for word in
                    request.words) == _without_blanks(line)  # fmt: skip


def _without_blanks(line: bytes) -> bytes:
    """Return a line without what separates, and with what is escaped."""
    kept, escaped = bytearray(), False
    for byte in line:
        if escaped or byte not in b" \t;\\":
            kept.append(byte)
        escaped = byte == ord("\\") and not escaped
    return bytes(kept)
