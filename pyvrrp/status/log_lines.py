"""keepalived's log lines, made from events.

Laws: pure of state: an event gives the same lines whenever it comes. What people grep for is worded as keepalived
words it (``(VI_1) Entering MASTER STATE``); lines that keepalived writes only with ``-D`` are marked as detail.
Remote text never reaches a line unescaped: all that comes from the wire are numbers and addresses.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from hakit.transcript import Event

PREFIXED = frozenset({
    "address_lost",
    "lower_priority_discarded",
    "lower_priority_master",
    "master_resigned",
    "notify_failed",
    "preempt_delay_started",
    "priority",
    "rejected",
    "stalled",
    "system_error",
    "takeover_impossible",
})  # fmt: skip
"""Events of an instance whose reason is the whole line."""
PLAIN = frozenset({"fifo_dropped", "fifo_failed", "notice", "ready", "reload_refused", "stopped", "warning"})
"""Events of the daemon whose reason is the whole line."""


@dataclass(frozen=True, slots=True)
class Line:
    """One log line; ``detail``: written only with ``-D``."""

    text: str
    detail: bool = False


def lines(event: Event) -> list[Line]:
    """Return the lines that keepalived would write about ``event``; none for what it does not speak of."""
    if event.event in PLAIN:
        return [Line(event.reason, detail=event.get("detail") is True)]
    if event.event in PREFIXED:
        return [Line(f"({event.source}) {event.reason}")]
    match event.event:
        case "transition":
            return _transition(event)
        case "script":
            return _script(event)
        case "addresses":
            return [Line(f"({event.source}) {event.reason}", detail=True)]
        case "announced":
            return _announced(event)
        case "advertised" if event.get("priority") == 0:
            return [Line(f"({event.source}) sent 0 priority", detail=True)]
        case _:
            return []


def _transition(event: Event) -> list[Line]:
    who, after = f"({event.source})", event.get("to")
    match (event.get("from"), after):
        case ("INIT", "BACKUP") if not event.get("delayed"):
            return [Line(f"{who} Entering BACKUP STATE (init)")]
        case (_, "FAULT"):
            return [Line(f"{who} entering FAULT state ({event.reason})"), Line(f"{who} Entering FAULT STATE")]
        case ("MASTER", "BACKUP"):
            return [Line(f"{who} {event.reason}"), Line(f"{who} Entering BACKUP STATE")]
        case ("BACKUP", "MASTER"):
            return [
                Line(f"{who} Receive advertisement timeout", detail=True),
                Line(f"{who} Entering MASTER STATE"),
            ]
        case (_, "INIT"):
            return []
        case _:
            return [Line(f"{who} Entering {after} STATE")]


def _script(event: Event) -> list[Line]:
    name, status = event.get("name"), event.get("status")
    if status == "succeeded":
        return [Line(f"VRRP_Script({name}) succeeded")]
    return [Line(f"VRRP_Script({name}) failed ({event.reason})")]


def _announced(event: Event) -> list[Line]:
    address, interface, rounds = event.get("address"), event.get("interface"), event.get("rounds")
    queued = f"({event.source}) Sending/queueing gratuitous ARPs on {interface} for {address}"
    sent = f"Sending gratuitous ARP on {interface} for {address}"
    assert isinstance(rounds, int)
    return [Line(queued, detail=True), *[Line(sent, detail=True)] * rounds]


def console_stamp(event: Event) -> str:
    """Return the time as keepalived's ``-l`` prints it: ``Sun Nov 22 19:12:40 2026``."""
    return time.strftime("%c", time.localtime(event.wall))


def file_stamp(event: Event) -> str:
    """Return the time as keepalived's ``-g`` prints it: ``Sun Nov 22 19:12:40.123456000 2026``."""
    at = time.localtime(event.wall)
    return f"{time.strftime('%a %b %d %T', at)}.{int(event.wall % 1 * 1e9):09d} {time.strftime('%Y', at)}"
