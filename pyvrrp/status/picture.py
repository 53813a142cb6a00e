"""The running daemon as values, at one moment: what every dump is written from.

Laws: taken in one go, without waiting, so that all parts of a dump speak of the same moment. It holds no live object
and no secret is ever printed from it. Times are of day (seconds since 1970), as keepalived prints them; the daemon
itself keeps monotonic ones.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pyvrrp.ground import vmac_names
from pyvrrp.model import Address, Configuration, Instance, Interface, TrackerKind
from pyvrrp.protocol.groups import OF_A_GROUP
from pyvrrp.protocol.states import Backup, Fault, Initialize, Master, State
from pyvrrp.status import shown

if TYPE_CHECKING:
    from pyvrrp.daemon import Daemon
    from pyvrrp.router import Router
    from pyvrrp.system.link import Link
    from pyvrrp.trackers import RunningTracker

STATE_NUMBERS = {"INIT": 0, "BACKUP": 1, "MASTER": 2, "FAULT": 3}
"""keepalived's numbers of the states, as JSON and SNMP have them."""
_RUNNING, _BROADCAST, _LOOPBACK, _MULTICAST = 0x40, 0x2, 0x8, 0x1000


@dataclass(frozen=True, slots=True)
class RouterPicture:
    """One virtual router. ``changed_at``, ``due_at``: of day; 0 for never. ``down_after``: seconds.

    ``held``: the addresses of the instance that are on their interfaces. ``advert_interval`` is the one in force,
    which a version 3 backup has learned from its master. ``descriptors``: of its sockets, for receiving and sending.
    ``script_commands``: what it tracks by ``track_script``, as commands.
    """

    instance: Instance
    state: State
    priority: int
    source: Address | None
    statistics: Mapping[str, int]
    changed_at: float = 0.0
    due_at: float = 0.0
    down_after: float = 0.0
    advert_interval: float = 1.0
    faults: frozenset[str] = frozenset()
    undecided: int = 0
    held: frozenset[Interface] = frozenset()
    descriptors: tuple[int, int] = (-1, -1)
    script_commands: tuple[str, ...] = ()

    @property
    def master(self) -> tuple[Address | None, int]:
        """Who is heard as master, and its priority; 0 while nobody is."""
        if isinstance(self.state, Backup):
            return self.state.master, self.state.master_priority or 0
        return None, 0

    @property
    def wanted(self) -> str:
        """keepalived's ``Wantstate``: its state, but BACKUP if it is in FAULT for the sake of its group alone."""
        own = any(not cause.startswith(OF_A_GROUP) for cause in self.faults)
        return self.state.name if isinstance(self.state, Master | Backup) or own else "BACKUP"


@dataclass(frozen=True, slots=True)
class TrackerPicture:
    """One tracker: what it says (None: nothing yet), the counter of its results, and whether it runs just now."""

    kind: TrackerKind
    name: str
    reading: bool | int | None = None
    count: int = 0
    running: bool = False


@dataclass(frozen=True, slots=True)
class LinkPicture:
    """One interface of the machine."""

    name: str
    index: int
    is_up: bool
    hardware_address: bytes = b""
    addresses: tuple[Interface, ...] = ()
    mtu: int = 1500
    flags: int = _RUNNING | _BROADCAST | _MULTICAST
    base: str | None = None

    def first(self, version: int) -> str:
        """Return its first address of this family, or ``(none)``; of IPv6 the link-local one."""
        fitting = [one.ip for one in self.addresses if one.version == version]
        if version == 6:
            fitting = [address for address in fitting if address.is_link_local]
        return str(fitting[0]) if fitting else "(none)"

    @property
    def is_loopback(self) -> bool:
        """Whether it leads nowhere but back."""
        return bool(self.flags & _LOOPBACK)


@dataclass(frozen=True, slots=True)
class Picture:
    """The daemon at one moment. ``groups``: the state of each sync group by name. ``pid``: of the process."""

    configuration: Configuration
    routers: tuple[RouterPicture, ...]
    trackers: Mapping[tuple[TrackerKind, str], TrackerPicture]
    links: tuple[LinkPicture, ...] = ()
    groups: Mapping[str, str] | None = None
    host: str = ""
    pid: int = 0


def take(daemon: Daemon) -> Picture:
    """Return what ``daemon`` is now."""
    names = {link.index: name for name, link in daemon.links.items()}
    links = {name: _link(link, names) for name, link in daemon.links.items()}
    named = vmac_names(daemon.configuration)
    routers = tuple(
        _router(router, links, daemon.configuration, named.get(name)) for name, router in daemon.routers.items()
    )
    trackers = [_tracker(tracker) for tracker in daemon.trackers.values()]
    return Picture(
        configuration=daemon.configuration,
        routers=routers,
        trackers={(tracker.kind, tracker.name): tracker for tracker in trackers},
        links=tuple(sorted(links.values(), key=lambda link: link.index)),
        groups=dict(daemon.groups),
        host=os.uname().nodename.partition(".")[0],
        pid=os.getpid(),
    )


def _router(
    router: Router, links: Mapping[str, LinkPicture], configuration: Configuration, vmac_name: str | None
) -> RouterPicture:
    machine, instance = router.machine, router.machine.instance
    if instance.vmac is not None and vmac_name is not None:
        instance = replace(instance, vmac=replace(instance.vmac, name=vmac_name))
    ahead = time.time() - time.monotonic()
    deadline = machine.deadline
    descriptor = -1 if router.socket is None else router.socket.fileno()
    return RouterPicture(
        instance=instance,
        state=machine.state,
        priority=machine.priority,
        source=None if machine.source.is_unspecified else machine.source,
        statistics=router.statistics.as_dict(),
        changed_at=router.since + ahead if router.since else 0.0,
        due_at=0.0 if deadline is None else deadline + ahead,
        down_after=machine.master_down_interval,
        advert_interval=machine.master_adver_interval,
        faults=machine.state.causes if isinstance(machine.state, Fault) else frozenset(),
        undecided=int(isinstance(machine.state, Initialize)),
        held=_held(instance, machine.state, links),
        descriptors=(descriptor, descriptor),
        script_commands=tuple(
            shown.command(configuration.script(line.name).script.words) for line in instance.track_scripts
        ),
    )


def _held(instance: Instance, state: State, links: Mapping[str, LinkPicture]) -> frozenset[Interface]:
    if not isinstance(state, Master):
        return frozenset()
    there = {address for link in links.values() for address in link.addresses}
    return frozenset(one.interface for one in (*instance.addresses, *instance.excluded) if one.interface in there)


def _tracker(tracker: RunningTracker) -> TrackerPicture:
    told = tracker.status()
    count = told.get("count", told.get("health", 0))
    return TrackerPicture(
        kind=tracker.kind,
        name=tracker.name,
        reading=tracker.reading,
        count=count if isinstance(count, int) else 0,
        running=bool(told.get("running", False)),
    )


def _link(link: Link, names: Mapping[int, str]) -> LinkPicture:
    return LinkPicture(
        name=link.name,
        index=link.index,
        is_up=link.is_up,
        hardware_address=link.hardware_address,
        addresses=link.addresses,
        mtu=link.mtu,
        flags=link.flags,
        base=names.get(link.base) if link.base is not None and link.kind == "macvlan" else None,
    )
