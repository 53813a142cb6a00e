"""``balance random``: of some servers drawn by lot, the one with the least load for its weight.

Laws: pure: the random numbers come in. A draw falls on a server as often as its weight says. If the one that has won is
full, the session waits in the backend's queue (``get_server_rnd``): it does not look for another.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate

from tcpbalancer.balance.choice import Choice
from tcpbalancer.balance.memory import Memory

RANGE = 1 << 32
"""Random numbers are smaller than this."""


class Random:
    """The algorithm; it remembers nothing."""

    counts = True
    hashes = False
    dynamic = True

    def __init__(self, draws: int = 2) -> None:
        assert draws >= 1
        self.draws = draws

    def memory_size(self, servers: int) -> int:  # noqa: ARG002 - the protocol's
        """Return 0."""
        return 0

    def pick(self, memory: Memory, choice: Choice) -> int | None:  # noqa: ARG002 - the protocol's
        """Return the slot that wins; see ``Balancer.pick``."""
        taking_part = choice.usable()
        others = [slot for slot in taking_part if slot != choice.avoid] or taking_part
        if not others:
            return None
        ends = list(accumulate(choice.weights[slot] for slot in others))
        drawn = [others[bisect_right(ends, number * ends[-1] // RANGE)] for number in choice.draws]
        best = drawn[0]
        for slot in drawn[1:]:
            # The latter wins among equals, as in HAProxy.
            if choice.served[slot] * choice.weights[best] <= choice.served[best] * choice.weights[slot]:
                best = slot
        return None if best in choice.full else best
