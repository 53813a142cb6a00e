"""A worker's hand on one block of counters: of a frontend, a backend or a server.

Laws: see ``counters``. A worker writes its own row only; what it wants to know over all workers is summed up at that
moment. Every session goes through here several times, so these are plain lines.
"""

from __future__ import annotations

from typing import Final

from tcpbalancer.counters import (
    CONNECT_PEAK_MS,
    CONNECT_SUM_MS,
    CURRENT,
    LAST_SESSION_MS,
    PEAK,
    QUEUE_PEAK_MS,
    QUEUE_SUM_MS,
    QUEUED,
    QUEUED_PEAK,
    RATE_BEFORE,
    RATE_COUNT,
    RATE_SECOND,
    SAMPLES,
    TOTAL,
    TOTAL_PEAK_MS,
    TOTAL_SUM_MS,
    WINDOW,
    SharedMemory,
)

SUMS: Final = (QUEUE_SUM_MS, CONNECT_SUM_MS, TOTAL_SUM_MS)


class Block:
    """A worker's hand on one of its blocks: it counts, and it sees the sum over all workers."""

    __slots__ = ("_is_alone", "_places", "_words", "row")

    def __init__(self, memory: SharedMemory, worker: int, block: int) -> None:
        layout = memory.layout
        self._words = memory.words
        self._is_alone = layout.writers == 1  # then every sum is its own counter
        self._places = [layout.block(each, block).start for each in range(layout.writers)]
        self.row = memory.view(layout.block(worker, block))

    def add(self, field: int, amount: int = 1) -> None:
        """Add to one counter."""
        self.row[field] += amount

    def of_workers(self, field: int) -> list[int]:
        """Return a counter of each worker."""
        words = self._words
        return [words[place + field] for place in self._places]

    def sum(self, field: int) -> int:
        """Return the sum of a counter over all workers."""
        return sum(self.of_workers(field))

    def largest(self, field: int) -> int:
        """Return the largest value of a counter over all workers."""
        return max(self.of_workers(field))

    def current(self) -> int:
        """Return the sessions that are open now, over all workers."""
        return self.row[CURRENT] if self._is_alone else self.sum(CURRENT)

    def opened(self, now: float) -> None:
        """Count one more session."""
        row = self.row
        row[CURRENT] = now_open = row[CURRENT] + 1
        if not self._is_alone:
            now_open = self.sum(CURRENT)
        row[PEAK] = max(row[PEAK], now_open)
        row[TOTAL] += 1
        row[LAST_SESSION_MS] = int(now * 1000)

    def entered(self) -> None:
        """Count a connection that is there, though it may never become a session."""
        row = self.row
        row[CURRENT] += 1
        row[PEAK] = max(row[PEAK], self.current())

    def counted(self, now: float) -> None:
        """Count the session of a connection that is there."""
        self.row[TOTAL] += 1
        self.row[LAST_SESSION_MS] = int(now * 1000)

    def closed(self) -> None:
        """Count one session less."""
        self.row[CURRENT] -= 1

    def queued(self, count: int) -> None:
        """Note how many sessions wait in this worker."""
        self.row[QUEUED] = count
        self.row[QUEUED_PEAK] = max(self.row[QUEUED_PEAK], self.sum(QUEUED))

    def arrived(self, now: float) -> None:
        """Count one more connection for the rates."""
        row, second = self.row, int(now)
        if row[RATE_SECOND] != second:
            row[RATE_BEFORE] = row[RATE_COUNT] if row[RATE_SECOND] == second - 1 else 0
            row[RATE_SECOND], row[RATE_COUNT] = second, 0
        row[RATE_COUNT] += 1

    def rate(self, now: float) -> float:
        """Return how many connections have come in the last second, over all workers.

        Those of the second before count as far as it still overlaps (``freq_ctr``).
        """
        second, total = int(now), 0.0
        rows = zip(self.of_workers(RATE_SECOND), self.of_workers(RATE_COUNT), self.of_workers(RATE_BEFORE), strict=True)
        for last, count, before in rows:
            if last == second:
                total += count + before * (1 - (now - second))
            elif last == second - 1:
                total += count * (1 - (now - second))
        return total

    def took(self, wait_ms: int, connect_ms: int, total_ms: int) -> None:
        """Enter the times of a session that has ended into the averages and the peaks; -1 counts as 0."""
        row = self.row
        if row[SAMPLES] < WINDOW:
            row[SAMPLES] += 1
        else:
            for field in SUMS:
                if share := row[field] // WINDOW:
                    row[field] -= share
        if wait_ms > 0:
            row[QUEUE_SUM_MS] += wait_ms
            row[QUEUE_PEAK_MS] = max(row[QUEUE_PEAK_MS], wait_ms)
        if connect_ms > 0:
            row[CONNECT_SUM_MS] += connect_ms
            row[CONNECT_PEAK_MS] = max(row[CONNECT_PEAK_MS], connect_ms)
        if total_ms > 0:
            row[TOTAL_SUM_MS] += total_ms
            row[TOTAL_PEAK_MS] = max(row[TOTAL_PEAK_MS], total_ms)
