"""The daemon: it opens everything, works until it is told to stop, then resigns and releases everything.

Laws: read, decode, handle, carry out; each room is entered once, in this direction (``intake.py``, ``fleet.py``,
``acts.py``). No advertisement waits for netlink, a script or a log: addresses and notify scripts have queues of their
own. Time is the monotonic clock's. Nothing is changed before the system has granted all that is needed, and an error of
our own ends the daemon only after all masters have resigned and all addresses are gone.
"""

from __future__ import annotations

import asyncio
from asyncio import FIRST_COMPLETED
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from hakit.events import EventHub
from hakit.transcript import Value
from pyvrrp import reload
from pyvrrp.difference import Difference
from pyvrrp.fifo import Fifos
from pyvrrp.fleet import Fleet, needs, starts_with_delay
from pyvrrp.ground import Ground, hears_through, vmac_names
from pyvrrp.intake import endpoint_of
from pyvrrp.model import Address, Configuration, Instance
from pyvrrp.notifier import Notifier
from pyvrrp.protocol.events import GiveUp, TakeOver
from pyvrrp.protocol.machine import VirtualRouter
from pyvrrp.protocol.reception import Reception
from pyvrrp.protocol.transmission import Transmission
from pyvrrp.router import Router
from pyvrrp.status import opening_lines
from pyvrrp.system.addresses import AddressWorker, Tell
from pyvrrp.system.announcer import Announcer
from pyvrrp.system.errors import SystemRefusalError
from pyvrrp.system.kernel import Kernel, Link
from pyvrrp.system.privileges import require_privileges
from pyvrrp.trackers import Key, RunningTracker
from pyvrrp.tracking_loops import TrackingLoops
from pyvrrp.upkeep import Upkeep

NO_SOURCE: Mapping[int, Address] = {4: IPv4Address("0.0.0.0"), 6: IPv6Address("::")}
STOP_LIMIT = 5.0
"""Seconds that each part of the stop may take: nothing that hangs (a script in the kernel, say) holds the end up."""


async def finished_within(seconds: float, works: Sequence[Coroutine[object, object, None]]) -> bool:
    """Run all of ``works``; returns whether they ended in time, and ends those that did not."""
    tasks = [asyncio.ensure_future(work) for work in works]
    if not tasks:
        return True
    _, late = await asyncio.wait(tasks, timeout=seconds)
    for task in late:
        task.cancel()
    return not late


class Daemon:
    """Carries out a configuration until it is told to stop."""

    def __init__(self, configuration: Configuration, hub: EventHub, *, keep_addresses: bool = False) -> None:
        """``keep_addresses``: the stop leaves addresses, routes and rules where they are (--dont-release-vrrp)."""
        self.configuration = configuration
        self.hub = hub
        self.links: Mapping[str, Link] = {}
        self.loops = TrackingLoops(hub, self._tracker_changed, self.start)
        self.fleet = Fleet(hub, self)
        self.fleet.keeps_addresses = keep_addresses
        self._loop = asyncio.get_running_loop()
        self._broken: asyncio.Future[None] = self._loop.create_future()
        self._tasks: set[asyncio.Future[None]] = set()
        self._group_tasks: dict[str, asyncio.Future[None]] = {}
        self.fifos = Fifos(hub)
        self.ground: Ground | None = None
        self.upkeep: Upkeep | None = None
        self._kernel: Kernel | None = None
        self._announcer: Announcer | None = None

    @property
    def routers(self) -> Mapping[str, Router]:
        """The virtual routers by the names of their instances."""
        return self.fleet.routers

    @property
    def trackers(self) -> Mapping[Key, RunningTracker]:
        """The trackers by kind and name."""
        return self.loops.trackers

    @property
    def groups(self) -> Mapping[str, str]:
        """The state of each sync group by name: INIT, BACKUP, MASTER or FAULT."""
        return self.fleet.ensemble.group_states

    async def run(self, ready: Callable[[], None], stop: asyncio.Future[Any]) -> None:
        """Open everything, call ``ready``, work until ``stop`` is done, then resign and release everything.

        Raises SystemRefusalError if the system refuses what is needed, before anything was changed. Any other error
        is one of our own; it comes up here, too, when all masters have resigned and all addresses are gone.
        """
        require_privileges()
        async with AsyncExitStack() as opened:
            self._kernel = await opened.enter_async_context(Kernel())
            self._announcer = Announcer(self.configuration.settings.spacing)
            opened.callback(self._announcer.close)
            self.links = await self._kernel.links()
            self.refuse_missing(self.configuration)
            self.ground = Ground(self._kernel, self.configuration, self.hub, self._link)
            opened.push_async_callback(self.ground.close)
            await self.ground.prepare(self.configuration)
            self.links = await self._kernel.links()
            opened.callback(self.fleet.intake.end)
            self._open()
            self._loop.set_exception_handler(self._callback_failed)
            try:
                self._begin(self._kernel)
                ready()
                await asyncio.wait([stop, self._broken], return_when=FIRST_COMPLETED)
                if self._broken.done():
                    self._broken.result()  # an error of our own: it goes up, after everything has been released
            finally:
                await self._end()

    # --- Opening and closing --------------------------------------------------------------------------------------

    def _open(self) -> None:
        for line in opening_lines.channels(self.configuration, self.links):
            self.hub.publish("notice", line.text, detail=line.detail)
        for instance in self.configuration.instances:
            router = self.fleet.routers[instance.name] = self.make_router(instance, self.configuration)
            self.listen(router, self.configuration)
        self.fleet.regroup(self.configuration)
        self.regroup_notifiers()

    def regroup_notifiers(self) -> None:
        """Have a notify queue for each sync group, and for no other."""
        groups = {group.name: group for group in self.configuration.groups}
        security = self.configuration.settings.script_security
        for name in self.fleet.group_notifiers.keys() - groups.keys():
            del self.fleet.group_notifiers[name]
            self._group_tasks.pop(name).cancel()
        for name, group in groups.items():
            notifier = self.fleet.group_notifiers.get(name)
            if notifier is not None:
                notifier.reconfigured(group, security=security)
                continue
            notifier = Notifier(group, self._teller(name), security=security, fifos=self.fifos)
            self.fleet.group_notifiers[name] = notifier
            self._group_tasks[name] = self.start(notifier.run())

    def _teller(self, name: str) -> Tell:
        def tell(event: str, reason: str = "", **values: Value) -> None:
            self.hub.publish_for(name, event, reason, **values)

        return tell

    def refuse_missing(self, configuration: Configuration) -> None:
        """Raise SystemRefusalError if an interface is not there, unless interfaces may come later."""
        if configuration.settings.dynamic_interfaces:
            return
        made = {*vmac_names(configuration).values()}
        for instance in configuration.instances:
            for name in sorted(needs(instance) - self.links.keys() - made):
                there = " ".join(sorted(self.links))
                what = f"interface {name} for vrrp_instance {instance.name}"
                raise SystemRefusalError(f"{what} doesn't exist (there are: {there})")

    def make_router(self, instance: Instance, configuration: Configuration) -> Router:
        """Make the router of an instance, not listening yet and not begun."""
        names = vmac_names(configuration)

        def tell(event: str, reason: str = "", **values: Value) -> None:
            self.hub.publish_for(router.instance.name, event, reason, **values)

        assert self.ground is not None
        assert self._kernel is not None
        assert self._announcer is not None
        transmission = Transmission(instance)
        router = Router(
            machine=VirtualRouter(instance, instance.source or NO_SOURCE[instance.family]),
            reception=Reception(instance, transmission.learned),
            transmission=transmission,
            addresses=AddressWorker(
                instance,
                self._kernel,
                self._announcer,
                self._link,
                tell,
                vmac=names.get(instance.name),
                settings=self.ground.sysctl,
            ),
            notifier=Notifier(instance, tell, security=configuration.settings.script_security, fifos=self.fifos),
        )
        return router

    def listen(self, router: Router, configuration: Configuration) -> None:
        """Have a router hear what is for it. Raises OSError if no socket is to be had."""
        interface = hears_through(router.instance, vmac_names(configuration))
        self.fleet.intake.add(router, endpoint_of(router.instance, interface))

    def _link(self, name: str) -> Link | None:
        return self.links.get(name)

    def start_router(self, router: Router) -> None:
        """Have its two workers work."""
        router.tasks = [self.start(router.addresses.run()), self.start(router.notifier.run())]

    def start(self, work: Coroutine[object, object, None]) -> asyncio.Future[None]:
        """Run ``work`` in the background; an error in it is one of our own and ends the daemon."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Future[None]) -> None:
        self._tasks.discard(task)
        wrong = None if task.cancelled() else task.exception()
        if wrong is not None and not self._broken.done():
            self._broken.set_exception(wrong)

    def _begin(self, kernel: Kernel) -> None:
        self.fifos.apply(self.configuration.settings)
        for router in self.fleet.routers.values():
            self.start_router(router)
        self.fleet.listen_first(starts_with_delay(self.configuration))
        self.fleet.intake.begin()
        self.loops.apply(self.configuration)
        self.fleet.links_changed()
        for router in self.fleet.routers.values():
            router.delayed = not router.started
        assert self.ground is not None
        self.upkeep = Upkeep(self.fleet, self.ground, self.start)
        self.start(kernel.watch(lambda: self._read_links(kernel)))
        self.start(self.upkeep.look_around())
        self.start(self.upkeep.check(lambda: self._read_links(kernel)))

    async def _end(self) -> None:
        routers = list(self.fleet.routers.values())
        notifiers = [*(router.notifier for router in routers), *self.fleet.group_notifiers.values()]
        try:
            self.fleet.stop()
        finally:
            for what, finishing in (
                ("the kernel has not taken all addresses away", [router.addresses.finish() for router in routers]),
                ("notify scripts still run", [notifier.finish() for notifier in notifiers]),
                ("readers of notify fifos still run", [self.fifos.finish()]),
                ("check scripts still run", [tracker.finish() for tracker in self.loops.trackers.values()]),
            ):
                if not await finished_within(STOP_LIMIT, finishing):
                    text = f"Warning - {what} {STOP_LIMIT:g} s after the stop: ending all the same"
                    self.hub.publish("warning", text)
            for task in tuple(self._tasks):
                task.cancel()

    def _callback_failed(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Take an exception out of a callback: a timer may be lost with it, so the daemon must not go on as if not."""
        wrong = context.get("exception") or RuntimeError(context["message"])
        if not self._broken.done():
            self._broken.set_exception(wrong)

    # --- What happens ---------------------------------------------------------------------------------------------

    def _tracker_changed(self, key: Key) -> None:
        self.fleet.tracker_changed(key)

    async def _read_links(self, kernel: Kernel) -> None:
        self.links = await kernel.links()
        self.fleet.links_changed()
        if self.configuration.track_groups:
            self.fleet.track(self.fleet.routers)
        assert self.upkeep is not None
        self.upkeep.mend()

    def announce(self, link: Link, address: Address) -> None:
        """Broadcast once where ``address`` lives."""
        assert self._announcer is not None
        self._announcer.announce(link, address, lambda _: None)  # what cannot be said cannot be helped

    def static_faults(self) -> Mapping[str, frozenset[str]]:
        """Return the causes of FAULT by instance that come from static addresses, routes and rules."""
        return self.ground.faults() if self.ground is not None else {}

    # --- Operators ------------------------------------------------------------------------------------------------

    def reload(self, configuration: Configuration) -> Difference:
        """Go on with another configuration: only what differs is touched. Returns what that was.

        Raises SystemRefusalError, with one sentence, if it cannot be carried out here: then nothing has changed.
        """
        if self.fleet.stopping:
            raise SystemRefusalError("the daemon is on its way out: nothing is reloaded")
        change = reload.apply(self, configuration)
        assert self.ground is not None
        self.start(self._change_ground(self.ground, configuration))
        self.fifos.apply(configuration.settings)
        if configuration.settings.fifo_states_on_reload:
            self._write_states()
        counts = {"gone": len(change.gone), "changed": len(change.kept), "come": len(change.come)}
        self.hub.publish("reloaded", "instances gone, changed, new", **counts)
        return change

    async def _change_ground(self, ground: Ground, configuration: Configuration) -> None:
        """Bring what stands under the routers in line; those that wait for a VMAC begin then."""
        await ground.change(configuration)
        assert self._kernel is not None
        self.links = await self._kernel.links()
        self.fleet.begin_waiting()

    def _write_states(self) -> None:
        """Write all states into the notify pipes (fifo_write_vrrp_states_on_reload)."""
        for name, router in self.routers.items():
            self.fifos.tell("INSTANCE", name, router.machine.state.name, router.machine.priority)
        for name, state in self.groups.items():
            self.fifos.tell("GROUP", name, state, 0)

    def demote(self, name: str) -> None:
        """Have the instance of this name give its addresses up, and take them from nobody until it is released."""
        for member in self.fleet.ensemble.members(name):
            self.fleet.routers[member].held = True
        self.hub.publish_for(name, "operator", "demoted by an operator", act="demote")
        self.fleet.dispatch(name, GiveUp("demoted by an operator"))

    def promote(self, name: str) -> None:
        """Have the instance of this name become master; a master that would win it back at once refuses it."""
        self._free(name)
        self.hub.publish_for(name, "operator", "promoted by an operator", act="promote")
        self.fleet.dispatch(name, TakeOver("promoted by an operator"))

    def release(self, name: str) -> None:
        """Leave the instance of this name to its priorities again."""
        held = self.fleet.routers[name].held
        self._free(name)
        self.hub.publish_for(name, "operator", "released by an operator", act="release")
        if held and self.fleet.routers[name].instance.preempt:
            self.fleet.dispatch(name, TakeOver("released by an operator"))

    def _free(self, name: str) -> None:
        for member in self.fleet.ensemble.members(name):
            self.fleet.routers[member].held = False

    def maintenance(self, on: bool) -> None:  # noqa: FBT001 - on or off is all there is
        """Have every instance give its addresses up and take none (``on``), or leave them to their priorities."""
        self.fleet.maintenance = on
        self.hub.publish("operator", f"maintenance is {'on' if on else 'off'}", act="maintenance")
        self.fleet.track(self.fleet.routers)

    def status(self) -> dict[str, Value]:
        """Return the document of the ``status`` command."""
        trackers: list[Value] = [tracker.status() for tracker in self.trackers.values()]
        return {
            "instances": [router.status() for router in self.routers.values()],
            "groups": [
                {"name": group.name, "state": self.groups.get(group.name), "members": list[Value](group.members)}
                for group in self.configuration.groups
            ],
            "trackers": trackers,
            "interfaces": [
                {
                    "name": link.name,
                    "index": link.index,
                    "up": link.is_up,
                    "counts_as_up": self.fleet.settled.is_up(name),
                }
                for name, link in self.links.items()
            ],
            "maintenance": self.fleet.maintenance,
        }
