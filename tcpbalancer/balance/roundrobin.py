"""``balance roundrobin``: in turns, each server as often as its weight says, and as evenly as possible.

Laws: pure and exact. Picks are counted by a clock. Every server has the position at which it is due next; a pick moves
it forward by total weight / own weight, and the remainder is carried, so that no rounding is ever lost. The server that
is due goes first; if nobody is due yet, one that never had a turn fills the gap, the heaviest first. Ties go to the
heavier server, then to the order in the file. The sequences are HAProxy's (``lb_fwrr.c``), pick by pick.
"""

from __future__ import annotations

from collections.abc import Sequence

from tcpbalancer.balance.choice import Choice
from tcpbalancer.balance.memory import Memory

# The memory: the clock, then for each server its position (0: it never had a turn), the remainder carried, and the
# weight it was last seen with (0: it was not taking part).
CLOCK = 0
PER_SERVER = 3


class RoundRobin:
    """The algorithm; all that it remembers is in the memory it is given."""

    counts = False
    draws = 0
    hashes = False
    dynamic = True

    def memory_size(self, servers: int) -> int:
        """Return how many integers are needed for this many slots."""
        return 1 + PER_SERVER * servers

    def pick(self, memory: Memory, choice: Choice) -> int | None:
        """Return the slot of the next server; see ``Balancer.pick``."""
        weights, taking_part = choice.weights, choice.usable()
        total = sum(weights)
        self._notice_changes(memory, weights, total)
        avoided: int | None = None
        while taking_part:
            chosen = self._due(memory, weights, taking_part)
            self._advance(memory, chosen, weights[chosen], total)
            if chosen not in choice.full:
                if chosen != choice.avoid:
                    return chosen
                avoided = chosen
            # It has lost its turn, and only this one: a heavy server is due again before a light one ever was.
            taking_part.remove(chosen)
        return avoided

    @staticmethod
    def _notice_changes(memory: Memory, weights: Sequence[int], total: int) -> None:
        """Give a place to servers that came, left, or changed their weight since the last pick."""
        clock = memory[CLOCK]
        for index, weight in enumerate(weights):
            at = 1 + PER_SERVER * index
            seen = memory[at + 2]
            if weight == seen:
                continue
            if weight and clock:
                # Who comes back waits one whole turn, as a server that was just picked would: it must not be flooded
                # to make up for the time it was away. Who became heavier must not sit out its old, longer turn.
                due = clock + total // weight
                memory[at] = due if not seen else min(memory[at], due) if memory[at] else 0
            memory[at + 1] = 0
            memory[at + 2] = weight

    @staticmethod
    def _due(memory: Memory, weights: Sequence[int], taking_part: Sequence[int]) -> int:
        """Return the server whose turn it is."""

        def turn(index: int) -> tuple[int, int, int]:
            at = 1 + PER_SERVER * index
            return memory[at], memory[at + 1] - weights[index], index

        placed = [index for index in taking_part if memory[1 + PER_SERVER * index]]
        first = min(placed, key=turn, default=None)
        if first is not None and memory[1 + PER_SERVER * first] <= memory[CLOCK]:
            return first
        waiting = [index for index in taking_part if not memory[1 + PER_SERVER * index]]
        if waiting:
            return min(waiting, key=lambda index: (-weights[index], index))
        assert first is not None  # every server that takes part is either placed or waiting
        return first

    @staticmethod
    def _advance(memory: Memory, index: int, weight: int, total: int) -> None:
        """Move a server to its next position, and the clock by one."""
        at = 1 + PER_SERVER * index
        position = memory[at] or memory[CLOCK] or 1  # position 0 is kept for "never had a turn"
        step, remainder = divmod(total, weight)
        carried = memory[at + 1] + remainder
        if carried >= weight:
            carried -= weight
            step += 1
        memory[at] = position + step
        memory[at + 1] = carried
        memory[CLOCK] = (memory[CLOCK] or 1) + 1
