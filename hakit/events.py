"""The hub through which a daemon tells its events, and the clock that stamps them.

Laws: publishing never waits: a listener takes an event at once or puts it aside by itself. The hub keeps the latest
events, so that who comes late can still see why.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection
from types import MappingProxyType

from hakit.transcript import FIXED, Event, Value

KEPT = 512
"""How many events the hub remembers."""

Listener = Callable[[Event], None]


class EventHub:
    """Stamps events and hands them to whoever listens, in the order of publishing.

    ``passing`` are the names of events so frequent that they are told but not remembered.
    """

    def __init__(self, source: str, passing: Collection[str] = ()) -> None:
        self.source = source
        self._passing = passing
        self.recent: deque[Event] = deque(maxlen=KEPT)
        self._listeners: list[tuple[Listener, frozenset[str]]] = []  # without names: every event
        self._curious: list[tuple[str, Callable[[bool], None]]] = []

    def publish(self, event: str, reason: str = "", /, **values: Value) -> Event:
        """Stamp an event of this hub's own with the clocks, and tell it; returns it.

        The names of the values must not be those of an event's fixed fields (at, wall, source, event, reason).
        """
        return self.publish_for(self.source, event, reason, **values)

    def publish_for(self, source: str, event: str, reason: str = "", /, **values: Value) -> Event:
        """As ``publish``, for something of this program that has a name of its own, such as an instance or a server."""
        assert not values.keys() & FIXED
        told = Event(time.monotonic(), source, event, reason, time.time(), MappingProxyType(values))
        if event not in self._passing:
            self.recent.append(told)
        for listener, names in tuple(self._listeners):
            if not names or event in names:
                listener(told)
        return told

    def listen(self, listener: Listener, *names: str) -> Callable[[], None]:
        """Call ``listener`` with every event from now on, or with those of these names; returns what ends it."""
        heard = (listener, frozenset(names))
        self._listeners.append(heard)
        self._tell_the_curious()

        def stop() -> None:
            if heard in self._listeners:
                self._listeners.remove(heard)
                self._tell_the_curious()

        return stop

    def on_interest(self, event: str, told: Callable[[bool], None]) -> Callable[[], None]:
        """Call ``told`` with whether anybody listens to events of this name: now, and whenever somebody came or went.

        Who would publish many of them need not, as long as nobody does. Returns the function that ends it.
        """
        curious = (event, told)
        self._curious.append(curious)
        told(self._is_heard(event))

        def stop() -> None:
            if curious in self._curious:
                self._curious.remove(curious)

        return stop

    def _is_heard(self, event: str) -> bool:
        return any(not names or event in names for _, names in self._listeners)

    def _tell_the_curious(self) -> None:
        for event, told in tuple(self._curious):
            told(self._is_heard(event))
