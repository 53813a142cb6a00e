"""What an answer means to an expectation, and in which words a failure is told."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcpbalancer.check_status import CheckResult, CheckStatus
from tcpbalancer.dialogue import answer as http
from tcpbalancer.dialogue import protocols
from tcpbalancer.dialogue.judge import Going, Verdict, judge, passed
from tcpbalancer.dialogue.request import request
from tcpbalancer.dialogue.sample import Facts
from tcpbalancer.dialogue.speech import GOOD, Wrong, goodbye, hear
from tcpbalancer.dialogue.words import interrupted, wanted
from tcpbalancer.model.dialogue import (
    IMPLICIT_CONNECT,
    PLAIN_CONNECT,
    Connect,
    Content,
    ContentMatch,
    ContentTemplate,
    Dialogue,
    Expect,
    Farewell,
    Header,
    HttpRequest,
    Kind,
    Pattern,
    Sample,
    Send,
    SetVariable,
    Speech,
    StatusCodes,
    StatusMatch,
    Step,
    TextMatch,
)

EMPTY = "TCPCHK got an empty response at step 2"


def regex(text: str) -> re.Pattern[bytes]:
    return re.compile(text.encode())


def tcp(*steps: Step) -> Dialogue:
    return Dialogue(Kind.TCP, (IMPLICIT_CONNECT, *steps))


def heard(expect: Expect, data: bytes, *, ended: bool = True, **facts: object) -> Verdict:
    return judge(tcp(expect), expect, Facts(received=data, **facts), ended=ended)  # type: ignore[arg-type]


def info(verdict: Verdict) -> str:
    assert isinstance(verdict, CheckResult)
    return verdict.info


@pytest.mark.parametrize(
    ("pattern", "data", "words"),
    [
        (Content(b"PONG"), b"NOPE", "TCPCHK did not match content 'PONG' at step 2"),
        (Content(b"\1\2", binary=True), b"\1", "TCPCHK did not match content (binary) at step 2"),
        (ContentMatch(regex("^a")), b"ba", "TCPCHK did not match content (regex) at step 2"),
        (ContentMatch(regex("^0A"), binary=True), b"\x0b", "TCPCHK did not match content (binary regex) at step 2"),
        (ContentTemplate(("x",)), b"y", "TCPCHK did not match content (log-format string) at step 2"),
        (ContentTemplate(("01",), binary=True), b"y", "TCPCHK did not match content (log-format binary) at step 2"),
    ],
)
def test_what_does_not_match_is_an_invalid_response_in_haproxys_words(
    pattern: Pattern, data: bytes, words: str
) -> None:
    verdict = heard(Expect(number=2, pattern=pattern), data)
    assert isinstance(verdict, CheckResult)
    assert (verdict.status, verdict.code, verdict.info) == (CheckStatus.L7RSP, None, words)


def test_a_failure_names_step_line_expected_and_received_bytes() -> None:
    verdict = heard(Expect(number=2, line=17, pattern=Content(b"role:master")), b"role:slave\r\n")
    assert isinstance(verdict, CheckResult)
    step = verdict.step
    assert step is not None
    assert (step.number, step.line, step.expected, step.received) == (2, 17, "role:master", "role:slave??")


@pytest.mark.parametrize(
    ("pattern", "data"),
    [
        (Content(b"PONG"), b"+PONG\r\n"),
        (ContentMatch(regex("^.PO")), b"+PONG\r\n"),
        (ContentMatch(regex("^2B50"), binary=True), b"+PONG\r\n"),
        (ContentTemplate((Sample("str", ("PON",)), "G")), b"+PONG\r\n"),
        (ContentTemplate((Sample("str", ("PO",), (("hex", ()),)),), binary=True), b"+PONG\r\n"),
    ],
)
def test_what_matches_leads_to_the_next_step_and_fails_where_it_must_not_come(pattern: Pattern, data: bytes) -> None:
    assert heard(Expect(number=2, pattern=pattern), data) is Going.NEXT
    assert "matched unwanted content" in info(heard(Expect(number=2, pattern=pattern, inverse=True), data))


def test_more_is_waited_for_as_long_as_it_can_come() -> None:
    expect = Expect(number=2, pattern=Content(b"PONG"))
    assert heard(expect, b"PO", ended=False) is Going.MORE  # shorter than what is looked for
    assert heard(expect, b"NOPE, not yet", ended=False) is Going.MORE  # without min-recv
    assert heard(Expect(number=2, pattern=ContentMatch(regex("x")), min_recv=9), b"1234", ended=False) is Going.MORE
    assert info(heard(Expect(number=2, pattern=ContentMatch(regex("x")), min_recv=3), b"1234", ended=False))


def test_an_empty_answer_is_called_empty() -> None:
    assert info(heard(Expect(number=2, pattern=Content(b"x")), b"")) == EMPTY
    assert info(heard(Expect(number=2, pattern=Content(b"x"), comment="why"), b"")) == f"{EMPTY} comment: why"


def test_on_error_status_and_code_are_the_files_own() -> None:
    expect = Expect(
        number=1,
        pattern=ContentMatch(regex("^ok")),
        min_recv=2,
        on_error=("got ", Sample("res.payload", ("0", "0"), (("cut_crlf", ()),))),
        error_status=CheckStatus.L7STS,
        code=Sample("res.payload", ("0", "3")),
    )
    verdict = heard(expect, b"500 stuff\r\n", ended=False)
    assert isinstance(verdict, CheckResult)
    assert (verdict.status, verdict.code, verdict.info) == (CheckStatus.L7STS, 500, "got 500 stuff")


@pytest.mark.parametrize(
    ("template", "binary", "words"),
    [
        ((Sample("var", ("check.nothing",)),), False, "log-format string evaluated to an empty string"),
        (("xyz",), True, "Failed to parse hexastring resulting of eval of a log-format string"),
    ],
)
def test_a_template_that_yields_nothing_to_look_for_fails_the_check(
    template: tuple[str | Sample, ...], binary: bool, words: str
) -> None:
    assert info(heard(Expect(number=1, pattern=ContentTemplate(template, binary)), b"abc")) == words


def test_a_dialogue_that_went_well_ends_as_its_last_step_has_it() -> None:
    ends = [
        (PLAIN_CONNECT, CheckResult(CheckStatus.L4OK)),
        (tcp(), CheckResult(CheckStatus.L4OK)),
        (Dialogue(Kind.TCP, (Connect(number=1),)), CheckResult(CheckStatus.L4OK, info="(tcp-check)")),
        (tcp(Send(number=1, data=b"x")), CheckResult(CheckStatus.L7OK, 0, "(tcp-check)")),
        (tcp(Expect(number=1, pattern=Content(b"x"))), CheckResult(CheckStatus.L7OK, 0, "(tcp-check)")),
        (
            tcp(
                Expect(number=1, pattern=Content(b"x"), on_success=("fine",), ok_status=CheckStatus.L6OK),
                SetVariable(name="check.x", value=None),
            ),
            CheckResult(CheckStatus.L6OK, info="fine"),
        ),
    ]
    for dialogue, result in ends:
        assert passed(dialogue, Facts(), tls=False) == result
    assert passed(PLAIN_CONNECT, Facts(), tls=True) == CheckResult(CheckStatus.L6OK)


# -- HTTP -----------------------------------------------------------------------------------------------------------


def web(
    pattern: Pattern, data: bytes, *, ended: bool = True, method: str = "OPTIONS", **options: object
) -> tuple[Verdict, Facts]:
    expect = Expect(number=2, pattern=pattern, **options)  # type: ignore[arg-type]
    dialogue = Dialogue(Kind.HTTP, (IMPLICIT_CONNECT, HttpRequest(number=1, method=method), expect))
    facts = Facts(received=data)
    return judge(dialogue, expect, facts, ended=ended), facts


OK = b"HTTP/1.1 200 Fine\r\nX-Role: a, primary\r\nContent-Length: 2\r\n\r\nup"
SUCCESS = protocols.SUCCESS


@pytest.mark.parametrize(
    ("pattern", "fits"),
    [
        (SUCCESS, True),
        (StatusCodes(((503, 503),)), False),
        (StatusMatch(regex("^2")), True),
        (StatusMatch(regex("^3")), False),
        (Header(TextMatch("str", ("X-ROLE",))), True),
        (Header(TextMatch("str", ("x-none",))), False),
        (Header(TextMatch("beg", ("x-",)), TextMatch("str", ("primary",))), True),
        (Header(TextMatch("end", ("role",)), TextMatch("str", ("primary",)), whole=True), False),
        (Header(TextMatch("sub", ("rol",)), TextMatch("beg", ("prim",))), True),
        (Header(TextMatch("reg", regex("^x-r")), TextMatch("reg", regex("^prim"))), True),
        (Header(TextMatch("reg", regex("^x-r")), TextMatch("end", ("replica",))), False),
    ],
)
def test_a_status_or_header_that_does_not_fit_is_a_wrong_status_told_with_its_reason(
    pattern: Pattern, fits: bool
) -> None:
    for inverse in (False, True):
        verdict, _ = web(pattern, OK, inverse=inverse)
        if fits is not inverse:
            assert verdict is Going.NEXT
        else:
            assert isinstance(verdict, CheckResult)
            assert (verdict.status, verdict.code, verdict.info) == (CheckStatus.L7STS, 200, "Fine")


@pytest.mark.parametrize(
    ("pattern", "body", "words"),
    [
        (Content(b"up"), b"down", "HTTP content check did not match"),
        (ContentMatch(regex("^u")), b"down", "HTTP content check did not match"),
        (Content(b"up"), b"", "HTTP content check could not find a response body"),
    ],
)
def test_a_body_that_does_not_fit_is_an_invalid_response(pattern: Pattern, body: bytes, words: str) -> None:
    data = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    verdict, _ = web(pattern, data, ended=False)
    assert isinstance(verdict, CheckResult)
    assert (verdict.status, verdict.info) == (CheckStatus.L7RSP, words)
    assert info(web(pattern, data, on_error=("mine",))[0]) == "mine"


def test_a_body_that_must_not_come_is_unwanted_and_one_that_fits_passes() -> None:
    assert info(web(Content(b"up"), OK, inverse=True)[0]) == "HTTP check matched unwanted content"
    assert web(Content(b"up"), OK, ended=False)[0] is Going.NEXT


def test_a_status_line_without_reason_is_told_by_its_kind() -> None:
    assert info(web(SUCCESS, b"HTTP/1.0 503\r\n\r\n")[0]) == "TCPCHK did not match content(status codes) at step 2"
    said = info(web(Header(TextMatch("str", ("x",))), b"HTTP/1.0 200\r\n\r\n")[0])
    assert said == "TCPCHK did not match content (header pattern) at step 2"
    assert info(web(StatusMatch(regex("^3")), b"HTTP/1.0 200\r\n\r\n")[0]).startswith(
        "TCPCHK did not match content (re"
    )
    assert info(web(SUCCESS, b"HTTP/1.0 503 X\r\n\r\n", on_error=("mine",))[0]) == "mine"


@pytest.mark.parametrize(
    "text",
    [
        b"HTTP/1.0 200 OK\r\n",  # Patroni answers OPTIONS like this: no header, no empty line
        b"HTTP/1.0 200\r\n\r\n" + b"x" * 70_000,
        b"HTTP/1.1 302 Found\n",
    ],
)
def test_a_status_line_is_enough(text: bytes) -> None:
    assert web(SUCCESS, text, ended=False)[0] is Going.NEXT


@pytest.mark.parametrize("text", [b"SSH-2.0-OpenSSH_9.2\r\n", b"\n", b"x" * 70_000, b"HTTP/1.0 two hundred\r\n"])
def test_what_is_not_http_is_an_invalid_response_at_once(text: bytes) -> None:
    verdict, _ = web(SUCCESS, text, ended=False)
    assert isinstance(verdict, CheckResult)
    assert (verdict.status, verdict.info) == (CheckStatus.L7RSP, "no HTTP status line")


def test_the_rest_of_an_answer_is_waited_for_if_an_expectation_needs_it() -> None:
    header = Header(TextMatch("str", ("x-role",)))
    assert web(SUCCESS, b"HTT", ended=False)[0] is Going.MORE
    assert web(SUCCESS, b"HTTP/1.0 20", ended=False)[0] is Going.MORE
    assert web(header, b"HTTP/1.0 200 OK\r\nX-Ro", ended=False)[0] is Going.MORE
    assert web(header, b"HTTP/1.0 200 OK\r\nX-Role: x\r\n", ended=True)[0] is Going.NEXT
    assert web(Content(b"up"), b"HTTP/1.0 200 OK\r\n\r\n", ended=False)[0] is Going.MORE
    assert web(Content(b"up"), b"HTTP/1.0 200 OK\r\n\r\nu", ended=False)[0] is Going.MORE
    assert info(web(SUCCESS, b"")[0]) == EMPTY


def test_404_asks_for_no_new_connections_if_the_file_says_so_and_the_server_works() -> None:
    expect = Expect(number=1, pattern=StatusCodes(((200, 200),)))
    dialogue = Dialogue(Kind.HTTP, (IMPLICIT_CONNECT, HttpRequest(), expect), disable_on_404=True)
    facts = Facts(received=b"HTTP/1.0 404 Gone\r\n\r\n")
    assert judge(dialogue, expect, facts, ended=True) is Going.NEXT
    assert passed(dialogue, facts, tls=False) == CheckResult(CheckStatus.L7OKC, 404)
    facts.is_up = False
    verdict = judge(dialogue, expect, facts, ended=True)
    assert isinstance(verdict, CheckResult)
    assert (verdict.status, verdict.code) == (CheckStatus.L7STS, 404)


def test_a_good_answer_tells_its_code() -> None:
    _, facts = web(SUCCESS, OK)
    dialogue = Dialogue(Kind.HTTP, (IMPLICIT_CONNECT, HttpRequest(), Expect(number=1, pattern=SUCCESS)))
    assert passed(dialogue, facts, tls=False) == CheckResult(CheckStatus.L7OK, 200)


@pytest.mark.parametrize(
    ("text", "body", "complete"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", b"abc", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabc", b"ab", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nabc", b"abc", False),
        (b"HTTP/1.1 200 OK\n\nabc", b"abc", False),
        (b"HTTP/1.1 204 None\r\n\r\nabc", b"", True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1;x=y\r\nd\r\n0\r\n\r\n", b"abcd", True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab", b"ab", False),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"", False),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"", False),
        (b"HTTP/1.1 100 Go\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", b"x", True),
    ],
)
def test_a_body_is_read_as_rfc_9112_has_it(text: bytes, body: bytes, complete: bool) -> None:
    read = http.read(text, ended=False, is_head=False)
    assert read is not None
    assert (read.body, read.is_complete) == (body, complete)


def test_head_has_no_body() -> None:
    read = http.read(OK, ended=False, is_head=True)
    assert read is not None
    assert (read.body, read.is_complete) == (b"", True)
    assert info(web(Content(b"up"), OK, method="HEAD")[0]) == "HTTP content check could not find a response body"


def test_an_answer_is_read_as_that_of_the_request_before_it() -> None:
    expect = Expect(number=4, pattern=Content(b"up"))
    requests = (HttpRequest(number=1, method="HEAD"), Expect(number=2, pattern=SUCCESS), HttpRequest(number=3))
    dialogue = Dialogue(Kind.HTTP, (IMPLICIT_CONNECT, *requests, expect))
    assert judge(dialogue, expect, Facts(received=OK), ended=False) is Going.NEXT


def test_the_request_is_byte_for_byte_haproxys() -> None:
    def sent(state: bool = False, **given: object) -> bytes:
        facts = Facts(server="s1", state="UP; name=b/s1")
        return request(HttpRequest(**given), facts, send_state=state)  # type: ignore[arg-type]

    assert sent() == b"OPTIONS / HTTP/1.0\r\n\r\n"
    assert sent(method="GET", version="HTTP/1.1") == b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n"
    assert (
        sent(
            method="POST",
            uri=("/", Sample("srv_name")),
            version="HTTP/1.1",
            headers=(("X-A", ("b",)), ("X-Empty", ()), ("Host", ("q",))),
            body=("hello",),
        )
        == b"POST /s1 HTTP/1.1\r\nx-a: b\r\nhost: q\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello"
    )
    assert sent(headers=(("Connection", ("x",)),), version="HTTP/1.1", uri=()).endswith(b"\r\nconnection: x\r\n\r\n")
    assert sent(True) == b"OPTIONS / HTTP/1.0\r\nx-haproxy-server-state: UP; name=b/s1\r\n\r\n"
    assert sent(method="PUT") == b"PUT / HTTP/1.0\r\ncontent-length: 0\r\n\r\n"


# -- protocols ------------------------------------------------------------------------------------------------------


def packet(data: bytes, sequence: int = 0) -> bytes:
    return len(data).to_bytes(3, "little") + bytes([sequence]) + data


GREETING = packet(b"\x0a5.7.0\0" + bytes(30))
LDAP_GOOD = bytes.fromhex("300c02010161070a010004000400")
HELLO_ITEMS = b"\x07version\x08\x032.0\x0emax-frame-size\x03\xfc\xf0\x06\x0ccapabilities\x08\x00"


def frame(items: bytes, kind: int = 101, flags: bytes = b"\0\0\0\1\0\0") -> bytes:
    body = bytes([kind]) + flags + items
    return len(body).to_bytes(4, "big") + body


@pytest.mark.parametrize(
    ("speech", "data", "meaning"),
    [
        (Speech.MYSQL_GREETING, GREETING, GOOD),
        (Speech.MYSQL_GREETING, packet(b"\xff\x10\x04Too many connections"), (CheckStatus.L7STS, 1040, "Too many c")),
        (Speech.MYSQL_GREETING, GREETING[:3], (CheckStatus.L7RSP, 0, "")),
        (Speech.MYSQL_GREETING, GREETING[:-1], (CheckStatus.L7RSP, 0, "")),
        (Speech.MYSQL_OK, GREETING + packet(b"\0\0\0\2\0\0\0", 2), GOOD),
        (Speech.MYSQL_OK, GREETING + packet(b"\xff\x15\x04#28000Access", 2), (CheckStatus.L7STS, 1045, "#28000A")),
        (Speech.LDAP_BIND, LDAP_GOOD, GOOD),
        (Speech.LDAP_BIND, bytes.fromhex("308400000010020101618400000007") + LDAP_GOOD[7:], GOOD),
        (Speech.LDAP_BIND, bytes.fromhex("3082000c02010161070a013104000400"), (CheckStatus.L7STS, 49, "See RFC: http")),
        (Speech.LDAP_BIND, LDAP_GOOD[:9], (CheckStatus.L7RSP, 0, "")),
        (Speech.LDAP_BIND, b"\x30\x0cHTTP/1.0 400", (CheckStatus.L7RSP, 0, "Not LDAPv3 protocol")),
        (Speech.LDAP_BIND, b"HTTP/1.0 400", (CheckStatus.L7RSP, 0, "Not LDAPv3 protocol")),
        (Speech.LDAP_BIND, b"\x30\x84\0", (CheckStatus.L7RSP, 0, "Not LDAPv3 protocol")),
        (Speech.SPOP_HELLO, frame(HELLO_ITEMS), GOOD),
        (Speech.SPOP_HELLO, frame(HELLO_ITEMS + b"\x01x\x11\x01y\x00"), GOOD),
        (Speech.SPOP_HELLO, frame(HELLO_ITEMS)[:9], (CheckStatus.L7RSP, 4, "invalid frame received")),
        (Speech.SPOP_HELLO, frame(HELLO_ITEMS)[:20], (CheckStatus.L7RSP, 4, "invalid frame received")),
        (Speech.SPOP_HELLO, frame(HELLO_ITEMS, 3), (CheckStatus.L7RSP, 4, "invalid frame received")),
        (Speech.SPOP_HELLO, frame(HELLO_ITEMS, flags=b"\0\0\0\0\0\0"), (CheckStatus.L7RSP, 4, "invalid frame rec")),
        (Speech.SPOP_HELLO, b"\xff\xff\xff\xffe" + bytes(20), (CheckStatus.L7RSP, 4, "invalid frame received")),
        (Speech.SPOP_HELLO, frame(b"\0"), (CheckStatus.L7RSP, 4, "invalid frame received")),
        (Speech.SPOP_HELLO, frame(b"\x01x"), (CheckStatus.L7RSP, 4, "invalid frame received")),
        (Speech.SPOP_HELLO, frame(b"\x01x\x06\0\0\0\0"), (CheckStatus.L7RSP, 4, "invalid frame received")),
        (Speech.SPOP_HELLO, frame(b""), (CheckStatus.L7RSP, 5, "version value not found")),
        (Speech.SPOP_HELLO, frame(b"\x07version\x08\x032.0"), (CheckStatus.L7RSP, 6, "max-frame-size value not found")),
        (Speech.SPOP_HELLO, frame(HELLO_ITEMS[:-15]), (CheckStatus.L7RSP, 7, "capabilities value not found")),
        (Speech.SPOP_HELLO, frame(HELLO_ITEMS.replace(b"2.0", b"9.0")), (CheckStatus.L7RSP, 8, "unsupported version")),
        (
            Speech.SPOP_HELLO,
            frame(HELLO_ITEMS.replace(b"\x03\xfc\xf0\x06", b"\x03\x05")),
            (CheckStatus.L7RSP, 9, "max-frame-size too big or too small"),
        ),
        (
            Speech.SPOP_HELLO,
            frame(HELLO_ITEMS.replace(b"\x07version\x08\x032.0", b"\x07version\x03\x05")),
            (CheckStatus.L7RSP, 4, "invalid frame received"),
        ),
        (
            Speech.SPOP_HELLO,
            frame(b"\x0bstatus-code\x03\x03\x07message\x08\x05sorry", 102),
            (CheckStatus.L7RSP, 3, "sorry"),
        ),
        (Speech.SPOP_HELLO, frame(b"", 102), (CheckStatus.L7RSP, 0, "")),
        (Speech.SPOP_HELLO, frame(b"\x01x\x03\xf0"), (CheckStatus.L7RSP, 5, "version value not found")),
    ],
)
def test_answers_of_protocols_are_understood(
    speech: Speech, data: bytes, meaning: Wrong | tuple[CheckStatus, int, str]
) -> None:
    said = hear(speech, data, ended=True)
    assert said is not None
    if isinstance(meaning, Wrong):
        assert said is GOOD
    else:
        assert (said.status, said.code) == meaning[:2]
        assert said.words.startswith(meaning[2])
        assert bool(said.words) is bool(meaning[2])


@pytest.mark.parametrize(
    ("speech", "data"),
    [
        (Speech.MYSQL_GREETING, GREETING[:7]),
        (Speech.LDAP_BIND, LDAP_GOOD[:9]),
        (Speech.LDAP_BIND, b"\x30\x84\0"),
        (Speech.SPOP_HELLO, frame(HELLO_ITEMS)[:20]),
    ],
)
def test_an_answer_of_a_protocol_that_is_cut_off_is_waited_for(speech: Speech, data: bytes) -> None:
    assert hear(speech, data, ended=False) is None
    expect = Expect(number=3, pattern=speech)
    assert judge(protocols.ldap(), expect, Facts(received=data), ended=False) is Going.MORE


@given(st.sampled_from(Speech), st.binary(max_size=200), st.booleans())
def test_whatever_a_server_says_has_a_meaning(speech: Speech, data: bytes, ended: bool) -> None:
    said = hear(speech, data, ended=ended)
    assert said is not None or not ended


def test_a_speech_that_goes_wrong_ends_the_check() -> None:
    expect = Expect(number=3, pattern=Speech.LDAP_BIND)
    assert judge(protocols.ldap(), expect, Facts(received=LDAP_GOOD), ended=False) is Going.NEXT
    assert judge(protocols.ldap(), expect, Facts(), ended=False) is Going.MORE
    assert info(judge(protocols.ldap(), expect, Facts(), ended=True)) == "TCPCHK got an empty response at step 3"
    assert (
        info(judge(protocols.ssl_hello(), protocols.ssl_hello().steps[-1], Facts(received=b"HTTP/1.0"), ended=True))
        == ""
    )  # type: ignore[arg-type]


def test_a_protocol_says_goodbye_where_it_was_let_in() -> None:
    assert goodbye(None, b"R") == b""
    assert goodbye(Farewell.PGSQL, b"R\0\0\0\x08\0\0\0\0") == b"X\0\0\0\4"
    assert goodbye(Farewell.PGSQL, b"R\0\0\0\x08\0\0\0\x05salt") == b""  # asked for a password: just hang up
    assert goodbye(Farewell.PGSQL, b"E") == b""
    assert goodbye(Farewell.LDAP, LDAP_GOOD) == bytes.fromhex("30050201024200")
    assert goodbye(Farewell.LDAP, b"") == b""


# -- words ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (IMPLICIT_CONNECT, " at initial connection step of tcp-check"),
        (Connect(number=1), " at step 1 of tcp-check (connect)"),
        (Connect(number=1, port=81, comment="x"), " at step 1 of tcp-check (connect port 81) comment: 'x'"),
        (Send(number=2, data=b""), " at step 2 of tcp-check (send)"),
        (Expect(number=3, pattern=Content(b"a")), " at step 3 of tcp-check (expect string 'a')"),
        (Expect(number=3, pattern=Content(b"\x0a", binary=True)), " at step 3 of tcp-check (expect binary '0A')"),
        (Expect(number=3, pattern=ContentMatch(regex("a"))), " at step 3 of tcp-check (expect regex)"),
        (
            Expect(number=3, pattern=ContentMatch(regex("a"), binary=True)),
            " at step 3 of tcp-check (expect binary regex)",
        ),
        (Expect(number=3, pattern=ContentTemplate(())), " at step 3 of tcp-check (expect log-format string)"),
        (
            Expect(number=3, pattern=ContentTemplate((), binary=True)),
            " at step 3 of tcp-check (expect log-format binary)",
        ),
        (Expect(number=3, pattern=Speech.LDAP_BIND), " at step 3 of tcp-check (expect custom function)"),
        (SetVariable(number=4, name="check.x", value=None), " at step 4 of tcp-check"),
    ],
)
def test_where_a_tcp_check_was_when_it_was_interrupted(step: Step, words: str) -> None:
    assert interrupted(tcp(), step) == words
    assert interrupted(PLAIN_CONNECT, step) == ""
    assert interrupted(tcp(), None) == ""


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (Send(data=b""), ""),
        (Expect(pattern=Content(b"a\r")), "a?"),
        (Expect(pattern=Content(b"a\r", binary=True)), "610d"),
        (Expect(pattern=ContentMatch(regex("^a")), inverse=True), "not ^a"),
        (Expect(pattern=StatusMatch(regex("^2"))), "^2"),
        (Expect(pattern=StatusCodes(((200, 299), (301, 301)))), "200-299,301"),
        (Expect(pattern=Header(TextMatch("str", ("x",)))), "a header"),
        (Expect(pattern=ContentTemplate(())), "what a template yields"),
        (Expect(pattern=Speech.LDAP_BIND), "LDAP's answer to the bind"),
    ],
)
def test_what_a_step_waits_for_is_told_to_people(step: Step, words: str) -> None:
    assert wanted(step) == words


def test_a_speech_that_is_not_understood_is_a_custom_function() -> None:
    expect = Expect(number=3, pattern=Speech.LDAP_BIND)
    words = info(judge(tcp(), expect, Facts(received=b"\x30\x05abcde"), ended=True))
    assert words == "Not LDAPv3 protocol"
    words = info(judge(tcp(), expect, Facts(received=b"\x30\x05abc"), ended=True))
    assert words == "TCPCHK did not match content (custom function) at step 3"
