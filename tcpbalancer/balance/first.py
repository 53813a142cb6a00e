"""``balance first``: whoever comes first in the order of the servers' numbers, as long as it has room.

Laws: pure. Weights only say who takes part. The number is ``id`` of the server, else its place in the file
(``lb_fas.c``).
"""

from __future__ import annotations

from collections.abc import Sequence

from tcpbalancer.balance.choice import Choice
from tcpbalancer.balance.memory import Memory


class First:
    """The algorithm; it remembers nothing."""

    counts = False
    draws = 0
    hashes = False
    dynamic = True

    def __init__(self, identities: Sequence[int]) -> None:
        """``identities`` are the numbers of the first slots; a slot beyond them has its place as its number."""
        self._identities = tuple(identities)

    def memory_size(self, servers: int) -> int:  # noqa: ARG002 - the protocol's
        """Return 0."""
        return 0

    def pick(self, memory: Memory, choice: Choice) -> int | None:  # noqa: ARG002 - the protocol's
        """Return the slot with the smallest number that has room; see ``Balancer.pick``."""
        return choice.first_free(sorted(choice.usable(), key=self._number))

    def _number(self, slot: int) -> int:
        return self._identities[slot] if slot < len(self._identities) else slot + 1
