"""One machine with its VRRP daemon, in memory: what ``pyvrrp/fleet.py`` and ``pyvrrp/acts.py`` do, without a loop.

Laws: pure. Machines, groups, reception, transmission, tracking and link faults are those of production; here is only
what production does with sockets, netlink and timers, in the same order: an advertisement leaves at once; addresses,
announcements and notifications wait in a queue behind it; whoever was frozen reads what has arrived before any timer
fires. The kernel goes on when the daemon does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING

from pyvrrp.link_faults import Settled, view_of
from pyvrrp.model import Address, Configuration, Instance, TrackerKind
from pyvrrp.protocol import news, tracking
from pyvrrp.protocol.effects import (
    AddAddresses,
    Announce,
    Effect,
    Notify,
    Observed,
    RemoveAddresses,
    SendAdvertisement,
    Transitioned,
)
from pyvrrp.protocol.events import (
    AdvertisementReceived,
    Event,
    Startup,
    Tick,
)
from pyvrrp.protocol.groups import Ensemble
from pyvrrp.protocol.reception import RejectedError, virtual_router_id
from pyvrrp.simulation.checks import Check, Key, Outcome, checks_of, looked_at
from pyvrrp.simulation.kernel import Kernel
from pyvrrp.simulation.sending import advertise
from pyvrrp.simulation.station import NEVER, Station
from pyvrrp.simulation.work import begin_work, compare, mend
from pyvrrp.wire import ipv4, ipv6
from pyvrrp.wire.packet import MalformedPacketError

if TYPE_CHECKING:
    from pyvrrp.simulation.lan import Lan

NO_SOURCE: dict[int, Address] = {4: IPv4Address("0.0.0.0"), 6: IPv6Address("::")}
ROOM = 256
"""Frames that a socket keeps for a daemon that does not read; what comes then is lost."""
CHECK = 5.0
"""Seconds between two comparisons of what the kernel holds with what the states say."""
MOST_ASIDE = 60.0
Arrival = tuple[str, int, bytes]
"""The interface, the family (4 or 6) and the bytes from the IP header on."""
Later = tuple[Callable[..., None], tuple[object, ...]]


class Node:
    """A node of ``lan``. ``configuration``: what its daemon reads when it starts next."""

    def __init__(self, lan: Lan, name: str, configuration: Configuration, kernel: Kernel) -> None:
        self.lan = lan
        self.name = name
        self.configuration = configuration
        self.kernel = kernel
        self.stations: dict[str, Station] = {}
        self.ensemble = Ensemble({}, ())
        self.alive = self.frozen = self.stopping = self.reloading = False
        self.boot = 0
        self.clock_offset = 0.0
        self.outcomes: dict[Key, Outcome] = {}
        self.readings: dict[Key, bool | int | None] = looked_at(configuration)
        self.checks: dict[Key, Check] = {}
        self.settled = Settled({})
        self.waiting: list[Arrival] = []
        self._postponed: list[Later] = []
        self._virtual: frozenset[Address] = frozenset()
        self._listening: dict[tuple[str, int, int], list[Station]] = {}
        self._listens_until = 0.0
        self._settles_at = NEVER

    # --- The life of the daemon -----------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the daemon, unless it runs."""
        if self.alive:
            return
        self.boot += 1
        self.alive, self.frozen, self.stopping = True, False, False
        self.settled = Settled(self.configuration.settings.settling)
        self.stations = {one.name: self.make_station(one) for one in self.configuration.instances}
        self.regroup()
        self._listens_until = self.lan.now + self.configuration.settings.startup_delay
        self.checks = {}
        self.follow_checks()
        self.links_changed()
        self.call_later(CHECK, self._compare)
        self.lan.observer.booted(self)

    def crash(self) -> None:
        """End the daemon as SIGKILL does: nothing is said, and the kernel keeps what it has."""
        self.boot += 1
        if self.alive and not self.stopping:
            self.kernel.orphan()
        self.alive = self.frozen = self.stopping = False
        self.stations = {}
        self._listening = {}
        self.waiting, self._postponed = [], []

    def stop(self) -> None:
        """Stop the daemon as SIGTERM does; it is gone once all that it has to do is done."""
        if not self.alive or self.frozen or self.stopping:
            return
        self.stopping = True
        for who, effect in self.ensemble.shutdown(self.lan.now):
            self.carry_out(who, effect)
        self._end_if_done()

    def freeze(self) -> None:
        """Stop the daemon where it stands (SIGSTOP): what arrives waits, what is due is late."""
        self.frozen = self.alive

    def thaw(self) -> None:
        """Let a frozen daemon go on: it reads first, then come the timers, in their order."""
        if not self.frozen:
            return
        self.frozen = False
        waiting, self.waiting = self.waiting, []
        for arrival in waiting:
            self._hear(*arrival)
        self.links_changed()
        mend(self)
        postponed, self._postponed = self._postponed, []
        for call, arguments in postponed:
            call(*arguments)

    def _end_if_done(self) -> None:
        if self.stopping and not any(station.acts for station in self.stations.values()):
            self.lan.observer.ended(self)
            self.crash()

    def make_station(self, instance: Instance) -> Station:
        """Return a router of this instance that has not begun."""
        return Station.of(self.lan.machine(instance, instance.source or NO_SOURCE[instance.family]))

    def regroup(self) -> None:
        """Take in who there is, and which groups: after routers were added, removed or renamed."""
        order = [instance.name for instance in self.configuration.instances]
        self.stations = {name: self.stations[name] for name in order}
        machines = {name: station.machine for name, station in self.stations.items()}
        self.ensemble = Ensemble(machines, self.configuration.groups)
        self._virtual = frozenset(one.ip for station in self.stations.values() for one in station.carried)
        self._listening = {}
        for station in self.stations.values():
            instance = station.instance
            place = (instance.interface, instance.family, instance.virtual_router_id)
            self._listening.setdefault(place, []).append(station)

    # --- Time -----------------------------------------------------------------------------------------------------

    def call_later(self, seconds: float, call: Callable[..., None], *arguments: object) -> None:
        """Call ``call`` in so many seconds, unless the daemon has ended by then; late if it is frozen."""
        self.lan.call_at(self.lan.now + seconds, self._later, (self.boot, call, arguments))

    def _later(self, what: tuple[int, Callable[..., None], tuple[object, ...]]) -> None:
        boot, call, arguments = what
        if boot != self.boot:
            return
        if self.frozen:
            self._postponed.append((call, arguments))
            return
        call(*arguments)

    def arm(self, station: Station) -> None:
        """Have the timer of a router fire at its deadline; one that moves away costs nothing until then."""
        deadline = station.machine.deadline
        if deadline is not None and deadline < station.due:
            station.due = deadline
            wait = max(deadline - self.lan.now, 0.0) + self.lan.lag()
            self.call_later(wait, self._fire, station, deadline)

    def _fire(self, station: Station, entered: float) -> None:
        if station.due != entered or station.gone:
            return  # it was entered again, nearer
        station.due = NEVER
        deadline = station.machine.deadline
        if deadline is None or self.stopping:
            return
        if deadline > self.lan.now:
            self.arm(station)
            return
        self.lan.events += 1
        self.dispatch(station.name, Tick())

    # --- Events and effects ---------------------------------------------------------------------------------------

    def dispatch(self, name: str, event: Event) -> None:
        """Hand one event to the router of this name, and carry out what comes of it."""
        for who, effect in self.ensemble.handle(name, event, self.lan.now):
            self.carry_out(who, effect)
        for member in self.ensemble.touched:
            self.arm(self.stations[member])
        self.lan.observer.handled(self)

    def carry_out(self, who: str, effect: Effect) -> None:
        """Do what ``effect`` says for the instance (or the sync group) of this name."""
        self.lan.observer.told(self, who, effect)
        match effect:
            case SendAdvertisement(priority):
                advertise(self, self.stations[who], priority)
            case AddAddresses() | RemoveAddresses() | Announce() | Notify():
                begin_work(self, self.stations[who], effect)
            case Transitioned():
                self.lan.note_transition(self, who, effect)
            case Observed():
                self.lan.note_observed(self, who, effect)
            case _:
                pass  # MasterHeard and what groups say is for those who watch

    def worked(self, station: Station) -> None:
        """One act is done."""
        self.lan.observer.worked(self, station)
        self._end_if_done()

    # --- Packets --------------------------------------------------------------------------------------------------

    def arrive(self, arrival: Arrival) -> None:
        """Take in a frame from the network."""
        link = self.kernel.links.get(arrival[0])
        if not self.alive or self.stopping or link is None or not link.is_up:
            return
        self.lan.events += 1
        if not self.frozen:
            self._hear(*arrival)
        elif len(self.waiting) < ROOM:
            self.waiting.append(arrival)

    def owns(self, interface: str, address: Address) -> bool:
        """Return whether ``address`` is on an interface."""
        link = self.kernel.links.get(interface)
        own = link is not None and any(one.ip == address for one in link.addresses)
        return own or self.kernel.has(interface, address)

    def _hear(self, interface: str, family: int, frame: bytes) -> None:
        try:
            packet = ipv4.decode(frame) if family == 4 else ipv6.decode(frame)
        except MalformedPacketError:
            return
        number = virtual_router_id(packet)
        if number is None:
            return
        for station in self._listening.get((interface, family, number), ()):
            if not station.hears(packet):
                continue
            self.lan.observer.hears(station)
            try:
                found = station.reception.accept(packet, station.machine.source, self.lan.now + self.clock_offset)
            except RejectedError as wrong:
                self.lan.observer.rejected(self, station, packet, wrong)
                continue
            self.dispatch(station.name, AdvertisementReceived(found, packet.source))

    # --- Links and trackers ---------------------------------------------------------------------------------------

    def links_changed(self) -> None:
        """Bring everything in line with the links as they are now."""
        if not self.alive or self.frozen or self.stopping:
            return
        due = self.settled.observe(self.kernel.links, self.lan.now)
        if due is not None and due != self._settles_at:
            self._settles_at = due
            self.call_later(due - self.lan.now, self.links_changed)
        self.track(self.stations)

    def announce_on(self, interface: str) -> None:
        """Announce again what is on an interface that is back, or has another MAC address."""
        for station in self.stations.values():
            used = {station.instance.interface, *(station.interface_of(one) for one in station.held)}
            if self.alive and not self.frozen and station.is_master and interface in used:
                begin_work(self, station, Announce(station.instance.garp.repeat))

    def track(self, names: Iterable[str]) -> None:
        """Bring the machines of these names up to what trackers and links say now."""
        if self.stopping:
            return
        checked = {key: check.works for key, check in self.checks.items()}
        known = {**self._unknown_links(), **self.settled.readings(), **self.readings, **checked}
        for name in list(names):
            self._track(self.stations[name], known)

    def _unknown_links(self) -> dict[Key, bool | int | None]:
        lines = [line for one in self.configuration.instances for line in one.tracked]
        lines += [line for group in self.configuration.groups for line in group.tracked]
        return {line.key: False for line in lines if line.kind is TrackerKind.INTERFACE}

    def _track(self, station: Station, known: dict[Key, bool | int | None]) -> None:
        name, instance = station.name, station.instance
        group = self.configuration.group_of(name)
        links, has_socket = self.kernel.links, instance.interface in self.kernel.links
        view = view_of(
            instance, links, self.settled, self._virtual, interface=instance.interface, has_socket=has_socket
        )
        faults = view.faults | tracking.faults(instance, known, group)
        if station.aside:
            faults |= {station.aside}
        for event in news.changed(station.machine, view.source, known, group):
            self.dispatch(name, event)
        before, station.faults = station.faults, faults
        for event in news.faults_changed(before, faults):
            self.dispatch(name, event)
        if not station.started and not tracking.undecided(instance, known, group):
            station.started = True
            self.dispatch(name, Startup(max(0.0, self._listens_until - self.lan.now)))
        self.lan.observer.tracked(self, station, known)

    # --- Checks ---------------------------------------------------------------------------------------------------

    def follow_checks(self) -> None:
        """Run the checks of the configuration; one that was running goes on, with what it has counted."""
        wanted = checks_of(self.configuration)
        kept = {key: one for key, one in self.checks.items() if key in wanted}
        self.checks = {key: kept.get(key, one) for key, one in wanted.items()}
        self.readings = {**looked_at(self.configuration), **self.readings}
        for key, check in self.checks.items():
            if key not in kept:
                self._run(check)

    def _run(self, check: Check) -> None:
        if self.checks.get(check.key) is check and not self.stopping:
            outcome = self.outcomes.get(check.key, Outcome.SUCCEEDS)
            self.call_later(check.duration(outcome), self._ran, check, outcome, self.lan.now)

    def _ran(self, check: Check, outcome: Outcome, begun: float) -> None:
        if self.checks.get(check.key) is not check:
            return
        self.lan.events += 1
        if check.ended(outcome):
            self.lan.note_check(self, check, outcome)
            self.track(self.stations)
        self.call_later(max(0.0, begun + check.definition.interval - self.lan.now), self._run, check)

    # --- Upkeep ---------------------------------------------------------------------------------------------------

    def _compare(self) -> None:
        """Take away, at the second look, what a router that is no master has still in the kernel."""
        if self.stopping:
            return
        self.lan.events += 1
        self.lan.observer.compared(self)
        compare(self)
        self.call_later(CHECK, self._compare)

    def set_aside(self, station: Station, cause: str) -> None:
        """Put a router into FAULT for a while, each time for a longer one, then let it try again."""
        if station.aside or station.gone or self.stopping:
            return
        station.aside = cause
        station.times_aside += 1
        wait = min(MOST_ASIDE, station.machine.master_down_interval * 2 ** (station.times_aside - 1))
        self.call_later(0.0, self._track_one, station)  # not amid the effects that have led here
        self.call_later(wait, self._try_again, station)

    def _try_again(self, station: Station) -> None:
        station.aside = ""
        station.failures = 0
        self._track_one(station)

    def _track_one(self, station: Station) -> None:
        if self.stations.get(station.name) is station:
            self.track([station.name])
