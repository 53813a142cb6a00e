"""What has been counted of the frontends that the supervisor serves itself, in HTTP mode.

Laws: no clock, no socket: time comes in as seconds of a monotonic clock. The counters of a frontend are found by its
name and stay over a reload. A rate is that of the last full second.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from tcpbalancer.statistics import FrontendStatistics, HttpStatistics, Traffic


@dataclass(slots=True)
class Rate:
    """Counts events, and how many there were in the last full second."""

    total: int = 0
    peak: int = 0
    _second: int = -1
    _now: int = 0
    _before: int = 0

    def count(self, now: float) -> None:
        """Take note of one event."""
        self.total += 1
        self._turn(now)
        self._now += 1
        self.peak = max(self.peak, self._now)

    def last(self, now: float) -> int:
        """Return how many there were in the last full second, or more in this one."""
        self._turn(now)
        return max(self._before, self._now)

    def clear(self, *, everything: bool) -> None:
        """Forget the peak, or all."""
        self.peak = 0
        if everything:
            self.total = self._now = self._before = 0

    def _turn(self, now: float) -> None:
        second = int(now)
        if second != self._second:
            self._before = self._now if second == self._second + 1 else 0
            self._second, self._now = second, 0


@dataclass(slots=True)
class PageCounters:
    """One frontend's."""

    current: int = 0
    peak: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    denied: int = 0
    rejected: int = 0  # connections that a rule of tcp-request ended
    errors: int = 0
    intercepted: int = 0
    connections: Rate = field(default_factory=Rate)
    requests: Rate = field(default_factory=Rate)
    answers: dict[int, int] = field(default_factory=dict)  # by the first digit of the status

    def came(self, now: float) -> None:
        """Somebody has connected."""
        self.connections.count(now)
        self.current += 1
        self.peak = max(self.peak, self.current)

    def left(self) -> None:
        """Somebody has gone."""
        self.current -= 1

    def answered(self, status: int) -> None:
        """An answer was given."""
        self.answers[status // 100] = self.answers.get(status // 100, 0) + 1

    def clear(self, *, everything: bool) -> None:
        """Forget the largest values, or all that was counted."""
        self.peak = self.current
        self.connections.clear(everything=everything)
        self.requests.clear(everything=everything)
        if everything:
            self.answers.clear()
            for each in fields(self):
                if each.name not in {"current", "peak"} and isinstance(getattr(self, each.name), int):
                    setattr(self, each.name, 0)

    def statistics(self, status: str, limit: int, now: float) -> FrontendStatistics:
        """Return the row of this frontend."""
        rate = self.connections.last(now)
        traffic = Traffic(
            current=self.current,
            peak=self.peak,
            limit=limit,
            total=self.connections.total,
            bytes_in=self.bytes_in,
            bytes_out=self.bytes_out,
            rate=rate,
            rate_peak=self.connections.peak,
        )
        count = self.answers.get
        http = HttpStatistics(
            requests=self.requests.total,
            request_rate=self.requests.last(now),
            request_rate_peak=self.requests.peak,
            intercepted=self.intercepted,
            answers=(count(1, 0), count(2, 0), count(3, 0), count(4, 0), count(5, 0)),
        )
        return FrontendStatistics(
            status,
            traffic,
            connection_rate=rate,
            connection_rate_peak=self.connections.peak,
            connections_total=self.connections.total,
            denied_requests=self.denied,
            denied_connections=self.rejected,
            request_errors=self.errors,
            http=http,
        )


class Pages:
    """The counters of all frontends in HTTP mode, by name."""

    def __init__(self) -> None:
        self._of: dict[str, PageCounters] = {}

    def __getitem__(self, frontend: str) -> PageCounters:
        return self._of.setdefault(frontend, PageCounters())

    @property
    def current(self) -> int:
        """Connections to all of them now."""
        return sum(page.current for page in self._of.values())

    def clear(self, *, everything: bool) -> None:
        """Forget the largest values, or all that was counted."""
        for page in self._of.values():
            page.clear(everything=everything)
