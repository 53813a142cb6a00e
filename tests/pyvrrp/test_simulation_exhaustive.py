"""Two routers, and all that can happen between them in half intervals: however they meet, every invariant holds."""

from __future__ import annotations

from dataclasses import replace

import pytest
from two_routers import PAIRS, PLAIN, SOURCES, TO_THE_END, Pair

from pyvrrp.protocol import backup, master
from pyvrrp.protocol.effects import Effect
from pyvrrp.protocol.events import AdvertisementReceived
from pyvrrp.protocol.machine import VirtualRouter
from pyvrrp.protocol.states import Backup, Master
from pyvrrp.simulation.exhaustive import Search
from pyvrrp.simulation.invariants import BrokenInvariantError


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: f"{pair}, faults: {pair.faults}")
def test_whatever_happens_between_two_routers_every_invariant_holds(pair: Pair) -> None:
    found = pair.search()
    assert found.is_closed is (pair.most == TO_THE_END)
    assert found.depth <= pair.most
    assert found.states > 2500


def test_a_backup_that_ignores_a_resignation_s_skew_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def hasty(router: VirtualRouter, state: Backup, event: AdvertisementReceived, now: float) -> list[Effect]:
        router.state = replace(state, master_down_at=now)
        return []

    monkeypatch.setattr(backup, "_expect_successor", hasty)
    with pytest.raises(BrokenInvariantError, match=r"^S7"):
        Pair((100, 150), preempt=True, faults=True, most=13).search()


def test_masters_that_never_yield_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def stubborn(router: VirtualRouter, state: Master, event: AdvertisementReceived, now: float) -> list[Effect]:
        return []

    monkeypatch.setattr(master, "receive", stubborn)
    with pytest.raises(BrokenInvariantError, match=r"^S8"):
        Search((PLAIN, replace(PLAIN, priority=150)), SOURCES).run(TO_THE_END)
