"""``balance leastconn``: the server with the fewest sessions for its weight; in turns among equals.

Laws: pure. A server stands in a row at (sessions + 1) / weight, or at 0 while it has none at all; whoever comes to a
place stands behind those who are there already (``lb_fwlc.c`` of 2.6). A server comes to its place when it gets a
session and when it loses one: the losses between two picks are put in order by the time of the last one of each.
"""

from __future__ import annotations

from tcpbalancer.balance.choice import Choice
from tcpbalancer.balance.memory import Memory

# The memory: how often a server has come to a place, then for each slot the place where it was seen last, plus 1
# (0: it was not taking part), and the number of its coming there.
COMINGS = 0
PER_SERVER = 2
SCALE = 256 * 16
"""The largest effective weight."""


class LeastConnections:
    """The algorithm; it remembers in which order servers came to their places."""

    counts = True
    draws = 0
    hashes = False
    dynamic = True

    def memory_size(self, servers: int) -> int:
        """Return how many integers are needed for this many slots."""
        return 1 + PER_SERVER * servers

    def pick(self, memory: Memory, choice: Choice) -> int | None:
        """Return the slot at the first place that has room; see ``Balancer.pick``."""
        self._notice_changes(memory, choice)
        row = sorted(choice.usable(), key=lambda slot: (memory[1 + 2 * slot], memory[2 + 2 * slot]))
        # A server with a bounded queue is taken even if it is full, as long as there is a place to wait at.
        open_ones = [slot for slot in row if slot not in choice.crowded]
        chosen = next((slot for slot in open_ones if slot != choice.avoid), open_ones[0] if open_ones else None)
        if chosen is not None:
            self._come(memory, chosen, _place(choice, chosen, more=1))
        return chosen

    def _notice_changes(self, memory: Memory, choice: Choice) -> None:
        changed = []
        for slot, weight in enumerate(choice.weights):
            if not weight:
                memory[1 + 2 * slot] = 0
            elif memory[1 + 2 * slot] != _place(choice, slot) + 1:
                changed.append(slot)
        for slot in sorted(changed, key=lambda slot: (choice.released[slot], slot)):
            self._come(memory, slot, _place(choice, slot))

    @staticmethod
    def _come(memory: Memory, slot: int, place: int) -> None:
        memory[COMINGS] += 1
        memory[1 + 2 * slot] = place + 1
        memory[2 + 2 * slot] = memory[COMINGS]


def _place(choice: Choice, slot: int, more: int = 0) -> int:
    sessions = choice.served[slot] + choice.queued[slot] + more
    return (sessions + 1) * SCALE // choice.weights[slot] if sessions else 0
