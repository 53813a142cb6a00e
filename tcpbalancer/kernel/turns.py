"""Whose turn it is: weights become a list of slots, through which the kernel counts or hashes.

Laws: pure. Each index stands in the list as often as its weight says, as evenly as that goes. A list may be a little
less exact than the weights if it would be longer than ``MOST_TURNS``.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from math import gcd
from typing import Final

MOST_TURNS: Final = 4096
"""Slots of a list: an element of a verdict map each, which the kernel finds in constant time."""


def turns(weights: Sequence[int]) -> list[int]:
    """Return the indices of the weights in the order of their turns; empty if no weight is above zero."""
    divisor = reduce(gcd, weights, 0)
    if not divisor:
        return []
    shares = [weight // divisor for weight in weights]
    total = sum(shares)
    if total > MOST_TURNS:
        shares = [share and max(1, share * MOST_TURNS // total) for share in shares]
    # The k-th of n turns is due at (k + 1/2) / n of the way through the list.
    due = sorted(((2 * turn + 1) / share, index) for index, share in enumerate(shares) for turn in range(share))
    return [index for _, index in due]


def hashed_turns(nominal: Sequence[int], now: Sequence[int]) -> list[int]:
    """Return the slots for a hash: those of the ``nominal`` weights, and in place of who has none now, the others.

    So a client stays with its server as long as that can be used, whatever becomes of the others.
    """
    instead = turns(now)
    owners = turns(nominal) if instead else []
    if not any(now[owner] for owner in owners):
        return instead  # only backups are left
    return [owner if now[owner] else instead[slot % len(instead)] for slot, owner in enumerate(owners)]
