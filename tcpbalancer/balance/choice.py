"""What there is to choose from, at one moment; and the protocol of those who choose.

Laws: pure. Weights are the effective ones, at HAProxy's scale (16 for each unit of ``weight``). Slots of servers that
nobody may pick now have weight 0. Random numbers and what is hashed come in as values.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from tcpbalancer.balance.memory import Memory


@dataclass(frozen=True, slots=True)
class Choice:
    """One pick's circumstances; all sequences have an entry for each slot.

    ``full`` holds those without room for one more session, ``crowded`` those of them that have no place in their queue
    either. ``avoid`` was just tried in vain. ``served`` and ``queued`` are the sessions that each server has and that
    wait for it, ``released`` tells when each last lost one (any clock): all empty unless the algorithm ``counts``.
    ``key`` is what is hashed, None if there is nothing of that kind; ``draws`` are random numbers of 32 bits.
    """

    weights: Sequence[int]
    full: Collection[int] = ()
    crowded: Collection[int] = ()
    avoid: int | None = None
    served: Sequence[int] = ()
    queued: Sequence[int] = ()
    released: Sequence[int] = ()
    key: bytes | None = None
    draws: Sequence[int] = ()

    def usable(self) -> list[int]:
        """Return the slots with a weight."""
        return [slot for slot, weight in enumerate(self.weights) if weight]

    def first_free(self, order: Sequence[int]) -> int | None:
        """Return the first of ``order`` that has room, the one to avoid only if there is no other."""
        free = [slot for slot in order if slot not in self.full]
        return next((slot for slot in free if slot != self.avoid), free[0] if free else None)


class Balancer(Protocol):
    """One algorithm.

    ``counts``: it wants to know how many sessions servers have. ``draws``: how many random numbers it needs.
    ``hashes``: it wants a key, and may choose a server that is full: then the session waits for that one, unless it is
    crowded. ``dynamic``: it honours weights that change while it runs.
    """

    counts: bool
    draws: int
    hashes: bool
    dynamic: bool

    def memory_size(self, servers: int) -> int:
        """Return how many integers (signed, 64 bits) the algorithm needs for this many slots."""
        ...

    def pick(self, memory: Memory, choice: Choice) -> int | None:
        """Return the slot of the next server, or None if there is none with room."""
        ...
