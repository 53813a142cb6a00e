"""Sync groups: all or none, in keepalived's order of notifications, and reloads that leave them as they are."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from pyvrrp.model import GratuitousArp, Instance, SyncGroup
from pyvrrp.protocol.effects import (
    Announce,
    Effect,
    GroupTransitioned,
    Notify,
    NotifyGroup,
    Observed,
    Reason,
    RemoveAddresses,
    SendAdvertisement,
    Transitioned,
)
from pyvrrp.protocol.events import (
    AdvertisementReceived,
    FaultCleared,
    FaultRaised,
    GiveUp,
    Shutdown,
    Startup,
    TakeOver,
    Tick,
)
from pyvrrp.protocol.groups import Ensemble, Told, group_faults
from pyvrrp.protocol.machine import VirtualRouter
from pyvrrp.protocol.states import Backup, Fault, Master
from pyvrrp.wire.advertisement import Advertisement

OURS, THEIRS = IPv4Address("10.9.0.11"), IPv4Address("10.9.0.12")
G1 = SyncGroup("G1", ("V1", "V2"))
NOW = 1000.0


def instance(name: str, number: int = 61, priority: int = 100) -> Instance:
    return Instance(name, "eth0", number, priority=priority, garp=GratuitousArp(delay=0, lower_prio_delay=0))


def machines(*names: str, priority: int = 100) -> dict[str, VirtualRouter]:
    return {name: VirtualRouter(instance(name, 61 + n, priority), OURS) for n, name in enumerate(names)}


def heard(priority: int) -> AdvertisementReceived:
    return AdvertisementReceived(Advertisement(2, 61, priority, 1.0, ()), THEIRS)


class Story:
    """An ensemble and the time: events go in, and what notify FIFOs and logs would show comes out."""

    def __init__(self, *names: str, groups: tuple[SyncGroup, ...] = (G1,), priority: int = 100) -> None:
        self.machines = machines(*names, priority=priority)
        self.ensemble = Ensemble(self.machines, groups)
        self.fifo: list[str] = []
        self.all: list[Told] = []

    def take(self, told: list[Told]) -> list[Told]:
        self.all += told
        for name, effect in told:
            match effect:
                case Notify(state, priority):
                    self.fifo.append(f'INSTANCE "{name}" {state.value} {priority}')
                case NotifyGroup(group, state):
                    assert name == group
                    self.fifo.append(f'GROUP "{group}" {state.value} 0')
        return told

    def start(self, at: float = NOW) -> Story:
        for name in self.machines:
            self.take(self.ensemble.handle(name, Startup(), at))
        return self

    def run_until(self, end: float) -> Story:
        """Let every timer fire that is due by ``end``, in order."""
        while (due := self._earliest()) is not None and due[0] <= end:
            self.take(self.ensemble.handle(due[1], Tick(), due[0]))
        return self

    def _earliest(self) -> tuple[float, str] | None:
        return min(((m.deadline, name) for name, m in self.machines.items() if m.deadline is not None), default=None)

    def states(self) -> dict[str, str]:
        return {name: machine.state.name for name, machine in self.machines.items()}


def masters(*names: str, groups: tuple[SyncGroup, ...] = (G1,)) -> Story:
    """A story in which all are master since 1003.609375 s."""
    story = Story(*names, groups=groups).start().run_until(NOW + 3.609375)
    assert set(story.states().values()) == {"MASTER"}
    story.fifo.clear()
    story.all.clear()
    return story


def effects_of(told: list[Told], name: str) -> list[Effect]:
    return [effect for who, effect in told if who == name]


def test_the_fifo_says_what_keepalived_s_says_members_before_their_group_and_every_stop_before_the_group_s() -> None:
    """The golden transcript of a group that starts, meets a failing check, recovers and ends."""
    story = Story("V3", "V2", "V1").start().run_until(NOW + 3.61)
    story.take(story.ensemble.handle("V1", FaultRaised("script chk"), NOW + 5))
    story.take(story.ensemble.handle("V2", FaultRaised("script chk"), NOW + 5))
    story.take(story.ensemble.handle("V1", FaultCleared("script chk"), NOW + 8))
    story.take(story.ensemble.handle("V2", FaultCleared("script chk"), NOW + 8))
    story.run_until(NOW + 12)
    story.take(story.ensemble.shutdown(NOW + 13))
    assert story.fifo == [
        'INSTANCE "V3" BACKUP 100',
        'INSTANCE "V2" BACKUP 100',
        'INSTANCE "V1" BACKUP 100',
        'GROUP "G1" BACKUP 0',
        'INSTANCE "V2" MASTER 100',
        'INSTANCE "V1" MASTER 100',
        'GROUP "G1" MASTER 0',
        'INSTANCE "V3" MASTER 100',
        'INSTANCE "V1" FAULT 100',
        'INSTANCE "V2" FAULT 100',
        'GROUP "G1" FAULT 0',
        'INSTANCE "V2" BACKUP 100',
        'INSTANCE "V1" BACKUP 100',
        'GROUP "G1" BACKUP 0',
        'INSTANCE "V2" MASTER 100',
        'INSTANCE "V1" MASTER 100',
        'GROUP "G1" MASTER 0',
        'INSTANCE "V3" STOP 100',
        'INSTANCE "V2" STOP 100',
        'INSTANCE "V1" STOP 100',
        'GROUP "G1" STOP 0',
    ]


def test_the_group_s_transitions_are_worded_as_keepalived_words_them() -> None:
    story = Story("V1", "V2").start().run_until(NOW + 4)
    story.take(story.ensemble.handle("V2", heard(200), NOW + 4))
    story.take(story.ensemble.handle("V2", FaultRaised("interface eth0 down"), NOW + 5))
    story.take(story.ensemble.shutdown(NOW + 6))
    told = [effect for _, effect in story.all if isinstance(effect, GroupTransitioned)]
    assert [(one.before, one.after, one.reason.text) for one in told] == [
        ("INIT", "BACKUP", "VRRP_Group(G1) Syncing instances to BACKUP state"),
        ("BACKUP", "MASTER", "VRRP_Group(G1) Syncing instances to MASTER state"),
        ("MASTER", "BACKUP", "VRRP_Group(G1) Syncing instances to BACKUP state"),
        ("BACKUP", "FAULT", "VRRP_Group(G1) Syncing instances to FAULT state"),
        ("FAULT", "INIT", "VRRP_Group(G1) stopped"),
    ]


def test_a_member_that_wants_master_waits_and_asks_again_after_an_interval_and_one_256th() -> None:
    story = Story("V1", "V2").start()
    story.take(story.ensemble.handle("V2", heard(100), NOW + 3))
    told = story.take(story.ensemble.handle("V1", Tick(), NOW + 3.609375))
    assert [effect.reason.text for _, effect in told if isinstance(effect, Observed)] == [
        "wants MASTER; VRRP_Group(G1) waits for V2"
    ]
    assert story.machines["V1"].deadline == pytest.approx(NOW + 3.609375 + 1.003906, abs=1e-9)
    assert story.states() == {"V1": "BACKUP", "V2": "BACKUP"}
    assert story.take(story.ensemble.handle("V1", Tick(), NOW + 4.613281)) == []
    story.run_until(NOW + 6.609375)
    assert story.states() == {"V1": "MASTER", "V2": "MASTER"}


def test_each_member_says_why_it_wanted_to_be_master() -> None:
    story = Story("V1", "V2").start().run_until(NOW + 3.609375)
    reasons = [
        effect.reason for _, effect in story.all if isinstance(effect, Transitioned) and effect.after == "MASTER"
    ]
    text = "no advertisement for Master_Down_Interval 3.609375 s"
    assert reasons == [Reason("RFC 3768 6.4.2", text), Reason("RFC 3768 6.4.2", text)]


def test_a_member_that_hears_a_master_no_longer_wants_to_be_one() -> None:
    story = Story("V1", "V2").start()
    story.take(story.ensemble.handle("V2", heard(100), NOW + 3))
    story.take(story.ensemble.handle("V1", Tick(), NOW + 3.609375))
    story.take(story.ensemble.handle("V1", heard(150), NOW + 4))
    story.take(story.ensemble.handle("V2", Tick(), NOW + 6.609375))
    assert story.states() == {"V1": "BACKUP", "V2": "BACKUP"}


def test_a_member_that_yields_takes_the_others_along_and_they_resign() -> None:
    story = masters("V1", "V2", "V3")
    told = story.take(story.ensemble.handle("V1", heard(101), NOW + 4))
    assert story.states() == {"V1": "BACKUP", "V2": "BACKUP", "V3": "MASTER"}
    assert effects_of(told, "V1")[:2] == [SendAdvertisement(100), RemoveAddresses()]
    assert effects_of(told, "V2")[:2] == [SendAdvertisement(0), RemoveAddresses()]
    assert [name for name, _ in told] == ["V1"] * 5 + ["V2"] * 4 + ["G1"] * 2
    assert story.machines["V2"].deadline == NOW + 4 + 3.609375


def test_a_member_in_fault_takes_the_others_along_and_they_leave_together() -> None:
    story = masters("V1", "V2")
    story.take(story.ensemble.handle("V2", FaultRaised("interface eth1 down"), NOW + 4))
    assert story.machines["V1"].state == Fault(frozenset({"VRRP_Group(G1): V2 in FAULT"}))
    story.take(story.ensemble.handle("V1", FaultRaised("script chk"), NOW + 5))
    story.take(story.ensemble.handle("V2", FaultCleared("interface eth1 down"), NOW + 6))
    assert story.states() == {"V1": "FAULT", "V2": "FAULT"}
    story.take(story.ensemble.handle("V1", FaultCleared("script chk"), NOW + 7))
    assert story.states() == {"V1": "BACKUP", "V2": "BACKUP"}
    assert {story.machines[name].deadline for name in ("V1", "V2")} == {NOW + 7 + 3.609375}
    assert story.fifo == [
        'INSTANCE "V2" FAULT 100', 'INSTANCE "V1" FAULT 100', 'GROUP "G1" FAULT 0',
        'INSTANCE "V1" BACKUP 100', 'INSTANCE "V2" BACKUP 100', 'GROUP "G1" BACKUP 0',
    ]  # fmt: skip


def test_a_fault_of_one_member_before_the_start_holds_for_all() -> None:
    story = Story("V1", "V2")
    story.take(story.ensemble.handle("V2", FaultRaised("interface eth1 down"), NOW))
    story.start()
    assert story.states() == {"V1": "FAULT", "V2": "FAULT"}
    assert story.fifo == ['INSTANCE "V1" FAULT 100', 'INSTANCE "V2" FAULT 100', 'GROUP "G1" FAULT 0']


def test_nobody_goes_to_master_before_all_have_begun() -> None:
    story = Story("V1", "V2")
    story.take(story.ensemble.handle("V1", Startup(), NOW))
    story.run_until(NOW + 10)
    assert story.states() == {"V1": "BACKUP", "V2": "INIT"}
    assert story.ensemble.group_states == {"G1": "INIT"}


def test_group_faults_are_those_of_the_other_members() -> None:
    own = {"V1": frozenset({"interface eth0 down"}), "V2": frozenset[str](), "V3": frozenset({"script chk"})}
    assert group_faults(own, [G1]) == {
        "V1": frozenset(),
        "V2": frozenset({"VRRP_Group(G1): V1 in FAULT"}),
        "V3": frozenset(),
    }


def test_a_lower_master_at_one_member_makes_all_of_them_announce_again() -> None:
    story = masters("V1", "V2", "V3")
    told = story.take(story.ensemble.handle("V2", heard(50), NOW + 4))
    assert effects_of(told, "V2")[1:3] == [SendAdvertisement(100), Announce(5)]
    assert effects_of(told, "V1") == [Announce(5)]
    assert effects_of(told, "V3") == []


def test_an_operator_moves_the_whole_group_with_one_member() -> None:
    story = masters("V1", "V2")
    story.take(story.ensemble.handle("V2", GiveUp("planned"), NOW + 4))
    assert story.states() == {"V1": "BACKUP", "V2": "BACKUP"}
    story.take(story.ensemble.handle("V1", TakeOver("enough"), NOW + 5))
    assert story.states() == {"V1": "MASTER", "V2": "MASTER"}
    assert story.fifo == [
        'INSTANCE "V2" BACKUP 100', 'INSTANCE "V1" BACKUP 100', 'GROUP "G1" BACKUP 0',
        'INSTANCE "V1" MASTER 100', 'INSTANCE "V2" MASTER 100', 'GROUP "G1" MASTER 0',
    ]  # fmt: skip


def test_an_operator_s_wish_reaches_the_others_though_the_member_itself_wants_it_already() -> None:
    story = Story("V1", "V2")
    story.machines["V2"].instance = replace(instance("V2", 62), priority=255)
    story.start()
    story.take(story.ensemble.handle("V2", TakeOver("now"), NOW))
    assert story.states() == {"V1": "MASTER", "V2": "MASTER"}


def test_whose_deadline_may_have_moved_is_told() -> None:
    story = masters("V1", "V2", "V3")
    story.take(story.ensemble.handle("V1", Tick(), NOW + 4.609375))
    assert story.ensemble.touched == ("V1",)
    story.take(story.ensemble.handle("V1", heard(200), NOW + 5))
    assert story.ensemble.touched == ("V1", "V2")
    story.ensemble.settle(NOW + 5)
    assert story.ensemble.touched == ()
    story.ensemble.shutdown(NOW + 6)
    assert story.ensemble.touched == ("V1", "V2", "V3")


def test_a_group_of_one_is_allowed() -> None:
    alone = SyncGroup("G1", ("V1",))
    story = Story("V1", groups=(alone,)).start().run_until(NOW + 3.609375)
    assert story.states() == {"V1": "MASTER"}
    assert story.fifo[-2:] == ['INSTANCE "V1" MASTER 100', 'GROUP "G1" MASTER 0']


def test_owners_in_a_group_are_master_as_soon_as_the_last_has_begun() -> None:
    story = Story("V1", "V2", priority=255).start()
    assert story.states() == {"V1": "MASTER", "V2": "MASTER"}


def test_a_reload_with_the_same_groups_changes_and_tells_nothing() -> None:
    story = masters("V1", "V2", "V3")
    again = Ensemble(story.machines, (G1,))
    assert again.settle(NOW + 4) == []
    assert again.group_states == {"G1": "MASTER"}
    assert set(story.states().values()) == {"MASTER"}


def test_a_new_group_whose_member_is_free_of_the_old_one_s_faults_says_what_it_is_then() -> None:
    story = masters("V1", "V2", "V3")
    story.take(story.ensemble.handle("V2", FaultRaised("interface eth1 down"), NOW + 4))
    story.take(story.ensemble.handle("V3", heard(200), NOW + 4))
    assert story.states() == {"V1": "FAULT", "V2": "FAULT", "V3": "BACKUP"}
    told = Ensemble(story.machines, (SyncGroup("G2", ("V1", "V3")),)).settle(NOW + 5)
    assert story.states() == {"V1": "BACKUP", "V2": "FAULT", "V3": "BACKUP"}
    assert [(one.before, one.after) for _, one in told if isinstance(one, GroupTransitioned)] == [("FAULT", "BACKUP")]


def test_a_member_that_leaves_a_faulty_group_is_free_of_its_faults() -> None:
    story = masters("V1", "V2")
    story.take(story.ensemble.handle("V2", FaultRaised("interface eth1 down"), NOW + 4))
    told = Ensemble(story.machines, ()).settle(NOW + 5)
    assert story.states() == {"V1": "BACKUP", "V2": "FAULT"}
    assert [type(effect) for _, effect in told] == [Transitioned, Notify]


def test_a_master_that_joins_a_group_with_a_member_in_fault_follows_it() -> None:
    story = masters("V1", "V2")
    apart = Ensemble(story.machines, ())
    apart.handle("V2", FaultRaised("interface eth1 down"), NOW + 4)
    assert story.states() == {"V1": "MASTER", "V2": "FAULT"}
    joined = Ensemble(story.machines, (G1,))
    assert joined.group_states == {"G1": "FAULT"}
    joined.settle(NOW + 5)
    assert story.states() == {"V1": "FAULT", "V2": "FAULT"}


def test_a_master_that_joins_a_group_with_a_member_that_follows_another_router_goes_to_backup() -> None:
    story = masters("V1", "V2")
    Ensemble(story.machines, ()).handle("V2", heard(200), NOW + 4)
    joined = Ensemble(story.machines, (G1,))
    joined.settle(NOW + 5)
    assert story.states() == {"V1": "BACKUP", "V2": "BACKUP"}


def test_a_new_member_of_a_group_that_is_master_becomes_one_without_taking_it_down() -> None:
    story = masters("V1", "V2")
    everybody = {**story.machines, "V3": VirtualRouter(instance("V3", 63), OURS)}
    grown = Ensemble(everybody, (SyncGroup("G1", ("V1", "V2", "V3")),))
    assert grown.group_states == {"G1": "MASTER"}
    assert grown.settle(NOW + 4) == []
    grown.handle("V3", Startup(), NOW + 4)
    grown.handle("V3", Tick(), NOW + 4 + 3.609375)
    assert {machine.state.name for machine in everybody.values()} == {"MASTER"}
    assert grown.group_states == {"G1": "MASTER"}


def test_a_member_that_a_reload_removes_takes_nobody_along() -> None:
    story = masters("V1", "V2")
    story.take(story.ensemble.handle("V1", Shutdown(), NOW + 4))
    assert story.states() == {"V1": "INIT", "V2": "MASTER"}
    assert story.fifo == ['INSTANCE "V1" STOP 100']


def test_an_instance_without_a_group_is_left_alone() -> None:
    story = masters("V1", "V3", groups=())
    assert story.ensemble.members("V3") == ("V3",)
    assert isinstance(story.machines["V1"].state, Master)
    story.take(story.ensemble.handle("V1", FaultRaised("script chk"), NOW + 4))
    assert story.states() == {"V1": "FAULT", "V3": "MASTER"}


def test_members_that_do_not_exist_are_no_members() -> None:
    story = Story("V1", groups=(SyncGroup("G1", ("V1", "gone")), SyncGroup("G2", ("nobody",)))).start()
    assert story.ensemble.members("V1") == ("V1",)
    assert story.ensemble.group_states == {"G1": "BACKUP", "G2": "INIT"}
    assert isinstance(story.machines["V1"].state, Backup)


def test_a_timer_that_expired_too_late_takes_the_group_to_backup() -> None:
    late = {name: VirtualRouter(replace(instance(name), timer_expired_backup=3.5), OURS) for name in ("V1", "V2")}
    story = Story()
    story.machines, story.ensemble = late, Ensemble(late, (G1,))
    story.start().run_until(NOW + 3.7)
    story.take(story.ensemble.handle("V2", Tick(), NOW + 60))
    assert story.states() == {"V1": "BACKUP", "V2": "BACKUP"}
