"""What a ruleset of nftables does to an advertisement: certainly, possibly, or not at all."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyvrrp.doctor.packet_filter import Advert, fate

GROUP = ip_address("224.0.0.18")
HEARD = Advert("in", "eth0", GROUP)
FROM_PEER = Advert("in", "eth0", ip_address("10.0.0.1"), source=ip_address("10.0.0.2"))
OUT = Advert("out", "eth0", GROUP, source=ip_address("10.0.0.1"))
HEARD6 = Advert("in", "eth0", ip_address("ff02::12"))
ACCEPT, DROP = {"accept": None}, {"drop": None}
COUNTER = {"counter": {"packets": 0, "bytes": 0}}


def base(hook: str = "input", policy: str | None = "drop", prio: int = 0, name: str = "c", family: str = "inet") -> Any:
    body = {"family": family, "table": "t", "name": name, "type": "filter", "hook": hook, "prio": prio}
    return {"chain": {**body, **({"policy": policy} if policy else {})}}


def rule(*expressions: Any, chain: str = "c", family: str = "inet") -> Any:
    return {"rule": {"family": family, "table": "t", "chain": chain, "expr": list(expressions)}}


def match(left: Any, right: Any, operator: str = "==") -> Any:
    return {"match": {"op": operator, "left": left, "right": right}}


def meta(key: str, right: Any, operator: str = "==") -> Any:
    return match({"meta": {"key": key}}, right, operator)


def header(protocol: str, field: str, right: Any, operator: str = "==") -> Any:
    return match({"payload": {"protocol": protocol, "field": field}}, right, operator)


def state(*states: str) -> Any:
    return match({"ct": {"key": "state"}}, list(states), "in")


def result(*objects: Any, packet: Advert = HEARD) -> str:
    found = fate([{"metainfo": {"version": "1"}}, {"table": {"family": "inet", "name": "t"}}, *objects], packet)
    return "dropped" if found.is_dropped else "passes" if found.may == {"accept"} else "unknown"


def decided(*expressions: Any, packet: Advert = HEARD) -> str:
    """Return what becomes of a packet that is accepted if a rule matches, and dropped else."""
    return result(base(), rule(*expressions, ACCEPT), packet=packet)


def test_without_rules_everything_passes() -> None:
    assert result() == "passes"
    assert result(base(policy="accept")) == "passes"
    assert result(base(policy=None)) == "passes"


def test_a_policy_decides_where_no_rule_does_and_is_named() -> None:
    found = fate([base()], HEARD)
    assert found.is_dropped
    assert found.by == "chain inet t c (its policy)"


def test_a_rule_that_only_counts_decides_nothing() -> None:
    assert result(base(), rule(COUNTER)) == "dropped"


def test_a_rule_that_drops_is_named_by_its_chain() -> None:
    assert fate([base(policy="accept"), rule(DROP)], HEARD).by == "chain inet t c"


@pytest.mark.parametrize(
    ("expression", "outcome"),
    [
        (meta("l4proto", "vrrp"), "passes"),
        (meta("l4proto", 112), "passes"),
        (meta("l4proto", "tcp"), "dropped"),
        (meta("l4proto", "tcp", "!="), "passes"),
        (meta("l4proto", {"set": ["tcp", "vrrp"]}), "passes"),
        (meta("l4proto", {"range": [100, 120]}), "passes"),
        (meta("l4proto", {"range": ["tcp", "udp"]}), "unknown"),
        (meta("l4proto", "@known"), "passes"),
        (meta("l4proto", "@other"), "dropped"),
        (meta("nfproto", "ipv4"), "passes"),
        (meta("nfproto", "ipv6"), "dropped"),
        (meta("pkttype", "multicast"), "passes"),
        (meta("pkttype", "host"), "dropped"),
        (meta("iifname", "eth0"), "passes"),
        (meta("iifname", "eth*"), "passes"),
        (meta("iif", "lo"), "dropped"),
        (meta("oifname", "eth0"), "dropped"),
        (meta("iifname", {"set": ["eth0", "eth1"]}), "passes"),
        (meta("mark", 7), "unknown"),
        (header("ip", "protocol", "vrrp"), "passes"),
        (header("ip", "daddr", "224.0.0.18"), "passes"),
        (header("ip", "daddr", {"prefix": {"addr": "224.0.0.0", "len": 8}}), "passes"),
        (header("ip", "daddr", {"range": ["224.0.0.0", "224.0.0.255"]}), "passes"),
        (header("ip", "daddr", {"set": [{"elem": {"val": "224.0.0.18", "timeout": 5}}]}), "passes"),
        (header("ip", "daddr", "10.0.0.1"), "dropped"),
        (header("ip", "daddr", {"concat": ["224.0.0.18", 5]}), "unknown"),
        (header("ip", "daddr", "router.example"), "unknown"),
        (header("ip", "saddr", "10.0.0.2"), "unknown"),
        (header("ip", "ttl", 255), "passes"),
        (header("ip", "ttl", 64), "dropped"),
        (header("ip", "ttl", {"set": [64, "x"]}), "unknown"),
        (header("ip", "ttl", 2, "<"), "unknown"),
        (header("ip", "dscp", "cs6"), "unknown"),
        (header("ip6", "nexthdr", "vrrp"), "dropped"),
        (header("tcp", "dport", 22), "dropped"),
        (header("tcp", "dport", 22, "<"), "dropped"),
        (header("ether", "saddr", "02:00:00:00:00:01"), "unknown"),
        (match({"&": [{"payload": {"protocol": "tcp", "field": "flags"}}, "syn"]}, "syn"), "dropped"),
        (match({"&": [{"meta": {"key": "mark"}}, 1]}, 1), "unknown"),
        (match("a", "b"), "unknown"),
        (state("established", "related"), "dropped"),
        (state("new"), "passes"),
        (match({"ct": {"key": "mark"}}, 1), "unknown"),
        ({"limit": {"rate": 5, "per": "minute"}}, "unknown"),
        ({"xt": {"type": "match", "name": "conntrack"}}, "unknown"),
        ({"log": {"prefix": "x"}}, "passes"),
        (COUNTER, "passes"),
    ],
)
def test_a_match_is_true_false_or_not_known(expression: Any, outcome: str) -> None:
    sets = [
        {"set": {"family": "inet", "table": "t", "name": "known", "elem": ["vrrp"]}},
        {"set": {"family": "inet", "table": "t", "name": "other", "elem": ["tcp"]}},
    ]
    assert result(base(), rule(expression, ACCEPT), *sets) == outcome


def test_what_comes_from_a_peer_has_a_source_and_may_be_established() -> None:
    assert decided(header("ip", "saddr", "10.0.0.2"), packet=FROM_PEER) == "passes"
    assert decided(header("ip", "saddr", "10.0.0.3"), packet=FROM_PEER) == "dropped"
    assert decided(meta("pkttype", {"set": ["host", "unicast"]}), packet=FROM_PEER) == "passes"
    assert decided(state("established"), packet=FROM_PEER) == "unknown"
    assert decided(state("established", "new"), packet=FROM_PEER) == "passes"


def test_an_authenticated_one_is_of_protocol_51() -> None:
    sealed = Advert("in", "eth0", GROUP, protocol=51)
    assert decided(meta("l4proto", "ah"), packet=sealed) == "passes"
    assert decided(meta("l4proto", "vrrp"), packet=sealed) == "dropped"


def test_families_and_ways_that_it_does_not_take_are_none_of_its() -> None:
    assert result(base(family="ip6")) == "passes"
    assert result(base(family="ip6"), packet=HEARD6) == "dropped"
    assert result(base(family="bridge")) == "passes"
    assert result(base(hook="forward")) == "passes"
    assert result(base(hook="output")) == "passes"
    assert result(base(hook="output"), packet=OUT) == "dropped"
    assert result(base(), rule(meta("oifname", "eth0"), ACCEPT), packet=OUT) == "passes"
    assert result({"chain": {"family": "inet", "table": "t", "name": "n", "type": "nat", "hook": "input"}}) == "passes"


def test_every_chain_of_a_way_is_passed_and_one_that_drops_is_enough() -> None:
    early = base(hook="prerouting", policy="accept", name="early")
    assert result(early, rule(DROP, chain="early"), base(policy="accept")) == "dropped"
    assert (
        result(base(policy="accept", prio=10, name="late"), rule(DROP, chain="late"), base(), rule(ACCEPT)) == "dropped"
    )
    assert result(base(policy="accept"), rule({"reject": {"type": "icmp"}})) == "dropped"


def test_a_jump_comes_back_a_goto_does_not() -> None:
    inner = {"chain": {"family": "inet", "table": "t", "name": "inner"}}
    assert result(base(), inner, rule({"jump": {"target": "inner"}}), rule(ACCEPT)) == "passes"
    assert result(base(), inner, rule({"goto": {"target": "inner"}}), rule(ACCEPT)) == "dropped"
    returning = rule({"return": None}, chain="inner")
    assert result(base(), inner, returning, rule({"jump": {"target": "inner"}}), rule(ACCEPT)) == "passes"
    assert (
        result(base(), inner, rule(DROP, chain="inner"), rule({"jump": {"target": "inner"}}), rule(ACCEPT)) == "dropped"
    )


def test_chains_that_jump_in_circles_come_to_an_end() -> None:
    assert result(base(), rule({"jump": {"target": "c"}})) == "dropped"


def test_a_map_of_verdicts_is_gone_through_by_its_key() -> None:
    def mapped(key: Any, *elements: Any) -> Any:
        return {"vmap": {"key": key, "data": {"set": list(elements)}}}

    protocol = {"meta": {"key": "l4proto"}}
    assert result(base(), rule(mapped(protocol, ["tcp", DROP], ["vrrp", ACCEPT]))) == "passes"
    assert result(base(policy="accept"), rule(mapped(protocol, ["vrrp", DROP]))) == "dropped"
    assert result(base(policy="accept"), rule(mapped({"meta": {"key": "mark"}}, [1, DROP]))) == "unknown"
    assert result(base(policy="accept"), rule(mapped(protocol, ["tcp", DROP]))) == "passes"
    named = {"map": {"family": "inet", "table": "t", "name": "m", "elem": [["vrrp", DROP]]}}
    assert result(base(policy="accept"), named, rule({"vmap": {"key": protocol, "data": "@m"}})) == "dropped"


def test_a_queue_may_do_either() -> None:
    assert result(base(policy="accept"), rule({"queue": {"num": 1}})) == "unknown"


def test_a_drop_behind_something_unknown_is_possible_and_not_certain() -> None:
    found = fate([base(policy="accept"), rule(meta("mark", 1), DROP)], HEARD)
    assert not found.is_dropped
    assert found.may == {"accept", "drop"}
    assert found.by == "chain inet t c"


JSON = st.recursive(
    st.none()
    | st.integers(0, 300)
    | st.sampled_from(["vrrp", "input", "filter", "drop", "@s", "ip", "daddr", "10.0.0.1"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["match", "left", "right", "op", "meta", "key", "payload", "accept", "jump", "vmap", "data", "set"]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)


@given(st.lists(JSON, max_size=4))
def test_whatever_another_version_tells_there_is_an_answer(expressions: list[Any]) -> None:
    assert fate([base(), rule(*expressions)], HEARD).may <= {"accept", "drop"}


def test_a_form_that_is_not_known_may_do_anything() -> None:
    found = fate([base(), {"rule": {"family": "inet"}}], HEARD)
    assert found.may == {"accept", "drop"}
    assert found.by == "a rule in a form that is not known here"
