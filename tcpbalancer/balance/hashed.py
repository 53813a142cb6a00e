"""``balance source`` and ``balance hash``: the same key comes to the same server, by a map or by a ring.

Laws: pure. The server that the key means is chosen whether it has room or not: who belongs there waits for it. With
``hash-type map-based`` the hash is looked up in the map of ``static-rr``: fast, but a server that comes or goes moves
most keys. With ``consistent`` every server stands on a ring as often as its effective weight says, at places that
depend on its number only, and the nearest one is meant: only the keys of that server move (``lb_map.c``,
``lb_chash.c``).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from functools import lru_cache

from tcpbalancer.balance.choice import Choice
from tcpbalancer.balance.hashing import FUNCTIONS, avalanche, folded
from tcpbalancer.balance.memory import Memory
from tcpbalancer.balance.static import next_in_turn, server_map
from tcpbalancer.model import Hashing

PLACES_PER_SERVER = 256 * 16
"""Numbers on the ring that belong to one server's number (SRV_EWGHT_RANGE)."""
_CIRCLE = 1 << 32


Digest = Callable[[bytes], int]
"""Makes a number of 32 bits of a key."""


def digest_of(hashing: Hashing, *, is_source: bool) -> Digest:
    """Return what hashes keys: ``balance source`` folds the address, whatever function is named, as HAProxy does."""
    function = folded if is_source else FUNCTIONS[hashing.function]
    return (lambda key: avalanche(function(key))) if hashing.avalanche else function


class MapHashed:
    """The algorithm on a map; it remembers the place of the next turn for those who have no key."""

    counts = False
    draws = 0
    hashes = True
    dynamic = False

    def __init__(self, digest: Digest) -> None:
        self._digest = digest

    def memory_size(self, servers: int) -> int:  # noqa: ARG002 - the protocol's
        """Return 1: the place."""
        return 1

    def pick(self, memory: Memory, choice: Choice) -> int | None:
        """Return the slot that the key means; see ``Balancer.pick``."""
        places = server_map(tuple(choice.weights))
        if choice.key is None or not places:
            return next_in_turn(places, memory, choice)
        return places[self._digest(choice.key) % len(places)]


class Hashed:
    """The algorithm on a ring."""

    draws = 0
    hashes = True
    dynamic = True

    def __init__(self, digest: Digest, identities: Sequence[int], balance_factor: int = 0) -> None:
        """``identities`` are the numbers of the first slots; a slot beyond them has its place as its number."""
        self._digest = digest
        self._identities = tuple(identities)
        self._factor = balance_factor
        self.counts = bool(balance_factor)

    def memory_size(self, servers: int) -> int:  # noqa: ARG002 - the protocol's
        """Return 1: the place of the next turn for those who have no key."""
        return 1

    def pick(self, memory: Memory, choice: Choice) -> int | None:
        """Return the slot that is nearest to the key; see ``Balancer.pick``."""
        weights = tuple(choice.weights)
        if choice.key is None:
            return next_in_turn(server_map(weights), memory, choice)
        ring = _ring(self._identities, weights)
        if not ring:
            return None
        nearest = _nearest(ring, self._digest(choice.key))
        # The one to avoid, and those with more than their share (hash-balance-factor), pass the key to the next.
        for step in range(len(ring)):
            slot = ring[(nearest + step) % len(ring)][1]
            if slot != choice.avoid and self._has_share(slot, choice):
                return slot
        return ring[nearest][1]

    def _has_share(self, slot: int, choice: Choice) -> bool:
        """Whether a server has less than its share: ``hash-balance-factor`` percent of the average load."""
        if not self._factor:
            return True
        total = sum(choice.weights)
        sessions = ((sum(choice.served) + 1) * self._factor + 99) // 100
        each, rest = divmod(sessions, total)
        before = sum(choice.weights[:slot])
        weight = choice.weights[slot]
        share = weight * each + (before + weight) * rest // total - before * rest // total
        return choice.served[slot] < max(share, 1)


@lru_cache(maxsize=8)
def _ring(identities: tuple[int, ...], weights: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    """Return the ring: pairs of a place and a slot, in order."""
    ring = []
    for slot, weight in enumerate(weights):
        identity = identities[slot] if slot < len(identities) else slot + 1
        ring += [(place, slot) for place in _places(identity)[:weight]]
    return tuple(sorted(ring))


@lru_cache(maxsize=1024)
def _places(identity: int) -> tuple[int, ...]:
    """Return all places that a server may take on the ring."""
    return tuple(avalanche((identity * PLACES_PER_SERVER + node) % _CIRCLE) for node in range(PLACES_PER_SERVER))


def _nearest(ring: Sequence[tuple[int, int]], value: int) -> int:
    """Return the index of the entry that is nearest to ``value``; the one before it among equals."""
    after = bisect_left(ring, (value, -1)) % len(ring)
    before = after - 1
    if (value - ring[before][0]) % _CIRCLE <= (ring[after][0] - value) % _CIRCLE:
        return before % len(ring)
    return after
