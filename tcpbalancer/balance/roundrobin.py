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

Turn = tuple[int, int, int]
"""A server that has a position: that, what is left of its turn, its slot."""
First = tuple[int, int]
"""A server that never had a turn: its weight, negative, and its slot."""


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
        weights, total = choice.weights, sum(choice.weights)
        clock, placed, waiting = memory[CLOCK], [], []
        for index, weight in enumerate(weights):
            at = 1 + PER_SERVER * index
            if weight != memory[at + 2]:
                self._notice_change(memory, at, weight, clock, total)
            if not weight:
                continue
            if position := memory[at]:
                placed.append((position, memory[at + 1] - weight, index))
            else:
                waiting.append((-weight, index))
        if choice.full or choice.avoid is not None:
            return self._next_with_room(memory, choice, placed, waiting)
        if not placed and not waiting:
            return None
        chosen = _due(clock, placed, waiting)
        self._advance(memory, chosen, weights[chosen], total)
        return chosen

    def _next_with_room(self, memory: Memory, choice: Choice, placed: list[Turn], waiting: list[First]) -> int | None:
        """Return the next one that has room; the one to avoid only if there is no other."""
        avoided: int | None = None
        while placed or waiting:
            chosen = _due(memory[CLOCK], placed, waiting)
            self._advance(memory, chosen, choice.weights[chosen], sum(choice.weights))
            if chosen not in choice.full:
                if chosen != choice.avoid:
                    return chosen
                avoided = chosen
            # It has lost its turn, and only this one: a heavy server is due again before a light one ever was.
            placed = [turn for turn in placed if turn[2] != chosen]
            waiting = [first for first in waiting if first[1] != chosen]
        return avoided

    @staticmethod
    def _notice_change(memory: Memory, at: int, weight: int, clock: int, total: int) -> None:
        """Give a place to a server that came, left, or changed its weight since the last pick."""
        seen = memory[at + 2]
        if weight and clock:
            # Who comes back waits one whole turn, as a server that was just picked would: it must not be flooded
            # to make up for the time it was away. Who became heavier must not sit out its old, longer turn.
            due = clock + total // weight
            memory[at] = due if not seen else min(memory[at], due) if memory[at] else 0
        memory[at + 1] = 0
        memory[at + 2] = weight

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


def _due(clock: int, placed: Sequence[Turn], waiting: Sequence[First]) -> int:
    """Return the server whose turn it is; there is at least one."""
    if not waiting:
        return min(placed)[2]
    if placed and (first := min(placed))[0] <= clock:
        return first[2]
    return min(waiting)[1]
