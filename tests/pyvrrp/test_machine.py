"""The state machine: row by row against its table, in absolute times, and against random events."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyvrrp.model import Address, GratuitousArp, Instance, VirtualAddress
from pyvrrp.protocol.effects import (
    AddAddresses,
    Announce,
    Effect,
    MasterHeard,
    Notify,
    NotifyState,
    Observed,
    RemoveAddresses,
    SendAdvertisement,
    Transitioned,
)
from pyvrrp.protocol.events import (
    AdvertisementReceived,
    Event,
    FaultCleared,
    FaultRaised,
    GiveUp,
    PriorityChanged,
    Reconfigured,
    Shutdown,
    SourceChanged,
    Startup,
    SyncAnnouncement,
    SyncToBackup,
    SyncToMaster,
    TakeOver,
    Tick,
)
from pyvrrp.protocol.machine import VirtualRouter
from pyvrrp.protocol.states import Announcement, Backup, Fault, Initialize, Master
from pyvrrp.protocol.table import TABLE, TRANSITIONS, Row, as_markdown
from pyvrrp.wire.advertisement import Advertisement

OURS = IPv4Address("192.168.50.11")
LOWER, HIGHER = IPv4Address("192.168.50.1"), IPv4Address("192.168.50.12")
VIP = VirtualAddress(IPv4Interface("192.168.50.10/24"))
PLAIN = Instance("VI_1", "eth0", 50, priority=100, addresses=(VIP,))
OWNER = replace(PLAIN, priority=255)
NOW = 1000.0


V3 = replace(PLAIN, version=3)


def heard(priority: int, source: Address = HIGHER, interval: float = 1.0) -> AdvertisementReceived:
    return AdvertisementReceived(Advertisement(2, 50, priority, interval, (VIP.interface.ip,)), source)


def started(instance: Instance = PLAIN, *, grouped: bool = False) -> VirtualRouter:
    """A router that began as backup at 1000 s."""
    router = VirtualRouter(instance, OURS, grouped=grouped)
    router.handle(Startup(), NOW)
    return router


def master(instance: Instance = PLAIN) -> VirtualRouter:
    """A router that became master at 1003.609375 s, when its Master_Down_Interval was over."""
    router = started(instance)
    assert router.deadline is not None
    router.handle(Tick(), router.deadline)
    assert isinstance(router.state, Master)
    return router


def faulty() -> VirtualRouter:
    router = started()
    router.handle(FaultRaised("interface eth0 down"), NOW)
    return router


def later(router: VirtualRouter, seconds: float) -> float:
    assert router.deadline is not None
    return router.deadline + seconds


def names(effects: list[Effect]) -> tuple[str, ...]:
    return tuple(type(effect).__name__ for effect in effects)


# --- The table ----------------------------------------------------------------------------------------------------

Scene = Callable[[], tuple[VirtualRouter, Event, float]]


def _with_fault() -> VirtualRouter:
    router = VirtualRouter(PLAIN, OURS)
    router.handle(FaultRaised("interface eth0 down"), NOW)
    return router


def _waiting_to_preempt() -> VirtualRouter:
    router = started(replace(PLAIN, preempt_delay=2.0))
    router.handle(heard(90), NOW)
    return router


def _no_second_burst() -> Instance:
    return replace(PLAIN, garp=GratuitousArp(delay=0))


def _just_answered() -> VirtualRouter:
    router = master()
    router.handle(heard(50), NOW + 10)
    return router


def _twice_faulty() -> VirtualRouter:
    router = faulty()
    router.handle(FaultRaised("check"), NOW)
    return router


def _after(router: VirtualRouter, event: Event, at: float = NOW) -> VirtualRouter:
    router.handle(event, at)
    return router


def owner() -> VirtualRouter:
    return _after(VirtualRouter(OWNER, OURS), Startup())


def backed_off_owner() -> VirtualRouter:
    """An owner that met another one of lower address, outlasted two advertisements and gave up at 1002.5 s."""
    return _after(_after(owner(), heard(255, LOWER)), heard(255, LOWER), NOW + 2.5)


def heir(instance: Instance = PLAIN) -> VirtualRouter:
    """A master whose predecessor has said that it stops."""
    router = _after(_after(started(instance), heard(150)), heard(0))
    return _after(router, Tick(), later(router, 0))


def _at_garp_delay() -> tuple[VirtualRouter, Event, float]:
    router = master(replace(PLAIN, advert_interval=8.0))
    return router, Tick(), later(router, 0)


SCENES: dict[tuple[str, str, str], Scene] = {
    ("INIT", "Startup", "priority 1..254"): lambda: (VirtualRouter(PLAIN, OURS), Startup(), NOW),
    ("INIT", "Startup", "priority 255, the owner"): lambda: (VirtualRouter(OWNER, OURS), Startup(), NOW),
    ("INIT", "Startup", "the owner, startup delay"): lambda: (VirtualRouter(OWNER, OURS), Startup(5.0), NOW),
    ("INIT", "Startup", "the owner, in a group"): lambda: (VirtualRouter(OWNER, OURS, grouped=True), Startup(), NOW),
    ("INIT", "Startup", "a fault is there"): lambda: (_with_fault(), Startup(), NOW),
    ("BACKUP", "Tick", "Master_Down_Timer runs"): lambda: (r := started(), Tick(), later(r, -0.001)),
    ("BACKUP", "Tick", "Master_Down_Timer fired"): lambda: (r := started(), Tick(), later(r, 0)),
    ("BACKUP", "Tick", "fired, in a group"): lambda: (r := started(grouped=True), Tick(), later(r, 0)),
    ("BACKUP", "Tick", "fired, the interval was learned"): lambda: (
        r := _after(started(V3), heard(100, interval=2.0)), Tick(), later(r, 0),
    ),
    ("BACKUP", "Tick", "fired, backed off as owner"): lambda: (r := backed_off_owner(), Tick(), later(r, 0)),
    ("BACKUP", "Tick", "fired more than an interval ago"): lambda: (r := started(), Tick(), later(r, 1.001)),
    ("BACKUP", "AdvertisementReceived", "priority 0"): lambda: (started(), heard(0), NOW),
    ("BACKUP", "AdvertisementReceived", "priority at least ours"): lambda: (started(), heard(100, LOWER), NOW),
    ("BACKUP", "AdvertisementReceived", "version 3, another interval"): lambda: (
        started(V3), heard(100, interval=2.0), NOW,
    ),
    ("BACKUP", "AdvertisementReceived", "lower, after a demote"): lambda: (
        _after(started(), GiveUp("operator")), heard(99), NOW,
    ),
    ("BACKUP", "AdvertisementReceived", "at least ours, preempt_delay runs"): lambda: (
        _waiting_to_preempt(), heard(100), NOW + 1,
    ),
    ("BACKUP", "AdvertisementReceived", "backed off as owner, not from the other"): lambda: (
        backed_off_owner(), heard(90), NOW + 3,
    ),
    ("BACKUP", "Reconfigured", "another priority"): lambda: (started(), Reconfigured(replace(PLAIN, priority=90)), NOW),
    ("MASTER", "Reconfigured", "another priority"): lambda: (master(), Reconfigured(replace(PLAIN, priority=90)), NOW),
    ("BACKUP", "TakeOver", "a higher master is heard"): lambda: (
        _after(started(), heard(101)), TakeOver("operator"), NOW,
    ),
    ("BACKUP", "TakeOver", "in a group"): lambda: (started(grouped=True), TakeOver("operator"), NOW),
    ("BACKUP", "AdvertisementReceived", "lower"): lambda: (started(), heard(99), NOW),
    ("BACKUP", "AdvertisementReceived", "lower, nopreempt"): lambda: (
        started(replace(PLAIN, preempt=False)), heard(99), NOW,
    ),
    ("BACKUP", "AdvertisementReceived", "lower, preempt_delay begins"): lambda: (
        started(replace(PLAIN, preempt_delay=2.0)), heard(99), NOW,
    ),
    ("BACKUP", "AdvertisementReceived", "lower, preempt_delay runs"): lambda: (
        _waiting_to_preempt(), heard(90), NOW + 1,
    ),
    ("MASTER", "AdvertisementReceived", "priority 0, answered within this interval"): lambda: (
        _just_answered(), heard(0), NOW + 10.5,
    ),
    ("MASTER", "Tick", "Adver_Timer runs"): lambda: (r := master(), Tick(), later(r, -0.001)),
    ("MASTER", "Tick", "Adver_Timer fired"): lambda: (r := master(), Tick(), later(r, 0)),
    ("MASTER", "Tick", "garp_master_delay is over"): _at_garp_delay,
    ("MASTER", "Tick", "fired more than an interval ago"): lambda: (
        r := master(_no_second_burst()), Tick(), later(r, 1.001),
    ),
    ("MASTER", "Tick", "fired timer_expired_backup ago"): lambda: (
        r := master(replace(PLAIN, timer_expired_backup=3.0)), Tick(), later(r, 2.0),
    ),
    ("MASTER", "AdvertisementReceived", "higher, higher_prio_send_advert"): lambda: (
        heir(replace(PLAIN, answers_higher_priority=True)), heard(101), NOW + 4,
    ),
    ("MASTER", "AdvertisementReceived", "higher, higher_prio_send_advert off"): lambda: (
        master(replace(PLAIN, answers_higher_priority=False)), heard(101), NOW + 4,
    ),
    ("MASTER", "AdvertisementReceived", "higher priority, after a resignation"): lambda: (
        heir(), heard(101), NOW + 4,
    ),
    ("MASTER", "AdvertisementReceived", "lower, announced within this second"): lambda: (
        _after(master(replace(V3, advert_interval=0.2)), heard(50), NOW + 4), heard(50), NOW + 4.5,
    ),
    ("MASTER", "AdvertisementReceived", "same priority, same address"): lambda: (master(), heard(100, OURS), NOW + 4),
    ("MASTER", "AdvertisementReceived", "another owner of higher address"): lambda: (owner(), heard(255), NOW),
    ("MASTER", "AdvertisementReceived", "another owner of lower address"): lambda: (owner(), heard(255, LOWER), NOW),
    ("MASTER", "AdvertisementReceived", "the other owner, two advertisements later"): lambda: (
        _after(owner(), heard(255, LOWER)), heard(255, LOWER), NOW + 2,
    ),
    ("MASTER", "AdvertisementReceived", "lower, lower_prio_no_advert"): lambda: (
        master(replace(PLAIN, answers_lower_priority=False)), heard(50), NOW + 4,
    ),
    ("MASTER", "AdvertisementReceived", "priority 0"): lambda: (master(), heard(0), NOW + 4),
    ("MASTER", "AdvertisementReceived", "higher priority, after silence"): lambda: (
        master(), heard(101, LOWER), NOW + 4,
    ),
    ("MASTER", "AdvertisementReceived", "same priority, higher address"): lambda: (master(), heard(100), NOW + 4),
    ("MASTER", "AdvertisementReceived", "lower priority, or same and lower address"): lambda: (
        master(), heard(100, LOWER), NOW + 4,
    ),
    ("MASTER", "AdvertisementReceived", "lower, answered within this interval"): lambda: (
        _just_answered(), heard(50), NOW + 10.999,
    ),
    ("FAULT", "FaultCleared", "others remain"): lambda: (_twice_faulty(), FaultCleared("check"), NOW),
    ("FAULT", "FaultCleared", "it was the last"): lambda: (faulty(), FaultCleared("interface eth0 down"), NOW),
}  # fmt: skip

ALWAYS: dict[str, Callable[[], VirtualRouter]] = {
    "INIT": lambda: VirtualRouter(PLAIN, OURS),
    "BACKUP": started,
    "MASTER": master,
    "FAULT": faulty,
}
EVENTS: dict[str, Event] = {
    "Startup": Startup(),
    "Shutdown": Shutdown(),
    "Tick": Tick(),
    "AdvertisementReceived": heard(200),
    "FaultRaised": FaultRaised("check"),
    "FaultCleared": FaultCleared("something else"),
    "Reconfigured": Reconfigured(PLAIN),
    "TakeOver": TakeOver("operator"),
    "GiveUp": GiveUp("operator"),
    "SyncToMaster": SyncToMaster("G1"),
    "SyncToBackup": SyncToBackup("G1", "VI_2"),
    "SyncAnnouncement": SyncAnnouncement("G1", "VI_2"),
}


def scene(row: Row) -> tuple[VirtualRouter, Event, float]:
    if row.when == "always":
        return ALWAYS[row.state](), EVENTS[row.event], NOW + 4
    return SCENES[row.state, row.event, row.when]()


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.state} {row.event}: {row.when}")
def test_the_machine_does_what_its_table_says(row: Row) -> None:
    router, event, now = scene(row)
    assert (router.state.name, type(event).__name__) == (row.state, row.event)
    effects = router.handle(event, now)
    assert router.state.name == row.becomes
    assert names(effects) == row.effects
    told = [effect.reason.rule for effect in effects if isinstance(effect, Transitioned | Observed)]
    assert set(told) <= {*row.rule.split("; ")}


def test_the_table_knows_every_state_with_every_event() -> None:
    assert {(row.state, row.event) for row in TABLE} == {(state, event) for state in ALWAYS for event in EVENTS}


def test_the_documentation_shows_this_table() -> None:
    shown = Path(__file__).parents[2] / "docs" / "state-machine.md"
    assert shown.read_text() == as_markdown(), "run: python -m pyvrrp.protocol.table > docs/state-machine.md"


# --- Times, in seconds --------------------------------------------------------------------------------------------


def test_a_backup_of_priority_100_takes_over_after_3_609375_s() -> None:
    assert started().deadline == NOW + 3.609375


@pytest.mark.parametrize(
    ("priority", "interval", "seconds"),
    [(150, 1, 3.414062), (95, 1, 3.628906), (77, 2, 6.699218), (254, 1, 3.007812), (1, 255, 765.996093)],
)
def test_master_down_interval_is_what_keepalived_prints(priority: int, interval: float, seconds: float) -> None:
    assert started(replace(PLAIN, priority=priority, advert_interval=interval)).master_down_interval == seconds


def test_after_a_resignation_a_backup_waits_the_skew_alone() -> None:
    router = started()
    router.handle(heard(0), NOW + 1)
    assert router.deadline == NOW + 1.609375


def test_a_heard_master_restarts_the_whole_interval() -> None:
    router = started()
    assert router.handle(heard(100), NOW + 2) == [MasterHeard(HIGHER, 100)]
    assert router.deadline == NOW + 5.609375
    assert router.handle(heard(100), NOW + 3) == []


def test_a_lower_master_restarts_nothing() -> None:
    router = started()
    router.handle(heard(99), NOW + 2)
    assert router.deadline == NOW + 3.609375


def test_a_new_master_advertises_adds_announces_and_notifies_in_this_order() -> None:
    router = started()
    effects = router.handle(Tick(), NOW + 3.609375)
    assert effects[1:] == [SendAdvertisement(100), AddAddresses(), Announce(5), Notify(NotifyState.MASTER, 100)]
    assert router.deadline == NOW + 4.609375


def test_a_master_keeps_its_cadence_though_ticks_are_late() -> None:
    router = master()
    router.handle(Tick(), NOW + 4.7)
    assert router.deadline == NOW + 5.609375


def test_gratuitous_arp_is_repeated_once_after_garp_master_delay() -> None:
    router = master(replace(PLAIN, advert_interval=8.0))
    assert router.deadline is not None
    at = router.deadline
    assert router.handle(Tick(), at) == [Announce(5)]
    assert router.deadline == at + 3  # the next advertisement, 8 s after the transition


def test_garp_master_refresh_repeats_it_for_ever() -> None:
    router = master(replace(PLAIN, advert_interval=60.0, garp=GratuitousArp(delay=0, refresh=10, refresh_repeat=2)))
    for _ in range(3):
        assert router.handle(Tick(), later(router, 0)) == [Announce(2)]


def test_the_first_refresh_counts_from_the_transition_as_keepalived_s_does() -> None:
    router = master(
        replace(PLAIN, advert_interval=60.0, garp=GratuitousArp(delay=1, refresh=10, refresh_repeat=2)),
    )
    began = later(router, 0) - 1
    assert router.handle(Tick(), began + 1) == [Announce(5)]
    assert router.deadline == began + 10
    assert router.handle(Tick(), began + 10) == [Announce(2)]
    assert router.deadline == began + 20


def test_a_backup_that_was_asleep_listens_for_one_interval_and_then_takes_over() -> None:
    router = started()
    router.handle(Tick(), NOW + 60)
    assert router.deadline == NOW + 61
    router.handle(Tick(), NOW + 99)
    assert isinstance(router.state, Master)


def test_a_lower_priority_moves_the_deadline_by_the_difference_of_the_skews() -> None:
    router = started()
    effects = router.handle(PriorityChanged(98), NOW + 1)
    assert [effect.reason.text for effect in effects if isinstance(effect, Observed)] == [
        "Changing effective priority from 100 to 98"
    ]
    assert router.deadline == pytest.approx(NOW + 3.617187, abs=1e-9)
    assert router.handle(PriorityChanged(98), NOW + 1) == []


def test_a_master_sends_its_new_priority_with_the_next_advertisement() -> None:
    router = master()
    router.handle(PriorityChanged(98), NOW + 4)
    assert router.handle(Tick(), later(router, 0)) == [SendAdvertisement(98)]


def test_the_reference_pair_keeps_its_addresses_on_the_failed_node() -> None:
    """Weight -2 between 100 and 90 leaves 98 > 90; with 100 and 99 the backup takes over."""
    for ours, stays in ((90, True), (99, False)):
        router = started(replace(PLAIN, priority=ours))
        before = router.deadline
        router.handle(heard(98, LOWER), NOW + 1)
        assert (router.deadline != before) is stays


def test_a_tie_between_masters_goes_to_the_higher_address() -> None:
    router = master()
    router.handle(SourceChanged(IPv4Address("192.168.50.200")), NOW + 4)
    router.handle(heard(100, HIGHER), NOW + 4)
    assert isinstance(router.state, Master)


def test_a_master_that_yields_removes_its_addresses_before_anything_else_but_its_last_word() -> None:
    """The other may have been master behind a partition: by this advertisement it learns that it has to announce."""
    assert master().handle(heard(101), NOW + 4)[:2] == [SendAdvertisement(100), RemoveAddresses()]
    assert heir().handle(heard(101), NOW + 4)[0] == RemoveAddresses()


def test_whoever_heard_another_master_after_the_resignation_is_no_heir() -> None:
    router = _after(_after(_after(started(), heard(150)), heard(0)), heard(150, LOWER), NOW + 0.5)
    router.handle(Tick(), later(router, 0))
    assert router.handle(heard(101), NOW + 9)[0] == SendAdvertisement(100)


def test_the_resignation_of_one_that_was_not_followed_makes_no_heir() -> None:
    router = _after(_after(started(), heard(150)), heard(0, LOWER))
    router.handle(Tick(), later(router, 0))
    assert router.handle(heard(101), NOW + 9)[0] == SendAdvertisement(100)


def test_a_master_that_hears_a_resignation_announces_its_addresses_again() -> None:
    router = master()
    assert router.handle(heard(0), NOW + 10)[1:] == [SendAdvertisement(100), Announce(5)]
    assert isinstance(router.state, Master)
    assert router.state.announcement == Announcement(NOW + 15, 5)


def test_a_flood_of_forged_advertisements_causes_one_announcement_a_second_and_the_last_one_counts() -> None:
    """With 100 advertisements a second, each of which may be answered once."""
    router = master(replace(V3, advert_interval=0.01, garp=GratuitousArp(delay=0, lower_prio_delay=0)))
    announced = []
    for step in range(1, 295):
        at = NOW + 10 + step / 100
        effects = [*router.handle(Tick(), at), *router.handle(heard(50 * (step % 2), LOWER), at + 0.005)]
        announced += [round(at - NOW - 10, 2) for effect in effects if effect == Announce(5)]
    assert router.deadline is not None
    while router.deadline < NOW + 15:
        at = router.deadline
        announced += [round(at - NOW - 10, 1) for effect in router.handle(Tick(), at) if effect == Announce(5)]
    assert len(announced) <= 8
    assert announced[0] <= 0.02
    assert 2.9 <= announced[-1] <= 4.0


def test_a_burst_of_lower_adverts_is_answered_once_an_interval() -> None:
    router = master()
    sent = [router.handle(heard(50), NOW + 10 + n / 100).count(SendAdvertisement(100)) for n in range(200)]
    assert sum(sent) == 2


def test_without_garp_lower_prio_delay_the_announcement_under_way_stays() -> None:
    router = master(replace(PLAIN, garp=GratuitousArp(lower_prio_delay=0)))
    assert isinstance(router.state, Master)
    before = router.state.announcement
    router.handle(heard(50), NOW + 4)
    assert isinstance(router.state, Master)
    assert router.state.announcement == before


def test_preempt_delay_accepts_a_lower_master_for_so_long_and_then_lets_the_timer_run() -> None:
    """As measured beside keepalived 2.2.7: a delay of 2 s means a takeover some 6.4 s after the start."""
    router = started(replace(PLAIN, preempt_delay=2.0))
    for second in range(6):
        router.handle(heard(90), NOW + second)
    assert router.deadline == NOW + 1 + 3.609375


def test_a_higher_advert_ends_the_preempt_delay_and_the_next_lower_one_begins_a_new_one() -> None:
    router = started(replace(PLAIN, preempt_delay=2.0))
    router.handle(heard(90), NOW)
    router.handle(heard(110), NOW + 1.5)
    router.handle(heard(90), NOW + 3)
    assert router.deadline == NOW + 3 + 3.609375


def test_a_priority_that_falls_during_the_preempt_delay_does_not_take_over() -> None:
    router = started(replace(PLAIN, preempt_delay=2.0))
    router.handle(heard(90), NOW)
    router.handle(PriorityChanged(40), NOW + 0.5)
    router.handle(heard(90), NOW + 1)
    router.handle(Tick(), NOW + 2.5)
    assert isinstance(router.state, Backup)


def test_an_owner_leaves_fault_after_an_interval_and_the_skew() -> None:
    router = VirtualRouter(OWNER, OURS)
    router.handle(Startup(), NOW)
    router.handle(FaultRaised("interface eth0 down"), NOW + 1)
    router.handle(FaultCleared("interface eth0 down"), NOW + 2)
    assert router.deadline == NOW + 3.003906


def test_a_fault_before_the_start_that_is_over_in_time_leaves_no_trace() -> None:
    router = _with_fault()
    router.handle(FaultCleared("interface eth0 down"), NOW)
    assert router.state == Initialize()
    assert router.deadline is None


# --- Random events ------------------------------------------------------------------------------------------------

ANY_EVENT = st.one_of(
    st.just(Startup()),
    st.just(Shutdown()),
    st.just(Tick()),
    st.builds(heard, st.sampled_from([0, 1, 90, 99, 100, 101, 254, 255]), st.sampled_from([LOWER, HIGHER])),
    st.builds(FaultRaised, st.sampled_from(["eth0", "check"])),
    st.builds(FaultCleared, st.sampled_from(["eth0", "check"])),
    st.builds(PriorityChanged, st.sampled_from([1, 98, 100, 254])),
    st.builds(SourceChanged, st.sampled_from([OURS, HIGHER])),
    st.sampled_from([TakeOver("operator"), GiveUp("operator"), Reconfigured(PLAIN), Reconfigured(OWNER)]),
    st.sampled_from([SyncToMaster("G1"), SyncToBackup("G1", "VI_2"), SyncAnnouncement("G1", "VI_2")]),
)
ANY_INSTANCE = st.sampled_from([
    PLAIN, OWNER, replace(PLAIN, preempt=False), replace(PLAIN, preempt_delay=2.0),
    replace(PLAIN, garp=GratuitousArp(delay=0, refresh=3)),
])  # fmt: skip


@given(ANY_INSTANCE, st.lists(st.tuples(ANY_EVENT, st.floats(0, 5)), max_size=60))
@settings(derandomize=True, max_examples=400)
def test_whatever_happens_the_invariants_hold(instance: Instance, story: list[tuple[Event, float]]) -> None:
    router, now, holds = VirtualRouter(instance, OURS), NOW, False
    for event, pause in story:
        now += pause
        before = router.state
        effects = router.handle(event, now)
        kinds = names(effects)
        if before.name != router.state.name:
            assert (before.name, router.state.name) in TRANSITIONS
            assert kinds.count("Transitioned") == 1
        else:
            assert "Transitioned" not in kinds
        for effect in effects:
            match effect:
                case AddAddresses():
                    holds = True
                case RemoveAddresses():
                    holds = False
                case SendAdvertisement(priority):  # S3: only a master advertises, 0 only when it resigns
                    resigning = isinstance(before, Master) and not isinstance(router.state, Master)
                    yielding = resigning and isinstance(event, AdvertisementReceived)
                    assert (priority == 0) is (resigning and not yielding)
                    assert isinstance(before, Master) or isinstance(router.state, Master)
        assert holds is isinstance(router.state, Master)  # S1: addresses if and only if master
        assert (router.deadline is not None) is isinstance(router.state, Master | Backup)  # S11: no timer elsewhere
        if isinstance(router.state, Fault):
            assert router.state.causes


def test_a_backup_follows_nobody_once_its_master_has_resigned() -> None:
    router = started()
    router.handle(heard(150), NOW + 1)
    assert isinstance(router.state, Backup)
    assert router.state.follows
    router.handle(heard(0), NOW + 2)
    assert isinstance(router.state, Backup)
    assert not router.state.follows


def test_somebody_is_answered_again_an_interval_after_the_last_answer_and_not_before() -> None:
    router = master(replace(PLAIN, garp=GratuitousArp(delay=0)))
    assert SendAdvertisement(100) in router.handle(heard(0), NOW + 10)
    assert isinstance(router.state, Master)
    assert router.state.advertise_at == NOW + 11, "the answer was an advertisement"
    assert router.handle(heard(0), NOW + 10.999) == []
    assert SendAdvertisement(100) in router.handle(heard(0), NOW + 11)


def test_another_owner_is_waited_for_as_long_as_the_larger_of_the_two_intervals_asks() -> None:
    router = owner()
    router.handle(heard(255, LOWER, interval=3.0), NOW + 1)
    router.handle(heard(255, LOWER, interval=3.0), NOW + 6)  # begins at 3 s, ends 3.6 s later
    assert isinstance(router.state, Backup)
    assert router.priority == 254


def test_a_backup_follows_nobody_of_lower_priority_and_nobody_after_any_resignation() -> None:
    for later_heard in (heard(50, LOWER), heard(0, LOWER)):
        router = _after(started(), heard(150), NOW + 1)
        router.handle(later_heard, NOW + 2)
        assert isinstance(router.state, Backup)
        assert not router.state.follows


def test_a_promoted_member_of_a_group_gives_way_no_longer() -> None:
    router = _after(started(grouped=True), GiveUp("operator"))
    assert isinstance(router.state, Backup)
    assert router.state.gives_way
    router.handle(TakeOver("operator"), NOW)
    assert isinstance(router.state, Backup)
    assert not router.state.gives_way
    assert router.state.wants_master is not None
