"""What the interfaces of this machine mean for an instance: the faults they cause, and the address to send from.

Laws: everything is derived anew from the links as they are now; nothing is remembered but since when a link is as it
is, for those of ``interface_up_down_delays``. An interface that is not there is down. No address that any instance
carries is ever sent from, whoever left it there (a crash, say).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from pyvrrp.model import Address, Instance, Settling, TrackerKind, Unicast
from pyvrrp.system.link import Link

NO_SETTLING = Settling()


@dataclass(frozen=True, slots=True)
class LinkView:
    """What one instance sees of the links: its faults by cause, and where it sends from (None: from nowhere)."""

    faults: frozenset[str]
    source: Address | None


class Settled:
    """Which links count as up: a change counts once it has lasted as long as ``interface_up_down_delays`` asks."""

    def __init__(self, settling: Mapping[str, Settling]) -> None:
        self.settling = settling
        self._up: dict[str, bool] = {}
        self._changing: dict[str, float] = {}

    def observe(self, links: Mapping[str, Link], now: float) -> float | None:
        """Take in the links as they are ``now``; returns when the next change will count, None if none waits."""
        for name in links.keys() | self._up.keys():
            link = links.get(name)
            is_up = link is not None and link.is_up
            if name not in self._up or is_up is self._up[name]:
                self._up.setdefault(name, is_up)
                self._changing.pop(name, None)
                continue
            delays = self.settling.get(name) or self.settling.get("", NO_SETTLING)
            delay = delays.up if is_up else delays.down
            if now >= self._changing.setdefault(name, now + delay):
                self._up[name] = is_up
                del self._changing[name]
        return min(self._changing.values(), default=None)

    def is_up(self, name: str) -> bool:
        """Return whether the link of this name counts as up; one that is not known does not."""
        return self._up.get(name, False)

    def readings(self) -> dict[tuple[TrackerKind, str], bool | int | None]:
        """Return which links are up, as readings for ``track_interface``."""
        return {(TrackerKind.INTERFACE, name): is_up for name, is_up in self._up.items()}


def view_of(
    instance: Instance,
    links: Mapping[str, Link],
    settled: Settled,
    virtual: Collection[Address],
    *,
    interface: str,
    has_socket: bool,
) -> LinkView:
    """Return what ``instance`` has of the links. ``interface``: what it sends through (its own, or its VMAC)."""
    faults = {f"interface {name} down" for name in instance.devices if not settled.is_up(name)}
    own = links.get(instance.interface)
    source = _source(instance, own, virtual)
    if not has_socket:
        faults.add(f"no socket on {interface}")
    if source is None:
        faults.add(f"no IPv{instance.family} address on {instance.interface}")
    elif instance.source is not None and instance.track_source and not _has(links, instance.source):
        faults.add(f"source address {instance.source} is not there")
    transport = instance.transport
    if isinstance(transport, Unicast) and not transport.peers and transport.fault_no_peer:
        faults.add("no unicast peer")
    return LinkView(frozenset(faults), source)


def _source(instance: Instance, own: Link | None, virtual: Collection[Address]) -> Address | None:
    if instance.source is not None:
        return instance.source
    if own is None:
        return None
    found = own.source(virtual, instance.family)
    if found is None and instance.family == 6 and isinstance(instance.transport, Unicast):
        usable = (one.ip for one in own.addresses if one.version == 6 and one.ip not in own.unusable)
        return next((ip for ip in usable if ip not in virtual), None)
    return found


def _has(links: Mapping[str, Link], address: Address) -> bool:
    return any(address == one.ip for link in links.values() for one in link.addresses)
