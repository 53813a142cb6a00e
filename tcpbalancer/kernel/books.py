"""Enters what the kernel has counted into the row of the statistics that is the kernel's own.

Laws: no socket and no clock: time comes in as seconds of a monotonic clock. A counter of the kernel only grows, and
what it has grown by since the last reading is entered, wherever its server stands now; so a reload neither loses nor
repeats anything. A refused connection is counted as HAProxy counts one that finds no server: by its frontend and its
backend, where it is an error.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tcpbalancer.counters import (
    BALANCED,
    BYTES_IN,
    BYTES_OUT,
    CONNECTION_ERRORS,
    CONNECTS,
    CURRENT,
    IN_KERNEL,
    LAST_SESSION_MS,
    PEAK,
    TOTAL,
    Layout,
    SharedMemory,
)
from tcpbalancer.kernel.plan import Numbers, Passage
from tcpbalancer.kernel.readings import Counts
from tcpbalancer.model import Configuration
from tcpbalancer.route import all_backends, tcp_frontends


@dataclass(frozen=True, slots=True)
class Blocks:
    """Where a passage, or a frontend that refuses, is counted; None: it is not part of the configuration any more."""

    frontend: int | None = None
    backend: int | None = None
    server: int | None = None

    def all(self) -> Iterator[int]:
        """Yield those that there are."""
        return (block for block in (self.frontend, self.backend, self.server) if block is not None)


Seats = Mapping[tuple[str, str], tuple[str, int]]
"""By the names of backend and server: its origin (``plan.origin``) and its place."""


def blocks_of(configuration: Configuration, layout: Layout, seats: Seats, numbers: Numbers) -> dict[int, Blocks]:
    """Return where each number is counted in a configuration."""
    frontends = {one.name: (place, one.default_backend) for place, one in enumerate(tcp_frontends(configuration))}
    backends = {backend.name: place for place, backend in enumerate(all_backends(configuration))}
    found: dict[int, Blocks] = {}
    for number, thing in numbers.known.items():
        name, leads_to, server = thing, None, None
        if isinstance(thing, Passage):
            name, leads_to = thing.frontend, thing.backend
            origin, place = seats.get((thing.backend, thing.server), ("", 0))
            server = layout.server(backends[leads_to], place) if origin == thing.origin else None
        at, default = frontends.get(str(name), (None, None))
        backend = backends.get(leads_to or default or "")
        found[number] = Blocks(
            None if at is None else layout.frontend(at), None if backend is None else layout.backend(backend), server
        )
    return found


class Books:
    """Remembers what was read last, by the number of the way or of the entrance."""

    def __init__(self, numbers: Numbers) -> None:
        self._numbers = numbers
        self._arrivals: dict[int, int] = {}
        self._moved: dict[int, tuple[int, int]] = {}

    def enter(self, memory: SharedMemory, blocks: Mapping[int, Blocks], counts: Counts, now: float) -> None:
        """Enter what has come and what was moved since the last reading."""
        for number, total in counts.arrivals.items():
            grown, self._arrivals[number] = total - self._arrivals.get(number, 0), total
            if grown and number in blocks:
                refused = not isinstance(self._numbers.known[number], Passage)
                _count_arrivals(memory, blocks[number], grown, int(now * 1000), refused=refused)
        for number in counts.traffic:
            passage = self._numbers.known.get(number)
            if isinstance(passage, Passage):
                moved, before = counts.payload(number, passage.way.family), self._moved.get(number, (0, 0))
                self._moved[number] = moved
                for block in blocks[number].all() if number in blocks else ():
                    row = _row(memory, block)
                    row[BYTES_IN] += moved[0] - before[0]
                    row[BYTES_OUT] += moved[1] - before[1]

    def begin_again(self) -> None:
        """Take note that all counters of the kernel begin at zero."""
        self._arrivals.clear()
        self._moved.clear()

    def forget(self, number: int) -> None:
        """Forget what was read of a way whose counters are gone."""
        self._arrivals.pop(number, None)
        self._moved.pop(number, None)

    @staticmethod
    def enter_open(memory: SharedMemory, blocks: Mapping[int, Blocks], open_now: Mapping[int, int]) -> None:
        """Enter how many connections there are now."""
        layout = memory.layout
        memory.words[layout.worker(layout.workers) + IN_KERNEL] = sum(open_now.values())
        current = [0] * layout.blocks
        for number, count in open_now.items():
            for block in blocks[number].all() if number in blocks else ():
                current[block] += count
        for block, count in enumerate(current):
            row = _row(memory, block)
            if count or row[CURRENT]:
                row[CURRENT] = count
                row[PEAK] = max(row[PEAK], memory.sum(block, CURRENT))


def _count_arrivals(memory: SharedMemory, blocks: Blocks, count: int, at_ms: int, *, refused: bool) -> None:
    for block in blocks.all():
        row = _row(memory, block)
        row[TOTAL] += count
        row[LAST_SESSION_MS] = at_ms
        if block != blocks.frontend:
            for field in (CONNECTION_ERRORS,) if refused else (CONNECTS, BALANCED):
                row[field] += count


def _row(memory: SharedMemory, block: int) -> memoryview:
    layout = memory.layout
    return memory.view(layout.block(layout.workers, block))
