"""What lies between the nodes of a LAN: delay, loss, damage, and cuts in one direction or both.

Laws: pure. Every frame takes its way to each receiver on its own: one may get it, another one not, a third one twice.
What is cut is cut in silence: no carrier is lost. Nothing leaves a frame but what the conditions say.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from pyvrrp.simulation.chance import Chance

Copies = tuple[tuple[float, bytes], ...]
"""What arrives: each copy with its delay in seconds."""
MOST_PADDING = 46
"""Ethernet fills a frame up to 46 bytes of payload."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """How a frame fares. Seconds for ``delay`` and ``jitter`` (evenly spread on top), probabilities for the rest.

    ``reordering``: that a copy comes up to ``late`` seconds later, behind others that left after it.
    """

    delay: float = 0.0002
    jitter: float = 0.0
    loss: float = 0.0
    duplication: float = 0.0
    reordering: float = 0.0
    late: float = 0.0
    corruption: float = 0.0
    truncation: float = 0.0
    padding: float = 0.0

    def __str__(self) -> str:
        said = (f"{one.name} {getattr(self, one.name):g}" for one in fields(self) if getattr(self, one.name))
        return " ".join(said)

    @property
    def only_delays(self) -> bool:
        """Whether every frame arrives as it was sent, once, in order of its delay."""
        return not (
            self.loss or self.duplication or self.reordering or self.corruption or self.truncation or self.padding
        )


CALM = Conditions()
"""Everything arrives, after 0.2 ms."""


@dataclass(slots=True)
class Medium:
    """One segment. ``conditions`` hold for all pairs but those of ``between``; ``cut``: (sender, receiver) pairs."""

    chance: Chance
    conditions: Conditions = CALM
    between: dict[tuple[str, str], Conditions] = field(default_factory=dict)
    cut: set[tuple[str, str]] = field(default_factory=set)

    def copies(self, sender: str, receiver: str, frame: bytes) -> Copies:
        """Return what arrives at ``receiver`` of a frame that leaves ``sender`` now."""
        pair = (sender, receiver)
        if pair in self.cut:
            return ()
        found = self.between.get(pair, self.conditions) if self.between else self.conditions
        if found.only_delays:
            delay = found.delay + found.jitter * self.chance.draw() if found.jitter else found.delay
            return ((delay, frame),)
        return self._through(found, frame)

    def _through(self, found: Conditions, frame: bytes) -> Copies:
        chance = self.chance
        if chance.happens(found.loss):
            return ()
        copies = 2 if chance.happens(found.duplication) else 1
        return tuple((self._delay(found), self._damaged(found, frame)) for _ in range(copies))

    def _delay(self, found: Conditions) -> float:
        late = self.chance.between(0.0, found.late) if self.chance.happens(found.reordering) else 0.0
        return found.delay + self.chance.between(0.0, found.jitter) + late

    def _damaged(self, found: Conditions, frame: bytes) -> bytes:
        chance = self.chance
        if chance.happens(found.corruption):
            at, bit = chance.below(len(frame)), 1 << chance.below(8)
            frame = frame[:at] + bytes([frame[at] ^ bit]) + frame[at + 1 :]
        if chance.happens(found.truncation):
            frame = frame[: chance.below(len(frame))]
        if chance.happens(found.padding) and len(frame) < MOST_PADDING:
            frame += bytes(MOST_PADDING - len(frame))
        return frame
