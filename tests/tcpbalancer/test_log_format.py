"""``log-format``: every variable, every switch, and what cannot be read."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcpbalancer.log_format import (
    CONNECTION,
    TCPLOG,
    VARIABLES,
    Circumstances,
    FormatError,
    LogFormat,
    parse_log_format,
)
from tcpbalancer.session_log import SessionRecord, format_tcplog

RECORD = SessionRecord(
    client="127.0.0.1",
    client_port=55944,
    accepted_at=1795646193.134,
    frontend="l",
    backend="b",
    server="s1",
    wait_ms=1,
    connect_ms=2,
    total_ms=9,
    bytes_to_client=377,
    bytes_from_client=79,
    flags="--",
    reason="closed by both sides",
    actconn=1,
    feconn=2,
    beconn=3,
    srvconn=4,
    retries=1,
    redispatched=False,
    server_queue=5,
    backend_queue=6,
    destination=("127.0.0.2", 28801),
    source=("127.0.0.3", 46908),
    target=("127.0.0.4", 28802),
)
AROUND = Circumstances("vm", 23560, 7)


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(os.environ, "TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def line(text: str, record: SessionRecord = RECORD, around: Circumstances = AROUND) -> str:
    return parse_log_format(text).line(record, around)


@pytest.mark.parametrize(
    ("variable", "seen"),
    [
        ("%B", "377"), ("%U", "79"), ("%H", "vm"), ("%T", "25/Nov/2026:22:36:33 +0000"), ("%Tc", "2"), ("%Td", "6"),
        ("%Th", "0"), ("%Tl", "25/Nov/2026:22:36:33 +0000"), ("%Ts", "1795646193"), ("%Tt", "9"), ("%Tu", "9"),
        ("%Tw", "1"), ("%ac", "1"), ("%b", "b"), ("%bc", "3"), ("%bi", "127.0.0.3"), ("%bp", "46908"), ("%bq", "6"),
        ("%ci", "127.0.0.1"), ("%cp", "55944"), ("%f", "l"), ("%fc", "2"), ("%fi", "127.0.0.2"), ("%fp", "28801"),
        ("%ft", "l"), ("%lc", "7"), ("%ms", "134"), ("%pid", "23560"), ("%rc", "1"), ("%rt", "7"), ("%s", "s1"),
        ("%sc", "4"), ("%si", "127.0.0.4"), ("%sp", "28802"), ("%sq", "5"), ("%t", "25/Nov/2026:22:36:33.134"),
        ("%tr", "25/Nov/2026:22:36:33.134"), ("%trg", "25/Nov/2026:22:36:33 +0000"),
        ("%trl", "25/Nov/2026:22:36:33 +0000"), ("%ts", "--"), ("%tsc", "----"), ("%ID", "-"), ("%ST", "0"),
        ("%hr", ""), ("%hrl", ""), ("%hs", ""), ("%hsl", ""), ("%sslv", "-"), ("%sslc", "-"), ("%%", "%"),
    ],
)  # fmt: skip
def test_a_variable_tells_what_haproxy_s_manual_says(variable: str, seen: str) -> None:
    assert line(f"<{variable}>") == f"<{seen}>"
    assert variable.removeprefix("%") in VARIABLES | {"%"}


def test_what_was_not_reached_is_a_dash_a_zero_or_minus_one() -> None:
    nobody = replace(RECORD, server=None, connect_ms=-1, destination=None, source=None, target=None)
    assert line("%s %fi:%fp %bi:%bp %si:%sp %Tc %Td", nobody) == "<NOSRV> -:0 -:0 -:0 -1 -1"


def test_a_redispatch_is_a_plus_before_the_retries() -> None:
    assert line("%rc", replace(RECORD, redispatched=True)) == "+1"


def test_logasap_puts_a_plus_before_what_may_still_grow() -> None:
    assert line("%B %U %Tt %Tu %Tc", around=replace(AROUND, grows=True)) == "+377 79 +9 +9 2"


def test_switches_hold_for_one_variable_or_for_all_that_follow() -> None:
    assert line("%{+Q}ci %b %{+Q}ts %{+Q}cp") == '"127.0.0.1" b -- 55944'
    assert line("%{+Q}o %ci %cp %{-Q}b %s %ts") == '"127.0.0.1" 55944 b "s1" --'
    assert line("x%{+Q}o%ci") == 'x"127.0.0.1"'
    assert line("%{+X}ci %{+X}cp %{+X}pid %{+X}Ts %{+X}B") == "7F000001 DA88 5C08 6B0762F1 377"
    assert line("%{+Q,+X}ci %{+Z}cp %{Q}b") == '7F000001 55944 "b"'
    assert line("%{+X}ci", replace(RECORD, client="::1")) == "0" * 31 + "1"
    assert line("%{+X}ci", replace(RECORD, client="unix:1")) == "unix:1"
    assert line("%(name)ci") == "127.0.0.1"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "%foo",
            "no such format variable 'foo'. If you wanted to emit the '%' character verbatim, you need to use '%%'",
        ),
        ("%r", "format variable 'r' is reserved for HTTP mode"),
        ("%CC", "format variable 'CC' is reserved for HTTP mode"),
        ("%[", "failed to parse sample expression <> : missing fetch method"),
        ("%[src", "missing ']' after 'src'"),
        ("%[src]", "'%[src]' is not supported by tcpbalancer: use a variable such as %ci"),
        ("%{+Q", "truncated line after '+Q'"),
        ("%{+Q}", "parse argument modifier without variable name near '%{+Q}'"),
        ("%", "truncated line after '%'"),
        (
            "a % b",
            (
                "unexpected variable name near ' ' at position 3 line : 'a % b'. Maybe you want to write a single "
                "'%', use the syntax '%%'"
            ),
        ),
    ],
)
def test_what_cannot_be_read_is_told_in_haproxy_s_words(text: str, problem: str) -> None:
    with pytest.raises(FormatError, match=f"^{re.escape(problem)}$"):
        parse_log_format(text)


@given(st.text(alphabet="%ciTts{}[]()+-QXo ab,:"))
def test_any_text_is_a_format_or_a_format_error(text: str) -> None:
    with contextlib.suppress(FormatError):
        assert isinstance(parse_log_format(text).line(RECORD, AROUND), str)


def test_tcplog_is_a_format_like_any_other() -> None:
    assert line(TCPLOG) == format_tcplog(RECORD)
    assert line(CONNECTION) == "Connect from 127.0.0.1:55944 to 127.0.0.2:28801 (l/TCP)"


def test_a_format_knows_whether_it_needs_what_only_sockets_know() -> None:
    assert parse_log_format(CONNECTION).needs_addresses
    assert not parse_log_format(TCPLOG).needs_addresses
    assert parse_log_format("") == LogFormat(())
