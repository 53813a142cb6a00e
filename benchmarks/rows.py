"""The rows of the balancer's benchmark: what is compared, what is aimed at, and what the figures of some rounds say.

Laws: pure, figures in and values out. A ratio is one program's figure over HAProxy's of the same round, since these
machines are shared and absolute figures say little; of several rounds it has a least, a median and a greatest. A target
is met or missed by the median as it is printed, at two decimals. Nothing is left out because it looks bad.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

OURS, KERNEL, THEIRS, NGINX, DIRECT = "tcpbalancer", "kernel plane", "haproxy", "nginx", "direct"
ROOM = 1.5
"""How many times the best program's figure must be reached without a balancer, or the load is what was measured."""

Figures = Mapping[str, Mapping[str, float]]
"""One round: program to name of the row to figure."""


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table: its name, its unit, which way is better, and the ratio aimed at by each of ours.

    ``rate``: a figure that the client makes, which has a limit of its own that ``direct`` shows.
    """

    name: str
    unit: str
    targets: Mapping[str, float]
    smaller_is_better: bool = False
    rate: bool = True


def _rate(name: str, unit: str, ours: float, kernel: float) -> Row:
    return Row(name, unit, {OURS: ours, KERNEL: kernel})


def _cost(name: str, unit: str, ours: float | None = None, kernel: float | None = None) -> Row:
    """A row in which less is better, and which the client does not limit."""
    targets = {program: target for program, target in ((OURS, ours), (KERNEL, kernel)) if target is not None}
    return Row(name, unit, targets, smaller_is_better=True, rate=False)


NEW, NEW_COST = "new connections", "processor time of a new connection"
FAILED = "failed connections"
"""Those among the new ones: no row, since there should be none; the table says so if there were."""
TRIPS = {16: "round trips, 16 connections", 1: "round trips, 1 connection", 256: "round trips, 256 connections"}
BULK, BULK_COST, BULK_TOTAL = "bulk, one stream", "processor time of a gigabyte", "the same, client and server included"
BESIDE_BULK, SQL, IDLE = "p99 of a round trip beside bulk", "pgbench -S, 16 clients", "memory of an idle connection"
ROWS = (
    _rate(NEW, "/s", 1.1, 1.3),
    _cost(NEW_COST, "s"),
    _rate(TRIPS[16], "/s", 1.0, 1.8),
    _rate(TRIPS[1], "/s", 1.0, 1.3),
    _rate(TRIPS[256], "/s", 1.0, 1.3),
    _rate(BULK, "B/s", 1.8, 2.0),
    _cost(BULK_COST, "s", ours=0.4, kernel=0.05),
    _cost(BULK_TOTAL, "s"),
    _cost(BESIDE_BULK, "s", ours=1.0, kernel=1.0),
    _rate(SQL, "/s", 1.0, 1.0),
    _cost(IDLE, "B", ours=1.0, kernel=1.0),
)


@dataclass(frozen=True, slots=True)
class Spread:
    """What several rounds gave."""

    least: float
    median: float
    greatest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread | None:
        """Return the spread of some values; of none there is none."""
        return cls(min(values), statistics.median(values), max(values)) if values else None


def figures_of(rounds: Sequence[Figures], row: Row, program: str) -> list[float]:
    """Return what a program reached, round by round."""
    return [one[program][row.name] for one in rounds if row.name in one.get(program, {})]


def ratios(rounds: Sequence[Figures], row: Row, program: str) -> list[float]:
    """Return a program's figures as multiples of HAProxy's in the same round."""
    pairs = ((one.get(program, {}).get(row.name), one.get(THEIRS, {}).get(row.name)) for one in rounds)
    return [figure / theirs for figure, theirs in pairs if figure is not None and theirs]


def is_short(row: Row, program: str, found: Spread) -> bool:
    """Return whether a median, as it is printed, misses what is aimed at; nothing aimed at cannot be missed."""
    target = row.targets.get(program)
    if target is None:
        return False
    printed = round(found.median, 2)
    return printed > target if row.smaller_is_better else printed < target


def is_limited(rounds: Sequence[Figures], row: Row) -> bool:
    """Return whether the load itself was the limit: direct reached less than ROOM times what the best proxy did.

    The kernel plane is no proxy: it is meant to come near direct.
    """
    direct = Spread.of(figures_of(rounds, row, DIRECT))
    if not row.rate or direct is None:
        return False
    medians = [spread.median for name in (OURS, THEIRS, NGINX) if (spread := Spread.of(figures_of(rounds, row, name)))]
    return bool(medians) and direct.median < ROOM * max(medians)
