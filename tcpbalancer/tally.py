"""What has been counted, over all workers and over all generations of them.

Laws: it reads and never writes. A reload gives the workers a new memory; what the older ones have counted for a proxy
or a server that is still the same is added here, as long as they go on and after they have ended. So no total goes back
because of a reload, and the connections of older workers are seen. (HAProxy starts from zero, unless it is given a
file.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from tcpbalancer.counters import (
    BLOCK,
    CONNECT_PEAK_MS,
    CURRENT,
    LARGEST,
    LAST_SESSION_MS,
    PEAK,
    QUEUE_PEAK_MS,
    QUEUED,
    QUEUED_PEAK,
    TOTAL_PEAK_MS,
    Layout,
    SharedMemory,
)
from tcpbalancer.model import Configuration, Server
from tcpbalancer.route import all_backends, tcp_frontends

_LARGEST = frozenset({PEAK, LAST_SESSION_MS, QUEUE_PEAK_MS, CONNECT_PEAK_MS, TOTAL_PEAK_MS, QUEUED_PEAK})
_GAUGES = frozenset({CURRENT, QUEUED})

Correspondence = Mapping[int, int]
"""For a block of the newer memory, the block of an older one that counted the same."""
_Reading = Callable[[SharedMemory, int, int], int]


class Tally:
    """The counters of a generation with those of the older ones behind them; has the ways of reading of a memory."""

    def __init__(self, memory: SharedMemory) -> None:
        self.layout = memory.layout
        self.words = memory.words
        self._memory = memory
        self._older: list[tuple[SharedMemory, Correspondence]] = []
        self._ended = [[0] * BLOCK for _ in range(memory.layout.blocks)]

    def sum(self, block: int, field: int) -> int:
        """Return the sum of one counter over all workers."""
        return sum(self._values(SharedMemory.sum, block, field)) + self._ended[block][field]

    def largest(self, block: int, field: int) -> int:
        """Return the largest value of one counter over all workers."""
        return max(*self._values(SharedMemory.largest, block, field), self._ended[block][field])

    def own_word(self, worker: int, field: int) -> int:
        """Return what a worker of the newest generation says of itself."""
        return self._memory.own_word(worker, field)

    def take_over(self, before: Tally, same: Correspondence) -> None:
        """Put the ended generations of ``before`` behind this one."""
        for block, theirs in same.items():
            self._ended[block] = list(before._ended[theirs])

    def stand_on(self, memory: SharedMemory, same: Correspondence) -> None:
        """Count in what workers of an older generation have counted and still count."""
        self._older.append((memory, same))

    def settle(self, memory: SharedMemory) -> None:
        """Keep what an older generation has counted: its workers have ended."""
        for older, same in self._older:
            if older is memory:
                for block, theirs in same.items():
                    self._keep(block, [_final(memory, theirs, field) for field in range(BLOCK)])
        self._older = [pair for pair in self._older if pair[0] is not memory]

    def settle_all_but(self, living: Sequence[SharedMemory]) -> None:
        """Keep what generations have counted that came to their end while this one was being prepared."""
        for memory in [memory for memory, _ in self._older]:
            if all(memory is not each for each in living):
                self.settle(memory)

    def clear(self, *, everything: bool) -> None:
        """Forget the largest values of generations that have ended, or all that they counted."""
        for row in self._ended:
            for field in range(BLOCK):
                if everything or field in LARGEST:
                    row[field] = 0

    def _keep(self, block: int, values: Sequence[int]) -> None:
        row = self._ended[block]
        for field, value in enumerate(values):
            row[field] = max(row[field], value) if field in _LARGEST else row[field] + value

    def _values(self, read: _Reading, block: int, field: int) -> Iterator[int]:
        yield read(self._memory, block, field)
        for memory, same in self._older:
            if block in same:
                yield read(memory, same[block], field)


def _final(memory: SharedMemory, block: int, field: int) -> int:
    if field in _GAUGES:
        return 0
    return memory.largest(block, field) if field in _LARGEST else memory.sum(block, field)


def is_same(one: Server, other: Server) -> bool:
    """Whether two servers of the same backend in two configurations are one: what is known of it holds for both."""
    return (one.name, one.host or one.address, one.port) == (other.name, other.host or other.address, other.port)


def correspondence(new: Configuration, layout: Layout, old: Configuration, old_layout: Layout) -> Correspondence:
    """Return which blocks of an older generation count the same as those of a newer one."""
    same: dict[int, int] = {}
    frontends = {frontend.name: place for place, frontend in enumerate(tcp_frontends(old))}
    for place, frontend in enumerate(tcp_frontends(new)):
        if frontend.name in frontends:
            same[layout.frontend(place)] = old_layout.frontend(frontends[frontend.name])
    backends = {backend.name: place for place, backend in enumerate(all_backends(old))}
    for place, backend in enumerate(all_backends(new)):
        theirs = backends.get(backend.name)
        if theirs is None:
            continue
        same[layout.backend(place)] = old_layout.backend(theirs)
        servers = {server.name: (index, server) for index, server in enumerate(old.backends[backend.name].servers)}
        for index, server in enumerate(backend.servers):
            known = servers.get(server.name)
            if known is not None and is_same(server, known[1]):
                same[layout.server(place, index)] = old_layout.server(theirs, known[0])
    return same
