"""Carries out a reload: the difference of two configurations, at a daemon that runs.

Laws: what could be refused is tried first, so that a refused reload has changed nothing. What is the same before and
after is not touched: no advertisement is missed, no event, no netlink write, no notification. A kept router keeps its
state (keepalived's SIGHUP); one that is gone resigns; a new one begins as at a start. An address that moves from one
router to another is set by the new one after the old one has removed it, in one reload (keepalived needs two).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from pyvrrp.difference import Difference, difference
from pyvrrp.ground import hears_through, vmac_names
from pyvrrp.intake import endpoint_of
from pyvrrp.model import Address, Configuration, Instance
from pyvrrp.protocol import tracking
from pyvrrp.protocol.events import Reconfigured, Shutdown
from pyvrrp.router import Router
from pyvrrp.system.errors import SystemRefusalError

if TYPE_CHECKING:
    from pyvrrp.daemon import Daemon

RETIRE_LIMIT = 5.0
"""Seconds in which the workers of a router that is gone have to be done."""


def apply(daemon: Daemon, after: Configuration) -> Difference:
    """Make ``daemon`` carry out ``after``; returns what was different.

    Raises SystemRefusalError, with one sentence, if this machine does not allow it: then nothing has changed.
    """
    daemon.refuse_missing(after)
    fleet, change = daemon.fleet, difference(daemon.configuration, after)
    new = _made(daemon, change, after)
    for router in fleet.routers.values():
        if router.is_master:  # as keepalived does: whatever follows, the others have just heard of us
            fleet.acts.advertise(router, router.machine.priority)
    for instance in change.gone:
        _retire(daemon, fleet.routers[instance.name])
    pairs = [(fleet.routers.pop(was.name), was, will) for was, will in (*change.kept, *change.same)]
    for router, was, will in pairs:
        if was.name != will.name:
            fleet.timetable.set(was.name, None)
        fleet.routers[will.name] = router
    for router in new:
        fleet.routers[router.name] = router
    daemon.configuration = after
    daemon.fifos.apply(after.settings)
    for _, will in (*change.kept, *change.same):
        fleet.routers[will.name].notifier.reconfigured(will, security=after.settings.script_security)
    fleet.regroup(after)
    daemon.regroup_notifiers()
    changed = {will.name: was for was, will in change.kept}
    for name in [instance.name for instance in after.instances if instance.name in changed]:
        _change(daemon, fleet.routers[name], changed[name], after)
    daemon.loops.apply(after)
    _move_addresses(fleet.routers, change)
    fleet.carry_out(fleet.ensemble.settle(asyncio.get_running_loop().time()))
    for router in new:
        router.waiting = router.instance.vmac is not None
        daemon.start_router(router)
    fleet.links_changed()
    for name, router in fleet.routers.items():
        fleet.timetable.set(name, router.machine.deadline)
    for router in new:
        router.delayed = not router.started
    return change


def _made(daemon: Daemon, change: Difference, after: Configuration) -> list[Router]:
    """Make the routers of the new instances; if one cannot be made, none is."""
    new: list[Router] = []
    try:
        for instance in change.come:
            router = daemon.make_router(instance, after)
            new.append(router)
            daemon.listen(router, after)
    except (OSError, SystemRefusalError) as refused:
        for router in new:
            daemon.fleet.intake.remove(router)
        for router in daemon.fleet.routers.values():  # one that has the same number listens on
            daemon.fleet.intake.restore(router)
        raise SystemRefusalError(f"the reload cannot be carried out: {refused}") from None
    return new


def _retire(daemon: Daemon, router: Router) -> None:
    """End a router that is gone: it resigns, releases its addresses and tells its scripts, then its workers end."""
    router.removed = True
    daemon.fleet.dispatch(router.name, Shutdown())
    daemon.fleet.timetable.set(router.name, None)
    daemon.fleet.intake.remove(router)
    del daemon.fleet.routers[router.name]
    daemon.start(_finish(router))


async def _finish(router: Router) -> None:
    for finishing in (router.addresses.finish(), router.notifier.finish()):
        try:
            await asyncio.wait_for(finishing, RETIRE_LIMIT)
        except TimeoutError:
            continue
    for task in router.tasks:
        task.cancel()


def _change(daemon: Daemon, router: Router, was: Instance, after: Configuration) -> None:
    """Have a router go on with another configuration. Its addresses follow by themselves (``_move_addresses``)."""
    fleet = daemon.fleet
    will = next(one for one in after.instances if one.identity == was.identity)
    router.reception.reconfigured(will)
    router.transmission.reconfigured(will)
    router.notifier.reconfigured(will, security=after.settings.script_security)
    router.addresses.move(vmac_names(after).get(will.name))
    endpoint = endpoint_of(will, hears_through(will, vmac_names(after)))
    if router.listener is None or not router.listener.is_at(endpoint):
        fleet.intake.remove(router)
        try:
            fleet.intake.add(router, endpoint)
        except (OSError, SystemRefusalError) as refused:  # a fault of this router, until a change of a link mends it
            fleet.acts.tell(router, "system_error", f"no socket on {endpoint.interface}: {refused}")
    priority = tracking.effective_priority(will, fleet.readings(), after.group_of(will.name))
    fleet.dispatch(will.name, Reconfigured(will, priority))


def _move_addresses(routers: dict[str, Router], change: Difference) -> None:
    """Apply the difference in addresses: whoever takes one over from another waits until that one has let go of it."""
    holders = {address: routers[will.name] for was, will in change.kept for address in _lost(was, will)}
    for was, will in sorted(change.kept, key=lambda pair: bool(_gained(*pair) & holders.keys())):
        router = routers[will.name]
        givers = {id(giver): giver for address in _gained(was, will) if (giver := holders.get(address)) is not None}
        _after_all([giver for giver in givers.values() if giver is not router], router, was, will)


def _after_all(givers: list[Router], router: Router, was: Instance, will: Instance) -> None:
    left = len(givers)

    def one_is_done() -> None:
        nonlocal left
        left -= 1
        if left <= 0:
            router.addresses.change(was, will)

    for giver in givers:
        giver.addresses.then(one_is_done)
    if not givers:
        one_is_done()


def _lost(was: Instance, will: Instance) -> set[Address]:
    return _carried(was) - _carried(will)


def _gained(was: Instance, will: Instance) -> set[Address]:
    return _carried(will) - _carried(was)


def _carried(instance: Instance) -> set[Address]:
    return {address.ip for address in (*instance.addresses, *instance.excluded)}
