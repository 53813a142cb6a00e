"""The reference lab's own judgement: a row that should not hold does not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from halab import plan as plan_module
from halab.plan import BACKUP, MASTER, MOVES_WITHIN, Plan
from halab.reference import VIP, Options, ReferenceLab
from halab.topology import ip_batch
from halab.wait import NotSeenError

pytestmark = pytest.mark.netns


@pytest.fixture(scope="module")
def lab() -> Iterator[ReferenceLab]:
    with ReferenceLab(Options(light=True)) as built:
        built.start(lambda _: None, lambda: None)
        yield built


@pytest.fixture
def plan(lab: ReferenceLab, monkeypatch: pytest.MonkeyPatch) -> Plan:
    lab.addresses.until(VIP, {MASTER}, MOVES_WITHIN)
    monkeypatch.setattr(plan_module, "SERVED_WITHIN", 0.5)
    return Plan(lab)


def test_a_takeover_that_serves_no_client_does_not_hold(lab: ReferenceLab, plan: Plan) -> None:
    address = lab.host(MASTER).read_file("/sys/class/net/eth0/address").strip()
    ip_batch(lab.client, [f"neighbour replace {VIP} lladdr {address} nud permanent dev eth0"]).result()
    with pytest.raises(NotSeenError, match=rf"counted by the balancer of {BACKUP} .*seen last: None"):
        plan.kill_speaker()
    ip_batch(lab.client, [f"neighbour del {VIP} dev eth0"]).result()
    assert MASTER in plan.start_speaker().text
