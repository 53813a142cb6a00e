"""How many events there were, for whoever asks later.

Laws: it listens to the hub and changes nothing. What it keeps is bounded by the names that the daemon gives its events
and its instances, never by what comes from the network.
"""

from __future__ import annotations

from collections import Counter

from hakit.events import EventHub
from hakit.transcript import Event


class Tally:
    """Counts the events of a hub by source and name."""

    def __init__(self, hub: EventHub) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()
        for past in tuple(hub.recent):
            self._note(past)
        hub.listen(self._note)

    def _note(self, event: Event) -> None:
        self.counts[event.source, event.event] += 1
