"""What supervisor and workers share: a piece of memory without a name, cut into slots of 64-bit integers.

Laws: every slot has one writer and any number of readers, so nobody ever waits for a counter. The supervisor writes the
settings: the weights at which servers may be picked now (0: not usable) and all limits; workers read them at each
decision, so that a change acts at once. Each worker writes its own counters; a worker's slots outlive it, and the
supervisor, who is the only writer left, then sets its gauges to zero. What several workers write is the memory of the
balancing algorithms and the stick tables: they are guarded by a record lock on the memory's own descriptor, one byte
per backend, which the kernel drops if its holder dies (fcntl(2), "Advisory record locking"). A holder that is
frozen keeps it: then it is waited for once, for a tenth of a second, and no more until it can be had again.

Every backend has room for servers that are added while it runs: its slots are those of the file and ``spare`` ones, and
its word ``SLOTS_USED`` says how many of them, from the first, may hold a server.
"""

from __future__ import annotations

import fcntl
import itertools
import mmap
import os
import select
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Final

from tcpbalancer.rules.stick_table import ROW

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
WAITING_SINCE: Final = 23  # clock in ns: since when the first in this queue waits; 0: nobody
RELEASED_NS: Final = 24  # clock: when a session was closed last
RESERVED: Final = 25  # connections that are being accepted
RATE_SECOND: Final = 26  # the second of the clock in which a connection came last,
RATE_COUNT: Final = 27  # how many have come in it,
RATE_BEFORE: Final = 28  # and how many in the second before
DENIED_REQUESTS: Final = 29  # dreq
DENIED_CONNECTIONS: Final = 30  # dcon
DENIED_SESSIONS: Final = 31  # dses
DEQUEUED: Final = 32  # how many have left the queue for a server
BLOCK: Final = 33

GAUGES: Final = frozenset({CURRENT, QUEUED, WAITING_SINCE, RESERVED})
"""What is so now, and is not counted."""
MEMORIES: Final = frozenset({RELEASED_NS, RATE_SECOND, RATE_COUNT, RATE_BEFORE, DEQUEUED})
"""What decisions depend on: cleared with nothing but the process."""
LARGEST: Final = frozenset({PEAK, QUEUE_PEAK_MS, CONNECT_PEAK_MS, TOTAL_PEAK_MS, QUEUED_PEAK})

# Settings: written by the supervisor only. 0 means "no limit" unless it is said otherwise.
GLOBAL_MAXCONN: Final = 0
GLOBAL_CONNECTION_RATE: Final = 1  # maxconnrate: connections in a second
GLOBAL_SESSION_RATE: Final = 2  # maxsessrate: sessions in a second
RECORDS_WANTED: Final = 3  # 1: somebody reads the record of every session
GLOBAL_SETTINGS: Final = 4

MAXCONN: Final = 0
PAUSED: Final = 1  # 1: what arrives waits in the kernel; 0: open
SESSION_RATE: Final = 2  # rate-limit sessions
FRONTEND_SETTINGS: Final = 3

SLOTS_USED: Final = 0
FULLCONN: Final = 1
ENDS_WANTED: Final = 2  # 1: a server is drained or in maintenance, so that the end of a session may be the last one's
BACKEND_SETTINGS: Final = 3

# Of each server, one row of words for each setting.
WEIGHT: Final = 0  # the effective one, at SCALE; 0: gets no new sessions now
SERVER_MAXCONN: Final = 1
SERVER_MINCONN: Final = 2
SERVER_MAXQUEUE: Final = 3
THROTTLE: Final = 4  # percent of maxconn while slowstart lasts; 0: all of it
RUNNING: Final = 5  # 1: may get what is bound to it (use-server, stick), even if its weight is 0
SERVER_SETTINGS: Final = 6

SCALE: Final = 16
"""Effective weights are the configured ones times this, so that slowstart has steps in between (BE_WEIGHT_SCALE)."""
SPARE_SERVERS: Final = 32
"""Servers that can be added to a backend while it runs."""

# What a worker says of itself.
DROPPED_RECORDS: Final = 0
HEARTBEAT: Final = 1  # moves at least once in a second as long as the worker does
INEXACT_PICKS: Final = 2  # picks without the lock
CONNECTIONS: Final = 3  # open ones of all frontends: nobody has to look at each of these for every connection
ACCEPTING: Final = 4  # connections that are being accepted
IN_KERNEL: Final = 5  # connections that the kernel relays: they cost no descriptor, so no limit counts them
WORKER_BLOCK: Final = 6

WINDOW: Final = 1024
"""Sessions over which times are averaged (TIME_STATS_SAMPLES)."""
PAUSES: Final = (0.0, 0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.06)
"""Seconds between two tries to take a lock: it is held for microseconds, or for as long as its holder has to wait for a
processor, or for ever by one that is frozen."""


class Layout:
    """Where everything lies, in units of one integer; the same on both sides because both compute it from the same.

    ``frontends`` is their number; ``servers`` the number of servers in the file of each backend; ``memory_sizes`` what
    each backend's algorithm needs for all its slots; ``spare`` the slots beyond those of the file; ``tables`` the rows
    of each backend's stick table (none: no backend has one). ``kernel``: behind the rows of the workers there is one
    more, and one more bell, for the kernel's data plane.
    """

    def __init__(
        self,
        frontends: int,
        servers: Sequence[int],
        memory_sizes: Sequence[int],
        workers: int,
        *,
        spare: int = 0,
        tables: Sequence[int] = (),
        kernel: bool = False,
    ) -> None:
        self.frontends = frontends
        self.slots = tuple(count + spare for count in servers)
        self.workers = workers
        self.kernel = kernel
        self.writers = workers + kernel
        rows = [*(count * SERVER_SETTINGS for count in self.slots)]
        sizes = [GLOBAL_SETTINGS, frontends * FRONTEND_SETTINGS, len(rows) * BACKEND_SETTINGS]
        sizes += [*rows, *memory_sizes, *(count * ROW for count in tables or [0] * len(rows))]
        starts = list(itertools.accumulate(sizes, initial=0))
        places = [slice(start, start + size) for start, size in zip(starts, sizes, strict=False)]
        self.settings, self._frontend_settings, self._backend_settings = places[:3]
        self._rows, self._memories, self._tables = (
            places[3 + part * len(rows) : 3 + (part + 1) * len(rows)] for part in range(3)
        )
        self._first_worker = starts[-1]
        self._first_server = list(itertools.accumulate(self.slots, initial=frontends + len(rows)))
        self.blocks = self._first_server.pop()
        self._worker_size = WORKER_BLOCK + self.blocks * BLOCK
        self.size = self._first_worker + self.writers * self._worker_size

    def frontend_setting(self, frontend: int, setting: int) -> int:
        """Return where a frontend's setting lies."""
        return self._frontend_settings.start + frontend * FRONTEND_SETTINGS + setting

    def backend_setting(self, backend: int, setting: int) -> int:
        """Return where a backend's setting lies."""
        return self._backend_settings.start + backend * BACKEND_SETTINGS + setting

    def server_settings(self, backend: int, setting: int) -> slice:
        """Return where one setting of all of a backend's servers lies, spare slots included."""
        start: int = self._rows[backend].start + setting * self.slots[backend]
        return slice(start, start + self.slots[backend])

    def settings_of_servers(self, backend: int) -> slice:
        """Return where all settings of all of a backend's servers lie."""
        return self._rows[backend]

    def server_setting(self, backend: int, server: int, setting: int) -> int:
        """Return where a setting of one server lies."""
        assert 0 <= server < self.slots[backend]
        start: int = self.server_settings(backend, setting).start
        return start + server

    def table(self, backend: int) -> slice:
        """Return where a backend's stick table lies: rows of ``stick_table.ROW`` words, under the backend's lock."""
        return self._tables[backend]

    def weights(self, backend: int) -> slice:
        """Return where the weights of a backend's servers lie, spare slots included."""
        return self.server_settings(backend, WEIGHT)

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
    """The memory itself, mapped into this process. ``descriptor`` and ``bells`` are inherited by workers.

    A bell is an eventfd(2), one a worker: it is rung where there is room for somebody who waits there.
    """

    def __init__(self, layout: Layout, descriptor: int | None = None, bells: Sequence[int] = ()) -> None:
        """Make the memory, or (given the descriptors that were inherited) map what another process has made."""
        self.layout = layout
        length = max(layout.size * 8, 8)
        if descriptor is None:
            descriptor = os.memfd_create("tcpbalancer-counters", os.MFD_CLOEXEC)
            os.ftruncate(descriptor, length)
            bells = [os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC) for _ in range(layout.writers)]
        self.bells = tuple(bells)
        self.descriptor = descriptor
        self._map = mmap.mmap(descriptor, length)
        self.words = memoryview(self._map).cast("q")
        self._patient = True

    def view(self, where: slice) -> memoryview:
        """Return a writable row of integers."""
        return self.words[where]

    @contextmanager
    def locked(self, backend: int) -> Iterator[bool]:
        """Hold the lock of one backend's algorithm; yields False if its holder does not let go of it.

        The lock behind those of the backends is that of accepting.
        """
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

    def sum_of_words(self, field: int) -> int:
        """Return the sum of what all workers say of themselves."""
        return sum(self.own_word(worker, field) for worker in range(self.layout.writers))

    def sum(self, block: int, field: int) -> int:
        """Return the sum of one counter over all workers."""
        return sum(self.values(block, field))

    def largest(self, block: int, field: int) -> int:
        """Return the largest value of one counter over all workers."""
        return max(self.values(block, field))

    def values(self, block: int, field: int) -> Iterator[int]:
        """Yield one counter of each worker."""
        for worker in range(self.layout.writers):
            yield self.words[self.layout.block(worker, block).start + field]

    def forget_gauges(self, worker: int) -> None:
        """Set the gauges of a worker that has died to zero; its totals stay."""
        for word in (CONNECTIONS, ACCEPTING, IN_KERNEL):
            self.words[self.layout.worker(worker) + word] = 0
        for block in range(self.layout.blocks):
            start = self.layout.block(worker, block).start
            for gauge in GAUGES:
                self.words[start + gauge] = 0

    def clear(self, worker: int, *, everything: bool) -> None:
        """Set a worker's largest values back, or all but its gauges; only that worker may call this."""
        fields = [field for field in range(BLOCK) if field not in GAUGES | MEMORIES] if everything else list(LARGEST)
        for block in range(self.layout.blocks):
            start = self.layout.block(worker, block).start
            for field in fields:
                self.words[start + field] = 0

    def close(self) -> None:
        """Give the descriptors back; what is in the memory can still be read."""
        for descriptor in (self.descriptor, *self.bells):
            os.close(descriptor)
        self.bells = ()

    def ring(self, *workers: int) -> None:
        """Have workers look now whether there is room for those who wait; all of them if none is named."""
        for bell in [self.bells[worker] for worker in workers] if workers else self.bells:
            with suppress(BlockingIOError):  # it was rung often enough
                os.eventfd_write(bell, 1)
