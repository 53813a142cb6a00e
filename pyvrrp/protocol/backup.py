"""What a backup does about time and advertisements: RFC 3768 and RFC 5798 section 6.4.2, and keepalived's additions.

Laws: pure; functions of ``machine.py``'s router in the state BACKUP, called by it alone. An advertisement is accepted
(and restarts the Master_Down_Timer) if its priority is at least ours, with ``nopreempt``, while the preempt_delay runs,
or after an operator made us give up. **Equal priority is accepted whatever the address**: the addresses decide between
masters only.
"""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from pyvrrp.model import OWNER_PRIORITY
from pyvrrp.protocol.effects import Effect, MasterHeard, Observed, Reason, WantsMaster
from pyvrrp.protocol.timers import skew_time

if TYPE_CHECKING:
    from pyvrrp.model import Instance
    from pyvrrp.protocol.events import AdvertisementReceived
    from pyvrrp.protocol.machine import VirtualRouter
    from pyvrrp.protocol.states import Backup

SMALLEST_SKEW = 255
"""The priority whose Skew_Time is the smallest, with which a member of a group asks again."""


def tick(router: VirtualRouter, state: Backup, now: float) -> list[Effect]:
    """Take over if the Master_Down_Timer has fired, section 6.4.2 (2)."""
    late, interval = now - state.master_down_at, router.master_adver_interval
    if late < 0:
        return []
    if late > interval and not state.has_slept:
        # Departs from keepalived on purpose: who was asleep (a stalled machine, a paused VM) has not listened,
        # so it hears one interval of the present before it takes over from a master that may be alive.
        router.state = replace(state, master_down_at=now + interval, has_slept=True)
        text = f"woke {late:.3f} s late; listening for one more interval before taking over"
        return [Observed("stalled", Reason("listen after a stall", text), MappingProxyType({"late": late}))]
    text = f"no advertisement for Master_Down_Interval {router.master_down_interval:.6f} s"
    reason = Reason("RFC 3768 6.4.2", text)
    return ask_group(router, state, reason, now) if router.grouped else router.become_master(now, reason)


def ask_group(router: VirtualRouter, state: Backup, reason: Reason, now: float) -> list[Effect]:
    """Say that this member wants to be Master; unless the group agrees, it asks again in an interval and 1/256 s."""
    wait = router.master_adver_interval + skew_time(
        SMALLEST_SKEW, router.instance.version, router.master_adver_interval
    )
    wanted = state.wants_master or reason
    state = _without_master(state) if state.follows else state
    router.state = replace(state, master_down_at=now + wait, wants_master=wanted, has_slept=False)
    return [WantsMaster(wanted)]


def receive(router: VirtualRouter, state: Backup, event: AdvertisementReceived, now: float) -> list[Effect]:
    """Follow whom we accept, section 6.4.2 (3)."""
    theirs = event.advertisement.priority
    effects = _claim_ownership_again(router, state, event)
    if theirs == 0:
        return [*effects, *_expect_successor(router, state, event, now)]
    if (event.source, theirs) != (state.master, state.master_priority):
        effects.append(MasterHeard(event.source, theirs))
    state = replace(state, master=event.source, master_priority=theirs)
    if theirs >= router.priority or not router.instance.preempt or state.gives_way:
        if state.preempt_at is not None:
            effects.append(Observed("preempt_delay_stopped", Reason("keepalived preempt_delay", "stop preempt delay")))
        return [*effects, *_accept(router, replace(state, preempt_at=None), event, now)]
    if router.instance.preempt_delay and state.preempt_at is None:
        # The delay does not take over by itself: it ends the patience with a lower master, and then the timer runs.
        delay = router.instance.preempt_delay
        values = MappingProxyType({"theirs": theirs, "ours": router.priority})
        reason = Reason("keepalived preempt_delay", f"start preempt delay ({delay:.6f})")
        effects.append(Observed("preempt_delay_started", reason, values))
        return [*effects, *_accept(router, replace(state, preempt_at=now + delay), event, now)]
    if state.preempt_at is not None and now < state.preempt_at:
        return [*effects, *_accept(router, state, event, now)]
    router.state = replace(state, follows=False)
    text = f"received lower priority ({theirs}) advert from {event.source} - discarding"
    return [*effects, Observed("lower_priority_discarded", Reason("RFC 3768 6.4.2", text))]


def _expect_successor(router: VirtualRouter, state: Backup, event: AdvertisementReceived, now: float) -> list[Effect]:
    skew = router.skew_time
    begin = max(now, state.listens_until or now)
    resigned = event.source == state.master
    state = _without_master(state) if resigned else replace(state, follows=False)
    router.state = replace(state, master_down_at=begin + skew, has_slept=False, resigned=resigned)
    text = f"Backup received priority 0 advertisement from {event.source}: waiting Skew_Time {skew:.6f} s"
    return [Observed("master_resigned", Reason("RFC 3768 6.4.2", text))]


def _without_master(state: Backup) -> Backup:
    """Forget a master that is gone, so that nobody takes it for one that is there."""
    return replace(state, master=None, master_priority=None, follows=False)


def _accept(router: VirtualRouter, state: Backup, event: AdvertisementReceived, now: float) -> list[Effect]:
    effects: list[Effect] = []
    theirs, known = event.advertisement.advert_interval, router.master_adver_interval
    if router.instance.version == 3 and theirs:
        # RFC 5798 section 6.4.2: the master's interval counts, and with it the skew. 0 is no interval. It is learned
        # though it be our own: a reload may change ours, and the master's is still the same.
        state = replace(state, learned_interval=theirs)
    if state.learned_interval == theirs != known:
        text = f"advertisement interval updated from {known * 1000:.0f}ms to {theirs * 1000:.0f}ms by master"
        effects.append(Observed("advert_interval_learned", Reason("RFC 5798 6.4.2", text)))
    router.state = state
    begin = max(now, state.listens_until or now)
    router.state = replace(
        state,
        master_down_at=begin + router.master_down_interval,
        has_slept=False,
        follows=True,
        wants_master=None,
        resigned=False,
    )
    return effects


def _claim_ownership_again(router: VirtualRouter, state: Backup, event: AdvertisementReceived) -> list[Effect]:
    """An owner that backed off before another owner is one again as soon as that one is not heard any more."""
    still_there = event.source == state.master and event.advertisement.priority == OWNER_PRIORITY
    if still_there or not router.instance.is_owner:
        return []
    text = f"Restoring our priority to 255 since {event.source} is not the other address owner"
    return router.change_priority(OWNER_PRIORITY, "keepalived owner", text)


def reconfigure(router: VirtualRouter, state: Backup, before: Instance, waited: float, now: float) -> None:
    """Go on waiting under another configuration; ``waited`` is the Master_Down_Interval under the one before."""
    instance = router.instance
    if instance.is_owner is not before.is_owner:
        # An owner waits for nobody; who is one no longer waits for a master as long as anyone else.
        wait = 0.0 if instance.is_owner else router.master_down_interval
        router.state = replace(state, master_down_at=now + wait)
        return
    learned = state.learned_interval if instance.version == 3 else None
    router.state = replace(
        state, learned_interval=learned, preempt_at=state.preempt_at if instance.preempt_delay else None
    )
    moved = router.master_down_interval - waited
    if moved:
        # Whose master has resigned waits for the skew alone, so with another interval that is the least it has to wait.
        times = [(one.advert_interval, one.down_timer_adverts, one.version) for one in (before, instance)]
        soonest = now if times[0] == times[1] else now + router.skew_time
        router.state = replace(router.state, master_down_at=max(soonest, state.master_down_at + moved))
