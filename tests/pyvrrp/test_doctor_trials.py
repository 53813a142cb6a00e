"""pyvrrp doctor tries every failure of every master, on the LAN that the files describe."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path

import pytest
from doctor_pairs import Spoils, node, pair, text

from pyvrrp.consult import node_of
from pyvrrp.doctor import consequences
from pyvrrp.doctor.examination import Examination, examine, trials_as_text
from pyvrrp.doctor.node import Node
from pyvrrp.doctor.routers import shared_routers
from pyvrrp.doctor.stage import addresses_of, lan_of
from pyvrrp.nodes import read_nodes

CONFIGS = Path(__file__).parents[2] / "configs"
NO_SOURCE = {"    unicast_src_ip 10.0.0.1\n": ""}
NO_SOURCE2 = {"    unicast_src_ip 10.0.0.2\n": ""}
EVERYBODY1 = {"        10.0.0.2\n": "        10.0.0.1\n        10.0.0.2\n"}
EVERYBODY2 = {"        10.0.0.1\n": "        10.0.0.1\n        10.0.0.2\n"}
MULTICAST1 = {"    unicast_src_ip 10.0.0.1\n    unicast_peer {\n        10.0.0.2\n    }\n": ""}
MULTICAST2 = {"    unicast_src_ip 10.0.0.2\n    unicast_peer {\n        10.0.0.1\n    }\n": ""}
SECOND = """\
vrrp_instance VI_2 {
    interface eth1
    virtual_router_id 52
    priority P
    virtual_ipaddress {
        10.1.0.100/24
    }
}
"""
TRACKED = "        chk\n    }\n"
INTERFACE = TRACKED + "    track_interface {\n        eth1 weight -3\n    }\n"
PROCESS = "vrrp_track_process haproxy {\n    process haproxy\n    weight -4\n}\nvrrp_instance VI_1"


def outcomes(found: Examination) -> dict[tuple[str, str], str]:
    return {(one.failed.node.name, one.failure.words): one.outcome for one in found.trials}


def told(found: Examination, rule: str) -> list[tuple[str, str, str]]:
    return [(one.what, one.why, one.remedy) for one in found.findings if one.rule.name == rule]


def test_every_failure_of_the_master_is_tried_and_timed() -> None:
    assert outcomes(examine(pair())) == {
        ("lb1", "dies"): "lb2 is MASTER after 3.27 s",
        ("lb1", "loses eth0"): "lb2 is MASTER after 3.27 s",
        ("lb1", "script chk fails"): "lb2 is MASTER after 3.27 s",
    }


def test_a_weight_that_is_less_than_the_distance_of_the_priorities_moves_nothing() -> None:
    small = {"weight -20": "weight -2"}
    found = examine(pair(small, small))
    assert outcomes(found)["lb1", "script chk fails"] == "lb1 stays MASTER"
    ((what, why, remedy),) = told(found, "failure-moves-nothing")
    assert what == "a failing chk moves nothing: lb1 stays MASTER of VI_1"
    assert why == "it has priority 98 then, and lb2 has 90"
    assert remedy == (
        "weight -11 on every router (tried: they move after 3.27 s), or priority 99 on lb2 (tried: they move after"
        " 3.23 s), or no weight, so that a failure is FAULT (tried: they move after 0.68 s)"
    )


def test_so_does_a_positive_weight_that_is() -> None:
    small = {"weight -20": "weight 2"}
    ((_, why, remedy),) = told(examine(pair(small, small)), "failure-moves-nothing")
    assert why == "it has priority 100 then, and lb2 has 92"
    assert remedy.startswith("weight 11 on every router (tried:")


def test_each_remedy_makes_a_sound_pair() -> None:
    for first, second in (
        ({"weight -20": "weight -11"}, {"weight -20": "weight -11"}),
        ({"weight -20": "weight -2"}, {"weight -20": "weight -2", "priority 90": "priority 99"}),
        ({"weight -20": "weight 0"}, {"weight -20": "weight 0"}),
    ):
        assert not told(examine(pair(first, second)), "failure-moves-nothing")


def test_nopreempt_keeps_a_lower_priority_where_it_is_and_the_remedy_says_so() -> None:
    waits = {"state BACKUP": "state BACKUP\n    nopreempt"}
    ((_, why, remedy),) = told(examine(pair(waits, waits)), "failure-moves-nothing")
    assert why == (
        "it has priority 80 then, and lb2 has 90; and lb2, with nopreempt, takes over from no router that lives"
    )
    assert "no nopreempt on lb2 (tried:" in remedy
    assert "weight -" not in remedy


def test_a_weight_beyond_the_greatest_there_is_is_no_remedy() -> None:
    web = "vrrp_track_http web {\n    url http://127.0.0.1/\n    weight -1\n}\nvrrp_instance VI_1"
    tracked = TRACKED + "    track_http {\n        web\n    }\n"
    first = {"vrrp_instance VI_1": web, TRACKED: tracked, "priority 100": "priority 254"}
    found = examine(pair(first, {"priority 90": "priority 1"}))
    remedy = next(remedy for what, _, remedy in told(found, "failure-moves-nothing") if "failing web" in what)
    assert remedy == "no weight, so that a failure is FAULT (tried: they move after 1.02 s)"


def test_a_file_and_what_is_reversed_are_not_tried() -> None:
    more = {
        "vrrp_instance VI_1": "track_file f {\n    file /f\n    weight 1\n}\nvrrp_instance VI_1",
        TRACKED: "        chk weight -1 reverse\n    }\n    track_file {\n        f\n    }\n",
    }
    assert [one.failure.words for one in examine(pair(more, more)).trials] == ["dies", "loses eth0"]


def test_interfaces_and_processes_that_are_tracked_are_tried_too_and_placed_at_their_weight() -> None:
    more = {TRACKED: INTERFACE + "    track_process {\n        haproxy\n    }\n", "vrrp_instance VI_1": PROCESS}
    found = examine(pair(more, more))
    assert {what for what, _, _ in told(found, "failure-moves-nothing")} == {
        "a failing eth1 moves nothing: lb1 stays MASTER of VI_1",
        "a failing haproxy moves nothing: lb1 stays MASTER of VI_1",
    }
    lines = text("lb1", more).split("\n")
    placed = {lines[one.spot.location.line - 1].strip() for one in found.findings}
    assert placed == {"eth1 weight -3", "weight -4"}
    assert {"process haproxy is gone", "loses eth1, which it tracks"} <= {one.failure.words for one in found.trials}


def test_the_next_one_in_line_is_tried_with_the_first_one_down() -> None:
    three = [
        node("lb1", text("lb1", {**MULTICAST1})),
        node("lb2", text("lb2", {**MULTICAST2})),
        node("lb3", text("lb2", {**MULTICAST2, "priority 90": "priority 50"})),
    ]
    found = examine(three)
    ((what, why, _),) = told(found, "failure-moves-nothing")
    assert what == "a failing chk moves nothing: lb2 stays MASTER of VI_1, lb1 being down"
    assert why == "it has priority 70 then, and lb3 has 50"
    assert "\n  lb1 and lb2  dies " in trials_as_text(found.trials)


def test_of_many_routers_two_are_down_at_most_and_each_master_is_tried_for_what_is_its_own() -> None:
    other = SECOND.replace("eth1", "eth0") + "vrrp_script chk"

    def one(name: str, first: int, second: int) -> Node:
        priorities = {"priority 100": f"priority {first}", "vrrp_script chk": other.replace("P", str(second))}
        return node(name, text("lb1", {**MULTICAST1, **priorities}))

    found = examine([one("a", 100, 10), one("b", 90, 20), one("c", 1, 100), one("d", 2, 3)])
    tried = {(one.dead, one.failed.node.name, one.failed.instance.name) for one in found.trials}
    assert {len(dead) for dead, _, _ in tried} == {0, 1, 2}
    assert {who for who in tried if len(who[0]) < 2} == {
        ((), "a", "VI_1"), ((), "c", "VI_2"), (("a",), "b", "VI_1"), (("a",), "c", "VI_2"),
        (("c",), "a", "VI_1"), (("c",), "b", "VI_2"),
    }  # fmt: skip


def test_of_several_virtual_routers_only_those_that_track_it_are_expected_to_move() -> None:
    other = SECOND.replace("eth1", "eth0").replace("P", "100") + "vrrp_script chk"
    nodes = pair(
        {**MULTICAST1, "vrrp_script chk": other}, {**MULTICAST2, "vrrp_script chk": other.replace("100\n", "90\n")}
    )
    found = examine(nodes)
    assert {one.failed.instance.name for one in found.trials if one.failure.tracked} == {"VI_1"}
    assert {one.failed.instance.name for one in found.trials if not one.failure.tracked} == {"VI_1", "VI_2"}
    assert not told(found, "failure-moves-nothing")


def test_virtual_routers_that_fare_alike_share_a_row() -> None:
    nodes = [
        node(name, "".join(
            f"vrrp_instance V{number} {{\n interface eth0\n virtual_router_id {number}\n priority {priority}\n"
            f" virtual_ipaddress {{\n 10.0.0.{number}\n }}\n}}\n"
            for number in range(1, 7)
        ))
        for name, priority in (("a", 100), ("b", 90))
    ]  # fmt: skip
    assert (
        trials_as_text(examine(nodes).trials).splitlines()[1]
        == "  a  dies        V1, V2 and 4 more: b is MASTER after 3.27 s"
    )


def test_a_router_that_never_starts_takes_over_from_nobody() -> None:
    found = examine(pair(second={TRACKED: "        chk weight 0 reverse\n    }\n"}))
    assert told(found, "nobody-takes-over")[0] == (
        "when lb1 dies, nobody is MASTER of VI_1 any more",
        "lb2 is FAULT (script chk) with priority 90",
        "mend what keeps the others in that state; pyvrrp simulate shows every step",
    )


def test_one_that_could_not_take_over_anyway_is_named_with_what_keeps_it() -> None:
    reverse = "        chk weight 0 reverse\n    }\n"
    ((_, why, remedy), *_) = told(examine(pair(second={TRACKED: reverse})), "failure-moves-nothing")
    assert why == "lb2 is FAULT (script chk) with priority 90, and takes over from nobody"
    assert remedy == "mend what keeps lb2 in that state"


def test_a_group_moves_with_its_member_in_a_remedy_too() -> None:
    group = (
        "vrrp_sync_group G {\n    group {\n        VI_1\n        VI_2\n    }\n    global_tracking\n}\nvrrp_script chk"
    )
    grouped = {"weight -20": "weight -2", "vrrp_script chk": SECOND.replace("eth1", "eth0").replace("P", "100") + group}
    first, second = ({**cut, **grouped} for cut in (MULTICAST1, MULTICAST2))
    second["vrrp_script chk"] = second["vrrp_script chk"].replace("priority 100", "priority 90")
    ((what, _, remedy),) = told(examine(pair(first, second)), "failure-moves-nothing")
    assert what == "a failing chk moves nothing: lb1 stays MASTER of VI_1"
    assert "no weight, so that a failure is FAULT (tried:" in remedy


def test_what_is_wrong_with_one_virtual_router_does_not_keep_another_from_being_tried() -> None:
    other = SECOND.replace("eth1", "eth0") + "vrrp_script chk"
    ttl = {"    unicast_peer {": "    unicast_ttl 64\n    unicast_peer {"}
    nodes = pair({**ttl, "vrrp_script chk": other.replace("P", "100")}, {"vrrp_script chk": other.replace("P", "90")})
    found = examine(nodes)
    assert told(found, "two-masters")
    assert {one.failed.instance.name for one in found.trials} == {"VI_2"}


def test_what_the_files_do_not_show_is_seen_in_the_simulation() -> None:
    found = examine(pair({"    unicast_peer {": "    unicast_ttl 64\n    unicast_peer {"}))
    ((what, why, _),) = told(found, "two-masters")
    assert what == "lb1 and lb2 are MASTER of VI_1 at the same time"
    assert why == ("lb2 refuses what it hears from 10.0.0.1: invalid TTL/HL from 10.0.0.1. Received 64 and expect 255")
    assert not found.trials


def test_two_routers_that_do_not_reach_each_other_hear_nobody() -> None:
    spoilt = {"    unicast_src_ip 10.0.0.1": "    dont_track_primary\n    unicast_src_ip 10.0.0.1"}
    found = examine(pair(spoilt))
    assert outcomes(found)["lb1", "loses eth0"].startswith("lb1 and lb2 are MASTER after ")
    assert not [one for one in found.findings if one.rule in consequences.RULES]


def test_nobody_becomes_master_where_all_wait_for_something_that_is_not_there() -> None:
    nobody = {TRACKED: "        chk weight 0 reverse\n    }\n"}
    ((what, why, _),) = told(examine(pair(nobody, nobody)), "no-master")
    assert what == "nobody becomes MASTER of VI_1, though nothing has failed"
    assert why == "lb1 is FAULT (script chk) with priority 100 and lb2 is FAULT (script chk) with priority 90"


def test_a_check_without_a_weight_that_fails_everywhere_leaves_nobody() -> None:
    vital = {"    weight -20\n": ""}
    found = examine(pair(vital, vital))
    ((what, _, _),) = told(found, "nobody-left")
    assert what == "if chk fails on every router, nobody has the addresses of VI_1"
    assert not told(examine(pair(vital, {})), "nobody-left")


def test_the_reference_pair_is_found_and_the_lab_s_own_pair_is_sound() -> None:
    def of(folder: str) -> Examination:
        files = sorted(str(path) for path in (CONFIGS / folder).glob("keepalived.*.conf"))
        return examine([node_of(file) for file in read_nodes(files)])

    reference = of("reference")
    ((what, why, _),) = told(reference, "failure-moves-nothing")
    assert what == "a failing check_haproxy moves nothing: haproxy1 stays MASTER of VI_1"
    assert why == "it has priority 98 then, and haproxy2 has 90"
    assert {one.rule.name for one in of("lab").findings} == {"password-in-clear"}


# --- The stage --------------------------------------------------------------------------------------------------------


def own_addresses(nodes: Sequence[Node]) -> dict[tuple[str, str], str]:
    found = addresses_of(nodes, shared_routers(nodes))
    return {key: str(addresses[0].ip) for key, addresses in found.items()}


@pytest.mark.parametrize(
    ("first", "second", "addresses"),
    [
        ({}, {}, ["10.0.0.1", "10.0.0.2"]),
        (NO_SOURCE, NO_SOURCE2, ["10.0.0.1", "10.0.0.2"]),
        (NO_SOURCE, {}, ["10.0.0.1", "10.0.0.2"]),
        (MULTICAST1, MULTICAST2, ["192.0.2.1", "192.0.2.2"]),
        ({**NO_SOURCE, **EVERYBODY1}, {**NO_SOURCE2, **EVERYBODY2}, ["10.0.0.1", "10.0.0.2"]),
    ],
)
def test_addresses_are_those_that_the_files_tell_of_each_other_else_invented(
    first: Spoils, second: Spoils, addresses: list[str]
) -> None:
    assert list(own_addresses(pair(first, second)).values()) == addresses


def test_an_address_that_is_virtual_is_not_invented() -> None:
    taken = {"10.0.0.100/24": "192.0.2.1/24"}
    nodes = pair({**MULTICAST1, **taken}, {**MULTICAST2, **taken})
    assert list(own_addresses(nodes).values()) == ["192.0.2.2", "192.0.2.3"]


def test_interfaces_of_one_virtual_router_are_on_one_wire_whatever_they_are_called() -> None:
    lan = lan_of(pair(second={"interface eth0": "interface ens3"}))
    lan.run_until(10.0)
    assert lan.masters("VI_1") == ["lb1"]
    assert ip_address("10.0.0.2") in {one.ip for one in lan.nodes["lb2"].kernel.cards["ens3"].addresses}
