"""Stick tables: which server is kept for whom, and forgetting or changing it.

Laws: a table is read without its lock, so a look never holds a worker up; what is changed, is changed under it. The one
kind of data that a table has here is the server.

Source: HAProxy's management guide, section 9.3 "show table"; ``stick_table.c``.
"""

from __future__ import annotations

import operator
import re
import time
from collections.abc import Callable, MutableSequence, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import cast

from tcpbalancer.control.cli_commands import RefusedError, Words, command
from tcpbalancer.control.cli_room import Conversation
from tcpbalancer.model import Level
from tcpbalancer.rules.samples import parse_ip
from tcpbalancer.rules.stick_table import ROW, Entry, Table, key_of, rows_of
from tcpbalancer.watched import WatchedBackend

_SHOW = 'Optional argument only supports "data.<store_data_type>" <operator> <value> and key <key>'
_CLEAR = 'Required arguments: <table> "data.<store_data_type>" <operator> <value> or <table> key <key>'
_SET = "Required arguments: <table> key <key> [data.<store_data_type> <value>]*"
_OPERATORS: dict[str, Callable[[int, int], bool]] = {
    "eq": operator.eq, "ne": operator.ne, "le": operator.le, "ge": operator.ge, "lt": operator.lt, "gt": operator.gt,
}  # fmt: skip
_SERVER = "data.server_id"
_WHOLE = re.compile(r"\d{1,18}", re.ASCII)
Keeps = Callable[[Entry], bool]


@dataclass(frozen=True, slots=True)
class Found:
    """A table with the backend that it belongs to."""

    backend: WatchedBackend
    table: Table

    @property
    def name(self) -> str:
        """The name of the table: that of its backend."""
        return self.backend.backend.name

    def server_name(self, entry: Entry) -> str:
        """Return the name of an entry's server, ``-`` if there is none any more."""
        return next((each.server.name for each in self.backend.servers if each.place == entry.server), "-")


def _tables(conversation: Conversation) -> list[Found]:
    generation = conversation.room.supervisor.current
    found = []
    for backend in generation.watch.backends:
        told = backend.backend.table
        if told is not None:
            words = generation.memory.view(generation.memory.layout.table(backend.place))
            if len(words) >= rows_of(told) * ROW:
                found.append(Found(backend, Table(told, cast("MutableSequence[int]", words))))
    return found


def _named(conversation: Conversation, words: Words) -> Found:
    found = [each for each in _tables(conversation) if each.name == words[0]]
    if not found:
        raise RefusedError("No such table")
    return found[0]


def _now() -> int:
    return int(time.monotonic() * 1000)


def _header(found: Found, entries: Sequence[Entry]) -> str:
    told = found.table.table
    return f"# table: {found.name}, type: {told.type}, size:{told.size}, used:{len(entries)}"


def _line(found: Found, entry: Entry, position: int) -> str:
    expires = 0 if entry.expires_in is None else int(entry.expires_in * 1000)
    key = _shown_key(found.table.table.type, entry.key)
    server = f"server_id={entry.server + 1} server_key={found.server_name(entry)}"
    return f"0x{position:x}: key={key} use=0 exp={expires} {server}"


def _shown_key(type_: str, key: int) -> str:
    if type_ == "ip":
        return str(IPv4Address(key))
    return str(IPv6Address(key)) if type_ == "ipv6" else str(key)


def _key(found: Found, words: Words) -> int | None:
    """Return the key behind ``key``, None if no key of this table is written so."""
    if len(words) < 2:
        raise RefusedError("Key value expected")
    type_ = found.table.table.type
    if type_ == "integer":
        return int(words[1]) & 0xFFFFFFFF if _WHOLE.fullmatch(words[1]) else None
    address = parse_ip(words[1])
    return None if address is None else key_of(address, type_)


def _filter(found: Found, words: Words, usage: str) -> Keeps:
    """Return what ``key K`` or ``data.server_id OP N`` lets through; everything if there are no words."""
    if not words:
        return lambda _entry: True
    if words[0] == "key":
        key = _key(found, words)
        return lambda entry: entry.key == key
    if not words[0].startswith("data."):
        raise RefusedError(usage)
    if words[0] != _SERVER:
        raise RefusedError("Filter entry #1: Unknown data type")
    if len(words) < 2 or words[1] not in _OPERATORS:
        raise RefusedError("Filter entry #1: Require and operator among 'eq', 'ne', 'le', 'ge', 'lt', 'gt'")
    if len(words) < 3 or not _WHOLE.fullmatch(words[2]):
        raise RefusedError("Filter entry #1: Require a valid integer value to compare against")
    holds, value = _OPERATORS[words[1]], int(words[2])
    return lambda entry: holds(entry.server + 1, value)


@command("show table", "[<table> [<filter>]*]", "report table usage stats or dump this table's contents")
def show_table(conversation: Conversation, words: Words) -> str:
    """All tables in a line each, or the entries of one."""
    now = _now()
    if not words:
        return "".join(f"{_header(each, list(each.table.entries(now)))}\n" for each in _tables(conversation))
    found = _named(conversation, words)
    keeps = _filter(found, words[1:], _SHOW)
    entries = list(found.table.entries(now))
    kept = [_line(found, entry, place + 1) for place, entry in enumerate(entries) if keeps(entry)]
    if words[1:2] == ("key",) and not kept:
        return ""
    return "\n".join([_header(found, entries), *kept])


@command("clear table", "<table> [<filter>]*", "remove an entry from a table (filter: data/key)", Level.ADMIN)
def clear_table(conversation: Conversation, words: Words) -> str:
    """Forget entries."""
    if not words:
        raise RefusedError(_CLEAR)
    found = _named(conversation, words)
    keeps = _filter(found, words[1:], _CLEAR)
    now = _now()
    with conversation.room.supervisor.current.memory.locked(found.backend.place):
        for entry in list(found.table.entries(now)):
            if keeps(entry):
                found.table.remove(entry.key, now)
    return ""


@command("set table", "<table> key <k> [data.* <v>]*", "update or create a table entry's data", Level.ADMIN)
def set_table(conversation: Conversation, words: Words) -> str:
    """Keep a server for a key."""
    if not words:
        raise RefusedError(_SET)
    found = _named(conversation, words)
    if words[1:2] != ("key",):
        raise RefusedError(_SET)
    key = _key(found, words[1:])
    wanted = words[3:]
    if wanted and wanted[0] != _SERVER:
        raise RefusedError("Unknown data type")
    if key is None or not wanted:
        return ""
    places = {str(each.place + 1): each.place for each in found.backend.servers}
    if len(wanted) < 2 or wanted[1] not in places:
        raise RefusedError("Require a valid integer value to store")
    with conversation.room.supervisor.current.memory.locked(found.backend.place):
        found.table.store(key, places[wanted[1]], _now())
    return ""
