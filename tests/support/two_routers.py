"""The pairs of routers between which everything is tried, and how far."""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import IPv4Address

from pyvrrp.model import GratuitousArp, Instance
from pyvrrp.simulation.exhaustive import Found, Search

PLAIN = Instance("VI_1", "eth0", 51, garp=GratuitousArp(delay=0.0, lower_prio_delay=0.0))
SOURCES = (IPv4Address("192.0.2.1"), IPv4Address("192.0.2.2"))
TO_THE_END = 100
"""Steps that are never needed: nothing is new long before."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two priorities, whether they preempt; ``faults``: whether routers fail, too; how many steps at most."""

    priorities: tuple[int, int]
    preempt: bool
    faults: bool
    most: int
    interval: float = 1.0

    def __str__(self) -> str:
        words = f"{self.priorities[0]} and {self.priorities[1]}, {'preempt' if self.preempt else 'nopreempt'}"
        return words if self.interval == 1 else f"{words}, version 3, {self.interval:g} s"

    def search(self) -> Found:
        """Try everything. Raises BrokenInvariantError."""
        plain = PLAIN if self.interval == 1 else replace(PLAIN, version=3, advert_interval=self.interval)
        first, second = (replace(plain, priority=one, preempt=self.preempt) for one in self.priorities)
        return Search((first, second), SOURCES, faults=self.faults).run(self.most)


PAIRS = (
    Pair((100, 150), preempt=True, faults=False, most=TO_THE_END),
    Pair((100, 100), preempt=True, faults=False, most=TO_THE_END),
    Pair((100, 150), preempt=False, faults=False, most=TO_THE_END),
    Pair((100, 150), preempt=True, faults=False, most=TO_THE_END, interval=0.5),
    Pair((100, 150), preempt=True, faults=True, most=13),
    Pair((100, 100), preempt=True, faults=True, most=13),
    Pair((100, 150), preempt=False, faults=True, most=13),
)
