"""What can happen to a virtual router. Values only: who saw it happen, and when, is the shell's affair."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address

from pyvrrp.wire.advertisement import Advertisement


@dataclass(frozen=True, slots=True)
class Startup:
    """Begin: every tracked script without a weight has had its first result (RFC 3768 section 6.4.1)."""


@dataclass(frozen=True, slots=True)
class Shutdown:
    """End: resign, release the addresses, forget everything."""


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed. Early is harmless; late hurts service."""


@dataclass(frozen=True, slots=True)
class AdvertisementReceived:
    """An advertisement that ``reception`` has accepted, and who sent it."""

    advertisement: Advertisement
    source: IPv4Address


@dataclass(frozen=True, slots=True)
class PriorityChanged:
    """Tracking says that the effective priority is now this one, 1 .. 254 (an owner's never changes)."""

    priority: int


@dataclass(frozen=True, slots=True)
class FaultRaised:
    """Something without which this router must not be master: a link, a script of weight 0, the source address."""

    cause: str


@dataclass(frozen=True, slots=True)
class FaultCleared:
    """One cause is gone; said of a cause that was never there, it changes nothing."""

    cause: str


@dataclass(frozen=True, slots=True)
class SourceChanged:
    """The primary address of the interface, from which advertisements are sent; ties are decided by it."""

    address: IPv4Address


Event = Startup | Shutdown | Tick | AdvertisementReceived | PriorityChanged | FaultRaised | FaultCleared | SourceChanged
