"""``stick-table`` and ``stick``: a client goes where it went before.

Laws: pure; handlers report and never raise.

Source: HAProxy's configuration manual, sections 4.2 ("stick on" and others) and 11.1 "stick-table declaration".
"""

from __future__ import annotations

import re

from tcpbalancer.config.acl_patterns import AclError
from tcpbalancer.config.registry import PROXY, SERVERS, Reading, keyword
from tcpbalancer.config.rule_drafts import StickDraft, acl_reader, complain, keep_references, rules_of
from tcpbalancer.config.rule_keywords import read_condition, title
from tcpbalancer.config.values import TimeError, parse_time
from tcpbalancer.model.rule import StickRule, StickTable
from tcpbalancer.rules.fetches import Place
from tcpbalancer.rules.stick_table import TYPES

_SIZE = re.compile(r"(\d{1,10})([kKmMgG]?)", re.ASCII)
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_ALL_TYPES = ("ip", "ipv6", "integer", "string", "binary")
_NOT_DONE = {"peers": 1, "store": 1, "srvkey": 1, "write-to": 1, "recv-only": 0}


@keyword("stick-table type {ip|ipv6|integer} size <size> [expire <time>] [nopurge]", PROXY, "Remembers servers by key.")
def stick_table(reading: Reading) -> None:
    """Read ``stick-table``."""
    rules = rules_of(reading.draft)
    if reading.draft.kind == "defaults":
        reading.error(0, "'stick-table' not allowed in 'defaults' section.")
    elif rules.table_at is not None:
        place = rules.table_at.location
        told = f"conflicts with table declared in {title(reading)} at {place.file}:{place.line}."
        reading.error(0, f"stick-table name '{reading.draft.name}' {told}")
    else:
        rules.table_at = reading.statement
        rules.table = _Declaration(reading).read()


class _Declaration:
    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._position = 1
        self._type, self._size = "", 0
        self._expire: float | None = None
        self._nopurge = False

    def read(self) -> StickTable | None:
        """Return the table; None after a mistake, which is reported."""
        words = self._reading.words
        while self._position < len(words):
            if not self._option(words[self._position]):
                return None
        if not self._size:
            self._reading.error(len(words), "stick-table: missing size.")
            return None
        if not self._type:
            self._reading.error(len(words), "stick-table: missing type.")
            return None
        return StickTable(self._type, self._size, expire=self._expire, nopurge=self._nopurge)

    def _option(self, name: str) -> bool:
        match name:
            case "nopurge":
                self._nopurge, good = True, True
                self._position += 1
            case "type":
                good = self._read_type(self._value())
            case "size":
                good = self._read_size(name, self._value())
            case "expire":
                good = self._read_expire(name, self._value())
            case "len" if self._type == "string":
                good = self._value() != ""
            case _ if name in _NOT_DONE:
                self._reading.not_carried_out(self._position, f"'{name}' of a stick-table")
                self._position += 1 + _NOT_DONE[name]
                good = True
            case _:
                self._reading.error(self._position, f"stick-table: unknown argument '{name}'.")
                good = False
        return good

    def _value(self) -> str:
        self._position += 2
        words = self._reading.words
        return words[self._position - 1] if self._position <= len(words) else ""

    def _wrong(self, message: str) -> bool:
        self._reading.error(self._position - 1, f"stick-table: {message}")
        return False

    def _read_type(self, text: str) -> bool:
        if text not in _ALL_TYPES:
            return self._wrong(f"unknown type '{text}'.")
        if text not in TYPES:
            return self._wrong(f"type '{text}' is not carried out by tcpbalancer.")
        self._type = text
        return True

    def _read_size(self, name: str, text: str) -> bool:
        if not text:
            return self._wrong(f"missing argument after '{name}'.")
        found = _SIZE.fullmatch(text)
        if found is None:
            wrong = next((character for character in text if not character.isdigit()), text[-1])
            return self._wrong(f"unexpected character '{wrong}' in argument of '{name}'.")
        self._size = int(found[1]) * _UNITS[found[2].lower()]
        return True

    def _read_expire(self, name: str, text: str) -> bool:
        if not text:
            return self._wrong(f"missing argument after '{name}'.")
        try:
            self._expire = parse_time(text)
        except TimeError as wrong:
            return self._wrong(f"{wrong} in argument of '{name}'.")
        return True


@keyword("stick on <pattern> [table <table>] [{if|unless} <condition>]", SERVERS, "Match and store.", words=2)
def stick_on(reading: Reading) -> None:
    """Read ``stick on``."""
    _stick(reading, match=True, store=True)


@keyword("stick match <pattern> [table <table>] [{if|unless} <condition>]", SERVERS, "Look a server up.", words=2)
def stick_match(reading: Reading) -> None:
    """Read ``stick match``."""
    _stick(reading, match=True, store=False)


@keyword(
    "stick store-request <pattern> [table <table>] [{if|unless} <condition>]", SERVERS, "Remember a server.", words=2
)
def stick_store_request(reading: Reading) -> None:
    """Read ``stick store-request``."""
    _stick(reading, match=False, store=True)


@keyword("stick <what> ...", SERVERS, "Go where a client went before.")
def stick(reading: Reading) -> None:
    """Report a ``stick`` that is none, or not carried out."""
    if reading.words[1:2] == ("store-response",):
        reading.error(1, "'stick store-response' is not carried out by tcpbalancer")
    else:
        reading.error(1, "'stick' expects 'on', 'match', or 'store'.")


def _stick(reading: Reading, *, match: bool, store: bool) -> None:
    words = reading.words
    if len(words) < 3 or not words[2]:
        reading.error(2, "'stick' expects a fetch method.")
        return
    reader = acl_reader(reading)
    try:
        expression, _ = reader.expression(words[2])
    except AclError as wrong:
        complain(reading, 2, wrong, "'stick': ")
        return
    keep_references(reading, reader)
    table, position, condition = reading.draft.name, 3, None
    if words[3:4] == ("table",):
        table, position = words[4] if len(words) > 4 else "", 5
    if position < len(words):
        if words[position] not in {"if", "unless"}:
            reading.error(position, f"'stick': unknown keyword '{words[position]}'.")
            return
        condition = read_condition(
            reading, position, Place.REQUEST, "'stick': error detected while parsing condition : "
        )
        if condition is None:
            return
    rule = StickRule(expression, table, match, store, condition)
    rules_of(reading.draft).stick.append(StickDraft(rule, reading.statement))
