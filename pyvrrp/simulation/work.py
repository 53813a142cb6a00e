"""What is done behind the advertisements: addresses, announcements, notifications, in the order in which it was asked.

Laws: pure. As ``pyvrrp/system/addresses.py`` does it: one act after the other for each router; gratuitous ARP goes out
only for addresses that the kernel has taken; what somebody else takes away is put back and announced, and if that goes
on and on, the router stands aside.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyvrrp.protocol.effects import AddAddresses, Announce, RemoveAddresses
from pyvrrp.protocol.timers import lease_is_due
from pyvrrp.simulation.station import Act, Change, Restore

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pyvrrp.model import VirtualAddress
    from pyvrrp.simulation.node import Node
    from pyvrrp.simulation.station import Station

FIGHT, FIGHT_TIME = 20, 60.0
"""So often within so many seconds an address is put back; then somebody is stronger."""


def begin_work(node: Node, station: Station, act: Act) -> None:
    """Have ``act`` done behind all that was asked for before."""
    if isinstance(act, AddAddresses | RemoveAddresses):
        station.given_up = isinstance(act, RemoveAddresses)
    station.acts.append(act)
    if len(station.acts) == 1:
        node.call_later(node.lan.act_time(), _work, node, station)


def _work(node: Node, station: Station) -> None:
    node.lan.events += 1
    act = station.acts[0]
    _do(node, station, act)
    if isinstance(act, RemoveAddresses | Change):
        mend(node)  # the kernel tells of it: another router may have begun to hold the same address
    station.acts.popleft()
    if station.acts:
        node.call_later(node.lan.act_time(), _work, node, station)
    node.worked(station)


def _do(node: Node, station: Station, act: Act) -> None:
    match act:
        case RemoveAddresses():
            _drop(node, station, station.carried)
        case AddAddresses() | Announce() | Restore() if station.given_up:
            pass  # another router has the addresses by now: whoever is late must not say otherwise
        case AddAddresses():
            station.held, station.renewed_at = [], node.lan.now
            _set(node, station, station.carried)
        case Announce(rounds):
            _announce(node, station, station.held, rounds)
        case Restore():
            back = [one for one in _lost(node, station) if _add(node, station, one)]
            station.held += [one for one in back if one not in station.held]
            _announce(node, station, back, station.instance.garp.repeat)
        case Change(before, after):
            old, new = (*before.addresses, *before.excluded), (*after.addresses, *after.excluded)
            _drop(node, station, [one for one in old if one not in new])
            fresh = [one for one in new if one not in old] if station.is_master else []
            _set(node, station, fresh)
            _announce(node, station, [one for one in station.held if one in fresh], after.garp.repeat)
        case _:
            pass  # notify scripts run here: nothing waits for them


def _set(node: Node, station: Station, wanted: Iterable[VirtualAddress]) -> None:
    station.held += [one for one in wanted if _add(node, station, one)]


def _add(node: Node, station: Station, address: VirtualAddress) -> bool:
    return node.kernel.add(station.interface_of(address), address.ip, station.instance.vip_lease)


def renew(node: Node, station: Station) -> bool:
    """Renew the lease of what is held, if that is due; returns whether an advertisement may leave."""
    lease, now = station.instance.vip_lease, node.lan.now
    if lease is None or not lease_is_due(now - station.renewed_at, station.instance.advert_interval, lease):
        return True
    there = [one for one in station.held if _is_there(node, station, one)]
    if not all(_add(node, station, one) for one in there):
        return False
    station.renewed_at = now
    return True


def _drop(node: Node, station: Station, unwanted: Iterable[VirtualAddress]) -> None:
    unwanted = list(unwanted)
    station.held = [one for one in station.held if one not in unwanted]
    for address in unwanted:
        node.kernel.remove(station.interface_of(address), address.ip)


def _announce(node: Node, station: Station, addresses: list[VirtualAddress], rounds: int) -> None:
    reached = [one for one in addresses if _may_send(node, station.interface_of(one))]
    if reached and rounds:
        node.lan.announced(node, station, reached)
        node.lan.observer.announced(node, station)


def _may_send(node: Node, interface: str) -> bool:
    link = node.kernel.links.get(interface)
    return link is not None and link.is_up


def _is_there(node: Node, station: Station, address: VirtualAddress) -> bool:
    return node.kernel.has(station.interface_of(address), address.ip)


def _lost(node: Node, station: Station) -> list[VirtualAddress]:
    """Return what should be in the kernel and is not: taken away by somebody, or refused when it was added."""
    should_be = station.carried if station.is_master else ()
    able = [one for one in should_be if one.tracked and station.interface_of(one) in node.kernel.links]
    return [one for one in able if one not in station.held or not _is_there(node, station, one)]


def mend(node: Node) -> None:
    """Put back what somebody has taken away: the kernel has told of it."""
    if not node.alive or node.frozen or node.stopping:
        return
    for station in node.stations.values():
        if any(one in station.held for one in _lost(node, station)):
            begin_work(node, station, Restore())
            _count(node, station)


def _count(node: Node, station: Station) -> None:
    now = node.lan.now
    station.mended_at = [at for at in (*station.mended_at, now) if now - at < FIGHT_TIME]
    if len(station.mended_at) > FIGHT:
        station.mended_at.clear()
        node.set_aside(station, "somebody takes its addresses away")


def compare(node: Node) -> None:
    """Put back what a master lacks; take away what any other router has still in the kernel at the second look."""
    node.kernel.looks_since_refusal += 1
    due = {one.ip for station in node.stations.values() if station.is_master for one in station.carried}
    for station in node.stations.values():
        if _lost(node, station):
            begin_work(node, station, Restore())
        astray = [one for one in station.carried if one.ip not in due and _is_there(node, station, one)]
        is_stray = bool(astray) and station.started and not station.is_master
        if is_stray and station.stray:
            begin_work(node, station, RemoveAddresses())
        station.stray = is_stray and not station.stray
