"""Samples, converters and templates in checks, and the words of an agent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcpbalancer.check_status import CheckStatus
from tcpbalancer.config.samples import parse_sample, parse_template
from tcpbalancer.dialogue import answer as http
from tcpbalancer.dialogue.agent import AgentReply, understood
from tcpbalancer.dialogue.sample import CONVERTERS, FETCHES, Facts, Value, evaluate, filled, number_of, unhexed

FACTS = Facts(
    backend="b",
    server="s",
    backend_id=3,
    server_id=4,
    hostname="lb1",
    now=1000.5,
    environment={"HOME": "/root"},
    variables={"check.x": b"val", "check.n": 7},
    received=b"  250 ok\r\nmore",
    answer=http.read(b"HTTP/1.0 404 Gone\r\nX-A: 1, 2\r\n\r\nbody", ended=True, is_head=False),
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("be_id", 3),
        ("be_name", b"b"),
        ("srv_id", 4),
        ("srv_name", b"s"),
        ("hostname", b"lb1"),
        ("date", 1000),
        ("date(-10)", 990),
        ("env(HOME)", b"/root"),
        ("env(NOPE)", b""),
        ("int(12)", 12),
        ("int(x)", 0),
        ("str(a)", b"a"),
        ("var(check.x)", b"val"),
        ("var(check.none)", b""),
        ("res.len", 14),
        ("res.payload(2,3)", b"250"),
        ("res.payload(6,0)", b"ok\r\nmore"),
        ("status", 404),
        ("res.body", b"body"),
        ("res.hdr(x-a)", b"2"),
        ("res.hdr(none)", b""),
        ("res.payload(0,0),cut_crlf,ltrim(' ')", b"250 ok"),
        ("str(abc),hex", b"616263"),
        ("int(1),hex", b"0000000000000001"),
        ("int(258),htonl", b"\0\0\1\2"),
        ("str(258),htonl,hex,lower", b"00000102"),
        ("str(ab),upper", b"AB"),
        ("str('x  '),rtrim(' '),length", 1),
        ("str(abcd),bytes(1)", b"bcd"),
        ("str(abcd),bytes(1,2)", b"bc"),
        ("str('a,b,c'),field(2,',')", b"b"),
        ("str('a b c'),field(-1,)", b"c"),
        ("str(abc),field(9,b)", b""),
        ("var(check.n),add(1)", 8),
        ("str(5x),add(-1)", 4),
    ],
)
def test_a_sample_is_looked_up(text: str, value: Value) -> None:
    assert evaluate(parse_sample(text), FACTS) == value


def test_without_an_answer_its_samples_are_empty() -> None:
    assert [evaluate(parse_sample(text), Facts()) for text in ("status", "res.body", "res.hdr(x)")] == [0, b"", b""]


def test_a_template_is_its_texts_and_samples() -> None:
    assert filled(parse_template("100%% of %[srv_name], %[ int(3) ] times"), FACTS) == b"100% of s, 3 times"
    assert parse_template("") == ()


def test_digits_become_bytes_or_nothing() -> None:
    assert unhexed(b"0aFF") == b"\x0a\xff"
    assert unhexed(b"0aF") is None
    assert unhexed(b"\xff\xff") is None


def test_a_number_is_what_a_text_begins_with() -> None:
    assert [number_of(value) for value in (b"250 ok", b"x", b"", 9)] == [250, 0, 0, 9]


@given(
    st.sampled_from(sorted(FETCHES)),
    st.lists(st.text(max_size=5), min_size=2, max_size=2),
    st.lists(st.sampled_from(sorted(CONVERTERS)), max_size=4),
    st.binary(max_size=40),
)
def test_whatever_comes_a_sample_has_a_value(
    fetch: str, arguments: list[str], converters: list[str], received: bytes
) -> None:
    from tcpbalancer.model.dialogue import Sample

    def enough(most: int) -> tuple[str, ...]:
        return tuple(arguments[:most])

    calls = tuple((name, enough(CONVERTERS[name][1])) for name in converters)
    value = evaluate(Sample(fetch, enough(FETCHES[fetch][1]), calls), Facts(received=received))
    assert isinstance(value, bytes | int)


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        ("75%", {"weight": "75%"}),
        ("weight:20", {"weight": "20"}),
        ("weight:50%", {"weight": "50%"}),
        ("maxconn:30", {"maxconn": 30}),
        ("maxconn:x", {"unknown": "maxconn:x"}),
        ("ready", {"admin": "ready"}),
        ("DRAIN", {"admin": "drain"}),
        ("maint", {"admin": "maint"}),
        ("up", {"health": "up"}),
        ("down", {"health": "down"}),
        ("stopped", {"health": "stopped"}),
        ("fail", {"health": "fail"}),
        ("up ready\t75%,maxconn:9", {"health": "up", "admin": "ready", "weight": "75%", "maxconn": 9}),
        ("down up", {"health": "up"}),
        ("", {}),
        ("hello", {"unknown": "hello"}),
        ("9x%", {"unknown": "9x%"}),
    ],
)
def test_an_agents_words_are_understood_and_the_last_of_a_sort_wins(line: str, reply: dict[str, object]) -> None:
    understanding = understood(line)
    assert {
        name: value
        for name in ("health", "admin", "weight", "maxconn", "unknown")
        if (value := getattr(understanding, name)) not in {None, ""}
    } == reply


@pytest.mark.parametrize(
    ("line", "status", "info"),
    [
        ("up", CheckStatus.L7OK, "via agent : up"),
        ("down", CheckStatus.L7STS, "via agent : down"),
        ("DOWN", CheckStatus.L7STS, "via agent : DOWN"),
        ("down # disk full ", CheckStatus.L7STS, "via agent : down (disk full)"),
        ("down#full", CheckStatus.CHECKED, "agent reports an error : down#full"),
        ("down#x 5% #why", CheckStatus.CHECKED, "agent reports an error : down#x"),
        ("fail,#", CheckStatus.L7STS, "via agent : fail"),
        ("up hello", CheckStatus.L7OK, "via agent : up (hello)"),
        ("down hello #why", CheckStatus.L7STS, "via agent : down (why)"),
        ("up hello #why", CheckStatus.L7OK, "via agent : up (hello)"),
        ("75%", CheckStatus.CHECKED, ""),
        ("hello", CheckStatus.CHECKED, "agent reports an error : hello"),
        ("#remark", CheckStatus.CHECKED, ""),
    ],
)
def test_an_agents_line_is_told_in_haproxys_words(line: str, status: CheckStatus, info: str) -> None:
    reply = understood(line)
    assert (reply.result.status, reply.result.info) == (status, info)


@given(st.text(max_size=60))
def test_whatever_an_agent_says_is_a_reply(line: str) -> None:
    assert isinstance(understood(line), AgentReply)
