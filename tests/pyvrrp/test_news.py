"""What a machine is told when something that it tracks, or one of its links, has changed."""

from __future__ import annotations

from ipaddress import IPv4Address

from pyvrrp.model import Instance, SyncGroup, Tracked, TrackerKind
from pyvrrp.protocol.events import FaultCleared, FaultRaised, PriorityChanged, SourceChanged
from pyvrrp.protocol.machine import VirtualRouter
from pyvrrp.protocol.news import changed, faults_changed

OURS, OTHER = IPv4Address("10.0.0.1"), IPv4Address("10.0.0.2")
FAILED = {(TrackerKind.SCRIPT, "check"): False}


def router(*tracked: Tracked) -> VirtualRouter:
    return VirtualRouter(Instance("VI_1", "eth0", 50, priority=100, tracked=tracked), OURS)


def test_the_source_comes_before_the_priority() -> None:
    told = list(changed(router(Tracked("check", -2)), OTHER, FAILED))
    assert told == [SourceChanged(OTHER), PriorityChanged(98)]


def test_what_is_as_it_was_is_not_told_and_without_an_address_the_last_one_stays() -> None:
    assert not list(changed(router(Tracked("check", -2)), OURS, {}))
    assert not list(changed(router(), None, {}))


def test_what_a_group_tracks_counts_where_it_says_so() -> None:
    group = SyncGroup("G1", ("VI_1",), tracked=(Tracked("check", -2),), uses_weights=True)
    assert list(changed(router(), OURS, FAILED, group)) == [PriorityChanged(98)]
    assert not list(changed(router(), OURS, FAILED))


def test_faults_are_raised_before_others_are_cleared_each_in_the_order_of_its_words() -> None:
    assert list(faults_changed(frozenset("dac"), frozenset("aeb"))) == [
        FaultRaised("b"), FaultRaised("e"), FaultCleared("c"), FaultCleared("d"),
    ]  # fmt: skip
