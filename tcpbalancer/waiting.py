"""A queue, as one worker sees it: those who wait in this worker for a backend, or for one of its servers.

Laws: first in, first out over all workers. Who waits has a ticket, the time of its coming on the clock that all
processes of a machine share; every worker shows the ticket of the first one of each of its queues in its counters, so
that each knows whose turn it is. ``Pool.serve_queues`` lets them go on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from tcpbalancer.block import Block
from tcpbalancer.counters import DEQUEUED, WAITING_SINCE

if TYPE_CHECKING:
    from tcpbalancer.pool import Target


class Waiter(Protocol):
    """A session that waits for a server with room."""

    def turn_came(self, target: Target, now: float) -> None:
        """Leave the queue and go on to this server; or keep the place if another worker's session was faster."""
        ...

    def turned_away(self, now: float) -> None:
        """Leave the queue and look for another server: the one that it waited for has gone."""
        ...


class Line:
    """The queue."""

    def __init__(self, block: Block, crowd: set[Waiter]) -> None:
        """``crowd``: all who wait in this worker for the same backend, or for any of its servers."""
        self._block = block
        self._crowd = crowd
        self._tickets: dict[Waiter, int] = {}
        self._before: dict[Waiter, int] = {}  # how many had left the queue for a server when it came

    def __len__(self) -> int:
        return len(self._tickets)

    @property
    def waiters(self) -> list[Waiter]:
        """All who wait here, in their order."""
        return list(self._tickets)

    @property
    def first(self) -> Waiter:
        """The one who waits longest; raises StopIteration if nobody waits."""
        return next(iter(self._tickets))

    @property
    def ticket(self) -> int:
        """The ticket of the first one here, 0 if nobody waits."""
        return self._block.row[WAITING_SINCE]

    def oldest(self) -> int:
        """Return the oldest ticket of all workers, 0 if nobody waits anywhere."""
        return min(filter(None, self._block.of_workers(WAITING_SINCE)), default=0)

    def holder(self, ticket: int) -> int | None:
        """Return the number of the worker that has this ticket, None if nobody has it any more."""
        tickets = self._block.of_workers(WAITING_SINCE)
        return tickets.index(ticket) if ticket in tickets else None

    def join(self, waiter: Waiter, now: float) -> None:
        """Let a session wait."""
        self._tickets[waiter] = max(int(now * 1e9), 1)
        self._before[waiter] = self._block.sum(DEQUEUED)
        self._crowd.add(waiter)
        self._tell()

    def leave(self, waiter: Waiter, *, served: bool) -> int:
        """Let a session wait no longer; returns its place as a log line has it (%sq, %bq).

        That is 1 and one for each that was served while it waited. ``served``: it goes on to a server.
        """
        place = self._block.sum(DEQUEUED) - self._before.pop(waiter) + 1
        if served:
            self._block.add(DEQUEUED)
        del self._tickets[waiter]
        self._crowd.discard(waiter)
        self._tell()
        return place

    def _tell(self) -> None:
        self._block.row[WAITING_SINCE] = next(iter(self._tickets.values()), 0)
        self._block.queued(len(self._tickets))
