"""Events as JSON lines: what both daemons tell, in the one form in which it is told.

Laws: pure. An event is a point in time, a source, a name and a reason, and any further values that explain it. Log
lines, metrics, dumps, pages and the waits of tests are made from events; nothing is told twice in two ways.
``at`` is seconds on the monotonic clock of the machine, so that the events of all daemons on it are in one order;
``wall`` is seconds since 1970 for people.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

Value = str | int | float | bool | None | list["Value"] | dict[str, "Value"]
FIXED = frozenset({"at", "wall", "source", "event", "reason"})
"""The fields that every event has."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened: when (``at``, monotonic; ``wall``, of day), to whom, what, and why."""

    at: float
    source: str
    event: str
    reason: str = ""
    wall: float = 0.0
    values: Mapping[str, Value] = field(default_factory=lambda: MappingProxyType({}))

    def to_line(self) -> str:
        """Return the event as one line of JSON, without the newline."""
        fixed = {"at": round(self.at, 6), "wall": round(self.wall, 6), "source": self.source, "event": self.event}
        return json.dumps({**fixed, "reason": self.reason, **self.values}, ensure_ascii=False)

    @classmethod
    def from_line(cls, line: str) -> Event:
        """Return the event that ``to_line`` wrote; raises ValueError for anything else."""
        record = json.loads(line)
        if not isinstance(record, dict) or not {"at", "source", "event"} <= record.keys():
            raise ValueError(f"not an event: {line[:80]!r}")
        values = {name: value for name, value in record.items() if name not in FIXED}
        return cls(
            at=float(record["at"]),
            source=str(record["source"]),
            event=str(record["event"]),
            reason=str(record.get("reason", "")),
            wall=float(record.get("wall", 0.0)),
            values=MappingProxyType(values),
        )

    def __getitem__(self, name: str) -> Value:
        return self.values[name]

    def get(self, name: str, default: Value = None) -> Value:
        """Return one of the values, or ``default``."""
        return self.values.get(name, default)


def read_transcript(lines: Iterable[str]) -> Iterator[Event]:
    """Yield the events of a recorded transcript; empty lines are skipped."""
    return (Event.from_line(line) for line in lines if line.strip())
