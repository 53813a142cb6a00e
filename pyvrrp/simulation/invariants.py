"""The invariants by name, and the error that says which one is broken.

Laws: pure. S: safety, held after every event. L: liveness, held of a healthy core after enough time. The numbers are
those of ``docs/reliability.md``.
"""

from __future__ import annotations

SAFETY = {
    "S1": "the addresses are in the kernel only while this router is Master, or on their way out",
    "S2": "a Master has its addresses, or is in FAULT",
    "S3": "only a Master advertises; priority 0 is said once, on leaving",
    "S4": "no advertisement leaves with a lease of the addresses that is half over",
    "S5": "an independent decoder finds every frame correct",
    "S6": "a packet that is refused changes nothing",
    "S7": "no takeover before Master_Down_Interval, or Skew_Time after a resignation",
    "S8": "a Master yields at once to a higher (priority, address); the addresses go first",
    "S9": "nopreempt never displaces a living Master",
    "S10": "advertisement, addresses, announcement, notification, in this order; only a Master announces",
    "S11": "one timer in BACKUP and MASTER, none elsewhere",
    "S12": "members of a sync group are Master together or not at all",
    "S13": "priority and faults are what configuration and readings say, whatever came before",
    "S14": "after SIGTERM nothing is left; what a crash has left is removed first",
    "S15": "a reload of the same configuration has no effect",
    "S16": "the wall clock plays no part",
    "S17": "a check that does not succeed has failed",
    "S18": "nobody can make a router send more than twice an interval, or queue without end",
    "S19": "notifications are the transitions, in order",
    "S20": "after a stall, listen before taking over",
}
LIVENESS = {
    "L1": "one Master in a healthy core: the best if it preempts",
    "L2": "the next takes over within Skew_Time after a stop, within Master_Down_Interval after a crash",
    "L3": "after a heal one Master within an interval, and hosts know where it is",
    "L4": "no transition while fewer than three advertisements in a row are lost",
    "L5": "FAULT is left when its last cause is gone",
    "L7": "no endless chain of transitions",
}


class BrokenInvariantError(AssertionError):
    """An invariant does not hold; ``invariant`` is its letter and number."""

    def __init__(self, invariant: str, text: str) -> None:
        super().__init__(f"{invariant}: {text}")
        self.invariant = invariant
        self.text = text


def hold(condition: object, invariant: str, text: str) -> None:
    """Raise BrokenInvariantError unless ``condition`` is true."""
    if not condition:
        raise BrokenInvariantError(invariant, text)
