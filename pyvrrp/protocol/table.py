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
_YIELDING = ("RemoveAddresses", *_TO_BACKUP, "MasterHeard")
_LAST_WORD = ("SendAdvertisement", *_YIELDING)
_ANSWERING = ("Observed", "SendAdvertisement", "Announce", "Notify")
_ANSWERING_QUIETLY = ("Observed", "SendAdvertisement", "Notify")
_BEGIN, _BACKUP, _MASTER = "RFC 3768 6.4.1", "RFC 3768 6.4.2", "RFC 3768 6.4.3"
_END, _FAULT, _GROUP, _OWNER = "RFC 3768 6.4.2, 6.4.3", "keepalived FAULT", "keepalived sync group", "keepalived owner"
_DELAY, _LOWER, _RELOAD = "keepalived preempt_delay", "keepalived lower_prio", "keepalived reload"
_LEARNED, _OTHER = "RFC 5798 6.4.2", "the other may not know"
_HEARD = "AdvertisementReceived"

TABLE: tuple[Row, ...] = (
    Row("INIT", "Startup", "priority 1..254", "BACKUP", ("RemoveAddresses", *_TO_BACKUP), _BEGIN),
    Row("INIT", "Startup", "priority 255, the owner", "MASTER", _TO_MASTER, _BEGIN),
    Row("INIT", "Startup", "the owner, startup delay", "BACKUP", ("RemoveAddresses", *_TO_BACKUP), _BEGIN),
    Row("INIT", "Startup", "the owner, in a group", "BACKUP", ("RemoveAddresses", *_TO_BACKUP, "WantsMaster"), _BEGIN),
    Row("INIT", "Startup", "a fault is there", "FAULT", ("RemoveAddresses", *_TO_FAULT), _FAULT),
    Row("INIT", "FaultRaised", "always", "INIT", (), _FAULT),
    Row("INIT", "FaultCleared", "always", "INIT", (), _FAULT),
    Row("INIT", "Shutdown", "always", "INIT", (), _BEGIN),
    Row("INIT", _HEARD, "always", "INIT", (), _BEGIN),
    Row("INIT", "Tick", "always", "INIT", (), _BEGIN),
    Row("INIT", "Reconfigured", "always", "INIT", (), _RELOAD),
    Row("INIT", "TakeOver", "always", "INIT", ("Observed",), "promote"),
    Row("INIT", "GiveUp", "always", "INIT", (), "demote"),
    Row("INIT", "SyncToMaster", "always", "INIT", (), _GROUP),
    Row("INIT", "SyncToBackup", "always", "INIT", (), _GROUP),
    Row("INIT", "SyncAnnouncement", "always", "INIT", (), _GROUP),
    Row("BACKUP", "Tick", "Master_Down_Timer runs", "BACKUP", (), _BACKUP),
    Row("BACKUP", "Tick", "Master_Down_Timer fired", "MASTER", _TO_MASTER, _BACKUP),
    Row("BACKUP", "Tick", "fired, in a group", "BACKUP", ("WantsMaster",), _BACKUP),
    Row(
        "BACKUP", "Tick", "fired, the interval was learned", "MASTER",
        ("Observed", *_TO_MASTER), f"{_LEARNED}; {_BACKUP}",
    ),
    Row("BACKUP", "Tick", "fired, backed off as owner", "MASTER", ("Observed", *_TO_MASTER), f"{_OWNER}; {_BACKUP}"),
    Row("BACKUP", "Tick", "fired more than an interval ago", "BACKUP", ("Observed",), "listen after a stall"),
    Row("BACKUP", _HEARD, "priority 0", "BACKUP", ("Observed",), _BACKUP),
    Row("BACKUP", _HEARD, "priority at least ours", "BACKUP", ("MasterHeard",), _BACKUP),
    Row("BACKUP", _HEARD, "version 3, another interval", "BACKUP", ("MasterHeard", "Observed"), _LEARNED),
    Row("BACKUP", _HEARD, "lower, nopreempt", "BACKUP", ("MasterHeard",), _BACKUP),
    Row("BACKUP", _HEARD, "lower, after a demote", "BACKUP", ("MasterHeard",), "demote"),
    Row("BACKUP", _HEARD, "lower", "BACKUP", ("MasterHeard", "Observed"), _BACKUP),
    Row("BACKUP", _HEARD, "lower, preempt_delay begins", "BACKUP", ("MasterHeard", "Observed"), _DELAY),
    Row("BACKUP", _HEARD, "lower, preempt_delay runs", "BACKUP", (), _DELAY),
    Row("BACKUP", _HEARD, "at least ours, preempt_delay runs", "BACKUP", ("MasterHeard", "Observed"), _DELAY),
    Row(
        "BACKUP", _HEARD, "backed off as owner, not from the other", "BACKUP",
        ("Observed", "MasterHeard", "Observed"), f"{_OWNER}; {_BACKUP}",
    ),
    Row("BACKUP", "FaultRaised", "always", "FAULT", _TO_FAULT, _FAULT),
    Row("BACKUP", "FaultCleared", "always", "BACKUP", (), _FAULT),
    Row("BACKUP", "Startup", "always", "BACKUP", (), _BEGIN),
    Row("BACKUP", "Shutdown", "always", "INIT", ("Transitioned", "Notify"), _END),
    Row("BACKUP", "Reconfigured", "always", "BACKUP", (), _RELOAD),
    Row("BACKUP", "Reconfigured", "another priority", "BACKUP", ("Observed",), _RELOAD),
    Row("BACKUP", "TakeOver", "always", "MASTER", _TO_MASTER, "promote"),
    Row("BACKUP", "TakeOver", "a higher master is heard", "BACKUP", ("Observed",), "promote"),
    Row("BACKUP", "TakeOver", "in a group", "BACKUP", ("WantsMaster",), "promote"),
    Row("BACKUP", "GiveUp", "always", "BACKUP", (), "demote"),
    Row("BACKUP", "SyncToMaster", "always", "MASTER", _TO_MASTER, _GROUP),
    Row("BACKUP", "SyncToBackup", "always", "BACKUP", (), _GROUP),
    Row("BACKUP", "SyncAnnouncement", "always", "BACKUP", (), _GROUP),
    Row("MASTER", "Tick", "Adver_Timer runs", "MASTER", (), _MASTER),
    Row("MASTER", "Tick", "Adver_Timer fired", "MASTER", ("SendAdvertisement",), _MASTER),
    Row("MASTER", "Tick", "garp_master_delay is over", "MASTER", ("Announce",), "keepalived garp_master_delay"),
    Row(
        "MASTER", "Tick", "fired more than an interval ago", "MASTER",
        ("SendAdvertisement", "Announce"), "listen after a stall",
    ),
    Row(
        "MASTER", "Tick", "fired timer_expired_backup ago", "BACKUP",
        ("RemoveAddresses", *_TO_BACKUP), "keepalived timer_expired_backup",
    ),
    Row("MASTER", _HEARD, "priority 0", "MASTER", ("Observed", "SendAdvertisement", "Announce"), _MASTER),
    Row("MASTER", _HEARD, "priority 0, answered within this interval", "MASTER", (), _MASTER),
    Row("MASTER", _HEARD, "higher priority, after a resignation", "BACKUP", _YIELDING, _MASTER),
    Row("MASTER", _HEARD, "higher priority, after silence", "BACKUP", _LAST_WORD, f"{_MASTER}; {_OTHER}"),
    Row("MASTER", _HEARD, "higher, higher_prio_send_advert", "BACKUP", _LAST_WORD, f"{_MASTER}; {_OTHER}"),
    Row("MASTER", _HEARD, "higher, higher_prio_send_advert off", "BACKUP", _YIELDING, _MASTER),
    Row("MASTER", _HEARD, "same priority, higher address", "BACKUP", _LAST_WORD, f"{_MASTER}; {_OTHER}"),
    Row("MASTER", _HEARD, "same priority, same address", "MASTER", ("Observed",), _MASTER),
    Row(
        "MASTER", _HEARD, "another owner of higher address", "BACKUP",
        ("Observed", *_YIELDING), f"{_OWNER}; {_MASTER}",
    ),
    Row("MASTER", _HEARD, "another owner of lower address", "MASTER", ("Observed", *_ANSWERING), f"{_OWNER}; {_LOWER}"),
    Row(
        "MASTER", _HEARD, "the other owner, two advertisements later", "BACKUP",
        ("Observed", *_YIELDING), f"{_OWNER}; {_MASTER}",
    ),
    Row("MASTER", _HEARD, "lower priority, or same and lower address", "MASTER", _ANSWERING, _LOWER),
    Row("MASTER", _HEARD, "lower, announced within this second", "MASTER", _ANSWERING_QUIETLY, _LOWER),
    Row("MASTER", _HEARD, "lower, lower_prio_no_advert", "MASTER", ("Observed", "Announce", "Notify"), _LOWER),
    Row("MASTER", _HEARD, "lower, answered within this interval", "MASTER", ("Observed",), _LOWER),
    Row("MASTER", "FaultRaised", "always", "FAULT", (*_RESIGNING, *_TO_FAULT), _FAULT),
    Row("MASTER", "FaultCleared", "always", "MASTER", (), _FAULT),
    Row("MASTER", "Startup", "always", "MASTER", (), _BEGIN),
    Row("MASTER", "Shutdown", "always", "INIT", (*_RESIGNING, "Transitioned", "Notify"), _END),
    Row("MASTER", "Reconfigured", "always", "MASTER", (), _RELOAD),
    Row("MASTER", "Reconfigured", "another priority", "MASTER", ("Observed",), _RELOAD),
    Row("MASTER", "TakeOver", "always", "MASTER", (), "promote"),
    Row("MASTER", "GiveUp", "always", "BACKUP", (*_RESIGNING, *_TO_BACKUP), "demote"),
    Row("MASTER", "SyncToMaster", "always", "MASTER", (), _GROUP),
    Row("MASTER", "SyncToBackup", "always", "BACKUP", (*_RESIGNING, *_TO_BACKUP), _GROUP),
    Row("MASTER", "SyncAnnouncement", "always", "MASTER", ("Announce",), _GROUP),
    Row("FAULT", "FaultRaised", "always", "FAULT", (), _FAULT),
    Row("FAULT", "FaultCleared", "others remain", "FAULT", (), _FAULT),
    Row("FAULT", "FaultCleared", "it was the last", "BACKUP", _TO_BACKUP, _FAULT),
    Row("FAULT", _HEARD, "always", "FAULT", (), _FAULT),
    Row("FAULT", "Tick", "always", "FAULT", (), _FAULT),
    Row("FAULT", "Startup", "always", "FAULT", (), _FAULT),
    Row("FAULT", "Shutdown", "always", "INIT", ("Transitioned", "Notify"), _END),
    Row("FAULT", "Reconfigured", "always", "FAULT", (), _RELOAD),
    Row("FAULT", "TakeOver", "always", "FAULT", ("Observed",), "promote"),
    Row("FAULT", "GiveUp", "always", "FAULT", (), "demote"),
    Row("FAULT", "SyncToMaster", "always", "FAULT", (), _GROUP),
    Row("FAULT", "SyncToBackup", "always", "FAULT", (), _GROUP),
    Row("FAULT", "SyncAnnouncement", "always", "FAULT", (), _GROUP),
)  # fmt: skip
"""Every state with every event, PriorityChanged and SourceChanged aside, which change no state.

Not shown is ``Notify`` about a changed priority, for those who want it (vrrp_notify_priority_changes).
"""

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
