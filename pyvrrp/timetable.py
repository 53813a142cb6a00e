"""When each virtual router is due: one heap and one timer of the loop for all of them.

Laws: a router has one deadline, that of its machine. A deadline that moves away costs nothing until the old one comes
(a backup's moves with every advertisement that it hears); one that comes nearer is entered anew. Routers that are due
together are called together, so that what has to be done before timers fire is done once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from heapq import heappop, heappush


class Timetable:
    """Calls ``due`` with the names of the routers whose deadlines have come, and with how late it is, in seconds."""

    def __init__(self, loop: asyncio.AbstractEventLoop, due: Callable[[list[str], float], None]) -> None:
        self._loop = loop
        self._due = due
        self._heap: list[tuple[float, str]] = []
        self._wanted: dict[str, float] = {}
        self._entered: dict[str, float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = float("inf")

    def set(self, name: str, deadline: float | None) -> None:
        """Have ``name`` called at ``deadline`` (monotonic seconds), and not before; None: not at all."""
        if deadline is None:
            self._wanted.pop(name, None)
            return
        self._wanted[name] = deadline
        if deadline < self._entered.get(name, float("inf")):
            self._entered[name] = deadline
            heappush(self._heap, (deadline, name))
            if deadline < self._timer_at:
                self._arm(deadline)

    def stop(self) -> None:
        """Call nobody any more."""
        if self._timer is not None:
            self._timer.cancel()
        self._heap.clear()
        self._wanted.clear()
        self._entered.clear()
        self._timer, self._timer_at = None, float("inf")

    def _arm(self, deadline: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = deadline
        self._timer = self._loop.call_at(deadline, self._fire)

    def _fire(self) -> None:
        self._timer, self._timer_at = None, float("inf")
        now = self._loop.time()
        names, late = self._take(now)
        try:
            if names:
                self._due(names, late)
        finally:
            if self._heap and self._heap[0][0] < self._timer_at:
                self._arm(self._heap[0][0])

    def _take(self, now: float) -> tuple[list[str], float]:
        """Take out whose deadline has come, and how late the first of them is; enter anew whose has moved on."""
        names, late = [], 0.0
        while self._heap and self._heap[0][0] <= now:
            entered, name = heappop(self._heap)
            if self._entered.get(name) != entered:
                continue  # it was entered again, nearer
            del self._entered[name]
            deadline = self._wanted.get(name)
            if deadline is None:
                continue
            if deadline > now:
                self._entered[name] = deadline
                heappush(self._heap, (deadline, name))
                continue
            del self._wanted[name]
            names.append(name)
            late = max(late, now - deadline)
        return names, late
