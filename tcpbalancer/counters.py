"""What supervisor and workers share: a piece of memory without a name, cut into slots of 64-bit integers.

Laws: every slot has one writer and any number of readers, so nobody ever waits for a counter. The supervisor writes the
weights at which servers may be picked now (0: not usable); each worker writes its own counters; a worker's slots
outlive it, and the supervisor, who is the only writer left, then sets its gauges to zero. The one thing that several
workers write is the memory of the balancing algorithms: it is guarded by a record lock on the memory's own descriptor,
one byte per backend, which the kernel drops if its holder dies (fcntl(2), "Advisory record locking"). A holder that is
frozen keeps it: then it is waited for once, for a tenth of a second, and no more until it can be had again.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import select
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

# One block of counters serves a frontend, a backend or a server. The names are HAProxy's columns where it has them.
CURRENT: Final = 0  # scur
PEAK: Final = 1  # smax: the largest sum over all workers that this one has seen
TOTAL: Final = 2  # stot
BYTES_IN: Final = 3  # bin
BYTES_OUT: Final = 4  # bout
CONNECTION_ERRORS: Final = 5  # econ
RESPONSE_ERRORS: Final = 6  # eresp
RETRIES: Final = 7  # wretr
REDISPATCHES: Final = 8  # wredis
CLIENT_ABORTS: Final = 9  # cli_abrt
SERVER_ABORTS: Final = 10  # srv_abrt
CONNECTS: Final = 11  # connect
BALANCED: Final = 12  # lbtot
LAST_SESSION_MS: Final = 13  # monotonic clock; 0: never
SAMPLES: Final = 14  # sessions in the sums below, at most WINDOW
QUEUE_SUM_MS: Final = 15  # qtime
CONNECT_SUM_MS: Final = 16  # ctime
TOTAL_SUM_MS: Final = 17  # ttime
QUEUE_PEAK_MS: Final = 18  # qtime_max
CONNECT_PEAK_MS: Final = 19  # ctime_max
TOTAL_PEAK_MS: Final = 20  # ttime_max
QUEUED: Final = 21  # qcur
QUEUED_PEAK: Final = 22  # qmax
BLOCK: Final = 23

# What a worker says of itself.
DROPPED_RECORDS: Final = 0
HEARTBEAT: Final = 1  # moves at least once in a second as long as the worker does
INEXACT_PICKS: Final = 2  # picks without the lock
WORKER_BLOCK: Final = 3

WINDOW: Final = 1024
"""Sessions over which times are averaged (TIME_STATS_SAMPLES)."""
PAUSES: Final = (0.0, 0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.06)
"""Seconds between two tries to take a lock: it is held for microseconds, or for as long as its holder has to wait for a
processor, or for ever by one that is frozen."""


class Layout:
    """Where everything lies, in units of one integer; the same on both sides because both compute it from the same.

    ``frontends`` is their number; ``servers`` the number of servers of each backend; ``memory_sizes`` what each
    backend's algorithm needs.
    """

    def __init__(self, frontends: int, servers: Sequence[int], memory_sizes: Sequence[int], workers: int) -> None:
        self.frontends = frontends
        self.servers = tuple(servers)
        self.workers = workers
        self._weights = []
        self._memories = []
        end = 0
        for count, size in zip(servers, memory_sizes, strict=True):
            self._weights.append(slice(end, end + count))
            self._memories.append(slice(end + count, end + count + size))
            end += count + size
        self._first_worker = end
        self._first_server = []
        blocks = frontends + len(self.servers)
        for count in self.servers:
            self._first_server.append(blocks)
            blocks += count
        self._worker_size = WORKER_BLOCK + blocks * BLOCK
        self.blocks = blocks
        self.size = end + workers * self._worker_size

    def weights(self, backend: int) -> slice:
        """Return where the weights of a backend's servers lie."""
        return self._weights[backend]

    def memory(self, backend: int) -> slice:
        """Return where the memory of a backend's algorithm lies."""
        return self._memories[backend]

    def frontend(self, frontend: int) -> int:
        """Return the number of a frontend's block within a worker's slots."""
        return frontend

    def backend(self, backend: int) -> int:
        """Return the number of a backend's block within a worker's slots."""
        return self.frontends + backend

    def server(self, backend: int, server: int) -> int:
        """Return the number of a server's block within a worker's slots."""
        return self._first_server[backend] + server

    def worker(self, worker: int) -> int:
        """Return where a worker's own words lie."""
        return self._first_worker + worker * self._worker_size

    def block(self, worker: int, block: int) -> slice:
        """Return where a worker's block lies."""
        start = self.worker(worker) + WORKER_BLOCK + block * BLOCK
        return slice(start, start + BLOCK)


class SharedMemory:
    """The memory itself, mapped into this process. ``descriptor`` is inherited by workers."""

    def __init__(self, layout: Layout, descriptor: int | None = None) -> None:
        """Make the memory, or (given the descriptor that was inherited) map what another process has made."""
        self.layout = layout
        length = max(layout.size * 8, 8)
        if descriptor is None:
            descriptor = os.memfd_create("tcpbalancer-counters", os.MFD_CLOEXEC)
            os.ftruncate(descriptor, length)
        self.descriptor = descriptor
        self._map = mmap.mmap(descriptor, length)
        self.words = memoryview(self._map).cast("q")
        self._patient = True

    def view(self, where: slice) -> memoryview:
        """Return a writable row of integers."""
        return self.words[where]

    @contextmanager
    def locked(self, backend: int) -> Iterator[bool]:
        """Hold the lock of one backend's algorithm; yields False if its holder does not let go of it."""
        held = self._take_lock(backend)
        try:
            yield held
        finally:
            if held:
                fcntl.lockf(self.descriptor, fcntl.LOCK_UN, 1, backend)

    def _take_lock(self, backend: int) -> bool:
        for pause in (*PAUSES, None) if self._patient else (None,):
            try:
                fcntl.lockf(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, backend)
            except OSError:
                if pause is not None:
                    select.select((), (), (), pause)
            else:
                self._patient = True
                return True
        self._patient = False
        return False

    def own_word(self, worker: int, field: int) -> int:
        """Return what a worker says of itself."""
        return self.words[self.layout.worker(worker) + field]

    def sum(self, block: int, field: int) -> int:
        """Return the sum of one counter over all workers."""
        return sum(self._values(block, field))

    def largest(self, block: int, field: int) -> int:
        """Return the largest value of one counter over all workers."""
        return max(self._values(block, field))

    def _values(self, block: int, field: int) -> Iterator[int]:
        for worker in range(self.layout.workers):
            yield self.words[self.layout.block(worker, block).start + field]

    def forget_gauges(self, worker: int) -> None:
        """Set the gauges of a worker that has died to zero; its totals stay."""
        for block in range(self.layout.blocks):
            start = self.layout.block(worker, block).start
            self.words[start + CURRENT] = self.words[start + QUEUED] = 0

    def close(self) -> None:
        """Give the descriptor back; what is in the memory can still be read."""
        os.close(self.descriptor)


class Block:
    """A worker's hand on one of its blocks: it counts, and it sees the sum over all workers."""

    __slots__ = ("_block", "_memory", "row")

    def __init__(self, memory: SharedMemory, worker: int, block: int) -> None:
        self._memory = memory
        self._block = block
        self.row = memory.view(memory.layout.block(worker, block))

    def add(self, field: int, amount: int = 1) -> None:
        """Add to one counter."""
        self.row[field] += amount

    def current(self) -> int:
        """Return the sessions that are open now, over all workers."""
        if self._memory.layout.workers == 1:
            return self.row[CURRENT]
        return self._memory.sum(self._block, CURRENT)

    def opened(self, now: float) -> None:
        """Count one more session."""
        row = self.row
        row[CURRENT] += 1
        row[TOTAL] += 1
        row[LAST_SESSION_MS] = int(now * 1000)
        row[PEAK] = max(row[PEAK], self.current())

    def closed(self) -> None:
        """Count one session less."""
        self.row[CURRENT] -= 1

    def queued(self, count: int) -> None:
        """Note how many sessions wait in this worker."""
        self.row[QUEUED] = count
        self.row[QUEUED_PEAK] = max(self.row[QUEUED_PEAK], self._memory.sum(self._block, QUEUED))

    def took(self, wait_ms: int, connect_ms: int, total_ms: int) -> None:
        """Enter the times of a session that has ended into the averages and the peaks; -1 counts as 0."""
        row = self.row
        if row[SAMPLES] < WINDOW:
            row[SAMPLES] += 1
        else:
            for field in (QUEUE_SUM_MS, CONNECT_SUM_MS, TOTAL_SUM_MS):
                row[field] -= row[field] // WINDOW
        for offset, value in enumerate((wait_ms, connect_ms, total_ms)):
            row[QUEUE_SUM_MS + offset] += max(value, 0)
            row[QUEUE_PEAK_MS + offset] = max(row[QUEUE_PEAK_MS + offset], value)
