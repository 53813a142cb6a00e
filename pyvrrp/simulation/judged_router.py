"""A virtual router that judges itself: the invariants of a safe VRRP speaker, checked after every single event.

Laws: pure. Only what can be seen at the machine is judged here; nothing is computed with the machine's own formulae but
the Master_Adver_Interval that it has learned. What is seen of a whole node, and on the wire, is judged in ``judge.py``.
"""

from __future__ import annotations

from pyvrrp.protocol.effects import (
    AddAddresses,
    Announce,
    Effect,
    Notify,
    NotifyState,
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
    Reconfigured,
    Shutdown,
    SyncToMaster,
    Tick,
)
from pyvrrp.protocol.machine import VirtualRouter
from pyvrrp.protocol.states import Backup, Fault, Initialize, Master, State
from pyvrrp.simulation.invariants import BrokenInvariantError, hold

TOLERANCE = 1e-6
"""Seconds: the machine reckons in whole microseconds."""
NOTIFIED = {
    "MASTER": NotifyState.MASTER,
    "BACKUP": NotifyState.BACKUP,
    "FAULT": NotifyState.FAULT,
    "INIT": NotifyState.STOP,
}
MOST_EFFECTS = 12


class JudgedRouter(VirtualRouter):
    """The real machine, whose every answer is held against the invariants; raises BrokenInvariantError."""

    has_addresses = False
    heard_at: float | None = None
    """When the last advertisement came that forbids a takeover: of at least our priority; with nopreempt, any."""
    resigned_at: float | None = None
    """When the last advertisement of priority 0 came, if none of the others has come since."""
    has_asked = False
    """Whether it has asked its group for MASTER, and heard nobody since whom it would have to follow."""
    next_send: float | None = None
    """Before when it must not advertise by its timer: an interval after it did, or answered somebody; None: at will."""
    causes: frozenset[str] = frozenset()
    """What was raised and not cleared since the last end."""

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Return what the machine returns, after judging it."""
        before, priority = self.state, self.priority
        same = isinstance(event, Reconfigured) and event == Reconfigured(self.instance)
        deadline = self.deadline if same else None
        effects = super().handle(event, now)
        if same and (effects, self.state, self.deadline, self.priority) != ([], before, deadline, priority):
            raise BrokenInvariantError("S15", f"a reload of the same did {effects or 'change the state'}")
        if isinstance(event, Reconfigured):
            self.next_send = None
        if effects or type(before) is not type(self.state):
            self._judge_effects(before, event, effects, priority, now)
        self._judge_state(before, event, priority, now)
        return effects

    def _judge_effects(self, before: State, event: Event, effects: list[Effect], priority: int, now: float) -> None:
        hold(len(effects) <= MOST_EFFECTS, "S18", f"{len(effects)} effects of one event")
        self._addresses_only_while_master(effects)
        self._who_may_advertise(before, effects, priority)
        self._no_early_takeover(before, event, effects, now)
        self._asks_before_it_goes(before, event, effects)
        self._announces_in_order(effects)
        self._notifies_what_it_does(before, effects)
        self._keeps_its_cadence(event, effects, now)
        if isinstance(before, Master) and isinstance(event, AdvertisementReceived):
            self._gives_its_addresses_up_first(before, event, effects, priority)

    def _judge_state(self, before: State, event: Event, priority: int, now: float) -> None:
        state = self.state
        if isinstance(event, AdvertisementReceived):
            if isinstance(before, Master):
                self._yields_at_once(event, priority)
            self._remember(event, priority, now)
        elif not isinstance(event, Tick):
            self._is_faulty_while_there_are_causes(event)
        if isinstance(state, Backup | Master):
            hold(self.deadline is not None, "S11", f"no timer in {state.name}")
        else:
            hold(self.deadline is None, "S11", f"a timer in {state.name}")
        hold(self.instance.is_owner or 1 <= self.priority <= 254, "S13", f"a priority of {self.priority}")

    def _remember(self, event: AdvertisementReceived, priority: int, now: float) -> None:
        theirs = event.advertisement.priority
        if theirs == 0:
            self.resigned_at = now
        elif theirs >= priority or not self.instance.preempt:
            self.heard_at, self.resigned_at, self.has_asked = now, None, False

    def _addresses_only_while_master(self, effects: list[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, AddAddresses):
                self.has_addresses = True
            elif isinstance(effect, RemoveAddresses):
                self.has_addresses = False
        is_master = isinstance(self.state, Master)
        hold(self.has_addresses is is_master, "S1", f"{self.state.name}, has its addresses: {self.has_addresses}")

    def _who_may_advertise(self, before: State, effects: list[Effect], priority: int) -> None:
        sent = [effect.priority for effect in effects if isinstance(effect, SendAdvertisement)]
        if not sent:
            return
        was, is_now = isinstance(before, Master), isinstance(self.state, Master)
        hold(was or is_now, "S3", f"{before.name} advertises")
        hold(sent.count(0) <= (was and not is_now), "S3", "0 is said once, on leaving")
        hold(set(sent) <= {0, self.priority, priority}, "S5", f"priority {sent}, and its own is {self.priority}")
        hold(255 not in sent or self.instance.is_owner, "S5", "255 is the owner's")

    def _keeps_its_cadence(self, event: Event, effects: list[Effect], now: float) -> None:
        """An interval lies between two advertisements, unless somebody is answered; and the next one is not far."""
        if not isinstance(self.state, Master):
            self.next_send = None
        elif any(isinstance(effect, SendAdvertisement) for effect in effects):
            interval = self.instance.advert_interval
            if isinstance(event, Tick) and self.next_send is not None:
                hold(now >= self.next_send - TOLERANCE, "S18", f"{self.next_send - now:.6f} s too early")
            due = self.state.advertise_at
            hold(now <= due <= now + interval + TOLERANCE, "S11", f"the next is due in {due - now:.6f} s")
            self.next_send = now + interval if isinstance(event, AdvertisementReceived) else due

    def _no_early_takeover(self, before: State, event: Event, effects: list[Effect], now: float) -> None:
        if not isinstance(event, Tick) or not isinstance(before, Backup):
            return
        asks = any(isinstance(effect, WantsMaster) for effect in effects)
        if not asks and not isinstance(self.state, Master):
            return
        interval = before.learned_interval or self.instance.advert_interval
        late = now - before.master_down_at
        hold(late >= 0, "S7", "the timer has not fired")
        hold(late <= interval + TOLERANCE or before.has_slept, "S20", "it has not listened since it woke")
        if before.wants_master is not None or self.instance.is_owner:
            return  # it asks its group again; an owner may have become one by a reload
        skew = (256 - self.priority) / 256 * (1.0 if self.instance.version == 2 else interval)
        down = skew + self.instance.down_timer_adverts * interval
        if self.resigned_at is not None:
            hold(now >= self.resigned_at + skew - TOLERANCE, "S7", "sooner than Skew_Time after a resignation")
        elif self.heard_at is not None and isinstance(before.master_priority, int) and before.follows:
            rule = "S7" if self.instance.preempt else "S9"
            hold(now >= self.heard_at + down - TOLERANCE, rule, "the last master is not down yet")

    def _asks_before_it_goes(self, before: State, event: Event, effects: list[Effect]) -> None:
        if any(isinstance(effect, WantsMaster) for effect in effects):
            self.has_asked = True
        if isinstance(event, SyncToMaster) and isinstance(before, Backup):
            hold(self.has_asked, "S12", "its group took it along, but it would not have gone itself")
        if not isinstance(self.state, Backup):
            self.has_asked = False

    def _is_faulty_while_there_are_causes(self, event: Event) -> None:
        match event:
            case FaultRaised(cause):
                self.causes |= {cause}
            case FaultCleared(cause):
                self.causes -= {cause}
            case Shutdown():
                self.causes = frozenset()
            case _:
                pass
        match self.state:
            case Initialize(causes):
                hold(causes == self.causes, "S13", f"causes have drifted: {causes}, raised {self.causes}")
            case Fault(causes):
                hold(causes == self.causes, "S13", f"causes have drifted: {causes}, raised {self.causes}")
                hold(causes, "S11", "FAULT without a cause")
            case _:
                hold(not self.causes, "S12", f"{self.state.name} with {set(self.causes)}")

    def _yields_at_once(self, event: AdvertisementReceived, priority: int) -> None:
        if (event.advertisement.priority, int(event.source)) > (priority, int(self.source)):
            hold(isinstance(self.state, Backup), "S8", f"still {self.state.name}")

    def _gives_its_addresses_up_first(
        self, before: Master, event: AdvertisementReceived, effects: list[Effect], priority: int
    ) -> None:
        if (event.advertisement.priority, int(event.source)) <= (priority, int(self.source)):
            return
        says = self.instance.answers_higher_priority
        may_be_unknown = not before.inherited and not self.instance.is_owner
        last = [SendAdvertisement(priority)] if says or (says is None and may_be_unknown) else []
        outward = [one for one in effects if isinstance(one, SendAdvertisement | RemoveAddresses | Announce | Notify)]
        hold(outward[: len(last) + 1] == [*last, RemoveAddresses()], "S8", "the addresses go first")

    def _announces_in_order(self, effects: list[Effect]) -> None:
        kinds = [type(effect) for effect in effects]
        hold(Announce not in kinds or isinstance(self.state, Master), "S10", "only a master announces")
        if AddAddresses in kinds:
            order = [kinds.index(kind) for kind in (SendAdvertisement, AddAddresses, Announce, Notify)]
            hold(order == sorted(order), "S10", f"in the order {[kind.__name__ for kind in kinds]}")

    def _notifies_what_it_does(self, before: State, effects: list[Effect]) -> None:
        told = [(one.before, one.after) for one in effects if isinstance(one, Transitioned)]
        notified = [one.state for one in effects if isinstance(one, Notify) and one.state in NOTIFIED.values()]
        after = self.state.name
        if before.name == after:
            hold(not told and not notified, "S19", f"nothing has changed, and it tells of {told}, {notified}")
        else:
            hold(told == [(before.name, after)], "S19", f"from {before.name} to {after}, and it tells of {told}")
            hold(notified == [NOTIFIED[after]], "S19", f"it became {after}, and notifies of {notified}")
