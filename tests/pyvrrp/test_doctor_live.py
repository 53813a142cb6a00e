"""pyvrrp doctor --live: what is read of a machine, and what is concluded from it."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_interface
from typing import Any

import pytest
from doctor_pairs import Spoils, node, text

from hakit.diagnosis import Finding
from pyvrrp.doctor import daemon_says, here, managed
from pyvrrp.doctor.examination import examine_here
from pyvrrp.doctor.machine import Card, Machine, Managed, ScriptFile
from pyvrrp.doctor.managed import setting
from pyvrrp.doctor.node import Node

CHECK = (("/usr/local/bin/check",), None)
AT_CHECK = 'script "/usr/local/bin/check"'
MULTICAST: Spoils = {"    unicast_src_ip 10.0.0.1\n    unicast_peer {\n        10.0.0.2\n    }\n": ""}
IPV6: Spoils = {**MULTICAST, "10.0.0.100/24": "fe80::100/64"}
PASSWORD: Spoils = {
    "    virtual_ipaddress {": (
        "    authentication {\n        auth_type PASS\n        auth_pass x\n    }\n    virtual_ipaddress {"
    )
}
AH: Spoils = {before: after.replace("PASS", "AH") for before, after in PASSWORD.items()}
SPOKEN: Any = {
    "instances": [
        {
            "name": "VI_1",
            "held": False,
            "faults": [],
            "split_brains": 0,
            "statistics": {"advert_rcvd": 100, "send_failed": 0, "auth_failure": 0},
        }
    ],
    "trackers": [
        {
            "name": "chk",
            "kind": "track_script",
            "works": True,
            "last": "exited with status 0",
            "max_duration": 0.1,
            "timeouts": 0,
            "runs": 9,
        }
    ],
    "maintenance": False,
}
"""What a daemon says that has nothing to complain of."""
GOOD = Machine(
    cards={"lo": Card(1, True), "eth0": Card(2, True, (ip_interface("10.0.0.1/24"), ip_interface("fe80::1/64")))},
    sysctls={"ipv4/ip_nonlocal_bind": "1", "ipv6/ip_nonlocal_bind": "1"},
    scripts={CHECK: ScriptFile()},
    ruleset=[],
    status=SPOKEN,
    modes={"lb1.conf": 0o644},
)


def router(spoils: Spoils | None = None) -> Node:
    return node("lb1", text("lb1", spoils))


def found(machine: Machine, spoils: Spoils | None = None) -> dict[str, Finding]:
    return {one.rule.name: one for one in examine_here(router(spoils), machine)}


def line(one: Finding, spoils: Spoils | None = None) -> str:
    return text("lb1", spoils).split("\n")[one.spot.location.line - 1].strip()


def said(**changes: Any) -> Machine:
    return replace(GOOD, status={**SPOKEN, "instances": [{**SPOKEN["instances"][0], **changes}]})


def counted(**counters: int) -> Machine:
    return said(statistics={**SPOKEN["instances"][0]["statistics"], **counters})


def checked(**changes: Any) -> Machine:
    return replace(GOOD, status={**SPOKEN, "trackers": [{**SPOKEN["trackers"][0], **changes}]})


def filtered(hook: str, *expressions: Any) -> Machine:
    chain = {"family": "ip", "table": "t", "name": "c", "type": "filter", "hook": hook, "prio": 0, "policy": "drop"}
    rules = [{"rule": {"family": "ip", "table": "t", "chain": "c", "expr": [*expressions, {"accept": None}]}}]
    return replace(GOOD, ruleset=[{"chain": chain}, *(rules if expressions else [])])


def with_card(**cards: Card) -> Machine:
    return replace(GOOD, cards={"lo": Card(1, True), **cards})


def networkd(content: str, conf: str = "") -> Machine:
    return replace(GOOD, networkd={"eth0": Managed("/etc/systemd/network/a.network", content)}, networkd_conf=conf)


ROUTES: Spoils = {
    "    track_script {": "    virtual_routes {\n        10.9.0.0/16 via 10.0.0.9\n    }\n"
    "    virtual_rules {\n        from 10.9.0.0/16 lookup 7\n    }\n    track_script {"
}
NOTIFY: Spoils = {"    track_script {": "    notify_master /usr/local/bin/tell\n    track_script {"}
GROUP: Spoils = {
    "vrrp_instance VI_1": (
        "vrrp_sync_group G {\n    group {\n        VI_1\n    }\n    notify /usr/local/bin/tell\n}\nvrrp_instance VI_1"
    )
}
ELSEWHERE: Spoils = {"        10.0.0.2\n": "        10.7.0.2\n"}
TELL = {(("/usr/local/bin/tell",), None): ScriptFile(refused="/usr/local/bin/tell cannot be used: No such file")}
VRRP = {"match": {"op": "==", "left": {"meta": {"key": "l4proto"}}, "right": "vrrp"}}
KEEPS = "[Network]\nKeepConfiguration=yes"
FOREIGN = "[Network]\nManageForeignRoutes=no\nManageForeignRoutingPolicyRules=false"
XT = {"xt": {"type": "match", "name": "conntrack"}}

CASES: list[tuple[str, Machine, Spoils, str]] = [
    ("loopback", GOOD, {"interface eth0": "interface lo"}, "interface lo"),
    ("interface-missing", with_card(), {}, "interface eth0"),
    ("interface-down", with_card(eth0=Card(2, False, (ip_interface("10.0.0.1/24"),))), {}, "interface eth0"),
    ("source-not-here", with_card(eth0=Card(2, True, (ip_interface("10.0.0.7/24"),))), {}, "unicast_src_ip 10.0.0.1"),
    ("no-source-address", with_card(eth0=Card(2, True, (ip_interface("10.0.0.100/24"),))), MULTICAST, "interface eth0"),
    ("no-source-address", with_card(eth0=Card(2, True, (ip_interface("fd00::1/64"),))), IPV6, "interface eth0"),
    ("address-in-no-prefix", with_card(eth0=Card(2, True, (ip_interface("10.1.0.1/24"),))), MULTICAST, "10.0.0.100/24"),
    (
        "address-left-behind",
        replace(
            GOOD,
            status=None,
            cards={"eth0": Card(2, True, (ip_interface("10.0.0.1/24"), ip_interface("10.0.0.100/24")))},
        ),
        {},
        "10.0.0.100/24",
    ),
    (
        "script-unusable",
        replace(GOOD, scripts={CHECK: ScriptFile("x is not executable: chmod +x x")}),
        {},
        'script "/usr/local/bin/check"',
    ),
    (
        "script-unusable",
        replace(GOOD, scripts={CHECK: ScriptFile(interpreter="/bin/zsh")}),
        {},
        'script "/usr/local/bin/check"',
    ),
    (
        "script-needs-program",
        replace(GOOD, scripts={CHECK: ScriptFile(missing=("ss", "jq"))}),
        {},
        'script "/usr/local/bin/check"',
    ),
    ("notify-unusable", replace(GOOD, scripts=TELL), NOTIFY, "notify_master /usr/local/bin/tell"),
    ("notify-unusable", replace(GOOD, scripts=TELL), GROUP, "notify /usr/local/bin/tell"),
    ("rp-filter", replace(GOOD, sysctls={"ipv4/conf/all/rp_filter": "1"}), ELSEWHERE, "unicast_peer {"),
    ("ip-nonlocal-bind", replace(GOOD, sysctls={"ipv4/ip_nonlocal_bind": "0"}), {}, "virtual_ipaddress {"),
    ("ipv6-disabled", replace(GOOD, sysctls={"ipv6/conf/eth0/disable_ipv6": "1"}), IPV6, "interface eth0"),
    ("file-readable", GOOD, PASSWORD, ""),
    ("filter-drops", filtered("input"), {}, "interface eth0"),
    ("filter-drops", filtered("output"), {}, "interface eth0"),
    ("filter-drops", filtered("input"), MULTICAST, "interface eth0"),
    (
        "filter-drops",
        filtered("input", {"match": {"op": "==", "left": {"meta": {"key": "l4proto"}}, "right": "vrrp"}}),
        AH,
        "interface eth0",
    ),
    ("filter-unseen", replace(GOOD, ruleset=None), {}, ""),
    ("filter-unseen", replace(GOOD, legacy_filter=True), {}, ""),
    ("filter-may-drop", filtered("input", XT), {}, "interface eth0"),
    ("networkd-removes-addresses", networkd("[Network]\nAddress=10.0.0.1/24"), {}, "virtual_ipaddress {"),
    ("networkd-removes-addresses", networkd("[Network]\nKeepConfiguration=dhcp"), {}, "virtual_ipaddress {"),
    ("networkd-removes-addresses", networkd("[Network]\nKeepConfiguration=static"), {}, "virtual_ipaddress {"),
    ("networkd-removes-routes", networkd(KEEPS), ROUTES, "virtual_rules {"),
    ("networkmanager", replace(GOOD, network_manager=frozenset({"eth0"})), {}, "interface eth0"),
    ("no-daemon", replace(GOOD, status=None), {}, ""),
    ("instance-not-run", replace(GOOD, status={**SPOKEN, "instances": []}), {}, "vrrp_instance VI_1 {"),
    ("held", said(held=True), {}, "vrrp_instance VI_1 {"),
    ("held", replace(GOOD, status={**SPOKEN, "maintenance": True}), {}, "vrrp_instance VI_1 {"),
    ("in-fault", said(faults=["script chk"]), {}, "vrrp_instance VI_1 {"),
    ("split-brain", said(split_brains=2), {}, "vrrp_instance VI_1 {"),
    ("advertisements-refused", counted(auth_failure=3), {}, "vrrp_instance VI_1 {"),
    ("advertisements-not-sent", counted(send_failed=3), {}, "vrrp_instance VI_1 {"),
    ("check-fails", checked(works=False, last="exited with status 1"), {}, AT_CHECK),
    ("check-slow", checked(max_duration=0.85), {}, AT_CHECK),
    ("check-slow", checked(timeouts=1, max_duration=None), {}, AT_CHECK),
]


@pytest.mark.parametrize(("rule", "machine", "spoils", "at"), CASES, ids=[case[0] for case in CASES])
def test_each_rule_finds_its_symptom_at_the_line_that_it_hinders(
    rule: str, machine: Machine, spoils: Spoils, at: str
) -> None:
    one = found(machine, spoils)[rule]
    assert one.why
    assert one.remedy
    assert (line(one, spoils) if one.spot.location.line else "") == at


def test_no_rule_is_without_an_example() -> None:
    assert {case[0] for case in CASES} == {rule.name for room in (here, managed, daemon_says) for rule in room.RULES}


@pytest.mark.parametrize("spoils", [{}, MULTICAST, IPV6, NOTIFY, GROUP, ROUTES])
def test_nothing_is_found_on_a_machine_that_is_in_order(spoils: Spoils) -> None:
    assert not found(GOOD, spoils)


@pytest.mark.parametrize(
    ("machine", "spoils"),
    [
        (replace(GOOD, sysctls={"ipv4/conf/all/rp_filter": "1"}), {}),
        (replace(GOOD, sysctls={"ipv4/conf/all/rp_filter": "1", "ipv4/conf/eth0/rp_filter": "2"}), ELSEWHERE),
        (replace(GOOD, sysctls={"ipv4/conf/all/rp_filter": "1"}), MULTICAST),
        (replace(GOOD, sysctls={"ipv4/conf/all/rp_filter": "nonsense"}), ELSEWHERE),
        (replace(GOOD, modes={"lb1.conf": 0o640}), PASSWORD),
        (networkd("[Network]\nKeepConfiguration=static"), {"advert_int 1": "advert_int 1\n    vip_lease off"}),
        (networkd("[Link]\nUnmanaged=yes"), {}),
        (networkd(KEEPS, FOREIGN), ROUTES),
        (with_card(eth0=Card(2, True, (ip_interface("10.0.0.1/32"), ip_interface("10.0.0.5/24")))), {}),
        (with_card(), {"vrrp_script chk": "global_defs {\n    dynamic_interfaces\n}\nvrrp_script chk"}),
        (with_card(eth0=Card(2, True, (ip_interface("fe80::1/64"),))), IPV6),
        (replace(GOOD, scripts={}), {}),
        (replace(GOOD, status={**SPOKEN, "trackers": []}), {}),
        (filtered("input", VRRP), {}),
    ],
)
def test_what_does_no_harm_is_no_finding(machine: Machine, spoils: Spoils) -> None:
    assert not found(machine, spoils)


def test_of_a_tracked_interface_and_a_device_of_an_address_it_is_told_too() -> None:
    spoils = {
        "10.0.0.100/24": "10.0.0.100/24\n        10.1.0.100/24 dev eth1",
        "    track_script {": "    track_interface {\n        eth2\n    }\n    track_script {",
    }
    told = [one.what for one in examine_here(router(spoils), GOOD) if one.rule is here.NO_INTERFACE]
    assert told == [f"there is no interface {name}: VI_1 cannot begin" for name in ("eth1", "eth2")]


def test_a_check_that_nobody_tracks_is_none() -> None:
    spoils = {"    track_script {\n        chk\n    }\n": ""}
    assert "script-unusable" not in found(replace(GOOD, scripts={CHECK: ScriptFile("no")}), spoils)


def test_of_unicast_without_a_source_only_what_leaves_is_known() -> None:
    spoils = {"    unicast_src_ip 10.0.0.1\n": ""}
    assert "filter-drops" not in found(filtered("input"), spoils)
    assert "filter-drops" in found(filtered("output"), spoils)


@pytest.mark.parametrize(
    ("content", "value"),
    [
        ("", ""),
        ("[Network]\nKey=a\n", "a"),
        ("[Network]\nKey = a \nKey=b", "b"),
        ("[Network]\n# Key=a\n; Key=b", ""),
        ("[Link]\nKey=a\n[Network]\nOther=b", ""),
        ("Key=a", ""),
    ],
)
def test_of_a_unit_file_the_last_value_in_the_section_counts(content: str, value: str) -> None:
    assert setting(content, "Network", "Key") == value
