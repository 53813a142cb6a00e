"""keepalived's log lines, made from events.

Laws: pure of state: an event gives the same lines whenever it comes. What people grep for is worded as keepalived
words it (``(VI_1) Entering MASTER STATE``); lines that keepalived writes only with ``-D`` are marked as detail.
Remote text never reaches a line unescaped: all that comes from the wire are numbers and addresses.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from hakit.transcript import Event

SAID = frozenset({
    "addr_list_err",
    "address_left_behind",
    "address_list_differs",
    "address_lost",
    "addresses_fought_over",
    "advert_interval_learned",
    "advert_interval_restored",
    "clock_skew",
    "duplicate_vrid",
    "fifo_dropped",
    "fifo_failed",
    "interval_differs",
    "lease_ran_out",
    "left_out",
    "loop_lag",
    "lower_priority_discarded",
    "lower_priority_master",
    "master_resigned",
    "not_heard",
    "notice",
    "notify_failed",
    "notify_slow",
    "old_checksum",
    "operator",
    "our_address_used",
    "owner_conflict",
    "peer_back",
    "peer_stale",
    "preempt_delay_started",
    "preempt_delay_stopped",
    "priority",
    "promotion_refused",
    "ready",
    "rejected",
    "reload_refused",
    "resignation_answered",
    "script_returned",
    "script_skipped",
    "script_timed_out",
    "split_brain",
    "split_brain_healed",
    "stalled",
    "stopped",
    "system_error",
    "takeover_impossible",
    "unknown_vrid",
    "warning",
})  # fmt: skip
"""Events whose reason is the whole line; of an instance, with its name in front."""
DETAIL = frozenset({"addresses", "group_waits", "link", "resignation_answered"})
"""As SAID, but only with ``-D``."""
DAEMON = "pyvrrp"
"""The source of what is said of no instance."""
QUORUM = {"succeeded": "gained", "failed": "lost"}


@dataclass(frozen=True, slots=True)
class Line:
    """One log line; ``detail``: written only with ``-D``."""

    text: str
    detail: bool = False


def lines(event: Event) -> list[Line]:
    """Return the lines that keepalived would write about ``event``; none for what it does not speak of."""
    if event.event in SAID or event.event in DETAIL:
        detail = event.event in DETAIL or event.get("detail") is True
        return [Line(_of(event, event.reason), detail=detail)]
    match event.event:
        case "transition":
            return _transition(event)
        case "group_transition" if event.get("from") != "INIT" and event.get("to") != "INIT":
            return [Line(event.reason)]
        case "script" | "http" | "process":
            return [Line(_tracker(event))]
        case "announced":
            return _announced(event)
        case "advertised" if event.get("priority") == 0:
            return [Line(f"({event.source}) sent 0 priority", detail=True)]
        case _:
            return []


def _of(event: Event, text: str) -> str:
    """Return ``text`` behind the name of the instance, unless it is the daemon that speaks, or of a group."""
    return text if event.source == DAEMON or text.startswith("VRRP_Group(") else f"({event.source}) {text}"


def _transition(event: Event) -> list[Line]:
    who, after = f"({event.source})", event.get("to")
    match (event.get("from"), after):
        case ("INIT", "BACKUP") if not event.get("delayed"):
            return [Line(f"{who} Entering BACKUP STATE (init)")]
        case (_, "FAULT"):
            return [Line(f"{who} entering FAULT state ({event.reason})"), Line(f"{who} Entering FAULT STATE")]
        case ("MASTER", "BACKUP"):
            return [Line(_of(event, event.reason)), Line(f"{who} Entering BACKUP STATE")]
        case ("BACKUP", "MASTER"):
            timeout = event.reason.startswith("no advertisement")
            why = Line(f"{who} Receive advertisement timeout" if timeout else _of(event, event.reason), detail=timeout)
            return [why, Line(f"{who} Entering MASTER STATE")]
        case (_, "INIT"):
            return []
        case _:
            return [Line(f"{who} Entering {after} STATE")]


def _tracker(event: Event) -> str:
    name, status = event.get("name"), event.get("status")
    if event.event == "process":
        return f"Quorum {QUORUM.get(str(status))} for tracked process {name} ({event.reason})"
    kind = "VRRP_Script" if event.event == "script" else "VRRP_Http"
    return f"{kind}({name}) succeeded" if status == "succeeded" else f"{kind}({name}) failed ({event.reason})"


def _announced(event: Event) -> list[Line]:
    where, rounds = f"on {event.get('interface')} for {event.get('address')}", event.get("rounds")
    all_, one = "gratuitous ARPs", "gratuitous ARP"
    if event.get("family") == 6:
        all_, one = "Unsolicited Neighbour Adverts", "unsolicited Neighbour Advert"
    assert isinstance(rounds, int)
    queued = Line(f"({event.source}) Sending/queueing {all_} {where}", detail=True)
    return [queued, *[Line(f"Sending {one} {where}", detail=True)] * rounds]


def console_stamp(event: Event) -> str:
    """Return the time as keepalived's ``-l`` prints it: ``Sun Nov 22 19:12:40 2026``."""
    return time.strftime("%c", time.localtime(event.wall))


def file_stamp(event: Event) -> str:
    """Return the time as keepalived's ``-g`` prints it: ``Sun Nov 22 19:12:40.123456000 2026``."""
    at = time.localtime(event.wall)
    return f"{time.strftime('%a %b %d %T', at)}.{int(event.wall % 1 * 1e9):09d} {time.strftime('%Y', at)}"
