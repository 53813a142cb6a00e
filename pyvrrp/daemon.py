"""The daemon: one loop around the pure machines.

Laws: read, decode, handle, carry out; each room is entered once, in this direction. Before any timer fires, all that
waits in the sockets has been read (a machine that was asleep hears the present first). No advertisement waits for
netlink, a script or a log: addresses and notify scripts have queues of their own. Time is the monotonic clock's.
"""

from __future__ import annotations

import asyncio
from asyncio import FIRST_COMPLETED
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from ipaddress import IPv4Address
from typing import Any, assert_never

from hakit.events import EventHub
from hakit.transcript import Value
from pyvrrp.model import Address, Configuration, Instance, TrackerKind
from pyvrrp.notifier import Notifier
from pyvrrp.protocol import reception, tracking
from pyvrrp.protocol.effects import (
    AddAddresses,
    Announce,
    Effect,
    GroupTransitioned,
    MasterHeard,
    Notify,
    NotifyGroup,
    Observed,
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
    PriorityChanged,
    Shutdown,
    SourceChanged,
    Startup,
    Tick,
)
from pyvrrp.protocol.machine import RESIGN, VirtualRouter
from pyvrrp.router import Router
from pyvrrp.system.addresses import AddressWorker
from pyvrrp.system.announcer import Announcer
from pyvrrp.system.errors import SystemRefusalError
from pyvrrp.system.kernel import Kernel, Link
from pyvrrp.system.privileges import require_privileges
from pyvrrp.system.sockets import AdvertisementSocket
from pyvrrp.trackers import Key, ScriptTracker
from pyvrrp.wire.ipv4 import VRRP_GROUP, MalformedPacketError, Packet

NO_SOURCE = IPv4Address("0.0.0.0")
CAUSED_BY_US = frozenset({"priority", "stalled"})
"""Observations that no packet can cause; all others are told at most once a second."""


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

    def __init__(self, configuration: Configuration, hub: EventHub) -> None:
        self.configuration = configuration
        self.hub = hub
        self.routers: dict[tuple[str, int], Router] = {}
        self.trackers: dict[str, ScriptTracker] = {}
        self._links: Mapping[str, Link] = {}
        self._sockets: dict[str, AdvertisementSocket] = {}
        self._stopping = False
        self._loop = asyncio.get_running_loop()
        self._broken: asyncio.Future[None] = self._loop.create_future()

    async def run(self, ready: Callable[[], None], stop: asyncio.Future[Any]) -> None:
        """Open everything, call ``ready``, work until ``stop`` is done, then resign and release everything.

        Raises SystemRefusalError if the system refuses what is needed, before anything was changed. Any other error
        is one of our own; it comes up here, too, when all masters have resigned and all addresses are gone.
        """
        require_privileges()
        async with AsyncExitStack() as opened:
            kernel = await opened.enter_async_context(Kernel())
            announcer = Announcer()
            opened.callback(announcer.close)
            self._links = await kernel.links()
            self._open(kernel, announcer)
            for socket in self._sockets.values():
                opened.callback(socket.close)
            self._loop.set_exception_handler(self._callback_failed)
            tasks = [asyncio.ensure_future(work) for work in self._works(kernel)]
            try:
                self._begin()
                ready()
                await asyncio.wait([stop, self._broken, *tasks], return_when=FIRST_COMPLETED)
                for ended in (self._broken, *tasks):
                    if ended.done():
                        ended.result()  # an error of our own: it goes up, after everything has been released
            finally:
                await self._end()
                for task in tasks:
                    task.cancel()

    # --- Opening and closing --------------------------------------------------------------------------------------

    def _open(self, kernel: Kernel, announcer: Announcer) -> None:
        for instance in self.configuration.instances:
            for name in sorted(instance.devices - self._links.keys()):
                there = " ".join(sorted(self._links))
                what = f"interface {name} for vrrp_instance {instance.name}"
                raise SystemRefusalError(f"{what} doesn't exist (there are: {there})")
        for instance in self.configuration.instances:
            if instance.interface not in self._sockets:
                self._sockets[instance.interface] = AdvertisementSocket(instance.interface)
            self.routers[instance.interface, instance.virtual_router_id] = self._router(instance, kernel, announcer)
        tracked = {tracked.name for instance in self.configuration.instances for tracked in instance.track_scripts}
        for script in self.configuration.scripts:
            if script.name in tracked:
                security = self.configuration.settings.script_security
                tracker = ScriptTracker(script, self.hub, self._script_changed, security=security)
                self.trackers[script.name] = tracker

    def _router(self, instance: Instance, kernel: Kernel, announcer: Announcer) -> Router:
        def tell(event: str, reason: str = "", **values: Value) -> None:
            self.hub.publish_for(instance.name, event, reason, **values)

        return Router(
            machine=VirtualRouter(instance, NO_SOURCE),
            socket=self._sockets[instance.interface],
            addresses=AddressWorker(instance, kernel, announcer, self._link, tell),
            notifier=Notifier(instance, tell, security=self.configuration.settings.script_security),
        )

    def _link(self, name: str) -> Link | None:
        return self._links.get(name)

    def _works(self, kernel: Kernel) -> list[Coroutine[object, object, None]]:
        return [
            kernel.watch(lambda: self._read_links(kernel)),
            *(tracker.run() for tracker in self.trackers.values()),
            *(router.addresses.run() for router in self.routers.values()),
            *(router.notifier.run() for router in self.routers.values()),
        ]

    def _begin(self) -> None:
        for socket in self._sockets.values():
            self._loop.add_reader(socket.fileno(), self._read, socket)
        for router in self.routers.values():
            self._track(router)
            router.delayed = not router.started

    async def _end(self) -> None:
        self._stopping = True
        for router in self.routers.values():
            self._dispatch(router, Shutdown())
        for socket in self._sockets.values():
            self._loop.remove_reader(socket.fileno())
        routers, trackers = self.routers.values(), self.trackers.values()
        for what, finishing in (
            ("the kernel has not taken all addresses away", [router.addresses.finish() for router in routers]),
            ("notify scripts still run", [router.notifier.finish() for router in routers]),
            ("check scripts still run", [tracker.finish() for tracker in trackers]),
        ):
            if not await finished_within(STOP_LIMIT, finishing):
                self.hub.publish("warning", f"Warning - {what} {STOP_LIMIT:g} s after the stop: ending all the same")

    def _callback_failed(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Take an exception out of a callback: a timer may be lost with it, so the daemon must not go on as if not."""
        wrong = context.get("exception") or RuntimeError(context["message"])
        if not self._broken.done():
            self._broken.set_exception(wrong)

    # --- What happens ---------------------------------------------------------------------------------------------

    def _read(self, socket: AdvertisementSocket) -> None:
        for packet in socket.receive():
            if isinstance(packet, MalformedPacketError):
                continue
            number = reception.virtual_router_id(packet)
            router = self.routers.get((socket.interface, number)) if number is not None else None
            if router is not None:
                self._receive(router, packet)

    def _receive(self, router: Router, packet: Packet) -> None:
        try:
            found = reception.Reception(router.instance).accept(packet, router.machine.source, 0.0)
        except reception.RejectedError as wrong:
            total = router.statistics.count(wrong.counter)
            if router.may_tell(wrong.counter, self._loop.time()):
                self._tell(
                    router, "rejected", str(wrong), counter=wrong.counter, total=total, sender=str(packet.source)
                )
            return
        router.statistics.count("advert_rcvd")
        if found.priority == RESIGN:
            router.statistics.count("pri_zero_rcvd")
        differs = reception.why_addresses_differ(found, router.instance)
        if differs is not None:
            router.statistics.count("addr_list_err")
            if router.may_tell("addr_list_err", self._loop.time(), pause=60):
                self._tell(router, "address_list_differs", f"advert from {packet.source}: {differs}")
        self._dispatch(router, AdvertisementReceived(found, packet.source))

    def _tick(self, router: Router) -> None:
        for socket in self._sockets.values():
            self._read(socket)
        self._dispatch(router, Tick())

    def _script_changed(self, key: Key) -> None:
        name = key[1]
        for router in self.routers.values():
            if any(tracked.name == name for tracked in router.instance.track_scripts):
                self._track(router)

    async def _read_links(self, kernel: Kernel) -> None:
        self._links = await kernel.links()
        for socket in self._sockets.values():
            self._follow(socket)
        for router in self.routers.values():
            self._track(router)
            if router.addresses.misses():
                router.addresses.restore(router.instance.garp.repeat)

    def _follow(self, socket: AdvertisementSocket) -> None:
        """Open a socket anew if its interface was deleted and made again: it would be bound to the old one for ever."""
        link = self._links.get(socket.interface)
        if link is None or link.index == socket.index:
            return
        self._loop.remove_reader(socket.fileno())
        try:
            socket.reopen()
        except OSError:
            return  # gone again: the next change of a link brings us back here
        self._loop.add_reader(socket.fileno(), self._read, socket)

    def _track(self, router: Router) -> None:
        """Bring the machine up to what scripts and links say now: everything is derived anew, nothing remembered."""
        if self._stopping:
            return
        instance = router.instance
        known = {(TrackerKind.SCRIPT, name): tracker.works for name, tracker in self.trackers.items()}
        link_faults, source = self._link_faults(instance)
        faults = link_faults | tracking.faults(instance, known)
        if source is not None and source != router.machine.source:
            self._dispatch(router, SourceChanged(source))
        self._dispatch(router, PriorityChanged(tracking.effective_priority(instance, known)))
        for cause in sorted(faults - router.faults):
            self._dispatch(router, FaultRaised(cause))
        for cause in sorted(router.faults - faults):
            self._dispatch(router, FaultCleared(cause))
        router.faults = faults
        if not router.started and not tracking.undecided(instance, known):
            router.started = True
            self._dispatch(router, Startup())

    def _link_faults(self, instance: Instance) -> tuple[frozenset[str], IPv4Address | None]:
        virtual = {address.interface.ip for other in self.configuration.instances for address in other.addresses}
        own = self._links.get(instance.interface)
        source = own.source(virtual) if own is not None else None
        faults = set()
        for name in instance.devices | {*instance.track_interfaces}:
            link = self._links.get(name)
            if link is None or not link.is_up:
                faults.add(f"interface {name} down")
        socket = self._sockets[instance.interface]
        if own is not None and own.index != socket.index:
            faults.add(f"no socket on {instance.interface}")
        if source is None:
            faults.add(f"no IPv4 address on {instance.interface}")
        return frozenset(faults), source

    # --- Carrying out ---------------------------------------------------------------------------------------------

    def _dispatch(self, router: Router, event: Event) -> None:
        for effect in router.machine.handle(event, self._loop.time()):
            self._carry_out(router, effect)
        if router.timer is not None:
            router.timer.cancel()
        deadline = router.machine.deadline
        router.timer = None if deadline is None else self._loop.call_at(deadline, self._tick, router)

    def _carry_out(self, router: Router, effect: Effect) -> None:
        match effect:
            case SendAdvertisement(priority):
                self._advertise(router, priority)
            case AddAddresses():
                router.addresses.add()
            case RemoveAddresses():
                router.addresses.remove()
            case Announce(rounds):
                router.addresses.announce(rounds)
            case Notify(state, priority):
                router.addresses.then(lambda: router.notifier.notify(state, priority))
            case Transitioned():
                self._transitioned(router, effect)
            case Observed(name, reason, values):
                if name in CAUSED_BY_US or router.may_tell(name, self._loop.time()):
                    self._tell(router, name, reason.text, rule=reason.rule, **values)
            case MasterHeard(address, priority):
                self._heard(router, address, priority)
            case WantsMaster() | GroupTransitioned() | NotifyGroup():
                raise AssertionError(effect)
            case _:
                assert_never(effect)

    def _advertise(self, router: Router, priority: int) -> None:
        assert isinstance(router.machine.source, IPv4Address)
        message = reception.own_advertisement(router.instance, priority).encode()
        try:
            router.socket.send(Packet(router.machine.source, VRRP_GROUP, message))
        except OSError as failed:
            router.statistics.count("send_failed")
            if router.may_tell("send_failed", self._loop.time()):
                self._tell(
                    router, "system_error", f"an advertisement did not leave {router.instance.interface}: {failed}"
                )
            return
        router.statistics.count("advert_sent")
        if priority == RESIGN:
            router.statistics.count("pri_zero_sent")
        self._tell(router, "advertised", priority=priority)

    def _transitioned(self, router: Router, effect: Transitioned) -> None:
        router.why, router.since = effect.reason.text, self._loop.time()
        if effect.after == "MASTER":
            router.statistics.count("become_master")
        elif effect.before == "MASTER":
            router.statistics.count("release_master")
        values: dict[str, Value] = {"from": effect.before, "to": effect.after, "priority": router.machine.priority}
        if effect.before == "INIT":
            values["delayed"] = router.delayed
        self._tell(router, "transition", effect.reason.text, rule=effect.reason.rule, **values)

    def _heard(self, router: Router, address: Address, priority: int) -> None:
        if router.may_tell("master_heard", self._loop.time()):
            self._tell(router, "master_heard", f"master is {address}, priority {priority}", address=str(address))
        stuck = tracking.why_checks_cannot_move_it(router.instance, priority)
        if stuck is not None and router.may_tell("takeover_impossible", self._loop.time(), pause=60):
            self._tell(router, "takeover_impossible", f"Warning - {stuck}")

    def _tell(self, router: Router, event: str, reason: str = "", **values: Value) -> None:
        self.hub.publish_for(router.instance.name, event, reason, **values)

    def status(self) -> Value:
        """Return the document of the ``status`` command."""
        return {
            "instances": [router.status() for router in self.routers.values()],
            "scripts": [
                {
                    "name": tracker.script.name,
                    "works": tracker.works,
                    "health": tracker.health.health,
                    "rise": tracker.health.rise,
                    "fall": tracker.health.fall,
                    "last": tracker.last_words,
                }
                for tracker in self.trackers.values()
            ],
        }
