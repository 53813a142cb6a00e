"""Conditions as people write them, asked about connections: sections 7.1 to 7.3 of HAProxy's manual."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from client_hello import CLIENT_HELLO
from hypothesis import given
from hypothesis import strategies as st

from tcpbalancer.config.acl import AclReader
from tcpbalancer.config.acl_patterns import AclError
from tcpbalancer.model.rule import Choice, Ip, Rule, Test
from tcpbalancer.rules.conditions import Outcome, make_condition, make_expression
from tcpbalancer.rules.facts import Facts
from tcpbalancer.rules.ruleset import ChoiceList, RuleList
from tcpbalancer.rules.samples import Kind, cast, parse_ip


class Counts:
    """Answers with what a test wants to be true."""

    def frontend_sessions(self, frontend: str) -> int:
        return {"f": 3}[frontend]

    def backend_sessions(self, backend: str) -> int:
        return {"b": 5, "empty": 0}[backend]

    def server_sessions(self, backend: str, server: str) -> int:
        return {("b", "s"): 4}[backend, server]

    def usable_servers(self, backend: str) -> int:
        return {"b": 2, "empty": 0}[backend]

    def is_usable(self, backend: str, server: str) -> bool:
        return (backend, server) == ("b", "s")

    def queued(self, backend: str) -> int:
        return 5

    def free_slots(self, backend: str) -> int:
        return {"b": 7, "empty": -1}[backend]

    def is_local(self, address: Ip) -> bool:
        return address.value == 0x7F000001


def ip(text: str) -> Ip:
    found = parse_ip(text)
    assert found is not None
    return found


FACTS = Facts(
    Counts(),
    source=ip("192.0.2.7"),
    source_port=40000,
    destination=ip("127.0.0.1"),
    destination_port=5432,
    frontend="f",
    frontend_id=2,
    backend="b",
    backend_id=3,
    socket_id=1,
    socket_name="sock",
    data=b"",
)


def no_file(path: str) -> Sequence[str]:
    raise FileNotFoundError(path)


def outcome(text: str, facts: Facts = FACTS, acls: dict[str, list[Test]] | None = None, *, unless: bool = False) -> str:
    reader = AclReader("b", no_file)
    condition = reader.condition(text.split(), acls or {}, unless=unless)
    return make_condition(condition)(facts).name


def holds(text: str, **facts: object) -> bool:
    return outcome(text, replace(FACTS, **facts)) == "HOLDS"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("TRUE", True),
        ("FALSE", False),
        ("!FALSE", True),
        ("! FALSE", True),
        ("!!TRUE", True),
        ("TRUE FALSE", False),
        ("FALSE || TRUE", True),
        ("FALSE or TRUE", True),
        ("TRUE FALSE OR FALSE", False),
        ("FALSE or TRUE TRUE", True),
        ("", False),
        ("||", False),
        ("LOCALHOST", False),
        ("{ src 192.0.2.0/24 }", True),
        ("{ src 192.0.2.0/255.255.255.0 }", True),
        ("{ src 10.0.0.0/8 192.0.2.7 }", True),
        ("{ src ::ffff:192.0.2.7 }", True),
        ("{ src 2001:db8::/32 }", False),
        ("{ src_port 40000 }", True),
        ("{ src_port gt 1024 }", True),
        ("{ src_port ge 40000 le 40000 }", True),
        ("{ src_port lt 40000 }", False),
        ("{ src_port eq 1 2 }", False),
        ("{ dst_port 5000:6000 }", True),
        ("{ dst_port 5000- }", True),
        ("{ dst_port :80 }", False),
        ("{ dst 127.0.0.1 }", True),
        ("{ dst_is_local }", True),
        ("{ src_is_local }", False),
        ("{ fe_id 2 } { be_id 3 } { so_id 1 }", True),
        ("{ fe_name f } { be_name b } { so_name -i SOCK }", True),
        ("{ nbsrv lt 3 } { nbsrv(b) gt 1 } { nbsrv(empty) eq 0 }", True),
        ("{ be_conn(b) 5 } { fe_conn(f) 3 } { srv_conn(b/s) 4 }", True),
        ("{ srv_is_up(b/s) } !{ srv_is_up(b/other) } { srv_is_up(s) }", True),
        ("{ queue(b) 5 } { avg_queue(b) 3 } { avg_queue(empty) 10 }", True),
        ("{ connslots(b) 7 }", True),
        ("{ always_true } !{ always_false }", True),
        ("{ bool(1) } !{ bool(0) } { int(5) 5 } { str(x) x } { ipv4(10.0.0.1) 10.0.0.0/8 }", True),
        ("{ str('a,b') -m str a,b }", True),
        ("{ str(a\\,b) -m str a,b }", True),
        ("{ src -m found }", True),
        ("{ src -m str 192.0.2.7 }", True),
        ("{ src -m beg 192.0 }", True),
        ("{ src,ipmask(24) 192.0.2.0 }", True),
        ("{ src,ipmask(255.255.0.0) 192.0.0.0 }", True),
        ("{ str(Ab),lower ab } { str(Ab),upper AB } { str(ab),length 2 } { str(A),hex 41 }", True),
        ("{ str(abc),bytes(1) -m str bc } { str(abc),bytes(1,1) -m str b } !{ str(abc),bytes(3) -m found }", True),
        ("{ int(0),not } !{ int(0),bool } { int(7) -m bool }", True),
        ("{ str(5) -m int 5 } { str(x) -m found } !{ str(x) -m int 0: }", True),
        ("{ str(10.0.0.1) -m ip 10.0.0.0/8 } !{ str(x) -m ip 0.0.0.0/0 }", True),
        ("{ int(167772161) -m ip 10.0.0.1 }", True),
        ("{ int(1) -m bin 0000000000000001 } { ipv4(1.2.3.4) -m bin 01020304 }", True),
        ("{ str(abc) -m len 3 } { str(abc) -m len gt 2 }", True),
        ("{ str(abc) -m end bc } { str(abc) -m sub b } !{ str(abc) -m beg b }", True),
        ("{ str(ABC) -i -m reg ^a } !{ str(ABC) -m reg ^a }", True),
        ("{ str(/a/b?c) -m dir b } !{ str(/a/bx) -m dir b } !{ str(ab) -m dir / }", True),
        ("{ str(www.example.org) -m dom example } !{ str(xexample.example2) -m dom example }", True),
        ("{ str(a) -- a }", True),
        ("{ str(-a) -n -- -a }", True),
        ("{ str(a) -u 5 a }", True),
        ("{ src }", False),
        ("{ str(abc),bytes(9),lower -m found }", False),
        ("{ str(x),not -m found }", False),
        ("{ str(a) -m len gt 1 }", False),
    ],
)
def test_conditions(condition: str, expected: bool) -> None:
    assert holds(condition) is expected


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("field(1,.)", b"a"),
        ("field(2,.)", b""),
        ("field(3,.)", b"b"),
        ("field(-1,.)", b"c"),
        ("field(3,.,2)", b"b.c"),
        ("field(3,.,0)", b"b.c"),
        ("field(-1,.,2)", b"b.c"),
        ("field(-1,.,0)", b"a..b.c"),
        ("field(5,.)", None),
        ("field(0,.)", None),
        ("word(2,.)", b"b"),
        ("word(1,.,2)", b"a..b"),
        ("word(-2,.)", b"b"),
        ("word(4,.)", None),
        ("word(1,'')", b"a..b.c"),
        ("field(1,'')", b"a..b.c"),
    ],
)
def test_fields_count_every_delimiter_and_words_do_not(call: str, expected: bytes | None) -> None:
    expression, _ = AclReader("b", no_file).expression(f"str(a..b.c),{call}")
    assert make_expression(expression)(FACTS).sample == expected


def test_a_mask_of_ipv6_has_to_be_given() -> None:
    facts = {"source": ip("2001:db8:1::7")}
    assert not holds("{ src,ipmask(24) -m found }", **facts)
    assert holds("{ src,ipmask(24,32) 2001:db8:: }", **facts)


def test_what_is_not_there_never_matches_either_way_but_for_its_negation() -> None:
    nothing = {"source": None, "destination": None, "destination_port": None, "backend": None, "backend_id": None}
    for test in ("src 0.0.0.0/0", "dst_port 0:", "be_name -m found", "src_is_local", "be_id 0:", "so_name -m found"):
        assert not holds(f"{{ {test} }}", **nothing, socket_name=None)
        assert holds(f"!{{ {test} }}", **nothing, socket_name=None)


def test_an_address_and_its_form_as_ipv6_are_the_same() -> None:
    assert holds("{ src 192.0.2.0/24 }", source=ip("::ffff:192.0.2.9"))
    assert not holds("{ src 192.0.2.0/24 }", source=ip("2001:db8::1"))
    assert not holds("{ src ::1 }")


def test_named_acls_are_alternatives_line_by_line() -> None:
    reader = AclReader("b", no_file)
    acls = {"inside": [reader.test(["src", "10.0.0.0/8"]), reader.test(["src", "192.0.2.7"])]}
    assert outcome("inside", acls=acls) == "HOLDS"
    assert outcome("inside", acls=acls, unless=True) == "FAILS"
    assert outcome("TRUE", acls={"TRUE": [reader.test(["always_false"])]}) == "FAILS"


# -- what has not come yet ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("condition", "data", "early", "late"),
    [
        ("WAIT_END", b"", "PENDING", "HOLDS"),
        ("REQ_CONTENT", b"", "PENDING", "FAILS"),
        ("REQ_CONTENT", b"x", "HOLDS", "HOLDS"),
        ("!REQ_CONTENT", b"", "PENDING", "HOLDS"),
        ("FALSE REQ_CONTENT", b"", "FAILS", "FAILS"),
        ("REQ_CONTENT FALSE", b"", "PENDING", "FAILS"),
        ("REQ_CONTENT or TRUE", b"", "HOLDS", "HOLDS"),
        ("{ req.len gt 3 }", b"abc", "PENDING", "FAILS"),
        ("{ req.payload(0,2) -m bin 6162 }", b"a", "PENDING", "FAILS"),
        ("{ req.payload(0,2) -m bin 6162 }", b"abc", "HOLDS", "HOLDS"),
        ("{ req.payload(0,2) -m bin 6162 }", b"xbc", "FAILS", "FAILS"),
        ("{ req.payload(1,0) -m sub b }", b"abc", "HOLDS", "HOLDS"),
        ("{ req.payload(1,0) -m sub x }", b"abc", "PENDING", "FAILS"),
        ("{ req.payload(0,99999) -m found }", b"abc", "FAILS", "FAILS"),
        ("{ req.payload_lv(0,1) -m str ab }", b"\2ab", "HOLDS", "HOLDS"),
        ("{ req.payload_lv(0,1) -m str ab }", b"\2a", "PENDING", "FAILS"),
        ("{ req.payload_lv(0,2) -m str ab }", b"\0", "PENDING", "FAILS"),
        ("{ req.payload_lv(0,1) -m found }", b"\0", "FAILS", "FAILS"),
        ("{ req.payload_lv(0,0) -m found }", b"\0", "FAILS", "FAILS"),
        ("{ req.payload_lv(0,1,3) -m str ab }", b"\2xxab", "HOLDS", "HOLDS"),
        ("{ req.payload_lv(0,1,+1) -m str ab }", b"\2xab", "HOLDS", "HOLDS"),
        ("{ req.ssl_sni -i DB.example.org }", CLIENT_HELLO, "HOLDS", "HOLDS"),
        ("{ req_ssl_sni -m end .example.org }", CLIENT_HELLO, "HOLDS", "HOLDS"),
        ("{ req.ssl_sni -m found }", CLIENT_HELLO[:50], "PENDING", "FAILS"),
        ("{ req.ssl_sni -m found }", b"GET /", "FAILS", "FAILS"),
        ("{ req.ssl_hello_type 1 } { req.ssl_ver 3.3 } { req.ssl_ver gt 3.0 }", CLIENT_HELLO, "HOLDS", "HOLDS"),
        (
            "{ req.ssl_ver 3-4 } { req.ssl_ver 3: } { req.ssl_ver lt 3-3.9 } !{ req.ssl_ver 3 }",
            CLIENT_HELLO,
            "HOLDS",
            "HOLDS",
        ),
        ("{ req_ssl_ver ge 3 lt 3.9 } { req.ssl_ver 3.1:3.3 } { req.ssl_ver :3.4 }", CLIENT_HELLO, "HOLDS", "HOLDS"),
        ("HTTP", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HOLDS", "HOLDS"),
        ("HTTP", b"GET / HTTP/1.1\r\nHost: x\r\n", "PENDING", "FAILS"),
        ("HTTP", b"GET / HT", "PENDING", "FAILS"),
        ("HTTP", b"SSH-2.0-x\r\n", "FAILS", "FAILS"),
        ("HTTP", b"GET / HTTP/1.1\r\nno colon\r\n\r\n", "FAILS", "FAILS"),
        ("HTTP", b"GE\0", "FAILS", "FAILS"),
    ],
)
def test_what_may_still_come_is_waited_for(condition: str, data: bytes, early: str, late: str) -> None:
    assert outcome(condition, replace(FACTS, data=data, final=False)) == early
    assert outcome(condition, replace(FACTS, data=data)) == late


@given(st.binary(max_size=200))
def test_any_bytes_give_an_outcome(data: bytes) -> None:
    for test in ("req.ssl_sni a", "req.ssl_ver 3.3", "req.payload_lv(0,2) -m bin 00", "req.proto_http", "req.len 5"):
        for final in (False, True):
            assert outcome(f"{{ {test} }}", replace(FACTS, data=data, final=final)) in Outcome.__members__


@pytest.mark.parametrize(
    ("condition", "wrong"),
    [
        ("nobody", "no such ACL : 'nobody'"),
        ("{ src 1.2.3.4", "missing closing '}' in condition"),
        ("{ }", "missing fetch method in ACL expression ''"),
        ("{ foo 1 }", "unknown fetch method 'foo' in ACL expression 'foo'"),
        ("{ src 10.0.0.0/33 }", "'10.0.0.0/33' is not a valid IPv4 or IPv6 address"),
        ("{ src_port abc }", "'abc' is not a number"),
        ("{ src_port gt abc }", "'abc' is neither a number nor a supported operator"),
        ("{ src_port ne 3 }", "'ne' is no operator: write 'eq', and '!' before the ACL"),
        ("{ src_port 5:2 }", "'5:2' is not a valid number range"),
        ("{ src_port 5:x }", "'5:x' is not a valid number range"),
        ("{ src_port : }", "':' is not a valid number range"),
        ("{ req.ssl_ver x }", "'x' is not a dotted number"),
        ("{ req.ssl_ver 3. }", "'3.' is not a dotted number"),
        ("{ req.ssl_ver 65536 }", "'65536' is not a dotted number"),
        ("{ req.ssl_ver 3.3-3.1 }", "'3.3-3.1' is not a valid dotted number range"),
        ("{ req.ssl_ver gt x }", "'x' is not a valid dotted number range"),
        ("{ req.ssl_ver 3.x:3.1 }", "'3.x:3.1' is not a valid dotted number range"),
        ("{ req.ssl_ver : }", "':' is not a valid dotted number range"),
        ("{ req.payload(0,2) -m bin 1g }", "an hex digit is expected (found 'g')"),
        ("{ req.payload(0,2) -m bin 161 }", "an even number of hex digit is expected"),
        ("{ req.payload(0,2) ab }", "(using '-m') when using a sample fetch of this type ('req.payload')"),
        ("{ req.payload(0,2) -f x }", "(using '-m') when using a sample fetch of this type ('req.payload')"),
        ("{ str(a) -m reg ( }", "regex '(' is invalid (error=missing ), unterminated subpattern, erroffset=0)"),
        ("{ src -x }", "'-x' is not a valid ACL option. Please use '--' before any pattern beginning with a '-'"),
        ("{ src -m what }", "unknown matching method 'what' when parsing ACL expression"),
        ("{ src -m version }", "unknown matching method 'version' when parsing ACL expression"),
        ("{ req.len -m }", "unknown matching method '' when parsing ACL expression"),
        ("{ req.payload(0,2) -m ip 1.2.3.4 }", "matching method 'ip' cannot be used with fetch keyword 'req.payload'"),
        ("{ src -m str -m beg x }", "only one explicit matching method can be defined with '-m' parameter."),
        ("{ src -u x }", "the argument of -u must be an integer"),
        ("{ src -f /nowhere }", "failed to open pattern file </nowhere>"),
        ("{ src -M }", "'-M' is not carried out by tcpbalancer"),
        ("{ src,foo x }", "unknown converter 'foo' in ACL expression 'src,foo'"),
        ("{ src,crc32 x }", "converter 'crc32' is not carried out by tcpbalancer"),
        ("{ src,ipmask(99) x }", "invalid arg 1 in converter 'ipmask' : failed to parse '99' as type 'IPv4 mask'"),
        ("{ src,ipmask(24,x) x }", "invalid arg 2 in converter 'ipmask' : failed to parse 'x' as type 'IPv6 mask'"),
        ("{ src,, x }", "missing converter name in ACL expression"),
        ("{ src(1)x x }", "fetch method 'src' : expected no argument, but got '(1)x'"),
        ("{ bool(1)x x }", "missing comma after fetch keyword 'bool(1)x'"),
        ("{ always_true,ipmask(8) x }", "converter 'ipmask' cannot be applied"),
        ("{ req.payload x }", "expected type 'integer' at position 1, but got nothing in ACL expression"),
        ("{ req.payload(0 x }", "fetch method 'req.payload' : missing arguments (got 1/2), type 'integer' expected"),
        ("{ req.payload(0,2,3) x }", "expected ')' before ',3)'"),
        ("{ payload(x,2) x }", "ACL keyword 'payload' : failed to parse 'x' as type 'integer' at position 1"),
        ("{ ipv4(::1) x }", "failed to parse '::1' as type 'IPv4 address' at position 1"),
        ("{ hdr(host) x }", "fetch method 'hdr' is not carried out by tcpbalancer"),
        ("RDP_COOKIE", "ACL 'RDP_COOKIE' is not carried out by tcpbalancer"),
        ("METH_GET", "ACL 'METH_GET' is not carried out by tcpbalancer"),
        ("hollow", "ACL 'hollow' is not carried out by tcpbalancer"),
    ],
)
def test_what_makes_no_sense_is_said_in_haproxy_s_words(condition: str, wrong: str) -> None:
    with pytest.raises(AclError) as said:
        outcome(condition, acls={"hollow": []})
    assert wrong in str(said.value)


def test_a_mistake_stands_where_it_is() -> None:
    with pytest.raises(AclError) as said:
        outcome("TRUE { src 10.0.0.1 nonsense }")
    assert said.value.position == 4


def test_patterns_come_from_files_too() -> None:
    lines = {"good": ["# all of ours", "", "  10.0.0.0/8 ", "192.0.2.7"], "bad": ["10.0.0.1", "x"]}
    reader = AclReader("b", lines.__getitem__)
    condition = reader.condition(["{", "src", "-f", "good", "172.16.0.0/12", "}"], {}, unless=False)
    assert make_condition(condition)(FACTS) is Outcome.HOLDS
    with pytest.raises(AclError, match="not a valid IPv4 or IPv6 address at line 2 of file 'bad'"):
        reader.test(["src", "-f", "bad"])
    with pytest.raises(AclError, match="'-m' must only be specified before patterns and files"):
        reader.test(["src", "-f", "good", "-m", "str"])


def test_names_that_are_used_are_looked_up_later() -> None:
    reader = AclReader("l", no_file)
    reader.test(["nbsrv", "gt", "0"])
    reader.test(["srv_conn(x/y)", "0"])
    assert [(one.name, one.keyword) for one in reader.references] == [("l", "nbsrv"), ("x/y", "srv_conn")]


# -- lists ----------------------------------------------------------------------------------------------------------


def rule(action: str, condition: str | None = None) -> Rule:
    if condition is None:
        return Rule(action)
    return Rule(action, AclReader("b", no_file).condition(condition.split(), {}, unless=False))


def test_the_first_rule_that_holds_decides_and_without_one_all_is_accepted() -> None:
    assert RuleList([rule("reject", "FALSE"), rule("accept"), rule("reject")]).decide(FACTS) == "accept"
    assert RuleList([rule("reject", "FALSE")]).decide(FACTS) == "accept"
    assert RuleList([rule("reject")]).decide(FACTS) == "reject"
    assert not RuleList([])
    assert RuleList([rule("reject")])


def test_a_rule_that_is_not_decided_holds_up_those_behind_it() -> None:
    waiting = RuleList([rule("accept", "WAIT_END"), rule("reject")])
    assert waiting.decide(replace(FACTS, final=False)) == "pending"
    assert waiting.decide(FACTS) == "accept"


def test_what_is_done_on_the_way_ends_nothing() -> None:
    done: list[str] = []
    assert RuleList([rule("expect-proxy"), rule("reject", "FALSE")]).decide(FACTS, done.append) == "accept"
    assert done == ["expect-proxy"]
    assert RuleList([rule("expect-proxy")]).decide(FACTS) == "accept"


def test_the_first_choice_whose_condition_holds_is_taken() -> None:
    never = AclReader("b", no_file).condition(["FALSE"], {}, unless=False)
    choices = ChoiceList([Choice("a", never), Choice("b"), Choice("c")])
    assert choices
    assert (choices.first(FACTS), choices.names(FACTS)) == ("b", ["b", "c"])
    assert ChoiceList([Choice("a", never)]).first(FACTS) is None
    assert not ChoiceList([])


def test_samples_are_worth_something_as_another_kind() -> None:
    assert cast(ip("10.0.0.1"), Kind.INT) == 0x0A000001
    assert cast(b"x", Kind.BOOL) is None
    assert cast(b"0", Kind.BOOL) is False
    assert cast(True, Kind.TEXT) == b"1"
    assert cast(b"x", Kind.BINARY) == b"x"
    assert cast(ip("::1"), Kind.TEXT) == b"::1"


WORDS = """
    { } ! || or src dst_port req.payload(0,2) req.payload( req.ssl_ver str(a,b) str('x ipv4(1.2.3.4) nbsrv(b)
    src,ipmask(24) src,lower,hex -i -m -f -u -- str beg reg int ip len bin found eq gt lt 1 1:2 -5 10.0.0.0/8 ::1 3.1 (
    16 \\ , ) TRUE
"""


@given(st.lists(st.sampled_from(WORDS.split()) | st.text(max_size=8), max_size=8), st.binary(max_size=30))
def test_any_words_are_a_condition_that_can_be_asked_or_an_error(words: list[str], data: bytes) -> None:
    try:
        condition = AclReader("b", no_file).condition([word for word in words if word], {}, unless=False)
    except AclError:
        return
    make_condition(condition)(replace(FACTS, data=data, final=False))
