"""Effective priority and faults, from scratch: what keepalived.conf(5) says of weights."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Interface

import pytest

from pyvrrp.model import Instance, SyncGroup, Tracked, TrackerKind, VirtualAddress
from pyvrrp.protocol.tracking import effective_priority, faults, undecided, why_checks_cannot_move_it

PLAIN = Instance("VI_1", "eth0", 50, priority=100)
SCRIPT, FILE, INTERFACE = TrackerKind.SCRIPT, TrackerKind.FILE, TrackerKind.INTERFACE
PROCESS, HTTP = TrackerKind.PROCESS, TrackerKind.HTTP
CHECK, NUMBER = (SCRIPT, "check"), (FILE, "number")


def tracking(*tracked: Tracked, priority: int = 100, preempt: bool = True) -> Instance:
    return replace(PLAIN, tracked=tracked, priority=priority, preempt=preempt)


def group(*tracked: Tracked, uses_weights: bool = False) -> SyncGroup:
    return SyncGroup("G1", ("VI_1", "VI_2"), tracked=tracked, uses_weights=uses_weights)


@pytest.mark.parametrize("kind", [SCRIPT, INTERFACE, PROCESS, HTTP])
@pytest.mark.parametrize(
    ("weight", "reverse", "works", "priority"),
    [
        (-2, False, True, 100),
        (-2, False, False, 98),
        (-2, False, None, 100),
        (1, False, True, 101),
        (1, False, False, 100),
        (5, False, True, 105),
        (5, False, False, 100),
        (5, True, True, 95),
        (5, True, False, 100),
        (-5, True, False, 105),
        (-253, False, False, 1),
        (253, False, True, 254),
        (0, False, False, 100),
    ],
)
def test_a_weight_applies_by_the_result(
    kind: TrackerKind, weight: int, reverse: bool, works: bool | None, priority: int
) -> None:
    instance = tracking(Tracked("check", weight, reverse, kind))
    assert effective_priority(instance, {(kind, "check"): works}) == priority


def test_weights_add_up_and_an_owner_s_priority_never_changes() -> None:
    both = (Tracked("a", -2), Tracked("b", 10))
    readings = {(SCRIPT, "a"): False, (SCRIPT, "b"): True}
    assert effective_priority(tracking(*both), readings) == 108
    assert effective_priority(tracking(*both, priority=255), readings) == 255


def test_a_script_without_weight_is_a_fault_while_it_fails_and_holds_the_start_until_it_ran() -> None:
    instance = tracking(Tracked("check"), Tracked("upside_down", reverse=True), Tracked("weighted", -2))
    assert undecided(instance, {}) == {"check", "upside_down"}
    assert faults(instance, {}) == frozenset()
    known = {CHECK: False, (SCRIPT, "upside_down"): True, (SCRIPT, "weighted"): False}
    assert faults(instance, known) == {"script check", "script upside_down"}
    assert undecided(instance, known) == frozenset()
    assert faults(instance, {CHECK: True, (SCRIPT, "upside_down"): False}) == frozenset()


@pytest.mark.parametrize(
    ("kind", "cause"),
    [
        (SCRIPT, "script check"),
        (INTERFACE, "interface check down"),
        (PROCESS, "process check"),
        (HTTP, "http check"),
    ],
)
def test_whatever_fails_without_a_weight_is_a_fault_named_by_its_kind(kind: TrackerKind, cause: str) -> None:
    instance = tracking(Tracked("check", kind=kind))
    assert faults(instance, {(kind, "check"): False}) == {cause}
    assert faults(instance, {(kind, "check"): True}) == frozenset()


def test_an_interface_tracked_in_reverse_is_a_fault_while_it_is_up() -> None:
    instance = tracking(Tracked("eth1", reverse=True, kind=INTERFACE))
    assert faults(instance, {(INTERFACE, "eth1"): True}) == {"interface eth1 up"}


@pytest.mark.parametrize(
    ("weight", "reverse", "number", "priority", "is_fault"),
    [
        (1, False, 0, 100, False),
        (1, False, 10, 110, False),
        (1, True, 10, 90, False),
        (-3, False, 20, 40, False),
        (1, False, None, 100, False),
        (1, False, -253, 1, False),
        (1, False, -254, 1, True),
        (127, False, -2, 1, True),
        (-127, False, 1, 1, False),
        (127, True, 1, 1, False),
        (1, False, 300, 254, False),
        (0, False, 0, 100, False),
        (0, False, -1, 100, True),
        (0, False, 1, 100, True),
        (0, True, 1, 100, False),
        (0, True, 0, 100, True),
    ],
)
def test_a_file_adds_its_number_times_the_weight_and_minus_254_is_a_fault(
    weight: int, reverse: bool, number: int | None, priority: int, is_fault: bool
) -> None:
    instance = tracking(Tracked("number", weight, reverse, FILE))
    assert effective_priority(instance, {NUMBER: number}) == priority
    assert faults(instance, {NUMBER: number}) == ({"file number"} if is_fault else frozenset())


def test_a_file_s_product_is_capped_at_253_before_it_is_added() -> None:
    low = tracking(Tracked("number", 1, kind=FILE), Tracked("check", -200), priority=10)
    assert effective_priority(low, {NUMBER: 1000, CHECK: False}) == 63


def test_the_trackers_of_a_group_hold_for_its_members() -> None:
    watched = group(Tracked("check"))
    assert undecided(PLAIN, {}, watched) == {"check"}
    assert faults(PLAIN, {CHECK: False}, watched) == {"script check"}


def test_the_weights_of_a_group_s_members_are_ignored_unless_the_group_uses_weights() -> None:
    mine, ours = Tracked("check", -20), Tracked("other", -5)
    failed = {CHECK: False, (SCRIPT, "other"): False}
    assert effective_priority(tracking(mine), failed, group(ours)) == 100
    assert faults(tracking(mine), failed, group(ours)) == frozenset()
    assert effective_priority(tracking(mine), failed, group(ours, uses_weights=True)) == 75
    assert effective_priority(tracking(mine, ours), failed, group(ours, uses_weights=True)) == 75


def test_in_a_group_a_weighted_link_or_a_file_of_weight_1_is_a_fault_instead() -> None:
    instance = tracking(
        Tracked("eth1", -20, kind=INTERFACE), Tracked("number", 1, kind=FILE), Tracked("many", 2, kind=FILE)
    )
    readings = {(INTERFACE, "eth1"): False, NUMBER: 7, (FILE, "many"): 7}
    assert faults(instance, readings, group()) == {"interface eth1 down", "file number"}
    assert effective_priority(instance, readings, group()) == 100


def test_in_a_group_a_process_keeps_its_weight_as_in_keepalived() -> None:
    instance = tracking(Tracked("nginx", 10, kind=TrackerKind.PROCESS))
    readings = {(TrackerKind.PROCESS, "nginx"): True}
    assert effective_priority(instance, readings, group()) == 110
    assert faults(instance, {(TrackerKind.PROCESS, "nginx"): False}, group()) == frozenset()


def test_an_owner_drops_what_has_a_weight() -> None:
    owner = tracking(Tracked("eth1", -20, kind=INTERFACE), Tracked("eth2", kind=INTERFACE), priority=255)
    readings = {(INTERFACE, "eth1"): False, (INTERFACE, "eth2"): False}
    assert faults(owner, readings) == {"interface eth2 down"}


def test_the_reference_pair_is_told_that_its_checks_cannot_move_the_addresses() -> None:
    backup = tracking(Tracked("check_haproxy", -2), priority=90)
    assert why_checks_cannot_move_it(backup, 100) == (
        "a master of priority 100 whose checks all fail still has 98, not below our 90: the addresses would stay there"
    )


def test_a_weight_that_leaves_as_much_as_the_backup_has_moves_nothing() -> None:
    told = why_checks_cannot_move_it(tracking(Tracked("check", -10), priority=90), 100)
    assert told is not None
    assert "still has 90, not below our 90" in told
    assert why_checks_cannot_move_it(tracking(Tracked("check", -11), priority=90), 100) is None


@pytest.mark.parametrize(
    "instance",
    [
        tracking(Tracked("check", -2), priority=99),
        tracking(Tracked("check", -60), priority=90),
        tracking(Tracked("check", 0), priority=90),
        tracking(Tracked("check", -2), priority=90, preempt=False),
        tracking(Tracked("check", -2), priority=100),
        tracking(Tracked("check", -2), Tracked("number", 1, kind=FILE), priority=90),
        tracking(priority=90),
    ],
)
def test_a_pair_whose_addresses_can_move_is_told_nothing(instance: Instance) -> None:
    assert why_checks_cannot_move_it(instance, 100) is None


def test_an_instance_needs_its_own_interface_and_those_of_its_addresses() -> None:
    here = VirtualAddress(IPv4Interface("192.168.50.10/24"))
    there = VirtualAddress(IPv4Interface("10.9.0.10/24"), device="eth1")
    assert replace(PLAIN, addresses=(here, there)).devices == {"eth0", "eth1"}
