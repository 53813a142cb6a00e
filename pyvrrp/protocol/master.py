"""What a master does about time and advertisements: RFC 3768 and RFC 5798 section 6.4.3, and keepalived's additions.

Laws: pure; functions of ``machine.py``'s router in the state MASTER, called by it alone. Whoever has the higher
(priority, address) is yielded to at once; anyone else is answered, once an interval at most, so that nobody can make us
send faster than that. ``nopreempt`` plays no part here.

Where two were master, hosts and switches may have the addresses with either. Whoever stays master says where they are
as soon as it learns of the other: by its advertisement, by its resignation, by a stall of its own in which it may have
been replaced; once a second at most, however many advertisements are forged. And whoever yields lets it be learned: the
one that stays may never have heard of the other (a partition that has healed), and then it would say nothing.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pyvrrp.protocol.effects import (
    Announce,
    Effect,
    MasterHeard,
    Notify,
    NotifyState,
    Observed,
    Reason,
    RemoveAddresses,
    SendAdvertisement,
)
from pyvrrp.protocol.states import Announcement, Backup, Master, Rival

if TYPE_CHECKING:
    from pyvrrp.model import Instance
    from pyvrrp.protocol.events import AdvertisementReceived
    from pyvrrp.protocol.machine import VirtualRouter

LEAST_PAUSE = 1.0
"""Seconds between two announcements on account of others."""
BACKED_OFF = 254
"""The priority of an owner that has given up against another one."""


def tick(router: VirtualRouter, state: Master, now: float) -> list[Effect]:
    """Advertise and announce what is due, section 6.4.3 (2)."""
    effects: list[Effect] = []
    interval, limit = router.instance.advert_interval, router.instance.timer_expired_backup
    late = now - state.advertise_at
    if limit and late > interval and late + interval >= limit:
        # keepalived's timer_expired_backup: another router has had the time to take over, and shall keep what it has.
        reason = Reason("keepalived timer_expired_backup", f"timer expired {late:.6f} seconds ago")
        return [RemoveAddresses(), *router.become_backup(Backup(now + router.master_down_interval), reason)]
    if late >= 0:
        effects.append(SendAdvertisement(router.priority))
        state = replace(state, advertise_at=(now if late > interval else state.advertise_at) + interval)
        if late > interval:  # others may have taken over meanwhile: say where the addresses are
            state = replace(state, announcement=Announcement(now, router.instance.garp.repeat))
    if state.announcement is not None and now >= state.announcement.at:
        effects.append(Announce(state.announcement.rounds))
        state = replace(state, announcement=router.next_refresh(now, state.announcement.then))
    router.state = state
    return effects


def receive(router: VirtualRouter, state: Master, event: AdvertisementReceived, now: float) -> list[Effect]:
    """Yield to a higher (priority, address), answer a lower one, section 6.4.3 (3)."""
    theirs = event.advertisement.priority
    if theirs == 0:
        return _answer_resignation(router, state, event, now)
    if theirs == router.priority and event.source == router.source:
        text = "WARNING - equal priority advert received from remote host with our IP address."
        return [Observed("our_address_used", Reason("RFC 3768 6.4.3", text))]
    if theirs > router.priority:
        text = f"Master received advert from {event.source} with higher priority {theirs}, ours {router.priority}"
        return _yield(router, state, event, Reason("RFC 3768 6.4.3", text), now)
    if theirs < router.priority:
        return _defend(router, state, event, now)
    if int(event.source) > int(router.source):
        rank = f"same priority {theirs} but higher IP address than ours"
        text = f"Master received advert from {event.source} with {rank}"
        conflict = [_owner_conflict(event)] if router.instance.is_owner else []
        return [*conflict, *_yield(router, state, event, Reason("RFC 3768 6.4.3", text), now)]
    return _outlast(router, state, event, now) if router.instance.is_owner else _defend(router, state, event, now)


def _answer_resignation(router: VirtualRouter, state: Master, event: AdvertisementReceived, now: float) -> list[Effect]:
    if _has_answered(router, state, now):
        return []
    router.state = replace(state, advertise_at=now + router.instance.advert_interval, answered_at=now)
    text = f"Master received priority 0 message from {event.source}"
    answer = Observed("resignation_answered", Reason("RFC 3768 6.4.3", text))
    # Departs from keepalived: who resigns has been a master, too, and hosts may have the addresses with it.
    return [answer, SendAdvertisement(router.priority), *announce_again(router, router.state, now)]


def _has_answered(router: VirtualRouter, state: Master, now: float) -> bool:
    """Whether somebody was answered less than an interval ago: nobody can make us send faster than that."""
    return state.answered_at is not None and now < state.answered_at + router.instance.advert_interval


def _yield(
    router: VirtualRouter, state: Master, event: AdvertisementReceived, reason: Reason, now: float
) -> list[Effect]:
    """Become Backup, with a last word to the other, that it may announce again: ``higher_prio_send_advert``.

    Departs from keepalived, which says it to all or to none: unless the file decides it, it is said by whoever became
    master because it heard nobody. The other may have been master all the time, behind a partition or a stall, and its
    addresses are elsewhere in the tables of hosts and switches. After a resignation nobody can have been. Of two owners
    each would take the other's last word for a claim.
    """
    found, says = event.advertisement, router.instance.answers_higher_priority
    last: list[Effect] = []
    if says or (says is None and not state.inherited and not router.instance.is_owner):
        last = [SendAdvertisement(router.priority)]
    learned = found.advert_interval or None if router.instance.version == 3 else None
    following = Backup(
        now + router.down_after(learned or router.instance.advert_interval),
        master=event.source,
        master_priority=found.priority,
        learned_interval=learned,
        follows=True,
    )
    told = router.become_backup(following, reason)
    return [*last, RemoveAddresses(), *told, MasterHeard(event.source, found.priority)]


def _defend(router: VirtualRouter, state: Master, event: AdvertisementReceived, now: float) -> list[Effect]:
    """Answer a master of lower rank, as keepalived does: the RFC would only discard its advertisement."""
    answers = router.instance.answers_lower_priority
    text = (
        f"Received advert from {event.source} with lower priority {event.advertisement.priority}, "
        f"ours {router.priority}{', forcing new election' if answers else ''}"
    )
    effects: list[Effect] = [Observed("lower_priority_master", Reason("keepalived lower_prio", text))]
    if _has_answered(router, state, now):
        return effects
    router.state = replace(state, answered_at=now)
    if answers:
        router.state = replace(router.state, advertise_at=now + router.instance.advert_interval)
        effects.append(SendAdvertisement(router.priority))
    effects += announce_again(router, router.state, now)
    return [*effects, Notify(NotifyState.MASTER_RX_LOWER_PRI, router.priority)]


def announce_again(router: VirtualRouter, state: Master, now: float) -> list[Effect]:
    """Say where the addresses are, now and after garp_lower_prio_delay: another router may have said something else.

    Less than LEAST_PAUSE after the last time, it is said when that is over.
    """
    garp, pending = router.instance.garp, state.announcement
    if not garp.lower_prio_repeat:
        return []
    if state.announced_at is not None and now < state.announced_at + LEAST_PAUSE:
        soon = Announcement(state.announced_at + LEAST_PAUSE, garp.lower_prio_repeat)
        if pending is None or pending.at > soon.at:
            router.state = replace(state, announcement=soon)
        return []
    again = Announcement(now + garp.lower_prio_delay, garp.lower_prio_repeat)
    router.state = replace(state, announced_at=now, announcement=again if garp.lower_prio_delay else pending)
    return [Announce(garp.lower_prio_repeat)]


def _owner_conflict(event: AdvertisementReceived) -> Effect:
    text = f"local instance and {event.source} are both configured as address owner, please resolve"
    return Observed("owner_conflict", Reason("keepalived owner", f"CONFIGURATION ERROR: {text}"))


def _outlast(router: VirtualRouter, state: Master, event: AdvertisementReceived, now: float) -> list[Effect]:
    """Stand against another owner of lower address, as keepalived 2.4 does: for two advertisements it may back off.

    If it is still there within 1.2 times the larger interval behind them, it never will: then we do, with priority 254.
    """
    own, rival = router.instance.advert_interval, state.rival
    if rival is None or now > rival.ends:
        begins = now + 2 * own
        rival = Rival(begins, begins + 1.2 * max(own, event.advertisement.advert_interval))
        router.state = replace(state, rival=rival)
        return [_owner_conflict(event), *_defend(router, router.state, event, now)]
    if now < rival.begins:
        return _defend(router, state, event, now)
    text = f"{event.source} is still advertising as address owner, please resolve - reducing our priority"
    reduced = router.change_priority(BACKED_OFF, "keepalived owner", text)
    theirs = event.advertisement.priority
    text = f"Master received advert from {event.source} with higher priority {theirs}, ours {BACKED_OFF}"
    return [*reduced, *_yield(router, state, event, Reason("RFC 3768 6.4.3", text), now)]


def reconfigure(router: VirtualRouter, state: Master, before: Instance, now: float) -> None:
    """Go on advertising under another configuration, with a new interval if it has one."""
    if router.instance.advert_interval != before.advert_interval:
        # Sooner, never later: who learned the shorter interval hears of the longer one in time.
        state = replace(state, advertise_at=min(state.advertise_at, now + router.instance.advert_interval))
    router.state = replace(state, announcement=state.announcement or router.next_refresh(now))
