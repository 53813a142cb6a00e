"""Sync groups: virtual routers that are Master together or not at all (keepalived.conf(5), vrrp_sync_group).

Laws: pure. All members have to want MASTER before any of them goes there; one that yields, or is in FAULT, takes the
others along. Whether a member is in FAULT for the sake of another is derived from all of them, every time. Members come
before their group: first each one's own effects, the one first to whom it happened, then the group's. After the last
``STOP`` of a member comes the group's.

The shell talks to every router through an ``Ensemble``, grouped or not. After each ``handle``, the deadlines of those
that are ``touched`` may be other ones: in a quiet group, that is the one to whom it happened.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import assert_never

from pyvrrp.model import SyncGroup
from pyvrrp.protocol.effects import Effect, GroupTransitioned, Notify, NotifyGroup, NotifyState, Observed, Reason
from pyvrrp.protocol.effects import WantsMaster as Wants
from pyvrrp.protocol.events import (
    Event,
    FaultCleared,
    FaultRaised,
    GiveUp,
    Shutdown,
    SyncAnnouncement,
    SyncToBackup,
    SyncToMaster,
    TakeOver,
)
from pyvrrp.protocol.machine import SYNC_GROUP, VirtualRouter
from pyvrrp.protocol.states import Backup, Fault, Initialize, Master, State

Told = tuple[str, Effect]
"""The name of an instance (of a group: for GroupTransitioned and NotifyGroup), and what it wants done."""

OF_A_GROUP = "VRRP_Group("
"""How the causes begin that a member has for the sake of another one."""


def group_faults(own: Mapping[str, frozenset[str]], groups: Sequence[SyncGroup]) -> Mapping[str, frozenset[str]]:
    """Return, for each instance, the causes of FAULT that it has because of other members; ``own`` are by instance.

    An ``Ensemble`` raises and clears them by itself; this is for those who want to know why.
    """
    found: dict[str, frozenset[str]] = dict.fromkeys(own, frozenset())
    for group in groups:
        for member in group.members:
            faulty = (other for other in group.members if other != member and own.get(other))
            found[member] = frozenset(f"{OF_A_GROUP}{group.name}): {other} in FAULT" for other in faulty)
    return found


class Ensemble:
    """All virtual routers of the daemon, and what binds them.

    A new one over the same machines, after a reload, takes their states as they are. ``settle`` has to be called then:
    it brings those in line that have joined a group or left one.
    """

    def __init__(self, machines: Mapping[str, VirtualRouter], groups: Sequence[SyncGroup] = ()) -> None:
        self._machines = machines
        self._groups = {group.name: group for group in groups}
        self._group_of = {name: group for group in groups for name in group.members if name in machines}
        for name, machine in machines.items():
            machine.grouped = name in self._group_of
        self._states = {name: self._state_at_first(group) for name, group in self._groups.items()}
        self._touched: dict[str, None] = {}

    @property
    def group_states(self) -> Mapping[str, str]:
        """By name of group: INIT, BACKUP, MASTER or FAULT."""
        return dict(self._states)

    @property
    def touched(self) -> tuple[str, ...]:
        """The instances that have been told anything by the last ``handle``, ``settle`` or ``shutdown``."""
        return tuple(self._touched)

    def members(self, name: str) -> tuple[str, ...]:
        """Return all that move together with the instance of this name, itself first."""
        group = self._group_of.get(name)
        others = group.members if group is not None else ()
        return (name, *(other for other in others if other != name and other in self._machines))

    def handle(self, name: str, event: Event, now: float) -> list[Told]:
        """Return what has to be done about ``event`` at the instance ``name``, in this order, for whom.

        Raises KeyError if there is no instance of this name.
        """
        before = self._machines[name].state
        self._touched = {}
        told = self._tell(name, event, now)
        if name not in self._group_of:
            return told
        has_moved = self._standing(before) != self._standing(self._machines[name].state)
        if isinstance(event, TakeOver | GiveUp):  # an operator moves the group with its member
            has_moved = True
            for other in self.members(name)[1:]:
                told += self._tell(other, event, now)
        if any(isinstance(effect, Notify) and effect.state is NotifyState.MASTER_RX_LOWER_PRI for _, effect in told):
            told += self._announce_together(name, now)
        if not has_moved:
            return told  # the others were in line with it, and still are
        if not isinstance(event, Shutdown):  # whoever ends takes nobody along: the others end, too, or are reloaded
            told += self._align(name, before, now)
        return [*told, *self._report(name)]

    def settle(self, now: float) -> list[Told]:
        """Bring all groups in line after a reload: nothing, if groups and states are what they were."""
        self._touched = {}
        told: list[Told] = []
        for name, machine in self._machines.items():
            told += self._align(name, machine.state, now)
        for name in self._machines:
            told += self._report(name)
        return told

    def shutdown(self, now: float) -> list[Told]:
        """End all of them: every instance stops, then every group."""
        self._touched = {}
        told = [one for name in self._machines for one in self._tell(name, Shutdown(), now)]
        return [*told, *(one for name in self._machines for one in self._report(name))]

    # --- Moving together ------------------------------------------------------------------------------------------

    def _tell(self, name: str, event: Event, now: float) -> list[Told]:
        self._touched[name] = None
        effects = self._machines[name].handle(event, now)
        return [(name, effect) for effect in effects if not isinstance(effect, Wants)]  # its state says it, too

    def _align(self, name: str, before: State, now: float) -> list[Told]:
        members = self.members(name)
        told = self._align_faults(members, now)
        group = self._group_of.get(name)
        if group is None:
            return told
        has_yielded = isinstance(before, Master) and isinstance(self._machines[name].state, Backup)
        follower = name if has_yielded else next((member for member in members if self._follows(member)), None)
        if follower is not None:
            for member in self._in_state(members, Master):
                told += self._tell(member, SyncToBackup(group.name, follower), now)
        waiting_for = [member for member in members if not self._is_ready(member)]
        if not waiting_for:
            for member in self._in_state(members, Backup):
                told += self._tell(member, SyncToMaster(group.name), now)
        elif self._wants(self._machines[name].state) and not self._wants(before):
            text = f"wants MASTER; VRRP_Group({group.name}) waits for {', '.join(waiting_for)}"
            told.append((name, Observed("group_waits", Reason(SYNC_GROUP, text))))
        return told

    def _align_faults(self, members: Sequence[str], now: float) -> list[Told]:
        causes = {member: self._causes(member) for member in members}
        own = {member: frozenset(self._own(found)) for member, found in causes.items()}
        group = self._group_of.get(members[0])
        due = group_faults(own, [group] if group is not None else [])
        told: list[Told] = []
        for member in members:
            for cause in sorted(due[member] - causes[member]):
                told += self._tell(member, FaultRaised(cause), now)
            for cause in sorted(causes[member] - own[member] - due[member]):
                told += self._tell(member, FaultCleared(cause), now)
        return told

    def _announce_together(self, name: str, now: float) -> list[Told]:
        """Announce for all: whoever took over one member's addresses has taken over those of all the others, too."""
        told: list[Told] = []
        for other in self.members(name)[1:]:
            told += self._tell(other, SyncAnnouncement(self._group_of[name].name, name), now)
        return told

    def _causes(self, member: str) -> frozenset[str]:
        match self._machines[member].state:
            case Initialize(causes) | Fault(causes):
                return causes
            case _:
                return frozenset()

    @staticmethod
    def _own(causes: frozenset[str]) -> Iterator[str]:
        return (cause for cause in causes if not cause.startswith(OF_A_GROUP))

    @staticmethod
    def _standing(state: State) -> tuple[object, ...]:
        """What the other members of a group have to know of a state."""
        match state:
            case Initialize(causes) | Fault(causes):
                return state.name, causes
            case Backup():
                return state.name, state.follows, state.wants_master is not None
            case Master():
                return (state.name,)
            case _:
                assert_never(state)

    @staticmethod
    def _wants(state: State) -> bool:
        return isinstance(state, Backup) and state.wants_master is not None

    def _in_state(self, members: Sequence[str], kind: type[State]) -> list[str]:
        return [member for member in members if isinstance(self._machines[member].state, kind)]

    def _is_ready(self, member: str) -> bool:
        state = self._machines[member].state
        return isinstance(state, Master) or self._wants(state)

    def _follows(self, member: str) -> bool:
        state = self._machines[member].state
        return isinstance(state, Backup) and state.follows

    # --- What the group is ----------------------------------------------------------------------------------------

    def _member_states(self, group: SyncGroup) -> set[str]:
        return {self._machines[name].state.name for name in group.members if name in self._machines}

    def _state_at_first(self, group: SyncGroup) -> str:
        states = self._member_states(group)
        return self._common_state(states - {"INIT"} or {"INIT"}, "BACKUP")

    @staticmethod
    def _common_state(states: set[str], so_far: str) -> str:
        """Return what a group is; ``so_far`` while its members are on their way: not begun, or not of one mind."""
        if len(states) == 1:
            return next(iter(states))
        return "FAULT" if "FAULT" in states and "INIT" not in states else so_far

    def _report(self, name: str) -> list[Told]:
        group = self._group_of.get(name)
        if group is None:
            return []
        before = self._states[group.name]
        after = self._states[group.name] = self._common_state(self._member_states(group), before)
        if before == after:
            return []
        text = f"VRRP_Group({group.name}) " + ("stopped" if after == "INIT" else f"Syncing instances to {after} state")
        notify = NotifyState.STOP if after == "INIT" else NotifyState[after]
        transition = GroupTransitioned(group.name, before, after, Reason(SYNC_GROUP, text))
        return [(group.name, transition), (group.name, NotifyGroup(group.name, notify))]
