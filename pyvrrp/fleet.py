"""All virtual routers of the daemon, and what moves them: packets, time, links, trackers, operators.

Laws: events go through the ensemble of the machines, effects are carried out in their order, and then every deadline
that may have moved is entered anew. Before any timer fires, all that waits in the sockets has been read. Faults and the
effective priority are derived from scratch whenever something changes; nothing incremental can drift.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from typing import Protocol

from hakit.events import EventHub
from hakit.transcript import Value
from pyvrrp.acts import Acts
from pyvrrp.detection import foreign
from pyvrrp.intake import Intake
from pyvrrp.link_faults import LinkView, Settled, view_of
from pyvrrp.model import Address, Configuration, Instance, SyncGroup, TrackerKind
from pyvrrp.notifier import Notifier
from pyvrrp.protocol import news, tracking
from pyvrrp.protocol.events import (
    AdvertisementReceived,
    Event,
    Startup,
    Tick,
)
from pyvrrp.protocol.groups import Ensemble, Told
from pyvrrp.protocol.machine import RESIGN
from pyvrrp.protocol.reception import RejectedError
from pyvrrp.router import Router
from pyvrrp.system.kernel import Link
from pyvrrp.timetable import Timetable
from pyvrrp.trackers import Key, RunningTracker, readings
from pyvrrp.urgency import Urgency
from pyvrrp.wire.packet import Packet

MAINTENANCE = "maintenance"
SLEPT = 0.5
"""Seconds by which a timer is late when the daemon must have been asleep."""
LAGGED = 0.1
"""Seconds by which a timer is late so that it is worth telling."""
MOST_ASIDE = 60.0
"""Seconds that a router stays in FAULT at most before it tries again."""


class Surroundings(Protocol):
    """What the fleet sees of the daemon."""

    configuration: Configuration
    links: Mapping[str, Link]

    @property
    def trackers(self) -> Mapping[Key, RunningTracker]:
        """The trackers by kind and name."""

    def static_faults(self) -> Mapping[str, frozenset[str]]:
        """Return the causes of FAULT by instance that come from static addresses, routes and rules."""

    def announce(self, link: Link, address: Address) -> None:
        """Broadcast once where ``address`` lives."""


class Fleet:
    """The routers by instance name, in the order of the configuration."""

    def __init__(self, hub: EventHub, surroundings: Surroundings) -> None:
        self.routers: dict[str, Router] = {}
        self.group_notifiers: dict[str, Notifier] = {}
        self.maintenance = False
        self.stopping = False
        self.keeps_addresses = False
        self.settled = Settled(surroundings.configuration.settings.settling)
        self._hub = hub
        self._around = surroundings
        self._loop = asyncio.get_running_loop()
        self.acts = Acts(hub, self, self._not_heard)
        self.intake = Intake(hub, self._receive, self.acts.ration)
        self.urgency = Urgency(hub)
        self.timetable = Timetable(self._loop, self._tick)
        self.ensemble = Ensemble({}, ())
        self._trackers_of: dict[Key, list[str]] = {}
        self._group_of: dict[str, SyncGroup] = {}
        self._virtual: frozenset[Address] = frozenset()
        self._used: set[str] = set()
        self._last_shape: dict[str, object] | None = None
        self._settling: asyncio.TimerHandle | None = None
        self._listens_until = 0.0
        self._seen: Mapping[str, Link] = surroundings.links

    def listen_first(self, seconds: float) -> None:
        """Have every router that starts within ``seconds`` from now only listen until then (vrrp_startup_delay)."""
        self._listens_until = self._loop.time() + seconds

    def regroup(self, configuration: Configuration) -> None:
        """Take in who there is, and which groups: after routers were added, removed or renamed."""
        order = [instance.name for instance in configuration.instances]
        self.routers = {name: self.routers[name] for name in order}
        machines = {name: router.machine for name, router in self.routers.items()}
        self.ensemble = Ensemble(machines, configuration.groups)
        self._trackers_of = {}
        self._group_of = {name: group for group in configuration.groups for name in group.members}
        for instance in configuration.instances:
            group = self._group_of.get(instance.name)
            lines = (*instance.tracked, *(group.tracked if group is not None else ()))
            for key in dict.fromkeys(line.key for line in lines):
                self._trackers_of.setdefault(key, []).append(instance.name)
        self._virtual = frozenset(
            address.ip for instance in configuration.instances for address in (*instance.addresses, *instance.excluded)
        )
        tracked = {name for kind, name in self._trackers_of if kind is TrackerKind.INTERFACE}
        self._used = tracked.union(*(needs(instance) for instance in configuration.instances))
        self._last_shape = None
        self.acts.ration.resize(len(self.routers))
        self.settled.settling = configuration.settings.settling
        self.urgency.settings = configuration.settings.process
        self.intake.log_unknown = configuration.settings.log_unknown_vrids

    def members(self, group: str) -> tuple[str, ...]:
        """Return the names of the instances of a sync group."""
        found = next((one for one in self._around.configuration.groups if one.name == group), None)
        return tuple(name for name in found.members if name in self.routers) if found is not None else ()

    # --- Events ---------------------------------------------------------------------------------------------------

    def dispatch(self, name: str, event: Event) -> None:
        """Hand one event to the router of this name, and carry out what comes of it."""
        self.carry_out(self.ensemble.handle(name, event, self._loop.time()))
        for member in self.ensemble.members(name):
            self.timetable.set(member, self.routers[member].machine.deadline)

    def carry_out(self, told: Iterable[Told]) -> None:
        """Carry out what machines and groups want done."""
        for who, effect in told:
            self.acts.carry_out(who, effect)

    def stop(self) -> None:
        """End all routers: resign, release, tell. Nothing is heard from then on."""
        self.stopping = True
        self.timetable.stop()
        if self._settling is not None:
            self._settling.cancel()
        self.carry_out(self.ensemble.shutdown(self._loop.time()))

    def _tick(self, names: list[str], late: float) -> None:
        self.urgency.late(late)
        if late > LAGGED:
            self._tell_lag(late)
        self.intake.read_all(after_sleep=late > SLEPT)
        for name in names:
            if name in self.routers:
                self.dispatch(name, Tick())

    def _tell_lag(self, late: float) -> None:
        router = next(iter(self.routers.values()), None)
        if router is not None and router.may_tell("loop_lag", self._loop.time(), pause=10):
            text = f"the daemon was {late:.3f} s late: something held it up, or the machine stood still"
            self._hub.publish("loop_lag", text, late=round(late, 3))

    # --- Packets --------------------------------------------------------------------------------------------------

    def _receive(self, router: Router, packet: Packet) -> None:
        try:
            found = router.reception.accept(packet, router.machine.source, time.time())
        except RejectedError as wrong:
            self._reject(router, packet, wrong)
            return
        now = self._loop.time()
        router.statistics.count("advert_rcvd")
        if found.priority == RESIGN:
            router.statistics.count("pri_zero_rcvd")
        for remark in router.reception.remarks:
            if remark.counter is not None:
                router.statistics.count(remark.counter)
            self.acts.remark(router, remark.event, remark.text, {}, pause=60)
        if foreign(found, router.instance):
            number = router.instance.virtual_router_id
            text = f"{packet.source} uses virtual_router_id {number} for other addresses: two groups share one number"
            self.acts.remark(router, "duplicate_vrid", text, {"sender": str(packet.source)}, pause=60)
        was_master = router.is_master
        self.dispatch(router.name, AdvertisementReceived(found, packet.source))
        both = was_master and router.is_master
        self.acts.found(router, router.watcher.heard(packet.source, found, now, still_master=both))

    def _reject(self, router: Router, packet: Packet, wrong: RejectedError) -> None:
        total = router.statistics.count(wrong.counter)
        values: dict[str, Value] = {"counter": wrong.counter, "total": total, "sender": str(packet.source)}
        self.acts.remark(router, "rejected", str(wrong), values, kind=wrong.counter)

    # --- Links and trackers ---------------------------------------------------------------------------------------

    def links_changed(self) -> None:
        """Bring everything in line with the links as they are now; what the routers set themselves is no change."""
        shape = self._shape()
        if self.stopping or (self._settling is None and shape == self._last_shape):
            return
        self._last_shape = shape
        self.intake.follow(self._around.links)
        now = self._loop.time()
        due = self.settled.observe(self._around.links, now)
        if self._settling is not None:
            self._settling.cancel()
            self._settling = None
        if due is not None:
            self._settling = self._loop.call_at(due, self.links_changed)
        moved = self._tell_links()
        self.track(self.routers)
        for router in self.routers.values() if moved else ():
            used = {router.instance.interface, *(router.addresses.interface_of(one) for one in router.addresses.held)}
            if router.is_master and not moved.isdisjoint(used):
                # RFC 5798 says nothing of it; switches and hosts have to learn the new place or address all the same.
                router.addresses.announce(router.instance.garp.repeat)

    def begin_waiting(self) -> None:
        """Begin the routers whose VMAC was on its way; without it, they begin with a fault."""
        for router in self.routers.values():
            router.waiting = False
        self._last_shape = None
        self.links_changed()

    def _shape(self) -> dict[str, object]:
        """Return all of the links that can matter to a machine: not the virtual addresses, which come and go."""
        own = self._virtual
        return {
            name: (
                link.index,
                link.is_up,
                link.hardware_address,
                link.unusable,
                [one for one in link.addresses if one.ip not in own],
            )
            for name, link in self._around.links.items()
        }

    def _tell_links(self) -> set[str]:
        """Tell which interfaces have come up or gone down; returns those that are back, or have another MAC address."""
        before, after = self._seen, self._around.links
        self._seen = after
        moved = set()
        for name in before.keys() | after.keys() if before else ():  # at the start nothing has changed
            old, new = before.get(name), after.get(name)
            was_up, is_up = old is not None and old.is_up, new is not None and new.is_up
            if was_up is not is_up and name in self._used:
                text = f"Netlink reports {name} {'up' if is_up else 'down'}"
                self._hub.publish("link", text, name=name, up=is_up)
            if old is None or new is None or not is_up:
                continue
            if not was_up or old.hardware_address != new.hardware_address:
                moved.add(name)
        return moved

    def addresses_there(self) -> set[Address]:
        """Return all addresses of this machine."""
        return {one.ip for link in self._around.links.values() for one in link.addresses}

    def announce_source(self, router: Router) -> None:
        """Have the neighbours learn where a unicast router lives: its advertisements wait for no ARP then."""
        link = self._around.links.get(router.instance.interface)
        if link is not None and link.is_up and not router.machine.source.is_unspecified:
            self._around.announce(link, router.machine.source)

    def tracker_changed(self, key: Key) -> None:
        """Bring those in line that track this."""
        self.track(self._trackers_of.get(key, ()))

    def readings(self) -> dict[Key, bool | int | None]:
        """Return what trackers and links say now."""
        absent = {key: False for key in self._trackers_of if key[0] is TrackerKind.INTERFACE}
        return {**absent, **self.settled.readings(), **readings(self._around.trackers)}

    def track(self, names: Iterable[str]) -> None:
        """Bring the machines of these names up to what trackers and links say now."""
        known, static = self.readings(), self._around.static_faults()
        for name in list(names):
            if not self.stopping and name in self.routers and not self.routers[name].waiting:
                self._track(self.routers[name], known, static.get(name, frozenset()))

    def _track(self, router: Router, known: Mapping[Key, bool | int | None], static: frozenset[str]) -> None:
        name, instance = router.name, router.instance
        group = self._group_of.get(name)
        view = self.view(router)
        faults = view.faults | static | tracking.faults(instance, known, group)
        if self.maintenance:
            faults |= {MAINTENANCE}
        if router.aside:
            faults |= {router.aside}
        for event in news.changed(router.machine, view.source, known, group):
            self.dispatch(name, event)
        before, router.faults = router.faults, faults
        for event in news.faults_changed(before, faults):
            self.dispatch(name, event)
        if not router.started and not tracking.undecided(instance, known, group):
            router.started = True
            self.dispatch(name, Startup(max(0.0, self._listens_until - self._loop.time())))

    def view(self, router: Router) -> LinkView:
        """Return what a router has of the links now."""
        listener = router.listener
        interface = listener.endpoint.interface if listener is not None else router.instance.interface
        has_socket = router.socket is not None
        virtual, links = self._virtual, self._around.links
        return view_of(router.instance, links, self.settled, virtual, interface=interface, has_socket=has_socket)

    # --- Who cannot serve for a while -----------------------------------------------------------------------------

    def _not_heard(self, router: Router) -> None:
        """Be no master whom nobody hears."""
        if not router.aside:
            text = f"{router.failures} advertisements in a row did not leave"
            self.set_aside(router, f"advertisements do not leave {router.instance.interface}", "not_heard", text)

    def set_aside(self, router: Router, cause: str, event: str, text: str) -> None:
        """Put a router into FAULT for a while, each time for a longer one, then let it try again."""
        if router.aside or router.removed or self.stopping:
            return
        router.aside = cause
        router.times_aside += 1
        wait = min(MOST_ASIDE, router.machine.master_down_interval * 2 ** (router.times_aside - 1))
        self.acts.tell(router, event, f"{text}: FAULT for {wait:.1f} s", retry_in=round(wait, 3))
        self._loop.call_soon(self._track_one, router)  # not amid the effects that have led here
        self._loop.call_later(wait, self._try_again, router)

    def _try_again(self, router: Router) -> None:
        router.aside = ""
        router.failures = 0
        self._track_one(router)

    def _track_one(self, router: Router) -> None:
        if self.routers.get(router.name) is router:
            self.track([router.name])


def starts_with_delay(configuration: Configuration) -> float:
    """Return how long all routers only listen, in seconds; ``vrrp_delay_after_boot`` counts from the boot."""
    settings = configuration.settings
    if not settings.delay_after_boot:
        return settings.startup_delay
    return max(0.0, settings.startup_delay - time.clock_gettime(time.CLOCK_BOOTTIME))


def needs(instance: Instance) -> frozenset[str]:
    """Return the interfaces without which an instance cannot even begin, unless interfaces may come later."""
    return frozenset({instance.interface, *instance.devices})
