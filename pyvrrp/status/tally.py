"""What is remembered of the events for whoever asks later: how many there were, and the latest transitions.

Laws: it listens to the hub and changes nothing. What it keeps is bounded by the names that the daemon gives its events
and its instances, never by what comes from the network.
"""

from __future__ import annotations

from collections import Counter

from hakit.events import EventHub
from hakit.transcript import Event


class Tally:
    """Counts the events of a hub by source and name, and keeps the latest transition of each source."""

    def __init__(self, hub: EventHub) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()
        self.transitions: dict[str, Event] = {}
        for past in tuple(hub.recent):
            self._note(past)
        hub.listen(self._note)

    def _note(self, event: Event) -> None:
        self.counts[event.source, event.event] += 1
        if event.event == "transition":
            self.transitions[event.source] = event
