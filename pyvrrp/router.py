"""One virtual router at run time: the pure machine, and what is known and counted around it.

Laws: it holds, it does not act. ``fleet.py`` moves it; the status document is read from it.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hakit.transcript import Value
from pyvrrp.detection import Watcher
from pyvrrp.model import Instance
from pyvrrp.notifier import Notifier
from pyvrrp.protocol.machine import VirtualRouter
from pyvrrp.protocol.reception import Reception
from pyvrrp.protocol.states import Backup, Fault, Initialize
from pyvrrp.protocol.transmission import Transmission
from pyvrrp.status.statistics import Statistics
from pyvrrp.system.addresses import AddressWorker
from pyvrrp.system.sockets import AdvertisementSocket

if TYPE_CHECKING:
    from pyvrrp.intake import Listener


@dataclass(slots=True)
class Router:
    """A machine, its two sides of the wire, its two workers, its counters, and the reason of its last transition.

    ``faults`` are of its own links and trackers; those of its sync group are in the machine's state. ``delayed``: its
    start has to wait for the first result of a tracker without a weight. ``held``: an operator has demoted it.
    ``waiting``: a reload has brought it, and its VMAC is on its way. ``removed``: a reload has taken it away, and it is
    on its way out. ``failures``: advertisements in a row that did not leave. ``aside``: why it cannot serve for a
    while, for the ``times_aside``-th time. ``mended_at``: when addresses were put back lately.
    """

    machine: VirtualRouter
    reception: Reception
    transmission: Transmission
    addresses: AddressWorker
    notifier: Notifier
    listener: Listener | None = None
    tasks: list[asyncio.Future[None]] = field(default_factory=list)
    started: bool = False
    delayed: bool = False
    held: bool = False
    removed: bool = False
    waiting: bool = False
    faults: frozenset[str] = frozenset()
    failures: int = 0
    aside: str = ""
    times_aside: int = 0
    mended_at: list[float] = field(default_factory=list)
    watcher: Watcher = field(default_factory=Watcher)
    statistics: Statistics = field(default_factory=Statistics)
    why: str = "not started"
    rule: str = ""
    since: float = 0.0
    quiet_until: dict[str, float] = field(default_factory=dict)

    @property
    def instance(self) -> Instance:
        """The configuration of this router."""
        return self.machine.instance

    @property
    def name(self) -> str:
        """The name of its instance."""
        return self.machine.instance.name

    @property
    def socket(self) -> AdvertisementSocket | None:
        """Through which it sends; None while there is no interface."""
        return None if self.listener is None else self.listener.socket

    @property
    def is_master(self) -> bool:
        """Whether it is Master now."""
        return self.machine.state.name == "MASTER"

    @property
    def causes(self) -> frozenset[str]:
        """Why it is in FAULT, or would be if it had begun."""
        state = self.machine.state
        if isinstance(state, Fault):
            return state.causes
        return state.faults if isinstance(state, Initialize) else frozenset()

    def may_tell(self, kind: str, now: float, pause: float = 1.0) -> bool:
        """Return whether an event of this kind may be told now: at most one every ``pause`` seconds."""
        if now < self.quiet_until.get(kind, now):
            return False
        self.quiet_until[kind] = now + pause
        return True

    def status(self) -> dict[str, Value]:
        """Return what the ``status`` command says of this router; ``age`` is the seconds since its last transition."""
        instance, state = self.instance, self.machine.state
        backup = state if isinstance(state, Backup) else None
        now = time.monotonic()
        deadline = self.machine.deadline
        return {
            "name": instance.name,
            "interface": instance.interface,
            "virtual_router_id": instance.virtual_router_id,
            "version": instance.version,
            "family": instance.family,
            "state": state.name,
            "why": self.why,
            "rule": self.rule,
            "age": round(now - self.since, 3),
            "base_priority": instance.priority,
            "effective_priority": self.machine.priority,
            "advert_interval": instance.advert_interval,
            "master_down_interval": self.machine.master_down_interval,
            "source": str(self.machine.source),
            "master": str(backup.master) if backup is not None and backup.master else None,
            "master_priority": backup.master_priority if backup is not None else None,
            "deadline_in": None if deadline is None else round(deadline - now, 3),
            "held": self.held,
            "faults": list[Value](sorted(self.causes)),
            "addresses": [str(address) for address in instance.addresses],
            "peers": self.watcher.status(now),
            "split_brains": self.watcher.splits,
            "statistics": dict(self.statistics.as_dict()),
        }
