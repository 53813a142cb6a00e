"""A virtual router that judges itself: the invariants of a safe VRRP speaker, checked after every single event.

The letters are those of the test that uses it. Only what can be seen at the machine is judged here; nothing is computed
with the machine's own formulae but the Master_Adver_Interval that it has learned.
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

TOLERANCE = 1e-6
"""Seconds: the machine reckons in whole microseconds."""
NOTIFIED = {
    "MASTER": NotifyState.MASTER,
    "BACKUP": NotifyState.BACKUP,
    "FAULT": NotifyState.FAULT,
    "INIT": NotifyState.STOP,
}


class JudgedRouter(VirtualRouter):
    """The real machine, whose every answer is held against the invariants; AssertionError names the one it breaks."""

    has_addresses = False
    heard_at: float | None = None
    """When the last advertisement came that forbids a takeover: of at least our priority; with nopreempt, any."""
    resigned_at: float | None = None
    """When the last advertisement of priority 0 came, if none of the others has come since."""
    has_asked = False
    """Whether it has asked its group for MASTER, and heard nobody since whom it would have to follow."""
    causes: frozenset[str] = frozenset()
    """What was raised and not cleared since the last end."""

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Return what the machine returns, after judging it."""
        before, instance, priority = self.state, self.instance, self.priority
        interval, deadline = self.master_adver_interval, self.deadline
        effects = super().handle(event, now)
        self._addresses_only_while_master(effects)
        self._who_may_advertise(before, effects, priority)
        self._no_early_takeover(before, event, effects, interval, now)
        self._asks_before_it_goes(before, event, effects)
        self._is_faulty_while_there_are_causes(event)
        self._yields_at_once(before, event, effects, priority)
        self._announces_in_order(effects)
        self._one_timer()
        self._notifies_what_it_does(before, effects)
        if isinstance(event, Reconfigured) and event == Reconfigured(instance):
            assert (effects, self.state, self.deadline, self.priority) == ([], before, deadline, priority), "S15"
        if isinstance(event, AdvertisementReceived):
            self._remember(event, priority, now)
        assert self.instance.is_owner or 1 <= self.priority <= 254, "S13"
        return effects

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
        assert self.has_addresses is isinstance(self.state, Master), "S1"

    def _who_may_advertise(self, before: State, effects: list[Effect], priority: int) -> None:
        sent = [effect.priority for effect in effects if isinstance(effect, SendAdvertisement)]
        was, is_now = isinstance(before, Master), isinstance(self.state, Master)
        assert not sent or was or is_now, "S3: only a master advertises"
        assert sent.count(0) <= (was and not is_now), "S3: 0 is said once, on leaving"
        assert set(sent) <= {0, self.priority, priority}, "S3, S5: the effective priority"
        assert 255 not in sent or self.instance.is_owner, "S5: 255 is the owner's"

    def _no_early_takeover(
        self, before: State, event: Event, effects: list[Effect], interval: float, now: float
    ) -> None:
        if not isinstance(event, Tick) or not isinstance(before, Backup):
            return
        asks = any(isinstance(effect, WantsMaster) for effect in effects)
        if not asks and not isinstance(self.state, Master):
            return
        late = now - before.master_down_at
        assert late >= 0, "S7: the timer has not fired"
        assert late <= interval + TOLERANCE or before.has_slept, "S20: it has not listened since it woke"
        if before.wants_master is not None or self.instance.is_owner:
            return  # it asks its group again; an owner may have become one by a reload
        skew = (256 - self.priority) / 256 * (1.0 if self.instance.version == 2 else interval)
        down = skew + self.instance.down_timer_adverts * interval
        if self.resigned_at is not None:
            assert now >= self.resigned_at + skew - TOLERANCE, "S7: sooner than Skew_Time after a resignation"
        elif self.heard_at is not None and isinstance(before.master_priority, int) and before.follows:
            assert now >= self.heard_at + down - TOLERANCE, "S7, S9: the last master is not down yet"

    def _asks_before_it_goes(self, before: State, event: Event, effects: list[Effect]) -> None:
        if any(isinstance(effect, WantsMaster) for effect in effects):
            self.has_asked = True
        if isinstance(event, SyncToMaster) and isinstance(before, Backup):
            assert self.has_asked, "S7, S12: its group took it along, but it would not have gone itself"
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
        match self.state:
            case Initialize(causes) | Fault(causes):
                assert causes == self.causes, "S13: causes have drifted"
            case _:
                assert not self.causes, f"S12: {self.state.name} with {set(self.causes)}"

    def _yields_at_once(self, before: State, event: Event, effects: list[Effect], priority: int) -> None:
        if not isinstance(before, Master) or not isinstance(event, AdvertisementReceived):
            return
        theirs = (event.advertisement.priority, int(event.source))
        if theirs > (priority, int(self.source)):
            assert isinstance(self.state, Backup), "S8"
            last = [SendAdvertisement(priority)] if self.instance.answers_higher_priority else []
            outward = [
                one for one in effects if isinstance(one, SendAdvertisement | RemoveAddresses | Announce | Notify)
            ]
            assert outward[: len(last) + 1] == [*last, RemoveAddresses()], "S8: the addresses go first"

    def _announces_in_order(self, effects: list[Effect]) -> None:
        kinds = [type(effect) for effect in effects]
        assert Announce not in kinds or isinstance(self.state, Master), "S10: only a master announces"
        if AddAddresses in kinds:
            order = [kinds.index(kind) for kind in (SendAdvertisement, AddAddresses, Announce, Notify)]
            assert order == sorted(order), "S10: advertisement, addresses, announcement, notification"

    def _one_timer(self) -> None:
        assert (self.deadline is not None) is isinstance(self.state, Master | Backup), "S11"
        assert not isinstance(self.state, Fault) or self.state.causes, "S11: a fault has a cause"

    def _notifies_what_it_does(self, before: State, effects: list[Effect]) -> None:
        told = [effect for effect in effects if isinstance(effect, Transitioned)]
        notified = [one.state for one in effects if isinstance(one, Notify) and one.state in NOTIFIED.values()]
        if before.name == self.state.name:
            assert (told, notified) == ([], []), "S19: nothing has changed"
        else:
            assert [(one.before, one.after) for one in told] == [(before.name, self.state.name)], "S19"
            assert notified == [NOTIFIED[self.state.name]], "S19"
