"""One virtual router at run time: the pure machine, and what is known and counted around it.

Laws: it holds, it does not act. The daemon moves it; the status document is read from it.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

from hakit.transcript import Value
from pyvrrp.model import Instance
from pyvrrp.notifier import Notifier
from pyvrrp.protocol.machine import VirtualRouter
from pyvrrp.protocol.states import Backup
from pyvrrp.status.statistics import Statistics
from pyvrrp.system.addresses import AddressWorker
from pyvrrp.system.sockets import AdvertisementSocket


@dataclass(slots=True)
class Router:
    """A machine, its socket, its two workers, its timer, its counters, and the reason of its last transition.

    ``delayed``: its start has to wait for the first result of a script without a weight.
    """

    machine: VirtualRouter
    socket: AdvertisementSocket
    addresses: AddressWorker
    notifier: Notifier
    timer: asyncio.TimerHandle | None = None
    started: bool = False
    delayed: bool = False
    faults: frozenset[str] = frozenset()
    statistics: Statistics = field(default_factory=Statistics)
    why: str = "not started"
    since: float = 0.0
    quiet_until: dict[str, float] = field(default_factory=dict)

    @property
    def instance(self) -> Instance:
        """The configuration of this router."""
        return self.machine.instance

    def may_tell(self, kind: str, now: float, pause: float = 1.0) -> bool:
        """Return whether an event of this kind may be told now: at most one every ``pause`` seconds."""
        if now < self.quiet_until.get(kind, now):
            return False
        self.quiet_until[kind] = now + pause
        return True

    def status(self) -> dict[str, Value]:
        """Return what the ``status`` command says of this router; ``age`` is the seconds since its last transition."""
        state = self.machine.state
        master = str(state.master) if isinstance(state, Backup) and state.master else None
        now = time.monotonic()
        deadline = self.machine.deadline
        return {
            "name": self.instance.name,
            "interface": self.instance.interface,
            "virtual_router_id": self.instance.virtual_router_id,
            "state": state.name,
            "why": self.why,
            "age": round(now - self.since, 3),
            "base_priority": self.instance.priority,
            "effective_priority": self.machine.priority,
            "source": str(self.machine.source),
            "master": master,
            "deadline_in": None if deadline is None else round(deadline - now, 3),
            "faults": list[Value](sorted(self.faults)),
            "addresses": [str(address) for address in self.instance.addresses],
            "statistics": dict(self.statistics.as_dict()),
        }
