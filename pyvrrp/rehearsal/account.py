"""What a rehearsal comes to: who was master when, for how long nobody was, and how it ended.

Laws: pure. All of it is read from the timeline, in which everything stands that happened.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from hakit.transcript import Value
from pyvrrp.doctor.node import listed
from pyvrrp.doctor.routers import Shared
from pyvrrp.simulation.timeline import DEAD, Entry

Column = tuple[str, str]
"""A router and an instance of it."""


@dataclass(frozen=True, slots=True)
class Span:
    """A state of one instance, from one second to another, and why it was entered."""

    column: Column
    state: str
    begins: float
    ends: float
    reason: str


@dataclass(frozen=True, slots=True)
class Account:
    """What became of one virtual router: its spans, in order; seconds for which nobody, or several, were MASTER.

    ``unserved`` counts from when somebody first was.
    """

    name: str
    columns: tuple[Column, ...]
    spans: tuple[Span, ...]
    unserved: float
    contested: float

    @property
    def masters(self) -> tuple[str, ...]:
        """The routers that are MASTER in the end."""
        return tuple(one.column[0] for one in self._last() if one.state == "MASTER")

    def _last(self) -> Iterator[Span]:
        for column in self.columns:
            yield [span for span in self.spans if span.column == column][-1]

    def sentence(self) -> str:
        """Return how it ended, in one line."""
        masters = f"{listed(self.masters)} {'is' if len(self.masters) == 1 else 'are'}" if self.masters else "nobody is"
        others = [f"{one.column[0]} is {one.state}" for one in self._last() if one.state != "MASTER"]
        said = "; ".join([f"{masters} MASTER", *others])
        return f"{self.name}: {said} (nobody was for {self.unserved:.4f} s, several were for {self.contested:.4f} s)"

    def as_dict(self) -> dict[str, Value]:
        """Return the account for programs."""
        return {
            "router": self.name,
            "masters": list[Value](self.masters),
            "states": {one.column[0]: one.state for one in self._last()},
            "unserved": round(self.unserved, 6),
            "contested": round(self.contested, 6),
        }


def account_of(router: Shared, timeline: Sequence[Entry], until: float) -> Account:
    """Return what became of ``router`` in ``timeline``, which ends at ``until`` (seconds)."""
    columns = tuple((member.node.name, member.instance.name) for member in router)
    spans = tuple(span for column in columns for span in _spans(column, timeline, until))
    unserved, contested = _gaps(spans, until)
    return Account(router[0].instance.name, columns, spans, unserved, contested)


def _spans(column: Column, timeline: Iterable[Entry], until: float) -> Iterator[Span]:
    so_far = Span(column, "INIT", 0.0, until, "not started")
    for entry in timeline:
        of_it = entry.kind == "transition" and (entry.node, entry.router) == column
        if of_it or (entry.after == DEAD and entry.node == column[0]):
            yield replace(so_far, ends=entry.at)
            so_far = Span(column, entry.after, entry.at, until, entry.text)
    yield so_far


def _gaps(spans: Iterable[Span], until: float) -> tuple[float, float]:
    """Return for how long nobody, and more than one, was MASTER, from the first one on."""
    served = [span for span in spans if span.state == "MASTER"]
    if not served:
        return 0.0, 0.0
    moments = sorted({until, *(at for span in served for at in (span.begins, span.ends))})
    unserved = contested = 0.0
    for begins, ends in pairwise(moments):
        masters = sum(span.begins <= begins < span.ends for span in served)
        unserved += (ends - begins) * (masters == 0)
        contested += (ends - begins) * (masters > 1)
    return unserved, contested


def folded(timeline: Iterable[Entry]) -> list[Entry]:
    """Return the timeline with what a router says again and again told once, and how often."""
    found: list[Entry] = []
    counts: list[int] = []
    last: dict[Column, int] = {}
    for entry in timeline:
        if entry.kind == "fault":  # what is said behind it is said of another world
            last.clear()
        at = last.get((entry.node, entry.router))
        if at is not None and replace(found[at], at=entry.at) == entry and entry.kind != "transition":
            counts[at] += 1
            continue
        last[entry.node, entry.router] = len(found)
        found.append(entry)
        counts.append(1)
    return [
        replace(entry, text=f"{entry.text} ({count} times)") if count > 1 else entry
        for entry, count in zip(found, counts, strict=True)
    ]


def entry_as_dict(entry: Entry) -> dict[str, Value]:
    """Return one entry of the timeline for programs."""
    found: dict[str, Value] = {"at": round(entry.at, 6), "event": entry.kind, "reason": entry.text}
    named = {"node": entry.node, "router": entry.router, "rule": entry.rule, "from": entry.before, "to": entry.after}
    return {**found, **{key: value for key, value in named.items() if value}}
