"""``show stat`` and what belongs to counting.

Source: HAProxy's management guide, section 9.3; ``stats.c``, ``stats-proxy.c``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tcpbalancer.control import table, typed
from tcpbalancer.control.cli_commands import RefusedError, Words, command
from tcpbalancer.control.cli_room import Conversation
from tcpbalancer.control.descriptions import COLUMNS
from tcpbalancer.control.schema import SCHEMA
from tcpbalancer.control.selection import working
from tcpbalancer.control.table import Row
from tcpbalancer.model import Level

_FRONTEND, _BACKEND, _SERVER = 1, 2, 4
_BITS = {"FRONTEND": _FRONTEND, "BACKEND": _BACKEND, "SERVER": _SERVER}


@command(
    "show stat",
    "[{<iid>|<proxy>} <type> <sid>] [desc|json|no-maint|typed|up]*",
    "report counters for each proxy and server",
)
def show_stat(conversation: Conversation, words: Words) -> str:
    """CSV, or typed, or JSON; of one proxy, kind or server."""
    snapshot = conversation.room.supervisor.snapshot()
    rows: Iterable[Row] = table.rows(snapshot)
    if len(words) >= 3:
        rows = _selected(list(rows), words)
        words = words[3:]
    if {"up", "no-maint"} & set(words):
        rows = working(rows, snapshot, only_up="up" in words)
    descriptions = COLUMNS if "desc" in words else None
    if "json" in words:
        return typed.as_json(rows, descriptions)
    if "typed" in words:
        return typed.typed(rows, descriptions)
    return table.as_csv(rows)


def _selected(rows: list[Row], words: Words) -> Iterator[Row]:
    """Yield the rows of ``IID TYPE SID``; -1 is any of them."""
    proxy, mask, server = words[0], _integer(words[1]), _integer(words[2])
    identity = _integer(proxy)
    if not proxy.lstrip("-").isdigit():
        named = [row for row in rows if row["pxname"] == proxy]
        if not named:
            raise RefusedError("No such proxy.")
        identity = int(named[0]["iid"])
    for row in rows:
        is_there = identity < 0 or row.values["iid"] == identity
        is_kind = mask < 0 or mask & _BITS[row.kind]
        is_server = row.kind != "SERVER" or server < 0 or row.values["sid"] == server
        if is_there and is_kind and is_server:
            yield row


def _integer(text: str) -> int:
    """Return a number as ``atoi`` reads it."""
    digits = text.lstrip("-")
    return (-1 if text.startswith("-") else 1) * int(digits[:18]) if digits.isascii() and digits.isdigit() else 0


@command("show schema json", "", "report schema used for stats")
def show_schema(_conversation: Conversation, _words: Words) -> str:
    """The JSON schema of ``show stat json`` and ``show info json``."""
    return SCHEMA


@command("clear counters", "[all]", "clear max statistics counters (or all counters)", Level.OPERATOR)
def clear_counters(conversation: Conversation, words: Words) -> str:
    """Set the largest values back; with ``all``, everything that was counted."""
    if words[:1] == ("server",):
        raise RefusedError("'clear counters server' is not carried out by tcpbalancer: 'clear counters all' is.")
    everything = words[:1] == ("all",)
    if everything and conversation.level < Level.ADMIN:
        raise RefusedError("Permission denied")
    conversation.room.supervisor.clear_counters(everything=everything)
    return ""
