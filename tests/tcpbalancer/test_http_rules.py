"""What rules see in a request to a page, and what ``http-request``, ``stats`` and ``userlist`` make of it."""

from __future__ import annotations

import asyncio
import base64

import pytest

from hakit.diagnostics import ConfigError, Severity
from tcpbalancer.config.load import Loaded, read_texts
from tcpbalancer.control.gate import DROPPED, Gate
from tcpbalancer.control.passwords import credentials
from tcpbalancer.control.replies import Reply
from tcpbalancer.model import Frontend, Secret, StatsPage, User, UserList
from tcpbalancer.rules.facts import Facts, Request
from tcpbalancer.rules.samples import parse_ip

TIMED = "defaults\n timeout connect 1s\n timeout client 1s\n timeout server 1s\n mode http\n"
USERS = (
    "userlist people\n group ops users ann\n group dev\n user ann insecure-password one groups dev\n"
    " user bob password $5$saltsalt$ZI/6D8IUtprIPT0oSEShQnlsdN7tuxxKSSObpb/Yq89\n user eve insecure-password three\n"
)


class Nobody:
    """A census of nothing."""

    def __getattr__(self, name: str) -> object:
        return lambda *_: 0


def read(text: str) -> Loaded:
    return read_texts([("f.cfg", text)], {})


def frontend(lines: str, before: str = "") -> Frontend:
    text = "\n ".join(line.strip() for line in lines.splitlines())
    return read(f"{before}{TIMED}listen l\n bind 127.0.0.1:1\n {text}\n").configuration.frontends["l"]


def errors(lines: str, before: str = "", mode: str = "http") -> list[str]:
    text = f"{before}{TIMED.replace('http', mode)}listen l\n bind 127.0.0.1:1\n {lines}\n"
    with pytest.raises(ConfigError) as caught:
        read(text)
    found = [each for each in caught.value.diagnostics if each.severity is Severity.ERROR]
    return [each.message for each in found if each.location.line]


def warnings(lines: str, before: str = "", mode: str = "http") -> list[str]:
    text = f"{before}{TIMED.replace('http', mode)}listen l\n bind 127.0.0.1:1\n {lines}\n"
    return [each.message for each in read(text).warnings]


def asked(
    made: Frontend,
    target: str = "/",
    method: str = "GET",
    headers: tuple[tuple[str, str], ...] = (),
    user: str = "",
    version: str = "1.1",
) -> Facts:
    gate = Gate(made)
    header = f"Basic {base64.b64encode(user.encode()).decode()}" if user else None
    known = asyncio.run(gate.known_to(header))
    return Facts(Nobody(), request=Request(method, target, version, headers, known))  # type: ignore[arg-type] # asks nothing


def decided(lines: str, target: str = "/", before: str = "", **request: object) -> Reply | str | None:
    made = frontend(lines, before)
    return Gate(made).before(asked(made, target, **request))  # type: ignore[arg-type] # by name


@pytest.mark.parametrize(
    ("condition", "target", "holds"),
    [
        ("{ path /a }", "/a?b", True), ("{ path /a }", "/ab", False), ("{ path_beg /a }", "/ab", True),
        ("{ path_end b }", "/ab", True), ("{ path_dir x }", "/a/x/b", True), ("{ path_sub x }", "/axb", True),
        ("{ path_reg ^/[0-9]+$ }", "/12", True), ("{ path_len gt 3 }", "/abc", True),
        ("{ path_dom b }", "/a.b", True), ("{ path /a }", "http://host/a", True), ("{ path / }", "http://host", True),
        ("{ pathq /a?b=1 }", "/a?b=1", True), ("{ query b=1 }", "/a?b=1", True), ("{ query -m found }", "/a", False),
        ("{ url /a?b=1 }", "/a?b=1", True), ("{ url_beg /a }", "/a?b=1", True), ("{ base h:1/a }", "/a?b", True),
        ("{ hdr(host) h:1 }", "/", True), ("{ req.hdr(x-list) two }", "/", True),
        ("{ req.hdr(x-list) one }", "/", False),
        ('{ req.fhdr(x-list) -m str "one, two" }', "/", True), ("{ hdr_beg(host) h }", "/", True),
        ("{ hdr_cnt(x-list) eq 2 }", "/", True), ("{ hdr_cnt(none) eq 0 }", "/", True),
        ("{ hdr(none) -m found }", "/", False), ("{ req.fhdr(none) -m found }", "/", False),
        ("{ method GET }", "/", True), ("METH_GET", "/", True), ("METH_POST", "/", False), ("HTTP_1.1", "/", True),
        ("{ urlp(a) 1 }", "/x?b=2&a=1", True), ("{ url_param(a) 1 }", "/x?b=2", False),
        ("HTTP_URL_SLASH", "/", True), ("TRUE", "/", True), ("FALSE", "/", False),
    ],
)  # fmt: skip
def test_a_rule_sees_what_was_asked(condition: str, target: str, *, holds: bool) -> None:
    headers = (("host", "h:1"), ("x-list", "one, two"))
    reply = decided(f"http-request deny if {condition}", target, headers=headers)
    assert (isinstance(reply, Reply) and reply.status == 403) is holds


@pytest.mark.parametrize(
    "condition",
    ["{ path / }", "{ hdr(a) b }", "{ req.fhdr(a) b }", "{ hdr_cnt(a) 0 }", "{ urlp(a) 1 }", "{ http_auth(people) }",
     "{ http_auth_group(people) ops }"],
)  # fmt: skip
def test_without_a_request_nothing_of_it_holds(condition: str) -> None:
    made = frontend(f"stats admin if {condition}", USERS)
    assert not Gate(made).is_admin(Facts(Nobody()))  # type: ignore[arg-type] # asks nothing


@pytest.mark.parametrize(
    ("rule", "user", "status"),
    [
        ("http-request auth unless { http_auth(people) }", "", 401),
        ("http-request auth unless { http_auth(people) }", "ann:wrong", 401),
        ("http-request auth unless { http_auth(people) }", "ann:one", None),
        ("http-request auth unless { http_auth(people) }", "bob:pw2", None),
        ("http-request auth unless { http_auth(people) }", "bob:pw", 401),
        ("http-request auth unless { http_auth(people) }", "nobody:one", 401),
        ("http-request deny unless { http_auth_group(people) ops }", "ann:one", None),
        ("http-request deny unless { http_auth_group(people) dev }", "ann:one", None),
        ("http-request deny unless { http_auth_group(people) ops }", "bob:pw2", 403),
        ("http-request deny unless { http_auth_group(people) ops }", "eve:three", 403),
        ("http-request deny unless { http_auth_group(people) ops }", "", 403),
    ],
)
def test_userlist_and_http_auth(rule: str, user: str, status: int | None) -> None:
    reply = decided(rule, user=user, before=USERS)
    assert (reply.status if isinstance(reply, Reply) else reply) == status


def test_a_password_that_was_right_once_is_not_computed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    made = frontend("http-request auth unless { http_auth(people) }", USERS)
    gate = Gate(made)
    header = f"Basic {base64.b64encode(b'bob:pw2').decode()}"
    assert "people" in asyncio.run(gate.known_to(header))
    monkeypatch.setattr(gate._passwords, "_crypt", lambda *_: "")
    assert "people" in asyncio.run(gate.known_to(header))
    assert not asyncio.run(gate.known_to(f"Basic {base64.b64encode(b'bob:pw3').decode()}"))


@pytest.mark.parametrize("header", [None, "", "Bearer x", "Basic !", "Basic /w==", "Basic YQ=="])
def test_what_is_no_basic_authentication_is_nobody(header: str | None) -> None:
    assert credentials(header) is None


def test_a_hash_that_makes_no_sense_lets_nobody_in() -> None:
    users = "userlist people\n user a password *\n user b password\n user c\n user d password $9$x$y\n"
    for name in "abcd":
        for password in ("", "*", "x"):
            reply = decided("http-request deny unless { http_auth(people) }", user=f"{name}:{password}", before=users)
            assert isinstance(reply, Reply)


@pytest.mark.parametrize(
    ("rule", "status", "body", "header"),
    [
        ("http-request deny", 403, b"<html><body><h1>403 Forbidden</h1>", ("content-type", "text/html")),
        ("http-request deny deny_status 429", 429, b"<html><body><h1>429 Too", ("content-type", "text/html")),
        ("http-request tarpit", 403, b"<html>", ("content-type", "text/html")),
        ("http-request auth realm Here", 401, b"<html>", ("www-authenticate", 'Basic realm="Here"')),
        ("http-request return", 200, b"", ("cache-control", "no-cache")),
        ("http-request return status 404", 404, b"<html>", ("content-type", "text/html")),
        ("http-request return content-type text/plain string ok", 200, b"ok", ("content-type", "text/plain")),
        ('http-request return content-type text/plain lf-string "100%%" hdr X y', 200, b"100%", ("X", "y")),
        ("http-request return status 200 hdr X-A b", 200, b"", ("X-A", "b")),
        ("http-request redirect location /stats", 302, b"", ("location", "/stats")),
        ("http-request redirect code 301 location /stats if TRUE", 301, b"", ("location", "/stats")),
        ("redirect location /stats code 303 if { path / }", 303, b"", ("location", "/stats")),
        ("monitor-uri /", 200, b"<html><body><h1>200 OK</h1>\nService ready.", ("content-type", "text/html")),
        ("monitor-uri /\nmonitor fail if TRUE", 503, b"<html>", ("content-type", "text/html")),
    ],
)  # fmt: skip
def test_what_rules_and_monitors_answer(rule: str, status: int, body: bytes, header: tuple[str, str]) -> None:
    reply = decided(rule)
    assert isinstance(reply, Reply)
    assert (reply.status, reply.body[: len(body)]) == (status, body)
    assert header in reply.headers


def test_monitor_uri_is_answered_before_any_rule_and_for_nothing_else() -> None:
    lines = "http-request deny\nmonitor-uri /up\nmonitor fail if { nbsrv(l) gt 0 }"
    assert decided(lines, "/up").status == 200  # type: ignore[union-attr]
    assert decided(lines, "/up?").status == 403  # type: ignore[union-attr]


def test_the_first_rule_that_holds_decides() -> None:
    lines = "http-request allow if { path /a }\nhttp-request use-service prometheus-exporter if { path /m }\n"
    lines += "http-request reject if { path /r }\nhttp-request silent-drop if { path /s }\nhttp-request deny"
    assert decided(lines, "/a") is None
    assert decided(lines, "/m") == "prometheus-exporter"
    assert decided(lines, "/r") is DROPPED
    assert decided(lines, "/s") is DROPPED
    assert decided(lines, "/x").status == 403  # type: ignore[union-attr]


def page_status(lines: str, user: str = "", target: str = "/") -> int | None:
    made = frontend(lines, USERS)
    reply = Gate(made).page(asked(made, target, user=user))
    return None if reply is None else reply.status


def test_stats_http_request_says_who_sees_the_page() -> None:
    lines = (
        "stats http-request allow if { path /open }\nstats http-request deny if { http_auth(people) } { path /no }\n"
    )
    lines += "stats http-request auth realm Zed unless { http_auth(people) }"
    assert page_status(lines, target="/open") is None
    assert page_status(lines) == 401
    assert page_status(lines, "ann:one") is None
    assert page_status(lines, "ann:one", "/no") == 403
    assert page_status("stats http-request auth", "ann:one") == 401


def test_stats_auth_stands_behind_the_rules() -> None:
    assert page_status("stats auth a:b\nstats auth c:d") == 401
    assert page_status("stats auth a:b\nstats auth c:d", "c:d") is None
    assert page_status("stats auth a:b", "a:d") == 401
    assert page_status("stats auth a:b\nstats http-request allow if { path / }") is None


def test_stats_admin_needs_a_condition_that_holds() -> None:
    def is_admin(lines: str, user: str = "") -> bool:
        made = frontend(lines, USERS)
        return Gate(made).is_admin(asked(made, user=user))

    assert not is_admin("stats enable")
    assert is_admin("stats admin if TRUE")
    assert is_admin("stats admin if FALSE\nstats admin unless FALSE")
    assert is_admin("acl boss http_auth_group(people) ops\nstats admin if boss", "ann:one")
    assert not is_admin("acl boss http_auth_group(people) ops\nstats admin if boss", "bob:pw2")


def test_rules_of_tcp_request_hold_for_pages_too() -> None:
    made = frontend(
        "tcp-request connection reject if { src 192.0.2.1 }\ntcp-request content reject if { src 192.0.2.2 }\n"
        "tcp-request session silent-drop if { src 192.0.2.4 }"
    )

    def facts(source: str) -> Facts:
        return Facts(Nobody(), parse_ip(source), request=Request())  # type: ignore[arg-type] # asks nothing

    assert [Gate(made).admits(facts(f"192.0.2.{number}")) for number in (1, 2, 3, 4)] == [
        False, True, True, False,
    ]  # fmt: skip
    assert Gate(made).before(facts("192.0.2.2")) is DROPPED
    assert Gate(made).before(facts("192.0.2.3")) is None


_IN = "error detected in proxy 'l' while parsing 'http-request"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("stats scope", "'scope' needs a proxy name."),
        ("stats admin", "'stats admin' requires either 'if' or 'unless' followed by a condition."),
        ("stats admin TRUE", "'stats admin' requires either 'if' or 'unless' followed by a condition."),
        ("stats admin if foo", "error detected while parsing a 'stats admin' rule : no such ACL : 'foo'"),
        ("stats http-request auth realm", f"{_IN} auth' rule : missing realm value.\n."),
        (
            "stats http-request auth foo",
            "'http-request auth' expects either 'if' or 'unless' followed by a condition but found 'foo'.",
        ),
        (
            "stats http-request deny if nope",
            "error detected while parsing an 'http-request deny' condition : no such ACL : 'nope'",
        ),
        (
            "stats http-request set-header X y",
            "'stats http-request set-header' is not supported by tcpbalancer: use allow, deny or auth",
        ),
        ("monitor-uri", "'monitor-uri' expects an URI."),
        ("monitor-uri /a b", "'monitor-uri' cannot handle unexpected argument 'b'."),
        ("monitor", "'monitor' only supports 'fail'."),
        ("monitor fail", "'monitor fail' requires either 'if' or 'unless' followed by a condition."),
        ("monitor fail if nope", "error detected while parsing a 'monitor fail' condition : no such ACL : 'nope'"),
        ("http-request deny deny_status", f"{_IN} deny' rule : 'status' expects <status_code> as argument.."),
        ("http-request deny deny_status abc", f"{_IN} deny' rule : Unexpected status code '0'."),
        ("http-request return status 700", f"{_IN} return' rule : Unexpected status code '700'."),
        (
            "http-request return string x",
            f"{_IN} return' rule : a content type must be defined when non-empty payload is configured.",
        ),
        (
            "http-request return content-type text/plain lf-string %[src]",
            f"{_IN} return' rule : a text that is made of samples is not supported by tcpbalancer.",
        ),
        ("http-request return file /x", f"{_IN} return' rule : 'file' is not supported by tcpbalancer."),
        ("http-request use-service", f"{_IN} use-service' rule : 'use-service' expects a service name.."),
        ("http-request use-service foo", f"{_IN} use-service' rule : 'foo' unknown service name.."),
        (
            "http-request redirect",
            f"{_IN} redirect' rule : redirection type expected ('prefix', 'location', or 'scheme').",
        ),
        (
            "http-request redirect location /x code 500",
            f"{_IN} redirect' rule : 'code': unsupported HTTP code '500' (must be one of 301, 302, 303, 307 or 308).",
        ),
        (
            "http-request redirect prefix /",
            f"{_IN} redirect' rule : 'prefix' is not supported by tcpbalancer: use 'location'.",
        ),
        (
            "http-request cache-use x",
            "'http-request cache-use' is not supported by tcpbalancer: others would be answered",
        ),
        (
            "http-request deny if { http_auth(zz) }",
            "unable to find userlist 'zz' referenced in arg 1 of ACL keyword 'http_auth' in proxy 'l'.",
        ),
        (
            "http-request deny if { http_auth }",
            "missing userlist name in arg 1 of ACL keyword 'http_auth' in proxy 'l'.",
        ),
    ],
)
def test_what_is_wrong_with_a_rule_is_said_as_haproxy_says_it(line: str, said: str) -> None:
    assert errors(line) == [said]


@pytest.mark.parametrize("line", ["http-request", "http-request foo", "stats http-request foo"])
def test_actions_that_do_not_exist_are_refused_with_the_list_of_those_that_do(line: str) -> None:
    (said,) = errors(line)
    assert said.startswith("'http-request' expects 'wait-for-handshake', ")
    assert said.endswith(("but got 'foo'.", "but got '' (missing argument)."))


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("userlist", "'userlist' expects <name> as arguments."),
        ("userlist u x", "'userlist' cannot handle unexpected argument 'x'."),
        ("userlist u%", "character '%' is not permitted in 'userlist' name 'u%'."),
        ("userlist u\n group", "'group' expects <name> as arguments."),
        ("userlist u\n group g foo", "'group' only supports 'users' option."),
        ("userlist u\n user", "'user' expects <name> as arguments."),
        ("userlist u\n user a foo", "'user' only supports 'password', 'insecure-password' and 'groups' options."),
    ],
)
def test_what_is_wrong_with_a_userlist_is_said_as_haproxy_says_it(lines: str, said: str) -> None:
    assert errors("stats enable", f"{lines}\n") == [said]


def test_what_a_userlist_repeats_does_not_count() -> None:
    text = (
        "userlist u\n user a insecure-password x\n user a insecure-password y\n group g users a\n group g\nuserlist u\n"
    )
    said = warnings("stats enable\nstats auth n:p", text + " user z\n")
    assert [each for each in said if each.startswith("ignoring")] == [
        "ignoring duplicated user 'a' in userlist 'u'.",
        "ignoring duplicated group 'g' in userlist 'u'.",
        "ignoring duplicated userlist 'u'.",
    ]
    http = frontend("stats enable", text).http
    assert http is not None
    assert http.userlists == (UserList("u", (User("a", Secret("x"), groups=frozenset({"g"})),)),)


def test_the_settings_of_the_page_are_read() -> None:
    lines = "stats scope a\nstats scope .\nstats show-legends\nstats show-node n1\nstats show-desc hello world"
    assert frontend(lines).stats == StatsPage(scopes=("a", "."), legends=True, node="n1", description="hello world")
    given = frontend("stats show-node\nstats show-desc", "global\n description mine\n").stats
    assert given == StatsPage(node="", description="mine")
    assert warnings("stats auth a:b\nstats show-desc") == [
        "'show-desc' requires a parameter or 'desc' to be set in the global section."
    ]


def test_timeouts_of_http_are_the_page_s() -> None:
    http = frontend("timeout http-request 3s\ntimeout http-keep-alive 4s\noption httplog").http
    assert http is not None
    assert (http.request_timeout, http.keep_alive_timeout, http.httplog) == (3.0, 4.0, True)


def test_where_bytes_are_relayed_rules_for_requests_are_not_carried_out_and_nobody_is_let_in_by_that() -> None:
    relays = "server s 192.0.2.1:1\n "
    assert errors(f"{relays}http-request deny if TRUE") == [
        "'http-request deny' is not supported by tcpbalancer: everybody would be let in"
    ]
    (said,) = [each for each in warnings(f"{relays}http-request set-header X y") if "http-request" in each]
    assert said == "'http-request' is accepted but not carried out by tcpbalancer"
    assert errors(f"{relays}tcp-request content reject if {{ path /admin }}")[0].endswith(
        "fetch method 'path' is not carried out by tcpbalancer: without it others would be let in than this file says"
    )
    assert errors("tcp-request connection reject if { path /admin }", mode="tcp")
    for line in ("monitor-uri /x", "monitor fail if TRUE", "redirect location /"):
        name = "monitor fail" if "fail" in line else line.split()[0]
        assert f"'{name}' is accepted but not carried out by tcpbalancer" in warnings(relays + line)


def test_a_page_takes_no_proxy_header() -> None:
    assert errors("tcp-request connection expect-proxy layer4") == [
        "Proxy 'l': 'expect-proxy' is not carried out by tcpbalancer for the statistics page."
    ]
    with pytest.raises(ConfigError, match="'accept-proxy' is not carried out by tcpbalancer for the statistics page"):
        read(f"{TIMED}listen l\n bind 127.0.0.1:1 accept-proxy\n stats enable\n")


def test_yaml_says_the_same_of_users_and_pages() -> None:
    yaml = """\
userlist people:
  user: [ann insecure-password one groups dev]
  group: [ops users ann, dev]
defaults: {mode: http, timeout: {connect: 1s, client: 1s, server: 1s, http-request: 2s}}
listen l:
  bind: 127.0.0.1:1
  stats:
    uri: /stats
    auth: ["a:b", "c:d"]
    admin: if TRUE
    http-request: ["auth unless { http_auth(people) }"]
    scope: [stats, "."]
    show-legends: true
  monitor-uri: /up
  http-request: ["use-service prometheus-exporter if { path /metrics }"]
"""
    users = "userlist people\n user ann insecure-password one groups dev\n group ops users ann\n group dev\n"
    lines = "stats uri /stats\nstats auth a:b\nstats auth c:d\nstats admin if TRUE\n"
    lines += (
        "stats http-request auth unless { http_auth(people) }\nstats scope stats\nstats scope .\nstats show-legends\n"
    )
    lines += (
        "monitor-uri /up\nhttp-request use-service prometheus-exporter if { path /metrics }\ntimeout http-request 2s"
    )
    made = read_texts([("f.yaml", yaml)], {}).configuration.frontends["l"]
    same = frontend(lines, users)
    assert (made.stats, made.http) == (same.stats, same.http)


def test_a_page_that_everybody_can_change_is_warned_of() -> None:
    said = warnings("stats admin if TRUE")
    assert any("whoever reaches it may take servers out" in each for each in said)
    for safer in ("stats admin if LOCALHOST", "stats admin if TRUE\n stats auth n:longer"):
        assert not any("whoever reaches it" in each for each in warnings(safer))


def test_a_log_format_of_http_is_no_reason_not_to_start_in_http_mode() -> None:
    assert any("'log-format' with variables of HTTP is accepted" in each for each in warnings("log-format '%TR %ST'"))
    assert errors("log-format '%TR'", mode="tcp") == [
        "failed to parse log-format : format variable 'TR' is reserved for HTTP mode."
    ]


def test_a_page_in_a_backend_is_said_not_to_be_served() -> None:
    text = f"{TIMED} stats enable\n stats auth n:longer\nfrontend f\n bind 127.0.0.1:1\n default_backend b\nbackend b\n"
    told = "the statistics page of backend 'b' is not served: put 'stats' into the frontend itself"
    assert told in [each.message for each in read(f"{text} stats uri /s\n").warnings]
    assert told not in [each.message for each in read(text).warnings]
