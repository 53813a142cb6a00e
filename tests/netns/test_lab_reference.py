"""The reference lab's own judgement: a row that should not hold does not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from halab import faults, takeover
from halab.console import Console
from halab.plan import BACKUP, MASTER, MOVES_WITHIN, Plan
from halab.reference import INSTANCE, VIP, Options, ReferenceLab
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
    assert "what was left is removed" in plan.start_killed_speaker().text


def test_a_start_that_had_nothing_to_remove_does_not_hold(lab: ReferenceLab, plan: Plan) -> None:
    plan.stop_speaker()
    with pytest.raises(NotSeenError, match=rf"{MASTER} was to remove .*; its kernel saw: [0-9.]+ {MASTER} has {VIP}$"):
        plan.start_killed_speaker()


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
