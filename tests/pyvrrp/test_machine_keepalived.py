"""What the machine does beyond RFC 3768: version 3's intervals, owners, reloads, operators, keepalived's options."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

import pytest

from hakit.diagnostics import Location
from pyvrrp.model import Address, GratuitousArp, Instance
from pyvrrp.protocol.effects import (
    Announce,
    Effect,
    MasterHeard,
    Notify,
    NotifyState,
    Observed,
    RemoveAddresses,
    SendAdvertisement,
    Transitioned,
    WantsMaster,
)
from pyvrrp.protocol.events import (
    AdvertisementReceived,
    Event,
    FaultCleared,
    FaultRaised,
    GiveUp,
    PriorityChanged,
    Reconfigured,
    Startup,
    SyncAnnouncement,
    TakeOver,
    Tick,
)
from pyvrrp.protocol.machine import VirtualRouter
from pyvrrp.protocol.states import Backup, Fault, Initialize, Master
from pyvrrp.wire.advertisement import Advertisement

OURS = IPv4Address("192.168.50.11")
LOWER, HIGHER = IPv4Address("192.168.50.1"), IPv4Address("192.168.50.12")
V2 = Instance("VI_1", "eth0", 50)
V3 = replace(V2, version=3)
OWNER = replace(V2, priority=255)
NOW = 1000.0


def heard(priority: int, source: Address = HIGHER, interval: float = 1.0) -> AdvertisementReceived:
    return AdvertisementReceived(Advertisement(3, 50, priority, interval, ()), source)


def started(instance: Instance, source: Address = OURS) -> VirtualRouter:
    router = VirtualRouter(instance, source)
    router.handle(Startup(), NOW)
    return router


def master(instance: Instance, source: Address = OURS) -> VirtualRouter:
    router = started(instance, source)
    while not isinstance(router.state, Master):
        assert router.deadline is not None
        router.handle(Tick(), router.deadline)
    return router


def told(effects: list[Effect]) -> list[str]:
    """The sentences among the effects."""
    return [one.reason.text for one in effects if isinstance(one, Observed)]


# --- Version 3 ----------------------------------------------------------------------------------------------------


def test_a_version_3_backup_takes_its_interval_from_the_master_that_it_accepts() -> None:
    router = started(V3)
    assert told(router.handle(heard(150, interval=2.0), NOW + 1)) == [
        "advertisement interval updated from 1000ms to 2000ms by master"
    ]
    assert router.deadline == NOW + 1 + 7.21875  # 3 x 2 s and a skew of 156 x 2 s / 256
    assert told(router.handle(heard(150, interval=2.0), NOW + 3)) == []
    assert router.deadline == NOW + 3 + 7.21875


def test_it_goes_back_to_its_own_interval_on_becoming_master() -> None:
    router = started(V3)
    router.handle(heard(150, interval=2.0), NOW)
    effects = router.handle(Tick(), NOW + 7.21875)
    assert told(effects) == ["changing advert interval from 2000ms to locally configured 1000ms"]
    assert router.deadline == NOW + 8.21875


def test_a_resigning_master_s_interval_scales_the_skew() -> None:
    router = started(V3)
    router.handle(heard(150, interval=2.0), NOW)
    router.handle(heard(0, interval=2.0), NOW + 1)
    assert router.deadline == NOW + 1 + 1.21875


def test_a_version_2_backup_keeps_its_own_interval() -> None:
    router = started(V2)
    assert told(router.handle(heard(150, interval=2.0), NOW + 1)) == []
    assert router.deadline == NOW + 1 + 3.609375


def test_an_interval_of_0_or_of_a_master_that_is_not_accepted_is_not_learned() -> None:
    router = started(V3)
    router.handle(heard(150, interval=0.0), NOW)
    assert router.deadline == NOW + 3.609375
    router.handle(heard(90, interval=5.0), NOW + 1)
    assert router.deadline == NOW + 3.609375


def test_a_version_3_master_that_yields_learns_the_interval_too() -> None:
    router = master(V3)
    router.handle(heard(150, interval=0.5), NOW + 4)
    assert router.deadline == NOW + 4 + 1.804687
    router = master(V3)
    router.handle(heard(150, interval=1.0), NOW + 4)
    assert router.deadline == NOW + 4 + 3.609375


def test_the_learned_interval_says_what_is_too_late() -> None:
    router = started(V3)
    router.handle(heard(150, interval=2.0), NOW)
    router.handle(Tick(), NOW + 7.21875 + 1.9)
    assert isinstance(router.state, Master)


def test_ties_between_ipv6_masters_go_to_the_higher_address() -> None:
    ours = IPv6Address("fe80::9")
    v6 = replace(V3, family=6)
    for theirs, state in ((IPv6Address("fe80::10"), Backup), (IPv6Address("fe80::8"), Master)):
        router = master(v6, ours)
        router.handle(heard(100, theirs), NOW + 4)
        assert isinstance(router.state, state)


def test_a_master_that_has_resigned_is_no_longer_named_and_heard_anew_when_it_comes_back() -> None:
    router = started(V2)
    router.handle(heard(150), NOW)
    router.handle(heard(0, LOWER), NOW + 0.5)
    assert isinstance(router.state, Backup)
    assert router.state.master == HIGHER
    router.handle(heard(0, HIGHER), NOW + 1)
    assert isinstance(router.state, Backup)
    assert router.state.master is None
    assert router.handle(heard(150), NOW + 1.1) == [MasterHeard(HIGHER, 150)]


# --- The startup delay ---------------------------------------------------------------------------------------------


def test_the_master_down_interval_begins_behind_the_startup_delay() -> None:
    router = VirtualRouter(V2, OURS)
    router.handle(Startup(5.0), NOW)
    assert router.deadline == NOW + 8.609375
    router.handle(heard(150), NOW + 1)
    assert router.deadline == NOW + 8.609375
    router.handle(heard(0), NOW + 2)
    assert router.deadline == NOW + 5.609375
    router.handle(heard(150), NOW + 6)
    assert router.deadline == NOW + 9.609375


def test_the_start_says_how_long_it_waits_and_what_for() -> None:
    starts = [VirtualRouter(V2, OURS).handle(Startup(delay), NOW) for delay in (0.0, 5.0)]
    assert [one.reason.text for start in starts for one in start if isinstance(one, Transitioned)] == [
        "init; waiting Master_Down_Interval 3.609375 s for a master",
        "init; waiting 8.609375 s for a master",
    ]


def test_an_owner_only_listens_during_the_startup_delay_and_is_master_then() -> None:
    router = VirtualRouter(OWNER, OURS)
    router.handle(Startup(5.0), NOW)
    assert isinstance(router.state, Backup)
    router.handle(Tick(), NOW + 5)
    assert isinstance(router.state, Master)


# --- Masters who meet ---------------------------------------------------------------------------------------------


def test_equal_priority_from_our_own_address_is_a_warning_and_nothing_else() -> None:
    router = master(V2)
    before = router.state
    assert told(router.handle(heard(100, OURS), NOW + 4)) == [
        "WARNING - equal priority advert received from remote host with our IP address."
    ]
    assert router.state == before


def test_a_lower_master_is_answered_announced_over_and_notified() -> None:
    router = master(V2)
    effects = router.handle(heard(50), NOW + 10)
    assert told(effects) == [
        "Received advert from 192.168.50.12 with lower priority 50, ours 100, forcing new election"
    ]
    assert effects[1:] == [SendAdvertisement(100), Announce(5), Notify(NotifyState.MASTER_RX_LOWER_PRI, 100)]
    assert router.handle(Tick(), NOW + 11) == [SendAdvertisement(100)]


def test_with_lower_prio_no_advert_it_is_only_announced_over_and_the_cadence_stays() -> None:
    router = master(replace(V2, answers_lower_priority=False))
    effects = router.handle(heard(50), NOW + 4)
    assert told(effects) == ["Received advert from 192.168.50.12 with lower priority 50, ours 100"]
    assert effects[1:] == [Announce(5), Notify(NotifyState.MASTER_RX_LOWER_PRI, 100)]
    assert router.deadline == NOW + 4.609375


def test_with_garp_lower_prio_repeat_0_nothing_is_announced() -> None:
    router = master(replace(V2, garp=GratuitousArp(lower_prio_repeat=0)))
    assert not [one for one in router.handle(heard(50), NOW + 4) if isinstance(one, Announce)]
    assert router.handle(SyncAnnouncement("G1", "VI_2"), NOW + 5) == []


def test_with_higher_prio_send_advert_one_more_advertisement_leaves_before_it_steps_down() -> None:
    effects = master(replace(V2, answers_higher_priority=True)).handle(heard(101), NOW + 4)
    assert effects[:2] == [SendAdvertisement(100), RemoveAddresses()]
    assert effects[-1] == MasterHeard(HIGHER, 101)


def test_timer_expired_backup_gives_the_addresses_to_whoever_may_have_taken_over() -> None:
    """keepalived 2.4: three intervals and the skew of the others have passed since the last advertisement."""
    late = replace(V2, timer_expired_backup=3.007812)
    router = master(late)
    router.handle(Tick(), NOW + 3.609375 + 3.0)
    assert isinstance(router.state, Master)
    router.handle(Tick(), NOW + 6.609375 + 3.1)
    assert isinstance(router.state, Backup)
    assert router.deadline == NOW + 6.609375 + 3.1 + 3.609375


# --- Owners -------------------------------------------------------------------------------------------------------

CONFLICT = "CONFIGURATION ERROR: local instance and {} are both configured as address owner, please resolve"


def test_the_owner_of_lower_address_yields_to_another_owner() -> None:
    router = started(OWNER)
    assert told(router.handle(heard(255, HIGHER), NOW + 1)) == [CONFLICT.format(HIGHER)]
    assert isinstance(router.state, Backup)
    assert router.priority == 255


def test_the_owner_of_higher_address_waits_two_advertisements_and_then_backs_off_with_254() -> None:
    router = started(OWNER)
    assert told(router.handle(heard(255, LOWER), NOW))[0] == CONFLICT.format(LOWER)
    assert CONFLICT.format(LOWER) not in told(router.handle(heard(255, LOWER), NOW + 1.9))
    assert isinstance(router.state, Master)
    assert told(router.handle(heard(255, LOWER), NOW + 2.1))[0] == (
        "192.168.50.1 is still advertising as address owner, please resolve - reducing our priority"
    )
    assert isinstance(router.state, Backup)
    assert router.priority == 254
    router.handle(PriorityChanged(255), NOW + 2.2)
    assert router.priority == 254


def test_an_owner_that_backed_off_takes_over_with_255_when_the_other_is_gone() -> None:
    router = started(OWNER)
    router.handle(heard(255, LOWER), NOW)
    router.handle(heard(255, LOWER), NOW + 2.1)
    assert router.deadline == NOW + 2.1 + 3.007812
    effects = router.handle(Tick(), NOW + 5.107812)
    assert told(effects) == ["Restoring our priority to 255 since other address owner has disappeared"]
    assert SendAdvertisement(255) in effects


def test_an_owner_that_backed_off_is_one_again_as_soon_as_somebody_else_is_master() -> None:
    router = started(OWNER)
    router.handle(heard(255, LOWER), NOW)
    router.handle(heard(255, LOWER), NOW + 2.1)
    assert told(router.handle(heard(255, LOWER), NOW + 3.1)) == []
    effects = router.handle(heard(100, LOWER), NOW + 4.1)
    assert told(effects)[0] == "Restoring our priority to 255 since 192.168.50.1 is not the other address owner"
    assert router.priority == 255


def test_a_rival_that_went_and_comes_back_much_later_is_given_its_time_again() -> None:
    router = started(OWNER)
    router.handle(heard(255, LOWER), NOW)
    assert told(router.handle(heard(255, LOWER), NOW + 60))[0] == CONFLICT.format(LOWER)
    assert isinstance(router.state, Master)


@pytest.mark.parametrize("interval", [1.0, 3.0])
def test_a_rival_has_until_1_2_intervals_after_two_advertisements_to_back_off(interval: float) -> None:
    """Both ends of the time, as keepalived 2.4 counts it: before it we defend, behind it everything begins anew."""
    owner = replace(OWNER, advert_interval=interval)
    for after, is_master, begins_anew in (
        (1.9, True, False),
        (2.1, False, False),
        (3.1, False, False),
        (3.3, True, True),
    ):
        router = started(owner)
        router.handle(heard(255, LOWER, interval), NOW)
        said = told(router.handle(heard(255, LOWER, interval), NOW + after * interval))
        assert isinstance(router.state, Master) is is_master, after
        assert (CONFLICT.format(LOWER) in said) is begins_anew, after


def test_an_owner_that_backed_off_is_one_again_when_the_other_resigns() -> None:
    router = started(OWNER)
    router.handle(heard(255, LOWER), NOW)
    router.handle(heard(255, LOWER), NOW + 2.1)
    said = told(router.handle(heard(0, LOWER), NOW + 3.1))
    assert said[0] == "Restoring our priority to 255 since 192.168.50.1 is not the other address owner"


# --- Stalls -------------------------------------------------------------------------------------------------------


def oversleep(router: VirtualRouter) -> list[str]:
    """Let the deadline pass by two intervals, and return what is said of it."""
    assert router.deadline is not None
    return told(router.handle(Tick(), router.deadline + 2))


@pytest.mark.parametrize("priority", [150, 0])
def test_who_has_heard_somebody_since_it_slept_listens_once_more_when_it_sleeps_again(priority: int) -> None:
    router = started(V2)
    assert oversleep(router)[0].startswith("woke 2.000 s late")
    router.handle(heard(priority), NOW + 6)
    assert oversleep(router)[0].startswith("woke 2.000 s late")
    assert isinstance(router.state, Backup)


def member(priority: int) -> VirtualRouter:
    """A member of a group that has heard somebody, and then nobody, and wants to be master."""
    router = VirtualRouter(V2, OURS, grouped=True)
    router.handle(Startup(), NOW)
    router.handle(heard(priority), NOW + 1)
    assert oversleep(router)[0].startswith("woke 2.000 s late")
    assert router.deadline is not None
    assert [type(one) for one in router.handle(Tick(), router.deadline)] == [WantsMaster]
    return router


def test_a_member_of_a_group_that_has_asked_listens_once_more_when_it_sleeps_again() -> None:
    assert oversleep(member(150))[0].startswith("woke 2.000 s late")


@pytest.mark.parametrize(("priority", "named"), [(150, None), (90, HIGHER)])
def test_a_member_that_asks_forgets_the_master_it_followed_and_no_other(priority: int, named: Address | None) -> None:
    state = member(priority).state
    assert isinstance(state, Backup)
    assert state.master == named


def test_a_member_that_an_operator_makes_give_up_does_not_want_to_be_master_any_more() -> None:
    router = member(150)
    router.handle(GiveUp("by hand"), NOW + 20)
    assert isinstance(router.state, Backup)
    assert (router.state.gives_way, router.state.wants_master) == (True, None)


def test_while_the_preempt_delay_runs_another_master_is_told_of() -> None:
    router = started(replace(V2, preempt_delay=10.0))
    router.handle(heard(90, LOWER), NOW + 1)
    assert MasterHeard(HIGHER, 80) in router.handle(heard(80, HIGHER), NOW + 2)


# --- Tracking -----------------------------------------------------------------------------------------------------


def test_a_changed_priority_is_notified_if_wanted() -> None:
    wanting = replace(V2, notify_priority_changes=True)
    assert Notify(NotifyState.MASTER_PRIORITY, 90) in master(wanting).handle(PriorityChanged(90), NOW + 4)
    assert Notify(NotifyState.BACKUP_PRIORITY, 90) in started(wanting).handle(PriorityChanged(90), NOW + 1)
    unborn = VirtualRouter(wanting, OURS)
    assert len(unborn.handle(PriorityChanged(90), NOW)) == 1
    assert len(master(V2).handle(PriorityChanged(90), NOW + 4)) == 1


def test_an_owner_s_priority_does_not_follow_tracking() -> None:
    router = started(OWNER)
    assert router.handle(PriorityChanged(100), NOW) == []
    assert router.priority == 255


# --- Reload -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [started, master])
def test_the_same_configuration_from_another_line_changes_nothing(make: Callable[[Instance], VirtualRouter]) -> None:
    instance = replace(V3, garp=GratuitousArp(refresh=60.0))
    router = make(instance)
    router.handle(PriorityChanged(90), NOW + 4)
    state, deadline = router.state, router.deadline
    moved = replace(instance, location=Location("keepalived.conf", 99))
    assert router.handle(Reconfigured(moved), NOW + 4) == []
    assert router.handle(Reconfigured(moved, priority=90), NOW + 4) == []
    assert (router.state, router.deadline, router.priority) == (state, deadline, 90)


def test_a_changed_priority_keeps_master() -> None:
    router = master(V2)
    effects = router.handle(Reconfigured(replace(V2, priority=50)), NOW + 4)
    assert told(effects) == ["Changing effective priority from 100 to 50"]
    assert isinstance(router.state, Master)
    assert router.handle(Tick(), NOW + 4.609375) == [SendAdvertisement(50)]


def test_the_effective_priority_keeps_its_distance_from_the_base_or_is_what_the_reload_says() -> None:
    router = started(V2)
    router.handle(PriorityChanged(90), NOW)
    router.handle(Reconfigured(replace(V2, priority=150)), NOW)
    assert router.priority == 140
    router.handle(Reconfigured(replace(V2, priority=120), priority=77), NOW)
    assert router.priority == 77


def test_a_backup_s_deadline_follows_the_new_intervals() -> None:
    router = started(V2)
    router.handle(Reconfigured(replace(V2, advert_interval=2.0)), NOW + 1)
    assert router.deadline == pytest.approx(NOW + 6.609375, abs=1e-9)
    router.handle(Reconfigured(replace(V2, advert_interval=1.0, down_timer_adverts=1)), NOW + 3)
    assert router.deadline == NOW + 3.609375
    router.handle(Reconfigured(replace(V2, advert_interval=1.0, down_timer_adverts=1, priority=200)), NOW + 3.5)
    assert router.deadline == NOW + 3.5


def test_a_reload_does_not_shorten_the_wait_for_the_successor_of_a_master_that_resigned() -> None:
    router = started(replace(V2, advert_interval=5.0))
    router.handle(heard(0), NOW)
    router.handle(Reconfigured(V2), NOW)
    assert router.deadline == NOW + 0.609375


def test_a_learned_interval_stays_over_a_reload_unless_the_version_is_another() -> None:
    router = started(V3)
    router.handle(heard(150, interval=2.0), NOW)
    assert router.handle(Reconfigured(replace(V3, advert_interval=0.5)), NOW + 1) == []
    assert router.deadline == NOW + 7.21875
    router.handle(Reconfigured(V2), NOW + 1)
    assert router.deadline == pytest.approx(NOW + 3.609375, abs=1e-9)


def test_a_reload_with_a_shorter_interval_waits_as_long_as_the_master_s_still_is() -> None:
    for router in (started(V3), master(V3)):
        router.handle(heard(150), NOW + 4)
        router.handle(Reconfigured(replace(V3, advert_interval=0.1)), NOW + 4.1)
        assert router.deadline == NOW + 4 + 3.609375


def test_a_preempt_delay_that_a_reload_removes_ends() -> None:
    router = started(replace(V2, preempt_delay=60.0))
    router.handle(heard(90), NOW)
    router.handle(Reconfigured(V2), NOW + 1)
    assert told(router.handle(heard(90), NOW + 1)) == [
        "received lower priority (90) advert from 192.168.50.12 - discarding"
    ]


def test_a_master_s_next_advertisement_comes_sooner_with_a_shorter_interval_and_never_later() -> None:
    slow = replace(V3, advert_interval=10.0)
    router = master(slow)
    at = NOW + 36.09375
    assert router.handle(Reconfigured(replace(slow, advert_interval=1.0)), at + 2) == []
    assert router.deadline == at + 3
    router.handle(Reconfigured(slow), at + 2.5)
    assert router.deadline == at + 3


def test_a_backup_that_a_reload_makes_the_owner_takes_over_at_once() -> None:
    router = started(V2)
    router.handle(Reconfigured(OWNER), NOW + 1)
    assert (router.deadline, router.priority) == (NOW + 1, 255)
    router.handle(Tick(), NOW + 1)
    assert isinstance(router.state, Master)
    router.handle(Reconfigured(replace(OWNER, accept=False)), NOW + 2)
    assert router.priority == 255


def test_a_backup_that_is_the_owner_for_a_moment_only_waits_for_its_master_again() -> None:
    router = started(V2)
    router.handle(heard(150), NOW)
    router.handle(Reconfigured(OWNER), NOW + 1)
    router.handle(Reconfigured(V2), NOW + 1)
    assert router.deadline == NOW + 1 + 3.609375


def test_an_owner_that_a_reload_makes_an_ordinary_router_stays_master_with_its_new_priority() -> None:
    router = master(OWNER)
    router.handle(Reconfigured(V2), NOW + 1)
    assert isinstance(router.state, Master)
    assert router.priority == 100


def test_a_reload_in_fault_or_before_the_start_keeps_the_faults() -> None:
    unborn = VirtualRouter(V2, OURS)
    unborn.handle(FaultRaised("interface eth0 down"), NOW)
    unborn.handle(Reconfigured(V3), NOW)
    assert unborn.state == Initialize(frozenset({"interface eth0 down"}))
    unborn.handle(Startup(), NOW)
    unborn.handle(Reconfigured(V2), NOW)
    assert unborn.state == Fault(frozenset({"interface eth0 down"}))


def test_a_reload_before_the_startup_delay_is_over_leaves_a_timer_that_ends_it() -> None:
    """Where keepalived discarded every advertisement for ever (its issue 2387)."""
    router = VirtualRouter(V2, OURS)
    router.handle(Startup(5.0), NOW)
    router.handle(Reconfigured(replace(V2, preempt=False)), NOW + 1)
    router.handle(Tick(), NOW + 8.609375)
    assert isinstance(router.state, Master)


def test_garp_master_refresh_begins_with_the_reload_that_asks_for_it() -> None:
    quiet = replace(V2, garp=GratuitousArp(delay=0), advert_interval=60.0)
    router = master(quiet)
    at = NOW + 180.609375
    router.handle(Reconfigured(replace(quiet, garp=GratuitousArp(delay=0, refresh=10.0, refresh_repeat=2))), at + 1)
    assert router.handle(Tick(), at + 11) == [Announce(2)]


# --- Operators ----------------------------------------------------------------------------------------------------


def test_a_demoted_master_resigns_and_lets_a_lower_router_be_master() -> None:
    router = master(V2)
    effects = router.handle(GiveUp("planned work"), NOW + 4)
    assert effects[:2] == [SendAdvertisement(0), RemoveAddresses()]
    assert [one.reason.text for one in effects if isinstance(one, Transitioned)] == ["planned work"]
    for second in range(5, 20):
        router.handle(heard(50), NOW + second)
    assert router.deadline == NOW + 19 + 3.609375


def test_a_demoted_router_takes_over_again_if_nobody_else_is_there() -> None:
    router = master(V2)
    router.handle(GiveUp("planned work"), NOW + 4)
    router.handle(Tick(), NOW + 7.609375)
    assert isinstance(router.state, Master)


def test_a_promoted_backup_is_master_at_once_before_a_lower_master() -> None:
    router = started(replace(V2, preempt=False))
    router.handle(heard(90), NOW)
    router.handle(TakeOver("back to normal"), NOW + 1)
    assert isinstance(router.state, Master)


@pytest.mark.parametrize(("priority", "source"), [(101, LOWER), (100, HIGHER)])
def test_a_promotion_that_the_master_would_undo_is_refused(priority: int, source: Address) -> None:
    router = started(V2)
    router.handle(heard(priority, source), NOW)
    assert told(router.handle(TakeOver("please"), NOW + 1)) == [
        f"master {source} has {priority}, ours 100: it would be back at once"
    ]
    assert isinstance(router.state, Backup)


def test_a_promotion_in_fault_says_which() -> None:
    router = started(V2)
    router.handle(FaultRaised("script chk"), NOW)
    assert told(router.handle(TakeOver("please"), NOW)) == ["cannot become Master in FAULT: script chk"]
    unborn = VirtualRouter(V2, OURS)
    assert told(unborn.handle(TakeOver("please"), NOW)) == ["cannot become Master in INIT: not started"]


def test_a_fault_forgets_that_an_operator_made_it_give_up() -> None:
    story: list[Event] = [GiveUp("planned"), FaultRaised("script chk"), FaultCleared("script chk"), heard(50)]
    router = master(V2)
    for event in story:
        router.handle(event, NOW + 4)
    assert router.deadline == NOW + 4 + 3.609375
    assert told(router.handle(heard(50), NOW + 5)) == [
        "received lower priority (50) advert from 192.168.50.12 - discarding"
    ]
