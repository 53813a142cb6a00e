"""The states of a virtual router. A timer is a point in time (monotonic seconds) inside the state that owns it.

There is nothing to cancel: a state that is left takes its timers along, so a stale one cannot exist.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyvrrp.model import Address
from pyvrrp.protocol.effects import Reason


@dataclass(frozen=True, slots=True)
class Initialize:
    """Not begun, or ended (RFC 3768 section 6.4.1). Faults that were raised already are kept for the start."""

    faults: frozenset[str] = frozenset()
    name = "INIT"


@dataclass(frozen=True, slots=True)
class Backup:
    """Watching a master (section 6.4.2).

    ``preempt_at``: until then a lower master is accepted (preempt_delay). ``follows``: the last advertisement was
    accepted. ``learned_interval``: Master_Adver_Interval as the master tells it, in version 3. ``listens_until``: the
    end of the startup delay. ``wants_master``: why it would be Master now, if its sync group would. ``gives_way``: an
    operator made it give up, so it accepts any master. ``resigned``: the master that it followed says that it stops.
    """

    master_down_at: float
    master: Address | None = None
    master_priority: int | None = None
    preempt_at: float | None = None
    has_slept: bool = False
    follows: bool = False
    learned_interval: float | None = None
    listens_until: float | None = None
    wants_master: Reason | None = None
    gives_way: bool = False
    resigned: bool = False
    name = "BACKUP"


@dataclass(frozen=True, slots=True)
class Announcement:
    """Gratuitous ARP to come: when, and how many rounds; ``then``: when the first refresh comes behind it."""

    at: float
    rounds: int
    then: float | None = None


@dataclass(frozen=True, slots=True)
class Rival:
    """Another owner of the same addresses: if it is heard between these two points in time, it will not back off."""

    begins: float
    ends: float


@dataclass(frozen=True, slots=True)
class Master:
    """Holding the addresses (section 6.4.3). ``answered_at``: when another master was last answered.

    ``announced_at``: when the addresses were last announced because of one. ``inherited``: the master before has
    resigned, so nobody else thinks that he is one.
    """

    advertise_at: float
    announcement: Announcement | None = None
    answered_at: float | None = None
    announced_at: float | None = None
    inherited: bool = False
    rival: Rival | None = None
    name = "MASTER"


@dataclass(frozen=True, slots=True)
class Fault:
    """keepalived's addition: alive, but not fit to be master, for these causes (never empty)."""

    causes: frozenset[str]
    name = "FAULT"


State = Initialize | Backup | Master | Fault
