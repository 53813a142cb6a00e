"""A reload in a simulated node, as ``pyvrrp/reload.py`` carries it out: the difference alone is touched.

Laws: pure. Masters advertise first, so that the others have just heard of them; what is gone resigns; what is kept
keeps its state; an address that moves from one router to another is set after the other one has removed it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyvrrp.difference import difference
from pyvrrp.model import Configuration, Instance
from pyvrrp.protocol import tracking
from pyvrrp.protocol.events import Reconfigured, Shutdown
from pyvrrp.simulation.sending import advertise
from pyvrrp.simulation.station import Change
from pyvrrp.simulation.work import begin_work

if TYPE_CHECKING:
    from pyvrrp.simulation.node import Node


def reload(node: Node, after: Configuration) -> None:
    """Have the daemon of ``node`` go on with another configuration; one that does not run has it at its start."""
    if node.frozen:
        node.call_later(0.0, reload, node, after)  # the signal waits
        return
    if not node.alive or node.stopping:
        node.configuration = after
        return
    node.reloading = True
    change = difference(node.configuration, after)
    for station in node.stations.values():
        if station.is_master:
            advertise(node, station, station.machine.priority)
    for instance in change.gone:
        _retire(node, instance.name)
    stations = {will.name: node.stations[was.name] for was, will in (*change.kept, *change.same)}
    node.stations = {**stations, **{one.name: node.make_station(one) for one in change.come}}
    node.configuration = after
    node.regroup()
    node.follow_checks()
    changed = {will.name: (was, will) for was, will in change.kept}
    for one in after.instances:
        if one.name in changed:
            _change(node, *changed[one.name])
    for who, effect in node.ensemble.settle(node.lan.now):
        node.carry_out(who, effect)
    node.links_changed()
    node.reloading = False
    for station in node.stations.values():
        node.arm(station)
    node.lan.observer.reloaded(node)
    node.lan.observer.handled(node)


def _retire(node: Node, name: str) -> None:
    station = node.stations[name]
    node.dispatch(name, Shutdown())
    station.gone = True


def _change(node: Node, was: Instance, will: Instance) -> None:
    station = node.stations[will.name]
    station.reception.reconfigured(will)
    station.transmission.reconfigured(will)
    checked = {key: check.works for key, check in node.checks.items()}
    known = {**node.settled.readings(), **node.readings, **checked}
    priority = tracking.effective_priority(will, known, node.configuration.group_of(will.name))
    node.dispatch(will.name, Reconfigured(will, priority))
    begin_work(node, station, Change(was, will))
