"""Why an instance is in its state, and what would change it."""

from __future__ import annotations

from typing import Any, cast

import pytest

from hakit.transcript import Value
from pyvrrp.model import Instance, SyncGroup, Tracked, TrackerKind
from pyvrrp.protocol.tracking import Readings
from pyvrrp.status.explain import explain

CHECK = Tracked("chk", -60)
VITAL = Tracked("vital", 0)
COUNT = Tracked("count", 2, kind=TrackerKind.FILE)
INSTANCE = Instance("VI_1", "eth0", 51, priority=100, tracked=(CHECK, VITAL, COUNT))
WORKS: Readings = {CHECK.key: True, VITAL.key: True, COUNT.key: 0}


def told(state: str, **more: Value) -> dict[str, Value]:
    return {
        "state": state, "age": 1.0, "why": "so", "effective_priority": 100, "faults": [], "master": None,
        "deadline_in": 2.5, "source": "10.0.0.1", **more,
    }  # fmt: skip


def changes(state: dict[str, Value], instance: Instance = INSTANCE, readings: Readings = WORKS) -> list[str]:
    return cast("Any", explain(state, instance, readings)["would_change"])


def test_each_tracker_is_told_with_what_it_adds_now() -> None:
    document = cast("Any", explain(told("BACKUP"), INSTANCE, {**WORKS, CHECK.key: False, COUNT.key: 7}))
    assert {one["name"]: one["adds"] for one in document["trackers"]} == {"chk": -60, "vital": 0, "count": 14}


def test_in_a_group_weights_add_nothing_unless_it_says_so() -> None:
    failed = {**WORKS, CHECK.key: False}
    group = SyncGroup("G", ("VI_1",), tracked=(CHECK,))
    told_of = cast("Any", explain(told("BACKUP"), Instance("VI_1", "eth0", 51), failed, group))
    assert [(one["name"], one["adds"]) for one in told_of["trackers"]] == [("chk", 0)]


def test_what_another_answer_of_a_tracker_would_change_is_computed_as_the_daemon_does() -> None:
    assert changes(told("MASTER"))[1:] == [
        "if chk failed, its priority would be 40 instead of 100",
        "if vital failed, it would be in FAULT",
    ]
    assert changes(told("MASTER"), readings={**WORKS, CHECK.key: False})[1] == (
        "if chk worked, its priority would be 100 instead of 40"
    )


def test_a_fault_says_what_would_end_it() -> None:
    found = changes(told("FAULT", faults=["vital"]), readings={**WORKS, VITAL.key: False})
    assert found[0] == "without the fault 'vital' and any other it would be BACKUP"
    assert "if vital worked, its fault would be gone" in found


def test_one_that_has_not_begun_says_what_it_waits_for() -> None:
    assert changes(told("INIT"), readings={}) == ["it begins when 'vital' has its first result"]


BARE = Instance("VI_1", "eth0", 51, priority=100)


@pytest.mark.parametrize(
    ("instance", "state", "expected"),
    [
        (BARE, told("BACKUP"), ["nobody is heard: it becomes MASTER in 2.5 s"]),
        (BARE, told("BACKUP", deadline_in=None), []),
        (
            BARE,
            told("BACKUP", master="10.0.0.2", master_priority=150),
            [
                "it becomes MASTER if 10.0.0.2 is silent for 2.5 s more, or at once if that one resigns",
                "an effective priority above 150 (it is 100) would take the place of 10.0.0.2",
            ],
        ),
        (
            BARE,
            told("BACKUP", master="10.0.0.2", master_priority=90, deadline_in=None),
            ["its priority 100 is above the master's 90: it takes over when its timer runs out"],
        ),
        (
            Instance("VI_1", "eth0", 51, preempt=False),
            told("BACKUP", master="10.0.0.2", deadline_in=None),
            ["nopreempt: no priority makes it take the place of 10.0.0.2 while that one is heard"],
        ),
        (
            BARE,
            told("BACKUP", master="10.0.0.2", master_priority=90, deadline_in=None, held=True),
            ["held by an operator: no priority makes it take the place of 10.0.0.2 while that one is heard"],
        ),
        (BARE, told("BACKUP", master="10.0.0.2", deadline_in=None), []),
        (
            BARE,
            told("MASTER"),
            ["a router with a priority above 100, or with 100 and an address above 10.0.0.1, takes over"],
        ),
        (
            Instance("VI_1", "eth0", 51, priority=255, owner_ignores_adverts=True),
            told("MASTER"),
            ["nobody takes its place while it runs: it owns the addresses"],
        ),
    ],
)
def test_what_would_move_it(instance: Instance, state: dict[str, Value], expected: list[str]) -> None:
    assert changes(state, instance, {}) == expected
