"""What a virtual router wants done. The shell carries them out in the order in which they stand."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING

from pyvrrp.model import Address

if TYPE_CHECKING:
    from collections.abc import Mapping


class NotifyState(Enum):
    """What notify scripts and FIFOs are told, as keepalived spells it."""

    MASTER = "MASTER"
    BACKUP = "BACKUP"
    FAULT = "FAULT"
    STOP = "STOP"
    DELETED = "DELETED"
    MASTER_RX_LOWER_PRI = "MASTER_RX_LOWER_PRI"
    MASTER_PRIORITY = "MASTER_PRIORITY"
    BACKUP_PRIORITY = "BACKUP_PRIORITY"


@dataclass(frozen=True, slots=True)
class Reason:
    """Why: the rule that was applied, and one sentence with the values that made it apply."""

    rule: str
    text: str


@dataclass(frozen=True, slots=True)
class SendAdvertisement:
    """Multicast one advertisement with this priority; 0 resigns."""

    priority: int


@dataclass(frozen=True, slots=True)
class AddAddresses:
    """Put all addresses of the instance on their interfaces."""


@dataclass(frozen=True, slots=True)
class RemoveAddresses:
    """Take all addresses of the instance from their interfaces; those that are not there are no error."""


@dataclass(frozen=True, slots=True)
class Announce:
    """Send this many rounds of gratuitous ARP for all addresses, after the kernel has confirmed them."""

    rounds: int


@dataclass(frozen=True, slots=True)
class Notify:
    """Run the notify scripts for this state, in order."""

    state: NotifyState
    priority: int


@dataclass(frozen=True, slots=True)
class Transitioned:
    """The state has changed, and why; ``before`` and ``after`` are INIT, BACKUP, MASTER or FAULT."""

    before: str
    after: str
    reason: Reason


@dataclass(frozen=True, slots=True)
class Observed:
    """Something worth telling that changed no state; ``name`` is an event's name, ``values`` explain it."""

    name: str
    reason: Reason
    values: Mapping[str, str | int | float] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class MasterHeard:
    """Another router is heard as master, or with another priority than before."""

    address: Address
    priority: int


@dataclass(frozen=True, slots=True)
class WantsMaster:
    """A member of a sync group would be Master now, if all the others would; ``groups.py`` hears it, nobody else."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class GroupTransitioned:
    """A whole sync group has changed its state (INIT, BACKUP, MASTER, FAULT), and why; after its members' effects.

    The text of the reason is the whole log line, ``VRRP_Group(G1) Syncing instances to MASTER state``.
    """

    group: str
    before: str
    after: str
    reason: Reason


@dataclass(frozen=True, slots=True)
class NotifyGroup:
    """Run the notify scripts of a sync group for this state; its priority is 0 in every case."""

    group: str
    state: NotifyState


Effect = (
    SendAdvertisement | AddAddresses | RemoveAddresses | Announce | Notify | Transitioned | Observed | MasterHeard
    | WantsMaster | GroupTransitioned | NotifyGroup
)  # fmt: skip
