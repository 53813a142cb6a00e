"""Effective priority and faults, from scratch: what keepalived.conf(5) says of weights."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Interface

import pytest

from pyvrrp.model import Instance, Tracked, VirtualAddress
from pyvrrp.protocol.tracking import effective_priority, script_faults, undecided, why_checks_cannot_move_it

PLAIN = Instance("VI_1", "eth0", 50, priority=100)


def tracking(*tracked: Tracked, priority: int = 100, preempt: bool = True) -> Instance:
    return replace(PLAIN, tracked=tracked, priority=priority, preempt=preempt)


@pytest.mark.parametrize(
    ("weight", "reverse", "works", "priority"),
    [
        (-2, False, True, 100),
        (-2, False, False, 98),
        (-2, False, None, 100),
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
def test_a_weight_applies_by_the_script_s_result(weight: int, reverse: bool, works: bool | None, priority: int) -> None:
    assert effective_priority(tracking(Tracked("check", weight, reverse)), {"check": works}) == priority


def test_weights_add_up_and_an_owner_s_priority_never_changes() -> None:
    both = (Tracked("a", -2), Tracked("b", 10))
    assert effective_priority(tracking(*both), {"a": False, "b": True}) == 108
    assert effective_priority(tracking(*both, priority=255), {"a": False, "b": True}) == 255


def test_a_script_without_weight_is_a_fault_while_it_fails_and_holds_the_start_until_it_ran() -> None:
    instance = tracking(Tracked("check", 0), Tracked("upside_down", 0, reverse=True), Tracked("weighted", -2))
    assert undecided(instance, {}) == {"check", "upside_down"}
    assert script_faults(instance, {}) == frozenset()
    known = {"check": False, "upside_down": True, "weighted": False}
    assert script_faults(instance, known) == {"check", "upside_down"}
    assert undecided(instance, known) == frozenset()
    assert script_faults(instance, {"check": True, "upside_down": False}) == frozenset()


def test_the_reference_pair_is_told_that_its_checks_cannot_move_the_addresses() -> None:
    backup = tracking(Tracked("check_haproxy", -2), priority=90)
    assert why_checks_cannot_move_it(backup, 100) == (
        "a master of priority 100 whose checks all fail still has 98, not below our 90: the addresses would stay there"
    )


@pytest.mark.parametrize(
    "instance",
    [
        tracking(Tracked("check", -2), priority=99),
        tracking(Tracked("check", -60), priority=90),
        tracking(Tracked("check", 0), priority=90),
        tracking(Tracked("check", -2), priority=90, preempt=False),
        tracking(Tracked("check", -2), priority=100),
        tracking(priority=90),
    ],
)
def test_a_pair_whose_addresses_can_move_is_told_nothing(instance: Instance) -> None:
    assert why_checks_cannot_move_it(instance, 100) is None


def test_an_instance_needs_its_own_interface_and_those_of_its_addresses() -> None:
    here = VirtualAddress(IPv4Interface("192.168.50.10/24"))
    there = VirtualAddress(IPv4Interface("10.9.0.10/24"), device="eth1")
    assert replace(PLAIN, addresses=(here, there)).devices == {"eth0", "eth1"}
