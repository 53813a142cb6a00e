"""How the next server is chosen: one small protocol, one table of algorithms by their name in ``balance``.

Laws: pure. An algorithm keeps nothing: its memory is a row of integers that the caller gives it, all zero at the start,
which may lie in memory shared by several processes. The caller sees to it that one pick at a time touches that row;
then the order is exact over all of them. Weights come in as they are at that moment: 0 means "not this one".
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Protocol

from tcpbalancer.balance.memory import Memory
from tcpbalancer.balance.roundrobin import RoundRobin


class Balancer(Protocol):
    """One algorithm."""

    def memory_size(self, servers: int) -> int:
        """Return how many integers (signed, 64 bits) the algorithm needs for this many servers."""
        ...

    def pick(self, memory: Memory, weights: Sequence[int], avoid: Collection[int] = ()) -> int | None:
        """Return the index of the next server, or None if every weight is 0.

        ``avoid`` holds servers that were just tried in vain: they lose their turn if there is another one.
        """
        ...


ALGORITHMS: Mapping[str, Callable[[], Balancer]] = MappingProxyType({"roundrobin": RoundRobin})
"""The algorithms by the name that stands behind the keyword ``balance``."""


def eligible(weights: Sequence[int], backups: Collection[int]) -> list[int]:
    """Return the weights of those who take part: ``backups`` only if nobody else is usable, and then the first one.

    ``weights`` is 0 for a server that is not usable now; ``backups`` holds the indexes of backup servers.
    """
    active = [0 if index in backups else weight for index, weight in enumerate(weights)]
    if any(active):
        return active
    first = next((index for index, weight in enumerate(weights) if weight), None)
    return [weight if index == first else 0 for index, weight in enumerate(weights)]
