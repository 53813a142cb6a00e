"""The state machine of a virtual router: events and ``now`` in, effects out.

Laws: pure. Nothing here reads a clock, opens a socket or waits. Each rule returns its own effects, in the order in
which they must happen; effects are never derived from a pair of old and new state. The table of transitions is in
``table.py``; a test drives this machine against it. The shell calls ``handle(Tick(), now)`` at ``deadline``.

RFC 3768 section 6.4, and where keepalived goes beyond it (FAULT, preempt_delay, its answer to a lower-priority
master), keepalived; where it departs from keepalived on purpose, a comment says so.
"""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import assert_never

from pyvrrp.model import Address, Instance
from pyvrrp.protocol.effects import (
    AddAddresses,
    Announce,
    Effect,
    MasterHeard,
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
    PriorityChanged,
    Shutdown,
    SourceChanged,
    Startup,
    Tick,
)
from pyvrrp.protocol.states import Announcement, Backup, Fault, Initialize, Master, State
from pyvrrp.protocol.timers import master_down_interval, skew_time

RESIGN = 0
"""The priority with which a master says that it stops (RFC 3768 section 5.3.4)."""


class VirtualRouter:
    """One virtual router. ``source`` is the primary address of its interface, by which ties are decided."""

    def __init__(self, instance: Instance, source: Address) -> None:
        self.instance = instance
        self.source = source
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
    def master_down_interval(self) -> float:
        """Master_Down_Interval in seconds, from the effective priority."""
        return master_down_interval(self.priority, self.instance.advert_interval, self.instance.down_timer_adverts)

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Return what has to be done about ``event`` at ``now`` (monotonic seconds), and move to the next state."""
        match event:
            case SourceChanged(address):
                self.source = address
                return []
            case PriorityChanged(priority):
                return self._change_priority(priority)
            case FaultRaised(cause):
                return self._raise_fault(cause)
            case FaultCleared(cause):
                return self._clear_fault(cause, now)
            case Startup():
                return self._start(now)
            case Shutdown():
                return self._stop()
            case Tick():
                return self._tick(now)
            case AdvertisementReceived():
                return self._receive(event, now)
            case _:
                assert_never(event)

    # --- RFC 3768 section 6.4.1, Initialize -----------------------------------------------------------------------

    def _start(self, now: float) -> list[Effect]:
        match self.state:
            case Initialize(faults) if faults:
                return [RemoveAddresses(), *self._fall(faults)]
            case Initialize() if self.instance.is_owner:
                return self._become_master(now, Reason("RFC 3768 6.4.1", "priority 255: the owner of the addresses"))
            case Initialize():
                # keepalived: `state MASTER` below priority 255 begins as a backup, too, and waits its whole interval.
                interval = self.master_down_interval
                text = f"init; waiting Master_Down_Interval {interval:.6f} s for a master"
                started = self._become_backup(now + interval, Reason("RFC 3768 6.4.1", text))
                return [RemoveAddresses(), *started]  # what an earlier run may have left behind
            case _:
                return []

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

    # --- Ticks: sections 6.4.2 (2) and 6.4.3 (2) ------------------------------------------------------------------

    def _tick(self, now: float) -> list[Effect]:
        match self.state:
            case Backup(master_down_at=down_at) as state if now >= down_at:
                return self._master_is_down(state, now)
            case Master() as state:
                return self._advertise_and_announce(state, now)
            case _:
                return []

    def _master_is_down(self, state: Backup, now: float) -> list[Effect]:
        late = now - state.master_down_at
        if late > self.instance.advert_interval and not state.has_slept:
            # Departs from keepalived on purpose: who was asleep (a stalled machine, a paused VM) has not listened,
            # so it hears one interval of the present before it takes over from a master that may be alive.
            self.state = replace(state, master_down_at=now + self.instance.advert_interval, has_slept=True)
            text = f"woke {late:.3f} s late; listening for one more interval before taking over"
            return [Observed("stalled", Reason("listen after a stall", text), MappingProxyType({"late": late}))]
        text = f"no advertisement for Master_Down_Interval {self.master_down_interval:.6f} s"
        return self._become_master(now, Reason("RFC 3768 6.4.2", text))

    def _advertise_and_announce(self, state: Master, now: float) -> list[Effect]:
        effects: list[Effect] = []
        late = now - state.advertise_at
        if late >= 0:
            effects.append(SendAdvertisement(self.priority))
            interval = self.instance.advert_interval
            state = replace(state, advertise_at=(now if late > interval else state.advertise_at) + interval)
            if late > interval:  # others may have taken over meanwhile: say where the addresses are
                state = replace(state, announcement=Announcement(now, self.instance.garp.repeat))
        if state.announcement is not None and now >= state.announcement.at:
            effects.append(Announce(state.announcement.rounds))
            state = replace(state, announcement=self._next_refresh(now))
        self.state = state
        return effects

    def _next_refresh(self, now: float) -> Announcement | None:
        garp = self.instance.garp
        return Announcement(now + garp.refresh, garp.refresh_repeat) if garp.refresh else None

    # --- Advertisements: sections 6.4.2 (3) and 6.4.3 (3) ---------------------------------------------------------

    def _receive(self, event: AdvertisementReceived, now: float) -> list[Effect]:
        match self.state:
            case Backup() as state:
                return self._receive_as_backup(state, event, now)
            case Master() as state:
                return self._receive_as_master(state, event, now)
            case _:
                return []

    def _receive_as_backup(self, state: Backup, event: AdvertisementReceived, now: float) -> list[Effect]:
        theirs = event.advertisement.priority
        if theirs == RESIGN:
            self.state = replace(state, master_down_at=now + skew_time(self.priority), has_slept=False)
            text = f"{event.source} resigned; waiting Skew_Time {skew_time(self.priority):.6f} s"
            return [Observed("master_resigned", Reason("RFC 3768 6.4.2", text))]
        effects: list[Effect] = []
        if (event.source, theirs) != (state.master, state.master_priority):
            effects.append(MasterHeard(event.source, theirs))
        state = replace(state, master=event.source, master_priority=theirs)
        if theirs >= self.priority or not self.instance.preempt:
            # Equal priority is accepted whatever the address: the addresses decide between masters only.
            self.state = self._hear(replace(state, preempt_at=None), now)
            return effects
        if self.instance.preempt_delay and state.preempt_at is None:
            # The delay does not take over by itself: it ends the patience with a lower master, and then the timer runs.
            self.state = self._hear(replace(state, preempt_at=now + self.instance.preempt_delay), now)
            text = (
                f"master {event.source} has {theirs}, ours {self.priority}: {self.instance.preempt_delay:g} s to wait"
            )
            return [*effects, Observed("preempt_delay_started", Reason("keepalived preempt_delay", text))]
        if state.preempt_at is not None and now < state.preempt_at:
            self.state = self._hear(state, now)
            return effects
        self.state = state
        text = f"received lower priority ({theirs}) advert from {event.source} - discarding"
        return [*effects, Observed("lower_priority_discarded", Reason("RFC 3768 6.4.2", text))]

    def _hear(self, state: Backup, now: float) -> Backup:
        return replace(state, master_down_at=now + self.master_down_interval, has_slept=False)

    def _receive_as_master(self, state: Master, event: AdvertisementReceived, now: float) -> list[Effect]:
        theirs = event.advertisement.priority
        if theirs == RESIGN:
            return self._answer_resignation(state, now)
        if theirs > self.priority:
            text = f"Master received advert from {event.source} with higher priority {theirs}, ours {self.priority}"
            return self._yield(event, Reason("RFC 3768 6.4.3", text), now)
        if theirs == self.priority and int(event.source) > int(self.source):
            rank = f"same priority {theirs} but higher IP address than ours"
            text = f"Master received advert from {event.source} with {rank}"
            return self._yield(event, Reason("RFC 3768 6.4.3", text), now)
        return self._defend(state, event, now)

    def _answer_resignation(self, state: Master, now: float) -> list[Effect]:
        if self._has_answered(state, now):
            return []
        self.state = replace(state, advertise_at=now + self.instance.advert_interval, answered_at=now)
        return [SendAdvertisement(self.priority)]

    def _has_answered(self, state: Master, now: float) -> bool:
        """Whether somebody was answered less than an interval ago: nobody can make us send faster than that."""
        return state.answered_at is not None and now < state.answered_at + self.instance.advert_interval

    def _yield(self, event: AdvertisementReceived, reason: Reason, now: float) -> list[Effect]:
        effects = self._become_backup(now + self.master_down_interval, reason)
        assert isinstance(self.state, Backup)
        self.state = replace(self.state, master=event.source, master_priority=event.advertisement.priority)
        return [RemoveAddresses(), *effects, MasterHeard(event.source, event.advertisement.priority)]

    def _defend(self, state: Master, event: AdvertisementReceived, now: float) -> list[Effect]:
        """Answer a master of lower rank, as keepalived does: the RFC would only discard its advertisement."""
        interval, garp = self.instance.advert_interval, self.instance.garp
        text = (
            f"Received advert from {event.source} with lower priority {event.advertisement.priority}, "
            f"ours {self.priority}, forcing new election"
        )
        told = Observed("lower_priority_master", Reason("keepalived lower_prio", text))
        if self._has_answered(state, now):
            return [told]
        again = Announcement(now + garp.lower_prio_delay, garp.lower_prio_repeat)
        self.state = Master(now + interval, again if garp.lower_prio_delay else state.announcement, answered_at=now)
        return [told, SendAdvertisement(self.priority), Announce(garp.lower_prio_repeat)]

    # --- Tracking -------------------------------------------------------------------------------------------------

    def _change_priority(self, priority: int) -> list[Effect]:
        if priority == self.priority:
            return []
        before, waited = self.priority, self.master_down_interval
        self.priority = priority
        if isinstance(self.state, Backup):
            # The skew follows the priority at once: the deadline moves by the difference of the two intervals.
            moved = self.state.master_down_at + self.master_down_interval - waited
            self.state = replace(self.state, master_down_at=moved)
        text = f"Changing effective priority from {before} to {priority}"
        values = MappingProxyType({"old": before, "new": priority})
        return [Observed("priority", Reason("keepalived track_script", text), values)]

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
                owner_wait = self.instance.advert_interval + skew_time(self.priority)
                wait = owner_wait if self.instance.is_owner else self.master_down_interval
                text = f"{cause} is over; waiting {wait:.6f} s for a master"
                return self._become_backup(now + wait, Reason("keepalived FAULT", text))
            case Fault(causes):
                self.state = Fault(causes - {cause})
                return []
            case _:
                return []

    # --- Arriving in a state --------------------------------------------------------------------------------------

    def _become_master(self, now: float, reason: Reason) -> list[Effect]:
        before, garp = self.state, self.instance.garp
        again = Announcement(now + garp.delay, garp.repeat) if garp.delay else self._next_refresh(now)
        self.state = Master(now + self.instance.advert_interval, again)
        return [
            Transitioned(before.name, self.state.name, reason),
            # The advertisement goes first: the old master must be silent before anybody hears of the addresses.
            SendAdvertisement(self.priority),
            AddAddresses(),
            Announce(garp.repeat),
            Notify(NotifyState.MASTER, self.priority),
        ]

    def _become_backup(self, master_down_at: float, reason: Reason) -> list[Effect]:
        before = self.state
        self.state = Backup(master_down_at)
        return [Transitioned(before.name, self.state.name, reason), Notify(NotifyState.BACKUP, self.priority)]

    def _fall(self, causes: frozenset[str]) -> list[Effect]:
        before = self.state
        self.state = Fault(causes)
        reason = Reason("keepalived FAULT", ", ".join(sorted(causes)))
        return [Transitioned(before.name, self.state.name, reason), Notify(NotifyState.FAULT, self.priority)]
