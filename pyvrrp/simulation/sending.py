"""How a simulated node sends: the advertisement to everybody on its LAN, or to each peer, unless something refuses it.

Laws: pure. The rules are those of ``pyvrrp/acts.py``: an advertisement that does not leave is counted and tried again
within a quarter of the interval; two in a row make a master stand aside; what a link that is down causes is a fault by
itself. None leaves before the lease of the addresses is renewed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyvrrp.protocol.machine import RESIGN
from pyvrrp.simulation.work import renew
from pyvrrp.wire import ipv4, ipv6

if TYPE_CHECKING:
    from pyvrrp.simulation.node import Node
    from pyvrrp.simulation.station import Station

FAILURES = 2
"""Advertisements in a row that did not leave, after which a master is none."""


def advertise(node: Node, station: Station, priority: int) -> None:
    """Send one advertisement of this priority now."""
    instance = station.machine.instance
    link = node.kernel.links.get(instance.interface)
    if link is None or not link.is_up:
        return  # a fault by itself, or the configuration says that it is none
    if node.kernel.send_error or (priority != RESIGN and not renew(node, station)):
        _did_not_leave(node, station, priority)
        return
    packets = station.transmission.packets(priority, station.machine.source, node.lan.now + node.clock_offset)
    encode = ipv4.encode if instance.family == 4 else ipv6.encode
    frames = [encode(packet) for packet in packets]
    station.failures = 0
    node.lan.observer.sent(node, station, priority, frames)
    for packet, frame in zip(packets, frames, strict=True):
        node.lan.transmit(node, instance.interface, packet.destination, frame)


def _did_not_leave(node: Node, station: Station, priority: int) -> None:
    if priority == RESIGN or not station.is_master:
        return
    station.failures += 1
    if station.failures >= FAILURES:
        node.set_aside(station, f"advertisements do not leave {station.instance.interface}")
    else:
        node.call_later(station.instance.advert_interval / 4, _try_again, node, station)


def _try_again(node: Node, station: Station) -> None:
    if not station.failures or not station.is_master or station.gone:
        return
    node.lan.events += 1
    advertise(node, station, station.machine.priority)
