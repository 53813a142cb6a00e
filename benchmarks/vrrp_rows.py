"""The rows of the VRRP benchmark: what is compared, and what is aimed at.

Laws: pure. A ratio is that of what both programs did in the same round; an aim is met or missed by what is printed, at
two decimals for a ratio.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

PYVRRP, KEEPALIVED = "pyvrrp", "keepalived"
SIGTERM, LINK_DOWN, SIGKILL = "SIGTERM", "link down", "SIGKILL"
INTERVALS = (1, 0.01)
"""Seconds between advertisements."""
COUNTS = (1, 100, 1000)
"""Virtual routers."""
LONGEST = "longest pause between advertisements meanwhile"
START, HEALED = "start to BACKUP", "reached again after a partition, advert_int 0.01"


def takeover(death: str, interval: float) -> str:
    """Return the name of the row of a takeover after a master's death."""
    return f"takeover, {death}, advert_int {interval:g}"


def masters(count: int) -> str:
    """Return the name of the row of the processor time of so many masters."""
    return f"{count:,} master{'s' if count > 1 else ''}, share of a core"


def leased(count: int) -> str:
    """Return the name of the row of the processor time of so many masters that hold their addresses by a lease."""
    return f"{count:,} masters with vip_lease, share of a core"


def backups(count: int) -> str:
    """Return the name of the row of the processor time of so many backups."""
    return f"{count:,} backup{'s' if count > 1 else ''}, share of a core"


def memory(share: str) -> str:
    """Return the name of the row of memory beside one of a share."""
    return share.replace("share of a core", "memory")


def false_failovers(seconds: int) -> str:
    """Return the name of the row of takeovers that nobody's death called for."""
    return f"false failovers in {seconds} s of full load, advert_int 0.01"


@dataclass(frozen=True, slots=True)
class Aim:
    """What a row should reach: a ratio to keepalived, an absolute figure, or no more than keepalived has."""

    ratio: float | None = None
    below: float | None = None
    no_more: bool = False


def aim(row: str) -> Aim | None:
    """Return what is aimed at in a row, if anything is."""
    if row.startswith("takeover"):
        return Aim(ratio=1.0, below=0.06 if row.endswith("0.01") else None)
    if row in {HEALED, LONGEST}:
        return Aim(ratio=1.0)
    if row == masters(1000):
        return Aim(below=0.10)
    if row == leased(1000):
        return Aim(below=0.20)
    return Aim(no_more=True) if row.startswith("false failovers") else None


def ratio(figures: Mapping[str, Sequence[float]]) -> float | None:
    """Return the median over the rounds of what pyvrrp needs, as a multiple of what keepalived does."""
    pairs = zip(figures.get(PYVRRP, ()), figures.get(KEEPALIVED, ()), strict=False)
    found = [ours / theirs for ours, theirs in pairs if theirs]
    return statistics.median(found) if found else None


def is_short(row: str, figures: Mapping[str, Sequence[float]]) -> bool:
    """Return whether a row misses what is aimed at."""
    wanted, ours = aim(row), figures.get(PYVRRP, ())
    if wanted is None or not ours:
        return False
    multiple, middle = ratio(figures), statistics.median(ours)
    if wanted.ratio is not None and multiple is not None and round(multiple, 2) > wanted.ratio:
        return True
    if wanted.below is not None and middle >= wanted.below:
        return True
    return wanted.no_more and sum(ours) > sum(figures.get(KEEPALIVED, ()))


def unit(row: str) -> str:
    """Return the unit of a row's figures: s, B, share, or nothing for a number."""
    if "share" in row:
        return "share"
    if "memory" in row:
        return "B"
    return "" if re.match("false", row) else "s"
