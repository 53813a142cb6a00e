"""What is read of the first message of a TLS client, and what is not believed of it."""

from __future__ import annotations

import pytest
from client_hello import CLIENT_HELLO
from hypothesis import given
from hypothesis import strategies as st

from tcpbalancer.rules.client_hello import Unread, message_type, server_name, version


def hello(extensions: bytes, *, before: bytes = b"\x03\x03" + bytes(32) + b"\0" + b"\0\2\x13\x01" + b"\1\0") -> bytes:
    body = before + len(extensions).to_bytes(2, "big") + extensions
    message = b"\x01" + len(body).to_bytes(3, "big") + body
    return b"\x16\x03\x01" + len(message).to_bytes(2, "big") + message


def name(text: bytes, kind: int = 0) -> bytes:
    entry = bytes((kind,)) + len(text).to_bytes(2, "big") + text
    names = len(entry).to_bytes(2, "big") + entry
    return b"\0\0" + len(names).to_bytes(2, "big") + names


def test_the_recorded_hello_asks_for_its_server_in_tls_1_2_or_later() -> None:
    assert server_name(CLIENT_HELLO) == b"db.example.org"
    assert message_type(CLIENT_HELLO) == 1
    assert version(CLIENT_HELLO) == (3 << 16) + 3


def test_as_long_as_it_is_not_whole_it_may_still_come() -> None:
    for length in range(len(CLIENT_HELLO)):
        part = CLIENT_HELLO[:length]
        assert (server_name(part), message_type(part), version(part)) == (Unread.MORE, Unread.MORE, Unread.MORE)


def test_the_name_may_stand_behind_other_extensions() -> None:
    assert server_name(hello(b"\0\x17\0\0" + name(b"a.example"))) == b"a.example"


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.0\r\n",
        b"\x16\x02",
        b"\x16\x03\x01\x00\x10",
        b"\x16\x03\x01\x02\x00\x02",
        b"\x16\x03\x01\x02\x00\x01\x00\x00\x05",
        hello(b""),
        hello(b"\0\x17\0\0"),
        hello(name(b"x" * 20, kind=1)),
        hello(b"\0\0\0\5\0\x03\0\0"),  # a list that is longer than its extension
        hello(b"\0\0\0\1\0"),
        hello(b"\0"),
        hello(b"", before=b"\x03\x03" + bytes(32) + b"\xff" + bytes(50)),
    ],
)
def test_what_has_no_name_will_never_have_one(data: bytes) -> None:
    assert server_name(data) is Unread.NEVER


@pytest.mark.parametrize(
    ("data", "kind", "spoken"),
    [
        (b"GET / HTTP/1.0\r\n", Unread.NEVER, Unread.NEVER),
        (b"\x16\x02\x00\x00\x10" + bytes(20), Unread.NEVER, Unread.NEVER),
        (b"\x16\x03\x00\x00\x02" + bytes(20), Unread.NEVER, Unread.NEVER),
        (b"\x16\x03\x01\xff\xff" + bytes(20), 0, Unread.NEVER),
        (b"\x15\x03\x01\x00\x10" + b"\x02\x00\x00\x00" + bytes(20), 2, Unread.NEVER),
    ],
)
def test_what_is_no_handshake_has_no_type_and_no_version(data: bytes, kind: int | Unread, spoken: int | Unread) -> None:
    assert (message_type(data), version(data)) == (kind, spoken)


@given(st.binary(max_size=400), st.integers(0, len(CLIENT_HELLO)))
def test_any_bytes_give_an_answer(data: bytes, kept: int) -> None:
    for read in (server_name, message_type, version):
        read(data)
        read(CLIENT_HELLO[:kept] + data)
