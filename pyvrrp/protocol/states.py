"""The states of a virtual router. A timer is a point in time (monotonic seconds) inside the state that owns it.

There is nothing to cancel: a state that is left takes its timers along, so a stale one cannot exist.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyvrrp.model import Address


@dataclass(frozen=True, slots=True)
class Initialize:
    """Not begun, or ended (RFC 3768 section 6.4.1). Faults that were raised already are kept for the start."""

    faults: frozenset[str] = frozenset()
    name = "INIT"


@dataclass(frozen=True, slots=True)
class Backup:
    """Watching a master (section 6.4.2). ``preempt_at``: until then a lower master is accepted (preempt_delay)."""

    master_down_at: float
    master: Address | None = None
    master_priority: int | None = None
    preempt_at: float | None = None
    has_slept: bool = False
    name = "BACKUP"


@dataclass(frozen=True, slots=True)
class Announcement:
    """Gratuitous ARP to come: when, and how many rounds."""

    at: float
    rounds: int


@dataclass(frozen=True, slots=True)
class Master:
    """Holding the addresses (section 6.4.3). ``answered_at``: when another master was last answered."""

    advertise_at: float
    announcement: Announcement | None = None
    answered_at: float | None = None
    name = "MASTER"


@dataclass(frozen=True, slots=True)
class Fault:
    """keepalived's addition: alive, but not fit to be master, for these causes (never empty)."""

    causes: frozenset[str]
    name = "FAULT"


State = Initialize | Backup | Master | Fault
