"""What follows when an attempt to reach a server has failed: the same server, another one, now or later, or the end.

Laws: pure.

Source: HAProxy's configuration manual, ``retries`` and ``option redispatch`` (``back_handle_st_cer``,
``stream_choose_redispatch``).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Step(Enum):
    """What to do next. ``LATER`` is after min(1 s, timeout connect)."""

    GIVE_UP = "give up"
    SAME_NOW = "the same server, at once"
    SAME_LATER = "the same server, later"
    OTHER_NOW = "choose again, at once"
    OTHER_LATER = "choose again, later"


@dataclass(frozen=True, slots=True)
class Failure:
    """An attempt that has failed, and where.

    ``attempt`` counts from 1. ``interval`` is that of ``option redispatch``: every Nth retry changes the server, with a
    negative N counted from the last one; None without the option. ``bound``: a rule or a stick table has named the
    server; ``hashed``: the algorithm has no other for this client. ``active`` counts usable servers, backups aside.
    """

    attempt: int
    retries: int
    interval: int | None
    timed_out: bool
    server_runs: bool
    bound: bool
    hashed: bool
    active: int


def next_step(failure: Failure) -> Step:
    """Return what HAProxy does next. It waits only before it tries the same server again, and not after a timeout."""
    if failure.attempt > failure.retries:
        return Step.GIVE_UP
    if not _changes(failure):
        return Step.SAME_NOW if failure.timed_out else Step.SAME_LATER
    return Step.OTHER_LATER if failure.active <= 1 and not failure.timed_out else Step.OTHER_NOW


def _changes(failure: Failure) -> bool:
    if failure.interval is None:
        return False
    if not failure.server_runs or (not failure.bound and not failure.hashed and failure.active > 1):
        return True
    every = failure.interval if failure.interval > 0 else failure.retries + 1 + failure.interval
    return every > 0 and failure.attempt % every == 0
