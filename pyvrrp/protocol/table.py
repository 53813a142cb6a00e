"""The transitions as data: what each state does about each event, under which condition, by which rule.

Laws: a test drives the machine into every row and compares; another one lets random events loose on the machine and
looks for a transition that is not here. ``docs/state-machine.md`` is this table, drawn by ``as_markdown``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """In ``state``, on ``event``, if ``when``: go to ``becomes``, with ``effects`` in this order, by ``rule``."""

    state: str
    event: str
    when: str
    becomes: str
    effects: tuple[str, ...]
    rule: str


_TO_MASTER = ("Transitioned", "SendAdvertisement", "AddAddresses", "Announce", "Notify")
_TO_BACKUP = ("Transitioned", "Notify")
_TO_FAULT = ("Transitioned", "Notify")
_RESIGNING = ("SendAdvertisement", "RemoveAddresses")

TABLE: tuple[Row, ...] = (
    Row("INIT", "Startup", "priority 1..254", "BACKUP", ("RemoveAddresses", *_TO_BACKUP), "RFC 3768 6.4.1"),
    Row("INIT", "Startup", "priority 255, the owner", "MASTER", _TO_MASTER, "RFC 3768 6.4.1"),
    Row("INIT", "Startup", "a fault is there", "FAULT", ("RemoveAddresses", *_TO_FAULT), "keepalived FAULT"),
    Row("INIT", "FaultRaised", "always", "INIT", (), "keepalived FAULT"),
    Row("INIT", "FaultCleared", "always", "INIT", (), "keepalived FAULT"),
    Row("INIT", "Shutdown", "always", "INIT", (), "RFC 3768 6.4.1"),
    Row("INIT", "AdvertisementReceived", "always", "INIT", (), "RFC 3768 6.4.1"),
    Row("INIT", "Tick", "always", "INIT", (), "RFC 3768 6.4.1"),
    Row("BACKUP", "Tick", "Master_Down_Timer runs", "BACKUP", (), "RFC 3768 6.4.2"),
    Row("BACKUP", "Tick", "Master_Down_Timer fired", "MASTER", _TO_MASTER, "RFC 3768 6.4.2"),
    Row("BACKUP", "Tick", "fired more than an interval ago", "BACKUP", ("Observed",), "listen after a stall"),
    Row("BACKUP", "AdvertisementReceived", "priority 0", "BACKUP", ("Observed",), "RFC 3768 6.4.2"),
    Row("BACKUP", "AdvertisementReceived", "priority at least ours", "BACKUP", ("MasterHeard",), "RFC 3768 6.4.2"),
    Row("BACKUP", "AdvertisementReceived", "lower, nopreempt", "BACKUP", ("MasterHeard",), "RFC 3768 6.4.2"),
    Row("BACKUP", "AdvertisementReceived", "lower", "BACKUP", ("MasterHeard", "Observed"), "RFC 3768 6.4.2"),
    Row(
        "BACKUP", "AdvertisementReceived", "lower, preempt_delay begins", "BACKUP",
        ("MasterHeard", "Observed"), "keepalived preempt_delay",
    ),
    Row("BACKUP", "AdvertisementReceived", "lower, preempt_delay runs", "BACKUP", (), "keepalived preempt_delay"),
    Row("BACKUP", "FaultRaised", "always", "FAULT", _TO_FAULT, "keepalived FAULT"),
    Row("BACKUP", "FaultCleared", "always", "BACKUP", (), "keepalived FAULT"),
    Row("BACKUP", "Startup", "always", "BACKUP", (), "RFC 3768 6.4.1"),
    Row("BACKUP", "Shutdown", "always", "INIT", ("Transitioned", "Notify"), "RFC 3768 6.4.2, 6.4.3"),
    Row("MASTER", "Tick", "Adver_Timer runs", "MASTER", (), "RFC 3768 6.4.3"),
    Row("MASTER", "Tick", "Adver_Timer fired", "MASTER", ("SendAdvertisement",), "RFC 3768 6.4.3"),
    Row("MASTER", "Tick", "garp_master_delay is over", "MASTER", ("Announce",), "keepalived garp_master_delay"),
    Row(
        "MASTER", "Tick", "fired more than an interval ago", "MASTER",
        ("SendAdvertisement", "Announce"), "listen after a stall",
    ),
    Row("MASTER", "AdvertisementReceived", "priority 0", "MASTER", ("SendAdvertisement",), "RFC 3768 6.4.3"),
    Row("MASTER", "AdvertisementReceived", "priority 0, answered within this interval", "MASTER", (), "RFC 3768 6.4.3"),
    Row(
        "MASTER", "AdvertisementReceived", "higher priority", "BACKUP",
        ("RemoveAddresses", *_TO_BACKUP, "MasterHeard"), "RFC 3768 6.4.3",
    ),
    Row(
        "MASTER", "AdvertisementReceived", "same priority, higher address", "BACKUP",
        ("RemoveAddresses", *_TO_BACKUP, "MasterHeard"), "RFC 3768 6.4.3",
    ),
    Row(
        "MASTER", "AdvertisementReceived", "lower priority, or same and lower address", "MASTER",
        ("Observed", "SendAdvertisement", "Announce"), "keepalived lower_prio",
    ),
    Row(
        "MASTER", "AdvertisementReceived", "lower, answered within this interval", "MASTER",
        ("Observed",), "keepalived lower_prio",
    ),
    Row("MASTER", "FaultRaised", "always", "FAULT", (*_RESIGNING, *_TO_FAULT), "keepalived FAULT"),
    Row("MASTER", "FaultCleared", "always", "MASTER", (), "keepalived FAULT"),
    Row("MASTER", "Startup", "always", "MASTER", (), "RFC 3768 6.4.1"),
    Row("MASTER", "Shutdown", "always", "INIT", (*_RESIGNING, "Transitioned", "Notify"), "RFC 3768 6.4.2, 6.4.3"),
    Row("FAULT", "FaultRaised", "always", "FAULT", (), "keepalived FAULT"),
    Row("FAULT", "FaultCleared", "others remain", "FAULT", (), "keepalived FAULT"),
    Row("FAULT", "FaultCleared", "it was the last", "BACKUP", _TO_BACKUP, "keepalived FAULT"),
    Row("FAULT", "AdvertisementReceived", "always", "FAULT", (), "keepalived FAULT"),
    Row("FAULT", "Tick", "always", "FAULT", (), "keepalived FAULT"),
    Row("FAULT", "Startup", "always", "FAULT", (), "keepalived FAULT"),
    Row("FAULT", "Shutdown", "always", "INIT", ("Transitioned", "Notify"), "RFC 3768 6.4.2, 6.4.3"),
)  # fmt: skip
"""Every state with every event, PriorityChanged and SourceChanged aside, which change no state."""

TRANSITIONS = frozenset((row.state, row.becomes) for row in TABLE if row.state != row.becomes)
"""The changes of state that exist."""


def as_markdown() -> str:
    """Return the table as the documentation shows it."""
    return "\n".join(_markdown_lines()) + "\n"


def _markdown_lines() -> Iterator[str]:
    yield "# The state machine"
    yield ""
    yield "Drawn from `pyvrrp/protocol/table.py`, against which a test drives the machine. Names are those of RFC 3768;"
    yield "GLOSSARY.md has RFC 9568's beside them. Effects happen in the order given."
    yield ""
    yield "| state | event | when | becomes | effects | rule |"
    yield "|---|---|---|---|---|---|"
    for row in TABLE:
        effects = ", ".join(row.effects) or "none"
        becomes = f"**{row.becomes}**" if row.becomes != row.state else row.becomes
        yield f"| {row.state} | {row.event} | {row.when} | {becomes} | {effects} | {row.rule} |"


if __name__ == "__main__":
    print(as_markdown(), end="")
