"""What can happen to a virtual router. Values only: who saw it happen, and when, is the shell's affair."""

from __future__ import annotations

from dataclasses import dataclass

from pyvrrp.model import Address, Instance
from pyvrrp.wire.advertisement import Advertisement


@dataclass(frozen=True, slots=True)
class Startup:
    """Begin: every tracked script without a weight has had its first result (RFC 3768 section 6.4.1).

    ``delay``: what is left of ``vrrp_startup_delay``, in seconds: the Master_Down_Interval begins behind it.
    """

    delay: float = 0.0


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
    source: Address


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

    address: Address


@dataclass(frozen=True, slots=True)
class Reconfigured:
    """A reload: the same virtual router with another configuration; what it is and knows stays as it is.

    ``priority``: the effective one under the new configuration; None: as far from the new base as it was from the old.
    """

    instance: Instance
    priority: int | None = None


@dataclass(frozen=True, slots=True)
class TakeOver:
    """Become Master now: an operator's ``promote``. Refused if the master that is heard would win it back at once."""

    reason: str


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Stop being Master now, with an advertisement of priority 0: an operator's ``demote``.

    Whoever takes over is accepted, even with a lower priority, until a ``TakeOver`` or until nobody is heard any more.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class SyncToMaster:
    """Every member of the sync group wants to be Master: all become it (said by ``groups.py`` alone)."""

    group: str


@dataclass(frozen=True, slots=True)
class SyncToBackup:
    """A member of the sync group has become Backup: the others follow (said by ``groups.py`` alone)."""

    group: str
    member: str


@dataclass(frozen=True, slots=True)
class SyncAnnouncement:
    """A member of the sync group has answered a lower master: all say where the addresses are (``groups.py`` alone)."""

    group: str
    member: str


Event = (
    Startup | Shutdown | Tick | AdvertisementReceived | PriorityChanged | FaultRaised | FaultCleared | SourceChanged
    | Reconfigured | TakeOver | GiveUp | SyncToMaster | SyncToBackup | SyncAnnouncement
)  # fmt: skip
