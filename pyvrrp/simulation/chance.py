"""All chance of a simulation, drawn from one source.

Laws: pure. ``draw`` comes from the edge (``random.Random(seed).random``, which is the same on every machine and in
every version of Python), so that one number brings a whole simulation back. Without one, nothing is left to chance:
every draw is one half.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


class Chance:
    """Draws from ``draw``, a function that returns floats from 0 up to but without 1, evenly spread."""

    __slots__ = ("draw",)

    def __init__(self, draw: Callable[[], float] = lambda: 0.5) -> None:
        self.draw = draw

    def happens(self, probability: float) -> bool:
        """Return whether something of this probability happens; nothing is drawn for 0 and 1."""
        return probability >= 1 or (probability > 0 and self.draw() < probability)

    def between(self, low: float, high: float) -> float:
        """Return a number between the two, evenly spread; nothing is drawn if they are one."""
        return low if low == high else low + (high - low) * self.draw()

    def below(self, end: int) -> int:
        """Return a whole number, 0 .. end - 1."""
        return int(self.draw() * end)

    def pick(self, choices: Sequence[T]) -> T:
        """Return one of ``choices``, which are not empty."""
        return choices[int(self.draw() * len(choices))]

    def shuffled(self, items: Sequence[T]) -> list[T]:
        """Return all of ``items`` in some order."""
        mixed = list(items)
        for last in range(len(mixed) - 1, 0, -1):
            other = self.below(last + 1)
            mixed[last], mixed[other] = mixed[other], mixed[last]
        return mixed
