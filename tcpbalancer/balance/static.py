"""``balance static-rr``: in turns along a map in which every server stands as often as its weight says.

Laws: pure. The map depends on the weights of those who take part, and on nothing else; it is the same that a hash is
looked up in (``hash-type map-based``). Its order is HAProxy's (``lb_map.c``): place by place, each server gains its own
weight, and the one whose account has grown most, the first in the file among equals, pays the sum of all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

from tcpbalancer.balance.choice import Choice
from tcpbalancer.balance.memory import Memory


@lru_cache(maxsize=64)
def server_map(weights: tuple[int, ...]) -> tuple[int, ...]:
    """Return the map: slots, each as often as its share of the weights, which are reduced as far as they can be."""
    divisor = math.gcd(*weights)
    if not divisor:
        return ()
    shares = {slot: weight // divisor for slot, weight in enumerate(weights) if weight}
    total = sum(shares.values())
    if total == 1:
        return tuple(shares)
    accounts = dict.fromkeys(shares, 0)
    places = []
    for _ in range(total):
        for slot, share in shares.items():
            accounts[slot] += share
        best = max(shares, key=lambda slot: (accounts[slot] + total) // total)  # max() takes the first among equals
        accounts[best] -= total
        places.append(best)
    return tuple(places)


class StaticRoundRobin:
    """The algorithm; it remembers the place of the next turn in the map."""

    counts = False
    draws = 0
    hashes = False
    dynamic = False

    def memory_size(self, servers: int) -> int:  # noqa: ARG002 - the protocol's
        """Return 1: the place."""
        return 1

    def pick(self, memory: Memory, choice: Choice) -> int | None:
        """Return the next slot in the map that has room; see ``Balancer.pick``."""
        return next_in_turn(server_map(tuple(choice.weights)), memory, choice)


def next_in_turn(places: Sequence[int], memory: Memory, choice: Choice) -> int | None:
    """Return the next slot that has room, from the place in ``memory[0]`` on, and move that place behind it."""
    start = memory[0] if memory[0] < len(places) else 0
    avoided: int | None = None
    for step in range(len(places)):
        place = (start + step) % len(places)
        slot = places[place]
        if slot in choice.full:
            continue
        if slot != choice.avoid:
            memory[0] = place + 1
            return slot
        avoided = place
    if avoided is None:
        return None
    memory[0] = avoided + 1
    return choice.avoid
