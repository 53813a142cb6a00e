"""The reference lab's own judgement: a row that should not hold does not."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from halab import faults, takeover
from halab import plan as plan_module
from halab.console import Console
from halab.namespace import LabError, ServiceDefinition
from halab.plan import BACKUP, MASTER, MOVES_WITHIN, Plan
from halab.reference import INSTANCE, NODES, VIP, Options, ReferenceLab, ServerStatus
from halab.topology import ip_batch
from halab.wait import NotSeenError, poll

pytestmark = pytest.mark.netns


@pytest.fixture(scope="module")
def lab() -> Iterator[ReferenceLab]:
    with ReferenceLab(Options(light=True)) as built:
        built.start(lambda _: None, lambda: None)
        yield built


@pytest.fixture
def plan(lab: ReferenceLab, monkeypatch: pytest.MonkeyPatch) -> Plan:
    lab.addresses.until(VIP, {MASTER}, MOVES_WITHIN)
    monkeypatch.setattr(takeover, "SERVED_WITHIN", 0.5)
    return Plan(lab)


def test_a_takeover_that_serves_no_client_does_not_hold(lab: ReferenceLab, plan: Plan) -> None:
    address = lab.host(MASTER).read_file("/sys/class/net/eth0/address").strip()
    ip_batch(lab.client, [f"neighbour replace {VIP} lladdr {address} nud permanent dev eth0"]).result()
    with pytest.raises(NotSeenError, match=rf"counted by the balancer of {BACKUP} .*seen last: None"):
        plan.kill_speaker()
    ip_batch(lab.client, [f"neighbour del {VIP} dev eth0"]).result()
    assert "nothing was left to remove" in plan.start_killed_speaker().text


def test_a_start_that_had_something_to_remove_does_not_hold(lab: ReferenceLab, plan: Plan) -> None:
    plan.stop_speaker()
    ip_batch(lab.host(MASTER), [f"address add {VIP}/24 dev eth0"]).result()
    lab.addresses.until(VIP, {MASTER, BACKUP}, 2)
    with pytest.raises(
        NotSeenError, match=rf"{MASTER} was to add .*; its kernel saw: [0-9.]+ {MASTER} has lost {VIP};"
    ):
        plan.start_killed_speaker()


def test_status_tells_of_the_others_when_one_database_is_cut_off_and_nobody_has_the_vip(
    lab: ReferenceLab, plan: Plan
) -> None:
    console = Console(lab)
    for host in ("pg103", *NODES):
        assert console.carry_out(["cut", host]).status == 0
    told = console.carry_out(["status"])
    assert "primary database: pg102" in told.text
    assert f"statistics: nobody answers at {VIP}" in told.text
    assert told.status == 0
    for host in ("pg103", *NODES):
        assert console.carry_out(["heal", host]).status == 0
    lab.addresses.until(VIP, {MASTER}, MOVES_WITHIN)


def test_a_part_that_cannot_start_is_told_at_once_and_not_after_the_wait_for_the_others() -> None:
    begun = time.monotonic()
    with ReferenceLab(Options(light=True)) as failing:
        failing.host("pg103").define(ServiceDefinition("patroni", ("false",), notify=True))
        with pytest.raises(LabError, match=r"pg103: patroni ended: exit status 1; see /var/log/halab/patroni.log"):
            failing.start(lambda _: None, lambda: None)
    assert time.monotonic() - begun < 10


def test_servers_that_cannot_be_asked_for_are_told_with_the_reason(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(_: str) -> list[ServerStatus]:
        raise ConnectionRefusedError("nobody listens")

    monkeypatch.setattr(plan.lab, "statistics", nobody)
    monkeypatch.setattr(plan_module, "HEALTHY_WITHIN", 0.01)
    with pytest.raises(NotSeenError, match="seen last: nobody listens"):
        plan.healthy()


def test_the_state_of_a_daemon_that_has_ended_is_told_as_what_it_was(lab: ReferenceLab, plan: Plan) -> None:
    console = Console(lab)
    assert "VRRP BACKUP" in console.carry_out(["status"]).text
    stream = lab.events[BACKUP][0]
    faults.kill(lab.lab, BACKUP, "keepalived")
    poll(lambda: not lab.daemon_state(BACKUP), 5, "the end of the stream")
    assert stream.last_state(INSTANCE) == "BACKUP"
    assert "VRRP unknown (was BACKUP)" in console.carry_out(["status"]).text
    lab.host(BACKUP).start_service("keepalived")
    poll(lambda: lab.daemon_state(BACKUP) == "BACKUP", 5, "the word of the new one")
