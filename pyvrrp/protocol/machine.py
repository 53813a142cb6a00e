"""The state machine of a virtual router: events and ``now`` in, effects out.

Laws: pure. Nothing here reads a clock, opens a socket or waits. Each rule returns its own effects, in the order in
which they must happen; effects are never derived from a pair of old and new state. The table of transitions is in
``table.py``; a test drives this machine against it. The shell calls ``handle(Tick(), now)`` at ``deadline``.

RFC 3768 section 6.4 (in version 3: RFC 5798, same section), and where keepalived goes beyond it (FAULT, preempt_delay,
its answer to a lower-priority master, sync groups), keepalived; where it departs from keepalived on purpose, a comment
says so. What a backup and a master do about ticks and advertisements is in ``backup.py`` and ``master.py``; here is how
they begin and end, what tracking, reloads and operators do to them, and how each state is entered.

A member of a sync group (``grouped``) never becomes Master by itself: it returns ``WantsMaster`` and waits for
``SyncToMaster``. Only ``groups.py`` knows the others; the shell talks to the machines through its ``Ensemble``.
"""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import assert_never

from pyvrrp.model import Address, Instance
from pyvrrp.protocol import backup, master
from pyvrrp.protocol.effects import (
    AddAddresses,
    Announce,
    Effect,
    Notify,
    NotifyState,
    Observed,
    Reason,
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
from pyvrrp.protocol.states import Announcement, Backup, Fault, Initialize, Master, State
from pyvrrp.protocol.timers import master_down_interval, skew_time
from pyvrrp.protocol.tracking import HIGHEST, LOWEST

RESIGN = 0
"""The priority with which a master says that it stops (RFC 3768 section 5.3.4)."""
SYNC_GROUP = "keepalived sync group"
"""The rule by which members of a group follow each other."""


class VirtualRouter:
    """One virtual router. ``source`` is the primary address of its interface, by which ties are decided."""

    def __init__(self, instance: Instance, source: Address, *, grouped: bool = False) -> None:
        self.instance = instance
        self.source = source
        self.grouped = grouped
        self.priority = instance.priority
        self.state: State = Initialize()

    @property
    def deadline(self) -> float | None:
        """When the next ``Tick`` is due, in monotonic seconds; None if no timer runs."""
        match self.state:
            case Backup(master_down_at=down_at):
                return down_at
            case Master(advertise_at=advertise_at, announcement=None):
                return advertise_at
            case Master(advertise_at=advertise_at, announcement=Announcement(at=announce_at)):
                return min(advertise_at, announce_at)
            case _:
                return None

    @property
    def master_adver_interval(self) -> float:
        """Master_Adver_Interval in seconds: the master's own in version 3 (RFC 5798 section 6.1), else ours."""
        learned = self.state.learned_interval if isinstance(self.state, Backup) else None
        return self.instance.advert_interval if learned is None else learned

    @property
    def skew_time(self) -> float:
        """Skew_Time in seconds, from the effective priority."""
        return skew_time(self.priority, self.instance.version, self.master_adver_interval)

    @property
    def master_down_interval(self) -> float:
        """Master_Down_Interval in seconds, from the effective priority."""
        return self.down_after(self.master_adver_interval)

    def down_after(self, master_adver_interval: float) -> float:
        """Return the Master_Down_Interval, in seconds, of a master with this interval."""
        adverts, version = self.instance.down_timer_adverts, self.instance.version
        return master_down_interval(self.priority, master_adver_interval, adverts, version)

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Return what has to be done about ``event`` at ``now`` (monotonic seconds), and move to the next state."""
        match event:
            case Tick():
                return self._tick(now)
            case AdvertisementReceived():
                return self._receive(event, now)
            case Startup() | Shutdown():
                return self._start(event, now) if isinstance(event, Startup) else self._stop()
            case FaultRaised() | FaultCleared() | PriorityChanged() | SourceChanged():
                return self._track(event, now)
            case Reconfigured():
                return self._reconfigure(event, now)
            case TakeOver() | GiveUp():
                return self._take_over(event, now) if isinstance(event, TakeOver) else self._give_up(event, now)
            case SyncToMaster() | SyncToBackup() | SyncAnnouncement():
                return self._follow_group(event, now)
            case _:
                assert_never(event)

    # --- RFC 3768 section 6.4.1, Initialize -----------------------------------------------------------------------

    def _start(self, event: Startup, now: float) -> list[Effect]:
        if not isinstance(self.state, Initialize):
            return []
        if self.state.faults:
            return [RemoveAddresses(), *self._fall(self.state.faults)]
        ownership = Reason("RFC 3768 6.4.1", "priority 255: the owner of the addresses")
        at_once = self.instance.is_owner and not event.delay
        if at_once and not self.grouped:
            return self.become_master(now, ownership)
        # keepalived: `state MASTER` below priority 255 begins as a backup, too, and waits its whole interval.
        wait = event.delay + (0 if self.instance.is_owner else self.master_down_interval)
        text = f"init; waiting {wait:.6f} s for a master"
        if not event.delay:
            text = f"init; waiting Master_Down_Interval {wait:.6f} s for a master"
        begun = Backup(now + wait, listens_until=now + event.delay if event.delay else None)
        started = self.become_backup(begun, Reason("RFC 3768 6.4.1", text))
        asked = backup.ask_group(self, begun, ownership, now) if at_once else []
        return [RemoveAddresses(), *started, *asked]  # removed is what an earlier run may have left behind

    def _stop(self) -> list[Effect]:
        before = self.state
        self.state = Initialize()
        told = Transitioned(before.name, self.state.name, Reason("RFC 3768 6.4.2, 6.4.3", "shutdown"))
        stopped = Notify(NotifyState.STOP, self.priority)
        match before:
            case Initialize():
                return []
            case Master():
                return [SendAdvertisement(RESIGN), RemoveAddresses(), told, stopped]
            case _:
                return [told, stopped]

    # --- Ticks and advertisements: sections 6.4.2 and 6.4.3 -------------------------------------------------------

    def _tick(self, now: float) -> list[Effect]:
        match self.state:
            case Backup() as state:
                return backup.tick(self, state, now)
            case Master() as state:
                return master.tick(self, state, now)
            case _:
                return []

    def _receive(self, event: AdvertisementReceived, now: float) -> list[Effect]:
        match self.state:
            case Backup() as state:
                return backup.receive(self, state, event, now)
            case Master() as state:
                return master.receive(self, state, event, now)
            case _:
                return []

    # --- Tracking -------------------------------------------------------------------------------------------------

    def _track(self, event: FaultRaised | FaultCleared | PriorityChanged | SourceChanged, now: float) -> list[Effect]:
        match event:
            case FaultRaised(cause):
                return self._raise_fault(cause)
            case FaultCleared(cause):
                return self._clear_fault(cause, now)
            case PriorityChanged(priority):
                waited = self.master_down_interval
                # An owner's priority is 255, or 254 while another owner is there: tracking has no part in it.
                effects = [] if self.instance.is_owner else self.change_priority(priority, "keepalived track_script")
                self._move_deadline(waited)
                return effects
            case SourceChanged(address):
                self.source = address
                return []
            case _:
                assert_never(event)

    def change_priority(self, priority: int, rule: str, text: str = "") -> list[Effect]:
        """Take on another effective priority, and say so with ``text`` or as keepalived does."""
        if priority == self.priority:
            return []
        before, self.priority = self.priority, priority
        text = text or f"Changing effective priority from {before} to {priority}"
        values = MappingProxyType({"old": before, "new": priority})
        told: list[Effect] = [Observed("priority", Reason(rule, text), values)]
        if self.instance.notify_priority_changes and isinstance(self.state, Master):
            told.append(Notify(NotifyState.MASTER_PRIORITY, priority))
        elif self.instance.notify_priority_changes and isinstance(self.state, Backup):
            told.append(Notify(NotifyState.BACKUP_PRIORITY, priority))
        return told

    def _move_deadline(self, waited: float) -> None:
        """The skew follows the priority at once: the deadline moves by the difference of the two intervals."""
        moved = self.master_down_interval - waited
        if moved and isinstance(self.state, Backup):
            self.state = replace(self.state, master_down_at=self.state.master_down_at + moved)

    def _raise_fault(self, cause: str) -> list[Effect]:
        match self.state:
            case Initialize(faults):
                self.state = Initialize(faults | {cause})
                return []
            case Fault(causes):
                self.state = Fault(causes | {cause})
                return []
            case Master():
                return [SendAdvertisement(RESIGN), RemoveAddresses(), *self._fall(frozenset({cause}))]
            case Backup():
                return self._fall(frozenset({cause}))
            case _:
                assert_never(self.state)

    def _clear_fault(self, cause: str, now: float) -> list[Effect]:
        match self.state:
            case Initialize(faults):
                self.state = Initialize(faults - {cause})
                return []
            case Fault(causes) if causes <= {cause}:
                # keepalived: an owner waits one interval and the skew; anyone else a whole Master_Down_Interval.
                owner_wait = self.instance.advert_interval + self.skew_time
                wait = owner_wait if self.instance.is_owner else self.master_down_interval
                text = f"{cause} is over; waiting {wait:.6f} s for a master"
                return self.become_backup(Backup(now + wait), Reason("keepalived FAULT", text))
            case Fault(causes):
                self.state = Fault(causes - {cause})
                return []
            case _:
                return []

    # --- Reload and operators -------------------------------------------------------------------------------------

    def _reconfigure(self, event: Reconfigured, now: float) -> list[Effect]:
        """Keep the state, as keepalived does on SIGHUP; what is the same before and after has no effect at all."""
        before, waited = self.instance, self.master_down_interval
        priority = self._priority_under(event)
        self.instance = event.instance
        effects = self.change_priority(priority, "keepalived reload")
        match self.state:
            case Backup() as state:
                backup.reconfigure(self, state, before, waited, now)
            case Master() as state:
                master.reconfigure(self, state, before, now)
            case _:
                pass
        return effects

    def _priority_under(self, event: Reconfigured) -> int:
        before, after = self.instance, event.instance
        if after.is_owner:
            return self.priority if before.is_owner else after.priority
        if event.priority is not None:
            return event.priority
        offset = 0 if before.is_owner else self.priority - before.priority
        return max(LOWEST, min(HIGHEST, after.priority + offset))

    def _take_over(self, event: TakeOver, now: float) -> list[Effect]:
        reason = Reason("promote", event.reason)
        match self.state:
            case Master():
                return []
            case Backup() as state if self._is_outranked_by(state):
                text = f"master {state.master} has {state.master_priority}, ours {self.priority}"
                return [Observed("promotion_refused", Reason("promote", f"{text}: it would be back at once"))]
            case Backup() as state if self.grouped:
                return backup.ask_group(self, replace(state, gives_way=False), reason, now)
            case Backup():
                return self.become_master(now, reason)
            case Initialize(causes) | Fault(causes):
                text = f"cannot become Master in {self.state.name}: {', '.join(sorted(causes)) or 'not started'}"
                return [Observed("promotion_refused", Reason("promote", text))]
            case _:
                assert_never(self.state)

    def _is_outranked_by(self, state: Backup) -> bool:
        return (
            state.follows
            and state.master is not None
            and state.master_priority is not None
            and (state.master_priority, int(state.master)) > (self.priority, int(self.source))
        )

    def _give_up(self, event: GiveUp, now: float) -> list[Effect]:
        effects: list[Effect] = []
        if isinstance(self.state, Master):
            effects = self._resign(Reason("demote", event.reason), now)
        if isinstance(self.state, Backup):
            self.state = replace(self.state, gives_way=True, wants_master=None)
        return effects

    # --- Sync groups ----------------------------------------------------------------------------------------------

    def _follow_group(self, event: SyncToMaster | SyncToBackup | SyncAnnouncement, now: float) -> list[Effect]:
        match (event, self.state):
            case (SyncToMaster(group), Backup(wants_master=own)):
                text = f"VRRP_Group({group}) Syncing instances to MASTER state"
                return self.become_master(now, own or Reason(SYNC_GROUP, text))
            case (SyncToBackup(group, member), Master()):
                # Departs from keepalived, which is silent here: whoever watches this router need not wait for its end.
                text = f"VRRP_Group({group}) Syncing instances to BACKUP state: {member} is not MASTER"
                return self._resign(Reason(SYNC_GROUP, text), now)
            case (SyncAnnouncement(), Master() as state):
                return master.announce_again(self, state, now)
            case _:
                return []

    # --- Arriving in a state --------------------------------------------------------------------------------------

    def become_master(self, now: float, reason: Reason) -> list[Effect]:
        """Enter MASTER: the advertisement first, then the addresses, then everybody is told."""
        before, garp, interval = self.state, self.instance.garp, self.instance.advert_interval
        effects: list[Effect] = []
        if self.master_adver_interval != interval:
            text = f"changing advert interval from {self.master_adver_interval * 1000:.0f}ms to locally configured"
            own = Reason("RFC 5798 6.4.2", f"{text} {interval * 1000:.0f}ms")
            effects.append(Observed("advert_interval_restored", own))
        if self.instance.is_owner:
            text = "Restoring our priority to 255 since other address owner has disappeared"
            effects += self.change_priority(self.instance.priority, "keepalived owner", text)
        refresh = self.next_refresh(now)  # keepalived counts it from here, whatever the second burst's delay is
        then = None if refresh is None else refresh.at
        again = Announcement(now + garp.delay, garp.repeat, then) if garp.delay else refresh
        self.state = Master(now + interval, again, inherited=isinstance(before, Backup) and before.resigned)
        return [
            *effects,
            Transitioned(before.name, self.state.name, reason),
            # The advertisement goes first: the old master must be silent before anybody hears of the addresses.
            SendAdvertisement(self.priority),
            AddAddresses(),
            Announce(garp.repeat),
            Notify(NotifyState.MASTER, self.priority),
        ]

    def next_refresh(self, now: float, at: float | None = None) -> Announcement | None:
        """Return the next refresh of gratuitous ARP, ``at`` if that is known; None if there is to be none."""
        garp = self.instance.garp
        return Announcement(now + garp.refresh if at is None else at, garp.refresh_repeat) if garp.refresh else None

    def become_backup(self, state: Backup, reason: Reason) -> list[Effect]:
        """Enter BACKUP; the addresses of a master have to be removed before."""
        before, self.state = self.state, state
        return [Transitioned(before.name, self.state.name, reason), Notify(NotifyState.BACKUP, self.priority)]

    def _resign(self, reason: Reason, now: float) -> list[Effect]:
        told = self.become_backup(Backup(now + self.master_down_interval), reason)
        return [SendAdvertisement(RESIGN), RemoveAddresses(), *told]

    def _fall(self, causes: frozenset[str]) -> list[Effect]:
        before = self.state
        self.state = Fault(causes)
        reason = Reason("keepalived FAULT", ", ".join(sorted(causes)))
        return [Transitioned(before.name, self.state.name, reason), Notify(NotifyState.FAULT, self.priority)]
