"""``acl``, ``tcp-request``, ``use_backend``, ``use-server``, ``stick``: rules, or errors.

The texts are those of the real HAProxy, 2.6.12 and 3.x, measured line by line.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from hakit.diagnostics import ConfigError
from tcpbalancer.config.findings import Finding
from tcpbalancer.config.load import load, read_texts
from tcpbalancer.model import Configuration
from tcpbalancer.model.rule import Call, Choice, Condition, Expression, Interval, Network, Rule, StickTable, Term, Test

TIMED = "defaults\n mode tcp\n timeout connect 1s\n timeout client 1s\n timeout server 1s\n"
SOURCE = Test(Expression(Call("src")), "ip", (Network(4, 0x0A000000, 0xFF000000),))


def read(line: str, section: str = "listen l") -> str:
    address = "" if section.startswith("backend") else " bind 127.0.0.1:1\n"
    server = "" if section.startswith("frontend") else " server s1 127.0.0.1:1\n"
    return f"{TIMED}{section}\n{address}{server} {line}\nbackend other\n server s1 127.0.0.1:1\n"


def model(text: str) -> Configuration:
    loaded = read_texts([("f.cfg", text)], {})
    assert not [found for found in loaded.warnings if "rule" in found.message]
    return loaded.configuration


def said(text: str) -> list[str]:
    """The errors, or else the warnings, as HAProxy says them behind the place."""
    try:
        found = read_texts([("f.cfg", text)], {}).warnings
    except ConfigError as wrong:
        found = tuple(each for each in wrong.diagnostics if each.severity.name == "ERROR")
    texts = [each.haproxy_text() if isinstance(each, Finding) else each.message for each in found]
    return [each.partition("f.cfg:9] : ")[2] or each for each in texts if "rror" not in each or "detected" in each]


def test_rules_of_a_frontend() -> None:
    text = read(
        "acl ours src 10.0.0.0/8\n tcp-request connection accept if ours\n tcp-request connection reject\n"
        " tcp-request session silent-drop if !ours\n tcp-request inspect-delay 5s\n"
        " tcp-request content accept if { req.len gt 3 }\n use_backend other if ours || { dst_port 5432 }\n"
        " use_backend l"
    )
    rules = model(text).frontends["l"].rules
    assert rules is not None
    ours = Term((SOURCE,))
    assert rules.connection == (Rule("accept", Condition(((ours,),))), Rule("reject"))
    assert rules.session == (Rule("silent-drop", Condition(((Term((SOURCE,), negated=True),),))),)
    longer = Test(Expression(Call("req.len")), "int", (Interval(4, None),))
    assert rules.content == (Rule("accept", Condition(((Term((longer,)),),))),)
    assert rules.inspect_delay == 5.0
    port = Test(Expression(Call("dst_port")), "int", (Interval(5432, 5432),))
    assert rules.backends == (Choice("other", Condition(((ours,), (Term((port,)),)))), Choice("l"))


def test_rules_of_a_backend() -> None:
    text = read(
        "stick-table type ip size 1k expire 30m nopurge\n stick on dst\n stick match src if TRUE\n"
        " stick store-request src table l\n use-server s1 unless { src 10.0.0.0/8 }"
    )
    backend = model(text).backends["l"]
    assert backend.table == StickTable("ip", 1024, expire=1800.0, nopurge=True)
    assert backend.rules is not None
    assert backend.rules.servers == (Choice("s1", Condition(((Term((SOURCE,)),),), unless=True)),)
    found = [(rule.expression.fetch.name, rule.table, rule.match, rule.store) for rule in backend.rules.stick]
    assert found == [("dst", "l", True, True), ("src", "l", True, False), ("src", "l", False, True)]


def test_who_has_no_rules_has_none() -> None:
    configuration = model(read("tcp-request inspect-delay 5s"))
    assert configuration.frontends["l"].rules is None
    assert configuration.backends["l"].rules is None


def test_named_defaults_may_hold_rules() -> None:
    text = f"{TIMED}defaults d from x\n tcp-request connection reject if LOCALHOST\nfrontend f from d\n bind :1\n"
    rules = model(text.replace("defaults\n", "defaults x\n", 1)).frontends["f"].rules
    assert rules is not None
    assert [rule.action for rule in rules.connection] == ["reject"]


def test_patterns_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "ours").write_text("# ours\n10.0.0.0/8\n")
    (tmp_path / "f.cfg").write_text(read(f"tcp-request connection reject if {{ src -f {tmp_path / 'ours'} }}"))
    rules = load([tmp_path / "f.cfg"], {}).configuration.frontends["l"].rules
    assert rules is not None
    assert rules.connection == (Rule("reject", Condition(((Term((SOURCE,)),),))),)


def test_rules_from_yaml() -> None:
    text = """
frontends:
  f:
    bind: 127.0.0.1:1
    timeout: {client: 1s}
    acl: [ours src 10.0.0.0/8]
    tcp-request: [connection reject if ours]
"""
    rules = read_texts([("f.yaml", text)], {}).configuration.frontends["f"].rules
    assert rules is not None
    assert rules.connection == (Rule("reject", Condition(((Term((SOURCE,)),),))),)


PARSING_ACL = "error detected while parsing ACL 'a' : "
CONDITION = "'tcp-request connection reject' : error detected in proxy 'l' while parsing 'if' condition : "


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("acl", "'acl' expects a name."),
        ("acl a", f"{PARSING_ACL}missing fetch method in ACL expression ''."),
        ("acl a src x", f"{PARSING_ACL}'x' is not a valid IPv4 or IPv6 address."),
        ("acl a.b! src 1.1.1.1", "character '!' is not permitted in acl name 'a.b!'."),
        (
            "acl or src 1.1.1.1",
            "acl name 'or' will never match. 'or' is used to express a logical disjunction within a condition.",
        ),
        ("tcp-request", "missing argument for 'tcp-request' in proxy 'l'"),
        (
            "tcp-request foo",
            "'tcp-request' expects 'inspect-delay', 'connection', or 'content' in proxy 'l' (got 'foo')",
        ),
        (
            "tcp-request inspect-delay",
            "'tcp-request inspect-delay' expects a positive delay in milliseconds, in proxy 'l'",
        ),
        (
            "tcp-request inspect-delay x",
            ("'tcp-request inspect-delay' expects a positive delay in milliseconds, in proxy 'l' "
            "(unexpected character 'x')"),
        ),
        (
            "tcp-request inspect-delay 1s\n tcp-request inspect-delay 2s",
            "config : parsing [f.cfg:10] : ignoring tcp-request inspect-delay (was already defined) in proxy 'l'",
        ),
        (
            "tcp-request connection reject foo",
            "'tcp-request connection reject' only accepts 'if' or 'unless', in proxy 'l' (got 'foo')",
        ),
        ("tcp-request connection reject if foo", f"{CONDITION}no such ACL : 'foo'"),
        ("tcp-request connection reject if { src 1.2.3.4", f"{CONDITION}missing closing '}}' in condition"),
        (
            "tcp-request connection reject if { req.len gt 0 }",
            ("anonymous acl will never match in 'tcp-request connection' because it uses keyword 'req.len' which is "
            "incompatible with 'frontend tcp-request connection rule'"),
        ),
        (
            "acl a req.len gt 0\n tcp-request session reject if a",
            ("config : parsing [f.cfg:10] : acl 'a' will never match in 'tcp-request session' because it only involves "
            "keywords that are incompatible with 'frontend tcp-request session rule'"),
        ),
        (
            "tcp-request connection reject if RDP_COOKIE",
            (f"{CONDITION}ACL 'RDP_COOKIE' is not carried out by tcpbalancer: without it others would be let in than "
            "this file says"),
        ),
        (
            "tcp-request connection expect-proxy",
            "'tcp-request connection expect-proxy' only supports 'layer4' in proxy 'l' (got '')",
        ),
        (
            "tcp-request session expect-proxy layer4",
            "'expect-proxy layer4' is not allowed in 'tcp-request session' rules in proxy 'l'",
        ),
        (
            "tcp-request content set-src src",
            ("'tcp-request content set-src' is not carried out by tcpbalancer, and without it other connections would "
            "be let in or other bytes would flow"),
        ),
        (
            "tcp-request content set-var(txn.a) src",
            "'tcp-request content set-var(txn.a)' is accepted but not carried out by tcpbalancer",
        ),
        ("tcp-response", "missing argument for 'tcp-response' in proxy 'l'"),
        ("tcp-response foo", "'tcp-response' expects 'inspect-delay' or 'content' in proxy 'l' (got 'foo')"),
        (
            "tcp-response content accept",
            "'tcp-response content accept' is accepted but not carried out by tcpbalancer",
        ),
        (
            "tcp-response content reject",
            ("'tcp-response content reject' is not carried out by tcpbalancer, and without it other bytes would flow "
            "than this file asks for"),
        ),
        ("use_backend", "'use_backend' expects a backend name."),
        (
            "use_backend other foo",
            "unexpected keyword 'foo' after switching rule, only 'if' and 'unless' are allowed.",
        ),
        ("use_backend other if foo", "error detected while parsing switching rule : no such ACL : 'foo'"),
        ("use_backend nope if TRUE", "Proxy 'l': unable to find required use_backend: 'nope'."),
        (
            "use_backend b-%[src]",
            "'use_backend b-%[src]' : a name that is made of samples is not carried out by tcpbalancer",
        ),
        (
            "use_backend other if METH_GET",
            "ACL 'METH_GET' is accepted but not carried out by tcpbalancer: 'use_backend other' never applies",
        ),
        ("use-server", "'use-server' expects a server name."),
        ("use-server s1", "'use-server' requires either 'if' or 'unless' followed by a condition."),
        ("use-server %[src] if TRUE", ("'use-server %[src]' : a name that is made of samples is not carried out by "
         "tcpbalancer")),
        ("use-server s1 if foo", "error detected while parsing switching rule : no such ACL : 'foo'"),
        (
            "use-server nope if TRUE",
            "config : proxy 'l' : unable to find server 'nope' referenced in a 'use-server' rule.",
        ),
        ("stick-table", "stick-table: missing size."),
        ("stick-table size 1k", "stick-table: missing type."),
        ("stick-table type foo size 1", "stick-table: unknown type 'foo'."),
        ("stick-table type string size 1", "stick-table: type 'string' is not carried out by tcpbalancer."),
        ("stick-table type ip size x", "stick-table: unexpected character 'x' in argument of 'size'."),
        ("stick-table type ip size", "stick-table: missing argument after 'size'."),
        ("stick-table type ip size 1k expire", "stick-table: missing argument after 'expire'."),
        ("stick-table type ip size 1k expire x", "stick-table: unexpected character 'x' in argument of 'expire'."),
        ("stick-table type ip size 1k foo", "stick-table: unknown argument 'foo'."),
        ("stick-table type ip size 1k store conn_cur", ("'store' of a stick-table is accepted but not carried out by "
         "tcpbalancer")),
        (
            "stick-table type ip size 1\n stick-table type ip size 1",
            "config : parsing [f.cfg:10] : stick-table name 'l' conflicts with table declared in proxy 'l' at f.cfg:9.",
        ),
        ("stick", "'stick' expects 'on', 'match', or 'store'."),
        ("stick store-response src", "'stick store-response' is not carried out by tcpbalancer"),
        ("stick on", "'stick' expects a fetch method."),
        ("stick on foo", "'stick': unknown fetch method 'foo'"),
        ("stick on src foo", "'stick': unknown keyword 'foo'."),
        ("stick on src if foo", "'stick': error detected while parsing condition : no such ACL : 'foo'"),
        ("stick on src", "config : Proxy 'l': unable to find stick-table 'l'."),
        ("stick on src table", "config : Proxy 'l': unable to find stick-table ''."),
        ("acl a nbsrv(nope) gt 1", ("config : parsing [f.cfg:9]: unable to find backend 'nope' referenced in arg 1 of "
         "ACL keyword 'nbsrv' in proxy 'l'.")),
        ("acl a fe_conn(nope) gt 1", ("config : parsing [f.cfg:9]: unable to find frontend 'nope' referenced in arg 1 "
         "of ACL keyword 'fe_conn' in proxy 'l'.")),
        ("acl a srv_conn(nope/s) gt 1", ("config : parsing [f.cfg:9]: unable to find proxy 'nope' referenced in arg 1 "
         "of ACL keyword 'srv_conn' in proxy 'l'.")),
        ("acl a srv_conn(other/s) gt 1", ("config : parsing [f.cfg:9]: unable to find server 's' in proxy 'other', "
         "referenced in arg 1 of ACL keyword 'srv_conn' in proxy 'l'.")),
        ("acl a srv_conn(other/) gt 1", ("config : parsing [f.cfg:9]: missing server name in arg 1 of ACL keyword "
         "'srv_conn' in proxy 'l'.")),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_haproxy_s_words(line: str, message: str) -> None:
    assert message in said(read(line))


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("tcp-request connection expect-proxy layer4", "'expect-proxy' is not carried out"),
        ("bind 127.0.0.1:2 accept-proxy", "'accept-proxy' is not carried out"),
    ],
)
def test_a_statistics_page_that_should_take_proxy_headers_is_refused(line: str, told: str) -> None:
    text = f"{TIMED}listen stats\n mode http\n bind 127.0.0.1:1\n stats enable\n {line}\n"
    assert any(told in message for message in said(text))
    assert not any("carried out" in each for each in said(text.replace(line, "tcp-request connection accept")))


@pytest.mark.parametrize("line", ["acl a src", "tcp-request content accept if { src_port }"])
def test_a_test_without_patterns_is_warned_of(line: str) -> None:
    assert any(
        "no pattern to match against were provided, so this ACL will never match" in each for each in said(read(line))
    )
    for other in ("acl a src --", "acl a src -m found", "acl a always_true", "acl a src 10.0.0.1"):
        assert not any("no pattern" in each for each in said(read(other)))


def test_unknown_actions_are_answered_with_the_list_of_those_there_are() -> None:
    (message,) = said(read("tcp-request connection foo"))
    assert message.startswith("'tcp-request connection' expects 'accept', 'reject', 'capture', 'expect-proxy', ")
    assert message.endswith(" in proxy 'l' (got 'foo').")


@pytest.mark.parametrize(
    ("section", "line", "message"),
    [
        ("backend b", "tcp-request connection reject",
         "tcp-request connection is not allowed because backend b is not a frontend"),
        ("backend b", "use_backend other", "'use_backend' ignored because backend 'b' has no frontend capability."),
        ("frontend b", "stick on src", "'stick' ignored because frontend 'b' has no backend capability."),
        ("frontend b", "use-server s1 if TRUE",
         "'use-server' ignored because frontend 'b' has no backend capability."),
        ("frontend b", "tcp-response content accept",
         "tcp-response content is only allowed in 'backend' sections or 'defaults' section with a name"),
        ("defaults", "acl a src 1.2.3.4", "'acl' not allowed in anonymous 'defaults' section."),
        ("defaults", "tcp-request connection reject",
         "tcp-request connection is not allowed in anonymous 'defaults' sections"),
        ("defaults", "tcp-request inspect-delay 5s",
         "tcp-request inspect-delay is not allowed in anonymous 'defaults' sections"),
        ("defaults", "tcp-request foo",
         "'tcp-request' expects 'inspect-delay', 'connection', or 'content' in defaults section (got 'foo')"),
        ("defaults", "stick-table type ip size 1", "'stick-table' not allowed in 'defaults' section."),
    ],
)  # fmt: skip
def test_each_section_has_its_own_rules(section: str, line: str, message: str) -> None:
    if section == "defaults":
        assert any(message in each for each in said(f"{TIMED} {line}\nbackend b\n"))
    else:
        assert any(message in each for each in said(read(line, section)))
