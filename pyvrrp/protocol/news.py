"""What a router has to be told once something that it tracks, or one of its links, is not as it was.

Laws: pure, and in this order: the source address, by which ties are decided, then the priority, then the faults. The
daemon and the simulator both tell their machines through this.
"""

from __future__ import annotations

from collections.abc import Iterator

from pyvrrp.model import Address, SyncGroup
from pyvrrp.protocol import tracking
from pyvrrp.protocol.events import Event, FaultCleared, FaultRaised, PriorityChanged, SourceChanged
from pyvrrp.protocol.machine import VirtualRouter


def changed(
    machine: VirtualRouter, source: Address | None, readings: tracking.Readings, group: SyncGroup | None = None
) -> Iterator[Event]:
    """Yield the new source address (None: there is none, and the last one stays) and the new effective priority."""
    if source is not None and source != machine.source:
        yield SourceChanged(source)
    priority = tracking.effective_priority(machine.instance, readings, group)
    if priority != machine.priority:
        yield PriorityChanged(priority)


def faults_changed(before: frozenset[str], now: frozenset[str]) -> Iterator[Event]:
    """Yield the causes of FAULT that have come, then those that have gone: a fault for a fault is no recovery."""
    for cause in sorted(now - before):
        yield FaultRaised(cause)
    for cause in sorted(before - now):
        yield FaultCleared(cause)
