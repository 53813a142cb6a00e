"""How much may be told of what packets cause: so much a minute, and then what was left out, in one line.

Laws: pure; time comes in as an argument. Whoever can send packets must not be able to fill a disk, or to push what
matters out of the daemon's memory of events. The ration is one for the whole daemon, whatever the packets' sources and
kinds (a limit for each source is none: sources are forged). Counters count every packet all the same, and changes of
state are never left out: the protocol's own timers bound them.
"""

from __future__ import annotations

from collections import Counter

MINUTE = 60.0
BASE, FOR_EACH = 60, 6
"""Events a minute: for the daemon, and more for each instance."""


class Ration:
    """A store of ``size`` events that fills up again within a minute."""

    def __init__(self, instances: int = 1) -> None:
        self.resize(instances)
        self._left = float(self.size)
        self._at = 0.0
        self._omitted: Counter[str] = Counter()
        self._since = 0.0

    def resize(self, instances: int) -> None:
        """Be as large as for so many instances from now on."""
        self.size = BASE + FOR_EACH * instances

    def admits(self, kind: str, now: float) -> bool:
        """Return whether an event of this kind may be told now; if not, it is counted among those left out."""
        self._left = min(float(self.size), self._left + (now - self._at) * self.size / MINUTE)
        self._at = now
        if self._left >= 1:
            self._left -= 1
            return True
        if not self._omitted:
            self._since = now
        self._omitted[kind] += 1
        return False

    def left_out(self, now: float) -> str | None:
        """Return a sentence about what was left out for a minute now, and begin to count anew; None: nothing to say."""
        if not self._omitted or now - self._since < MINUTE:
            return None
        parts = ", ".join(f"{kind} {count}" for kind, count in self._omitted.most_common())
        total, seconds = self._omitted.total(), round(now - self._since)
        self._omitted.clear()
        return f"packets caused {total} more events in {seconds} s than are told ({parts}): the counters have them all"
