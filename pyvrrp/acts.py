"""Carries out what the machines want done: the one match over all effects.

Laws: effects are carried out in the order in which they come. An advertisement leaves at once; addresses, gratuitous
ARP and notify scripts go into ordered queues behind it, so that netlink or a slow script can never hold one up. What
the network could cause too often is told at most once a second, and no more of it in all than ``ration.py`` allows. An
advertisement that does not leave is counted, tried again within a quarter of the interval, and the second failure in a
row is told: ``fleet.py`` makes it a fault. None leaves after the kernel has refused to renew the lease of the
addresses: such a router is soon a master without addresses, and its advertisements would keep everybody else from
serving; a quarter of an interval, and then priority 0, is the shortest way to somebody who can.
"""

from __future__ import annotations

import asyncio
import errno
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, assert_never

from hakit.events import EventHub
from hakit.transcript import Value
from pyvrrp.detection import Finding
from pyvrrp.model import Address, Unicast
from pyvrrp.protocol import tracking
from pyvrrp.protocol.effects import (
    AddAddresses,
    Announce,
    Effect,
    GroupTransitioned,
    MasterHeard,
    Notify,
    NotifyGroup,
    NotifyState,
    Observed,
    RemoveAddresses,
    SendAdvertisement,
    Transitioned,
    WantsMaster,
)
from pyvrrp.protocol.machine import RESIGN
from pyvrrp.ration import Ration
from pyvrrp.router import Router

if TYPE_CHECKING:
    from pyvrrp.fleet import Fleet

CAUSED_BY_US = frozenset({"priority", "stalled"})
"""Observations that no packet can cause; all others are told at most once a second."""
FAILURES = 2
"""Advertisements in a row that did not leave, after which a master is none."""
_LINK_S_FAULT = {errno.ENETDOWN, errno.ENETUNREACH, errno.ENODEV, errno.ENXIO, errno.EADDRNOTAVAIL}
"""What a link that is down causes: that is a fault by itself, unless the configuration says that it is none."""
_PEER_S_FAULT = {errno.EHOSTUNREACH, errno.ECONNREFUSED, errno.EHOSTDOWN}
"""What a unicast peer that is gone can cause: it says nothing about ourselves."""


class Acts:
    """Carries out effects for the routers of a fleet; ``failed`` is told of a router whose advertisements stay here."""

    def __init__(self, hub: EventHub, fleet: Fleet, failed: Callable[[Router], None]) -> None:
        self._hub = hub
        self._fleet = fleet
        self._failed = failed
        self._loop = asyncio.get_running_loop()
        self.ration = Ration()

    def carry_out(self, name: str, effect: Effect) -> None:
        """Do what ``effect`` says for the instance (or the sync group) of this name."""
        if isinstance(effect, GroupTransitioned):
            self._group_transitioned(effect)
        elif isinstance(effect, NotifyGroup):
            self._notify_group(effect)
        else:
            self._carry_out(self._fleet.routers[name], effect)

    def _carry_out(self, router: Router, effect: Effect) -> None:
        match effect:
            case SendAdvertisement(priority):
                self.advertise(router, priority)
            case AddAddresses():
                router.addresses.add()
            case RemoveAddresses():
                self._release(router)
            case Announce(rounds):
                router.addresses.announce(rounds)
            case Notify(state, priority):
                self._notify(router, state, priority)
            case Transitioned():
                self._transitioned(router, effect)
            case Observed(name, reason, values):
                if name in CAUSED_BY_US:
                    self.tell(router, name, reason.text, rule=reason.rule, **values)
                else:
                    self.remark(router, name, reason.text, {"rule": reason.rule, **values})
            case MasterHeard(address, priority):
                self._heard(router, address, priority)
            case GroupTransitioned() | NotifyGroup() | WantsMaster():
                raise AssertionError(f"{effect} is none of an instance")
            case _:
                assert_never(effect)

    # --- Advertisements -------------------------------------------------------------------------------------------

    def advertise(self, router: Router, priority: int, *, again: bool = False) -> None:
        """Send one advertisement of this priority now; ``again``: the one that did not leave a moment ago."""
        socket = router.socket
        if socket is None:
            self._did_not_leave(router, priority, OSError(errno.ENODEV, "No such interface"), again=again)
            return
        if priority != RESIGN and (unleased := router.addresses.renew(self._loop.time())) is not None:
            self._did_not_leave(router, priority, unleased, again=again)
            return
        packets = router.transmission.packets(priority, router.machine.source, time.time())
        refused: OSError | None = None
        left = 0
        for packet in packets:
            try:
                socket.send(packet)
                left += 1
            except OSError as wrong:
                refused = wrong
        if refused is not None and not left:
            self._did_not_leave(router, priority, refused, again=again)
            return
        if refused is not None:
            self._tell_refused(router, refused)
        router.failures = 0
        router.statistics.count("advert_sent")
        if priority == RESIGN:
            router.statistics.count("pri_zero_sent")
        self.tell(router, "advertised", priority=priority)

    def _did_not_leave(self, router: Router, priority: int, refused: OSError, *, again: bool) -> None:
        self._tell_refused(router, refused)
        if priority == RESIGN or not router.is_master or refused.errno in _LINK_S_FAULT:
            return
        if isinstance(router.instance.transport, Unicast) and refused.errno in _PEER_S_FAULT:
            return
        router.failures += 1
        if router.failures >= FAILURES:
            self._failed(router)
        elif not again:
            self._loop.call_later(router.instance.advert_interval / 4, self._try_again, router)

    def _try_again(self, router: Router) -> None:
        if router.failures and router.is_master:
            self.advertise(router, router.machine.priority, again=True)
            if router.failures:  # not even now
                self._failed(router)

    def _tell_refused(self, router: Router, refused: OSError) -> None:
        total = router.statistics.count("send_failed")
        if router.may_tell("send_failed", self._loop.time()):
            text = f"an advertisement did not leave {router.instance.interface}: {refused.strerror or refused}"
            self.tell(router, "system_error", text, counter="send_failed", total=total)

    def _release(self, router: Router) -> None:
        if self._fleet.stopping and self._fleet.keeps_addresses:
            router.addresses.leave()
        else:
            router.addresses.remove()

    # --- Telling --------------------------------------------------------------------------------------------------

    def _notify(self, router: Router, state: NotifyState, priority: int) -> None:
        if router.removed and state is NotifyState.STOP:
            # A reload took it away: keepalived says DELETED only if it is told to, and FAULT otherwise.
            state = NotifyState.DELETED if router.instance.notify_deleted else NotifyState.FAULT
        router.addresses.then(lambda: router.notifier.notify(state, priority, removed=router.removed))

    def _notify_group(self, effect: NotifyGroup) -> None:
        """Tell of a group once the addresses of all its members are where they belong, and they have been told of."""
        notifier = self._fleet.group_notifiers.get(effect.group)
        members = [self._fleet.routers[name] for name in self._fleet.members(effect.group)]
        if notifier is None or not members:
            return
        left = len(members)

        def one_is_done() -> None:
            nonlocal left
            left -= 1
            if not left:
                notifier.notify(effect.state, 0)

        for member in members:
            member.addresses.then(one_is_done)

    def _group_transitioned(self, effect: GroupTransitioned) -> None:
        reason = effect.reason
        values: dict[str, Value] = {"from": effect.before, "to": effect.after, "rule": reason.rule}
        self._hub.publish_for(effect.group, "group_transition", reason.text, **values)

    def _transitioned(self, router: Router, effect: Transitioned) -> None:
        now = self._loop.time()
        router.why, router.rule, router.since = effect.reason.text, effect.reason.rule, now
        values: dict[str, Value] = {"from": effect.before, "to": effect.after, "priority": router.machine.priority}
        if effect.before == "INIT":
            values["delayed"] = router.delayed
        if effect.after == "MASTER":
            router.statistics.count("become_master")
            router.held = False  # whoever it gave way to is gone, or an operator said so
            self.found(router, router.watcher.took_over(now))
        elif effect.before == "MASTER":
            router.statistics.count("release_master")
        if effect.before == "FAULT" and isinstance(router.instance.transport, Unicast):
            self._fleet.announce_source(router)
        self.tell(router, "transition", effect.reason.text, rule=effect.reason.rule, **values)

    def _heard(self, router: Router, address: Address, priority: int) -> None:
        if router.may_tell("master_heard", self._loop.time()):
            self.tell(router, "master_heard", f"master is {address}, priority {priority}", address=str(address))
        stuck = tracking.why_checks_cannot_move_it(router.instance, priority)
        if stuck is not None:
            self.remark(router, "takeover_impossible", f"Warning - {stuck}", {}, pause=60)

    def remark(
        self,
        router: Router,
        event: str,
        reason: str,
        values: Mapping[str, Value],
        *,
        kind: str = "",
        pause: float = 1.0,
    ) -> None:
        """As ``tell``, of what a packet has caused: at most once in ``pause`` seconds, and within the ration.

        ``kind``: what counts as the same, if it is not the event.
        """
        now = self._loop.time()
        if router.may_tell(kind or event, now, pause) and self.ration.admits(event, now):
            self.tell(router, event, reason, **values)

    def found(self, router: Router, findings: Iterable[Finding]) -> None:
        """Tell what the watcher of ``router`` has found, within the ration."""
        for one in findings:
            if self.ration.admits(one.event, self._loop.time()):
                self.tell(router, one.event, one.reason, **one.values)

    def tell_left_out(self) -> None:
        """Tell what was left out, once it is a minute's worth."""
        words = self.ration.left_out(self._loop.time())
        if words is not None:
            self._hub.publish("left_out", words)

    def tell(self, router: Router, event: str, reason: str = "", **values: Value) -> None:
        """Publish one event of the instance of ``router``."""
        self._hub.publish_for(router.instance.name, event, reason, **values)
