"""``option ...-check``, ``tcp-check`` and ``http-check`` become a dialogue, or an error with a place."""

from __future__ import annotations

import re

import pytest

from hakit.diagnostics import ConfigError
from tcpbalancer import namespaces
from tcpbalancer.check_status import CheckStatus
from tcpbalancer.config.load import Loaded, read_texts
from tcpbalancer.dialogue import protocols
from tcpbalancer.dialogue.protocols import SUCCESS, plain_http
from tcpbalancer.model import PLAIN_CONNECT, Check, Configuration, Dialogue, ExternalCheck, Probe, Tls
from tcpbalancer.model.dialogue import (
    IMPLICIT_CONNECT,
    Connect,
    Content,
    ContentMatch,
    ContentTemplate,
    Expect,
    Header,
    HttpRequest,
    Kind,
    Sample,
    Send,
    SetVariable,
    StatusCodes,
    StatusMatch,
    Step,
    TextMatch,
)

TIMED = "defaults\n timeout connect 1s\n timeout client 2s\n timeout server 3s\n"


def read(text: str) -> Loaded:
    return read_texts([("f.cfg", text)], {}, resolve=lambda _: None)


def model(text: str) -> Configuration:
    return read(text).configuration


def errors(text: str) -> list[str]:
    with pytest.raises(ConfigError) as wrong:
        read(text)
    found = [each.message for each in wrong.value.diagnostics if each.severity.value == "error"]
    return [text for text in found if not text.startswith(("Error(s) found", "Fatal errors found"))]


def warnings(text: str) -> list[str]:
    return [found.message for found in read(text).warnings]


def probe(lines: str, before: str = "") -> Probe:
    text = "\n ".join(lines.strip().splitlines())
    return model(f"{before}{TIMED}backend b\n {text}\n").backends["b"].probe


def steps(lines: str) -> tuple[Step, ...]:
    found = probe(lines)
    assert isinstance(found, Dialogue)
    return found.steps


def wrong(lines: str) -> list[str]:
    text = "\n ".join(lines.strip().splitlines())
    return errors(f"{TIMED}backend b\n {text}\n")


def server_check(options: str, lines: str = "", whole: str = "") -> Check:
    text = f"{whole}{TIMED}backend b\n {lines}\n server s 192.0.2.1:80 check {options}\n"
    check = model(text).backends["b"].servers[0].check
    assert check is not None
    return check


def http(*rest: Step, **request: object) -> tuple[Step, ...]:
    return (IMPLICIT_CONNECT, HttpRequest(number=1, **request), *rest)  # type: ignore[arg-type] # a test's shorthand


@pytest.mark.parametrize(
    ("line", "request_"),
    [
        ("option httpchk", {}),
        ("option httpchk /x", {"uri": ("/x",)}),
        ("option httpchk GET /patroni", {"method": "GET", "uri": ("/patroni",)}),
        ("option httpchk HEAD / HTTP/1.1", {"method": "HEAD", "version": "HTTP/1.1"}),
        (
            "option httpchk GET / HTTP/1.1 www",
            {"method": "GET", "version": "HTTP/1.1", "headers": (("Host", ("www",)),)},
        ),
        (
            "option httpchk GET / HTTP/1.1\\r\\nHost:\\ www",
            {"method": "GET", "version": "HTTP/1.1", "headers": (("Host", ("www",)),)},
        ),
    ],
)
def test_option_httpchk_says_what_is_asked_and_any_success_passes(line: str, request_: dict[str, object]) -> None:
    assert steps(line) == http(Expect(number=2, pattern=SUCCESS), **request_)


def test_option_httpchk_and_the_first_http_check_send_are_one_request_and_who_comes_later_wins() -> None:
    explicit_last = steps("option httpchk GET /b HTTP/1.1\nhttp-check send uri /a hdr x y")
    assert explicit_last[1] == HttpRequest(
        number=1, method="GET", uri=("/a",), version="HTTP/1.1", headers=(("x", ("y",)),)
    )
    option_last = steps("http-check send meth GET uri /a hdr x y\noption httpchk HEAD /b")
    assert option_last[1] == HttpRequest(number=1, method="HEAD", uri=("/b",), headers=(("x", ("y",)),))


def test_http_check_send_takes_method_uri_version_headers_and_body() -> None:
    lines = (
        'option httpchk\nhttp-check send meth POST uri-lf "/%[srv_name]" ver HTTP/1.1 hdr A b body-lf "%[be_name]%%"'
    )
    assert steps(lines)[1] == HttpRequest(
        number=1,
        method="POST",
        uri=("/", Sample("srv_name")),
        version="HTTP/1.1",
        headers=(("A", ("b",)),),
        body=(Sample("be_name"), "%"),
    )


@pytest.mark.parametrize(
    ("rule", "pattern", "inverse"),
    [
        ("status 200", StatusCodes(((200, 200),)), False),
        ("status 200-202,301", StatusCodes(((200, 202), (301, 301))), False),
        ("! status 500", StatusCodes(((500, 500),)), True),
        ("!status 500", StatusCodes(((500, 500),)), True),
        ("! ! status 500", StatusCodes(((500, 500),)), False),
        ("status 200,", StatusCodes(((200, 200), (0, 0))), False),
        ("rstatus ^2", StatusMatch(re.compile(b"^2")), False),
        ("string up", Content(b"up"), False),
        ("!rstring do.n", ContentMatch(re.compile(b"do.n")), True),
        ('string-lf "%[srv_name]"', ContentTemplate((Sample("srv_name"),)), False),
        ("hdr name x-role", Header(TextMatch("str", ("x-role",))), False),
        (
            "fhdr name -m beg X- value -m sub a,b",
            Header(TextMatch("beg", ("X-",)), TextMatch("sub", ("a,b",)), whole=True),
            False,
        ),
        (
            'hdr name-lf "%[str(x)]" value -m reg ^p',
            Header(TextMatch("str", (Sample("str", ("x",)),)), TextMatch("reg", re.compile(b"^p"))),
            False,
        ),
        (
            "hdr name -m reg ^x value-lf v",
            Header(TextMatch("reg", re.compile(b"^x", re.IGNORECASE)), TextMatch("str", ("v",))),
            False,
        ),
    ],
)
def test_http_check_expect_takes_every_pattern(rule: str, pattern: object, inverse: bool) -> None:
    found = steps(f"option httpchk\nhttp-check expect {rule}")[-1]
    assert found == Expect(number=1, pattern=pattern, inverse=inverse)  # type: ignore[arg-type] # any of them


def test_http_check_goes_through_several_connects_requests_and_answers() -> None:
    lines = """option httpchk
    http-check connect port 81 linger
    http-check send uri /a
    http-check expect status 200
    http-check connect
    http-check send uri /b
    http-check expect status 404 comment last"""
    assert steps(lines) == (
        Connect(number=1, port=81, linger=True),
        HttpRequest(number=2, uri=("/a",)),
        Expect(number=3, pattern=StatusCodes(((200, 200),))),
        Connect(number=4),
        HttpRequest(number=5, uri=("/b",)),
        Expect(number=6, pattern=StatusCodes(((404, 404),)), comment="last"),
    )


def test_the_request_of_the_option_stands_behind_the_first_connect() -> None:
    assert steps("option httpchk GET /x\nhttp-check connect ssl sni a.example alpn h2,http/1.1") == (
        Connect(number=1, tls=True, sni="a.example", alpn=("h2", "http/1.1")),
        HttpRequest(number=2, method="GET", uri=("/x",)),
        Expect(number=3, pattern=SUCCESS),
    )


def test_disable_on_404_and_send_state() -> None:
    found = probe("option httpchk\nhttp-check disable-on-404\nhttp-check send-state")
    assert isinstance(found, Dialogue)
    assert (found.disable_on_404, found.send_state) == (True, True)


def test_a_redis_ha_charts_sequence_is_read_as_it_is_written() -> None:
    lines = r"""option tcp-check
    tcp-check connect
    tcp-check send PING\r\n
    tcp-check expect string +PONG
    tcp-check send SENTINEL\ get-master-addr-by-name\ mymaster\r\n
    tcp-check expect string 10.0.0.1
    tcp-check send QUIT\r\n
    tcp-check expect string +OK"""
    assert steps(lines) == (
        Connect(number=1),
        Send(number=2, data=b"PING\r\n"),
        Expect(number=3, pattern=Content(b"+PONG")),
        Send(number=4, data=b"SENTINEL get-master-addr-by-name mymaster\r\n"),
        Expect(number=5, pattern=Content(b"10.0.0.1")),
        Send(number=6, data=b"QUIT\r\n"),
        Expect(number=7, pattern=Content(b"+OK")),
    )


def test_tcp_check_expect_takes_all_its_settings() -> None:
    lines = (
        'option tcp-check\ntcp-check expect ! rbinary ^00 min-recv 4 comment c on-success ok on-error "no %[res.len]" '
        "ok-status L6OK error-status l7sts tout-status L6TOUT status-code res.payload(0,3)"
    )
    assert steps(lines)[1] == Expect(
        number=1,
        pattern=ContentMatch(re.compile(b"^00"), binary=True),
        inverse=True,
        min_recv=4,
        comment="c",
        on_success=("ok",),
        on_error=("no ", Sample("res.len")),
        ok_status=CheckStatus.L6OK,
        error_status=CheckStatus.L7STS,
        timeout_status=CheckStatus.L6TOUT,
        code=Sample("res.payload", ("0", "3")),
    )


def test_tcp_check_sends_texts_binaries_and_templates() -> None:
    lines = """option tcp-check
    tcp-check connect default addr 192.0.2.9 port var(check.p) send-proxy
    tcp-check send-binary 0aFF comment b
    tcp-check send-lf "%[var(check.x),hex,lower]"
    tcp-check send-binary-lf "00%[str('a,b)'),hex]"
    tcp-check expect binary 0102
    tcp-check expect binary-lf 0102"""
    assert steps(lines) == (
        Connect(number=1, default=True, address="192.0.2.9", port=Sample("var", ("check.p",)), send_proxy=True),
        Send(number=2, data=b"\n\xff", binary=True, comment="b"),
        Send(number=3, data=(Sample("var", ("check.x",), (("hex", ()), ("lower", ()))),)),
        Send(number=4, data=("00", Sample("str", ("a,b)",), (("hex", ()),))), binary=True),
        Expect(number=5, pattern=Content(b"\1\2", binary=True)),
        Expect(number=6, pattern=ContentTemplate(("0102",), binary=True)),
    )


def test_http_check_comment_stands_for_the_expectation_behind_it() -> None:
    lines = """option httpchk
    http-check comment "who leads"
    http-check expect status 200"""
    assert steps(lines)[-1] == Expect(number=2, pattern=StatusCodes(((200, 200),)), comment="who leads")


def test_a_comment_stands_for_the_rules_behind_it_up_to_the_next_connect() -> None:
    lines = """option tcp-check
    tcp-check comment one
    tcp-check connect
    tcp-check comment two
    tcp-check send a
    tcp-check send b
    tcp-check expect string c comment own
    tcp-check set-var(check.x) res.len
    tcp-check unset-var(check.x)
    tcp-check set-var-fmt(check.y) z%[res.len]"""
    found = steps(lines)
    assert [(step.number, step.comment) for step in found] == [
        (2, "one"), (4, "two"), (5, "two"), (6, "own"), (7, ""), (8, ""), (9, ""),
    ]  # fmt: skip
    assert found[4:] == (
        SetVariable(number=7, name="check.x", value=(Sample("res.len"),)),
        SetVariable(number=8, name="check.x", value=None),
        SetVariable(number=9, name="check.y", value=("z", Sample("res.len"))),
    )


def test_an_expectation_begins_anew_at_the_inverse_one_before_it() -> None:
    lines = "option tcp-check\ntcp-check expect !string a\ntcp-check expect string b\ntcp-check expect string c"
    assert [step.head for step in steps(lines) if isinstance(step, Expect)] == [0, 1, 2]
    lines = "option tcp-check\ntcp-check expect !string a\ntcp-check send x\ntcp-check expect string c"
    assert [step.head for step in steps(lines) if isinstance(step, Expect)] == [0, 0]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("option tcp-check", Dialogue(Kind.TCP, (IMPLICIT_CONNECT,))),
        ("option httpchk\noption tcp-check", Dialogue(Kind.TCP, (IMPLICIT_CONNECT,))),
        ("balance roundrobin", PLAIN_CONNECT),
        ("option redis-check", protocols.redis()),
        ("option pgsql-check user postgres", protocols.pgsql("postgres")),
        ("option mysql-check", protocols.mysql(None)),
        ("option mysql-check user haproxy", protocols.mysql("haproxy", "post-41")),
        ("option mysql-check user haproxy pre-41", protocols.mysql("haproxy", "pre-41")),
        ("option mysql-check user haproxy post-80", protocols.mysql("haproxy", "post-80")),
        ("option smtpchk", protocols.smtp("HELO localhost")),
        ("option smtpchk EHLO mail.example", protocols.smtp("EHLO mail.example")),
        ("option smtpchk NOOP", protocols.smtp("HELO localhost")),
        ("option ldap-check", protocols.ldap()),
        ("option ssl-hello-chk", protocols.ssl_hello()),
        ("option spop-check", protocols.spop()),
    ],
)
def test_every_probe_of_a_protocol_has_its_dialogue(line: str, found: Probe) -> None:
    assert probe(line) == found


def test_a_proxy_inherits_rules_unless_it_has_its_own() -> None:
    before = "defaults\n option httpchk GET /x\n http-check expect status 500\n tcp-check expect string a\n"
    text = "backend b\n{}backend c\n"
    inherited = model(before + text.format("")).backends
    assert inherited["b"].probe == inherited["c"].probe
    assert steps_of(inherited["b"].probe)[-1] == Expect(number=1, pattern=StatusCodes(((500, 500),)))
    own = model(before + text.format(" http-check expect status 200\n")).backends["b"].probe
    assert steps_of(own)[1:] == (
        HttpRequest(number=1, method="GET", uri=("/x",)),
        Expect(number=1, pattern=StatusCodes(((200, 200),))),
    )
    anew = model(before + text.format(" option httpchk GET /y\n")).backends["b"].probe
    assert anew == plain_http(HttpRequest(number=1, method="GET", uri=("/y",)))
    assert model(before + text.format(" option tcp-check\n")).backends["b"].probe == Dialogue(
        Kind.TCP, (IMPLICIT_CONNECT,)
    )


def steps_of(found: Probe) -> tuple[Step, ...]:
    assert isinstance(found, Dialogue)
    return found.steps


EXTERNAL = "global\n external-check{}\n insecure-fork-wanted\n"


def test_an_external_check_has_its_command_and_path() -> None:
    lines = "option external-check\n external-check path /usr/bin:/bin\n external-check command check.sh"
    assert probe(lines, EXTERNAL.format("")) == ExternalCheck("check.sh", "/usr/bin:/bin")
    assert probe(lines, EXTERNAL.format(" preserve-env")) == ExternalCheck("check.sh", "/usr/bin:/bin", True)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("option pgsql-check", "'option pgsql-check' expects 'user <username>' as argument. (a role"),
        ("option pgsql-check role x", "'option pgsql-check' only supports optional values: 'user'."),
        ("option mysql-check name x", "'option mysql-check' only supports optional values: 'user' (got 'name')."),
        ("option mysql-check user", "'option mysql-check user' expects <username> as argument."),
        (
            "option mysql-check user x post-99",
            "keyword 'user' only supports 'post-41', 'pre-41' and 'post-80' (got 'post-99').",
        ),
        ("option redis-check x", "'option redis-check' cannot handle unexpected argument 'x'."),
        ("option httpchk GET / HTTP/1.1 a b", "'option httpchk' cannot handle unexpected argument 'b'."),
        (
            "option httpchk GET / HTTP/1.1 %[nope]",
            "'option httpchk' : failed to parse sample expression <nope]>",
        ),
        ("tcp-check bogus", "'tcp-check' only supports 'comment', 'connect', 'send', 'send-binary', 'expect', "),
        ("tcp-check comment", "'tcp-check comment' : expects a string as argument."),
        ("tcp-check send", "'tcp-check send' : 'send' expects a string as argument."),
        ("tcp-check send a b", "'tcp-check send' : expects 'comment' but got 'b' as argument.."),
        ("tcp-check send-binary", "'tcp-check send-binary' : 'send-binary' expects a binary string as argument."),
        ("tcp-check send-binary abc", "'tcp-check send-binary' : 'abc' invalid binary string (an even number of hex"),
        (
            "tcp-check send-binary 0g",
            "'tcp-check send-binary' : '0g' invalid binary string (an hex digit is expected (f",
        ),
        ("tcp-check send-lf %ci", "'tcp-check send-lf' : '%ci' invalid log-format string (the variable '%c'"),
        ("tcp-check send-lf %[src]", "'tcp-check send-lf' : '%[src]' invalid log-format string (failed to parse"),
        ("tcp-check send-lf %[str(a", "'tcp-check send-lf' : '%[str(a' invalid log-format string (failed to parse"),
        ("tcp-check send-lf %[str(a)", "'tcp-check send-lf' : '%[str(a)' invalid log-format string (failed to parse"),
        ("tcp-check send-lf %[]", "'tcp-check send-lf' : '%[]' invalid log-format string (failed to parse"),
        ("tcp-check send-lf %[str]", "'tcp-check send-lf' : '%[str]' invalid log-format string (failed to parse"),
        ("tcp-check send-lf %[int(1),base64]", "'tcp-check send-lf' : '%[int(1),base64]' invalid log-format string ("),
        ("tcp-check expect", "'tcp-check expect' : expects at least a matching pattern as arguments."),
        ("tcp-check expect comment x", "'tcp-check expect' : pattern not found."),
        ("tcp-check expect string", "'tcp-check expect' : 'string' expects a <pattern> as argument."),
        (
            "tcp-check expect string #1",
            r"'tcp-check expect' : 'string' expects a <pattern> as argument. (an unescaped '#' begins a comment: write",
        ),
        ("tcp-check expect string a string b", "'tcp-check expect' : only one pattern expected."),
        ("tcp-check expect status 200", "'tcp-check expect' : 'only supports min-recv, '[!]binary', "),
        ("http-check expect binary 00", "'http-check expect' : 'only supports min-recv, [!]string', "),
        ("tcp-check expect ! comment a string b", "'tcp-check expect' : [!] not supported with 'comment'."),
        ("tcp-check expect string a min-recv x", "'tcp-check expect' : 'min-recv' expects -1 or an integer from 0"),
        ("tcp-check expect rstring (", "'tcp-check expect' : regex '(' is invalid (error="),
        ("tcp-check expect binary 0", "'tcp-check expect' : invalid binary string (an even number of hex digit is exp"),
        (
            "tcp-check expect string a ok-status L7STS",
            "'tcp-check expect' : 'ok-status' only supports 'L4OK', 'L6OK', 'L7OK' or 'L7OKC' status (got 'L7STS').",
        ),
        ("tcp-check expect string a status-code x()", "'tcp-check expect' : error detected while parsing status-code"),
        ("tcp-check send x\ntcp-check connect", "'tcp-check connect' : first step MUST also be a 'connect', "),
        ("tcp-check connect bogus", "'tcp-check connect' : expects 'comment', 'port', 'addr', 'send-proxy', "),
        ("tcp-check connect port 70000", "'tcp-check connect' : expects a valid TCP port (from range 1 to 65535) or "),
        ("tcp-check connect port x", "'tcp-check connect' : error detected while parsing port expression : unknown "),
        ("tcp-check connect addr a.example", "'tcp-check connect' : 'addr' : 'a.example' is not an address"),
        ("tcp-check connect addr 1:b", "'tcp-check connect' : 'addr' : invalid character 'b' in port number"),
        ("tcp-check connect via-socks4", "'tcp-check connect' : 'via-socks4' is not supported by tcpbalancer"),
        ("tcp-check connect proto h2", "'tcp-check connect' : 'proto' : 'h2' is not supported by tcpbalancer."),
        (
            "tcp-check set-var(txn.x) int(1)",
            "'tcp-check set-var(txn.x)' : 'set-var' : the variable 'txn.x' is not",
        ),
        ("tcp-check set-var(check.x)", "'tcp-check set-var(check.x)' : 'set-var' : missing fetch method."),
        ("tcp-check set-var(check.x) a,b", "'tcp-check set-var(check.x)' : error detected while parsing the sample"),
        ("tcp-check set-var(check.x) int(1) y", "'tcp-check set-var(check.x)' : unexpected 'y'."),
        ("tcp-check set-var(check.x) int(1)y", "'tcp-check set-var(check.x)' : error detected while parsing the s"),
        ("http-check expect hdr x", "'http-check expect' : 'hdr' expects at the name keyword as first argument"),
        ("http-check expect hdr name -m foo x", "'http-check expect' : 'hdr' : '-m' only supports 'str', 'beg', "),
        ("http-check expect hdr name-lf -m reg x", "'http-check expect' : 'hdr': log-format string is not supported"),
        ("http-check expect hdr name x value", "'http-check expect' : 'hdr' expect a pattern with the value keyword."),
        ("http-check expect status 200-", "'http-check expect' : invalid range of status codes '200-'."),
        ("http-check expect status 1-2-3", "'http-check expect' : invalid character '-' in the list of status codes."),
        (
            "tcp-check set-var(foo.x) int(1)",
            "'tcp-check set-var(foo.x)' : 'set-var' : invalid variable name 'foo.x'. ",
        ),
        ("tcp-check set-var() int(1)", "'tcp-check set-var()' : 'set-var' : Empty variable name cannot be accepted."),
        ("http-check send meth a/b", "'http-check send' : 'a/b' is not a method."),
        ("http-check send ver 1.1", "'http-check send' : '1.1' is not an HTTP version."),
        (
            "http-check send hdr Host a hdr host b",
            "'http-check send' : 'host' header already defined (previous ",
        ),
        ("http-check disable-on-404 x", "'http-check' cannot handle unexpected argument 'x'."),
        ("option httpchk\nhttp-check send uri /a\nhttp-check send uri /b", "'http-check send' : unable to add http-ch"),
        ("option httpchk\nhttp-check connect\nhttp-check expect status 1", "'http-check expect' : unable to add http"),
        ("external-check", "missing argument after 'external-check'."),
        ("external-check foo x", "'external-check' only supports 'command' and 'path'. but got 'foo'."),
        ("external-check command", "missing argument after 'command'."),
    ],
)
def test_a_rule_that_makes_no_sense_is_an_error_in_haproxys_words(lines: str, message: str) -> None:
    found = wrong(lines)
    assert len(found) == 1
    assert found[0].startswith(message)


def test_rules_that_nobody_uses_are_named() -> None:
    text = f"{TIMED}backend b\n http-check expect status 200\n tcp-check send x\n external-check path /bin\n"
    said = warnings(text)
    assert said == [
        "backend 'b' uses http-check rules without 'option httpchk', so the rules are ignored.",
        "backend 'b' uses tcp-check rules without 'option tcp-check', so the rules are ignored.",
        "'external-check path' will be ignored for backend 'b' (requires 'option external-check').",
    ]


def test_a_check_goes_where_the_server_line_says() -> None:
    assert server_check("").address == "192.0.2.1"
    assert (server_check("").port, server_check("port 81").port) == (80, 81)
    check = server_check("addr 192.0.2.2:82 inter 1s fastinter 200ms downinter 5s rise 4 fall 5")
    assert (check.address, check.port, check.rise, check.fall) == ("192.0.2.2", 82, 4, 5)
    assert (check.intervals.fastinter, check.intervals.downinter) == (0.2, 5.0)
    assert server_check("addr 192.0.2.2:82 port 83").port == 83


def test_a_check_comes_from_where_connections_come_from_and_says_what_they_say(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(namespaces, "exists", lambda _: True)
    check = server_check("source 192.0.2.9 namespace blue send-proxy-v2")
    assert (check.source, check.namespace) == ("192.0.2.9", "blue")
    assert (check.send_proxy, check.proxy_version) == (True, 2)
    apart = server_check("send-proxy-v2 port 81")
    assert (apart.send_proxy, apart.proxy_version) == (False, 2)
    assert server_check("send-proxy port 81 check-send-proxy").send_proxy


def test_tls_in_checks_is_as_the_server_line_says() -> None:
    check = server_check("check-ssl verify none check-sni a.example check-alpn h2,http/1.1")
    assert (check.use_tls, check.sni, check.alpn, check.tls) == (
        True,
        "a.example",
        ("h2", "http/1.1"),
        Tls(verify=False),
    )
    assert server_check("check-ssl no-check-ssl").use_tls is False
    whole = "global\n ssl-server-verify none\n ca-base /etc/ca\n crt-base /etc/crt\n"
    check = server_check("check-ssl ca-file x.pem ssl-min-ver TLSv1.2", whole=whole)
    assert check.tls == Tls(verify=False, ca_file="/etc/ca/x.pem", lowest="TLSv1.2")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("check-ssl", "verify is enabled by default but no CA file specified."),
        ("check-ssl verify", "'verify' : missing verify method."),
        ("check-sni", "'check-sni' : missing SNI."),
        ("ca-file", "'ca-file' : missing CAfile path."),
        ("check-alpn", "'check-alpn' : missing the comma-delimited ALPN protocol suite."),
        ("check-ssl verify maybe", "'verify' : unknown verify method 'maybe'"),
        (
            "check-ssl verify required ca-file @system-ca check-sni a verifyhost b",
            "'verifyhost' other than ",
        ),
        ("check-via-socks4", "unknown keyword 'check-via-socks4': not supported by tcpbalancer"),
        ("check-proto h2", "unknown keyword 'check-proto': not supported by tcpbalancer"),
        ("check-alpn ,", "'check-alpn' expects the protocol list as an argument"),
        ("ssl-min-ver 1.2", "'ssl-min-ver' : unknown SSL version '1.2'"),
        ("agent-check", "server s does not have agent port. Agent check has been disabled."),
    ],
)
def test_an_option_of_checks_that_cannot_be_carried_out_is_an_error(options: str, message: str) -> None:
    assert message in wrong(f"server s 192.0.2.1:80 check {options}")[0]


def test_an_agent_is_asked_where_the_server_line_says() -> None:
    def agent(options: str) -> object:
        text = f"{TIMED}backend b\n default-server agent-inter 5s\n server s 192.0.2.1:80 {options}\n"
        found = model(text).backends["b"].servers[0].agent
        return found and (found.address, found.port, found.inter, found.send)

    assert agent("agent-check agent-port 9000") == ("192.0.2.1", 9000, 5.0, "")
    assert agent("agent-check agent-port 9 agent-addr 192.0.2.3 agent-send hi\\n") == ("192.0.2.3", 9, 5.0, "hi\n")
    assert agent("agent-check no-agent-check agent-port 9") is None


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("spread-checks 60", "'spread-checks' needs a positive value in range 0..50."),
        ("spread-checks", "'spread-checks' expects an integer argument (0..50)."),
        ("max-spread-checks", "'max-spread-checks' expects an integer argument (0..50)."),
        ("max-spread-checks 1x", "unsupported character 'x' in 'max-spread-checks' (wants an integer delay)."),
        ("external-check foo", "'external-check' only supports 'preserve-env' as an argument, found 'foo'."),
        ("ssl-server-verify maybe", "'ssl-server-verify' expects 'none' or 'required' as argument."),
        ("ca-base", "global statement 'ca-base' expects a directory path as an argument."),
    ],
)
def test_a_mistake_in_globals_keywords_of_checks_is_an_error(lines: str, message: str) -> None:
    assert errors(f"global\n {lines}\n{TIMED}") == [message]


def test_checks_are_spread_as_global_says() -> None:
    found = model(f"global\n spread-checks 5\n max-spread-checks 3s\n{TIMED}")
    assert (found.spread_checks, found.max_spread_checks) == (5, 3.0)


def test_an_external_check_needs_what_allows_it() -> None:
    with pytest.raises(Exception, match=r"unable to find required 'global\.external-check'"):
        probe("option external-check\nexternal-check command /bin/true")
    with pytest.raises(Exception, match="unable to find required 'external-check command'"):
        probe("option external-check", EXTERNAL.format(""))
    with pytest.raises(Exception, match="does not have a leading '/' and 'external-check path' is not set"):
        probe("option external-check\nexternal-check command true", EXTERNAL.format(""))
    text = f"global\n external-check\n{TIMED}backend b\n option external-check\n external-check command /bin/true\n"
    assert "'insecure-fork-wanted' not enabled in the global section" in warnings(text)[0]


def test_a_connect_with_a_port_of_its_own_needs_none_on_the_server_line() -> None:
    lines = "option tcp-check\n tcp-check connect port 81\n"
    text = f"{TIMED}listen l\n bind :1\n {lines} server s 192.0.2.1 check\n"
    check = model(text).backends["l"].servers[0].check
    assert check is not None
    assert "has neither service port nor check port" in errors(text.replace(" port 81", ""))[0]
