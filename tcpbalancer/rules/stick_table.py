"""A stick table: which server was used for a key, in a piece of memory that all workers share.

Laws: pure: the memory and the time come in. A key is a number of 128 bits; a row is ``ROW`` words.
A key has its place in one of many small groups of rows. What is asked for is kept longer: each use moves the time at
which the row is forgotten. If a group is full, the row that would be forgotten first makes room, unless the table says
``nopurge``: then nothing new is kept. HAProxy counts the rows of the whole table instead; so that a group is not full
before the table is, there is room for twice the size.

Source: HAProxy's configuration manual, section 11.1 "stick-table declaration"; ``stick_table.c``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tcpbalancer.balance.memory import Memory
from tcpbalancer.model.rule import Ip, StickTable
from tcpbalancer.rules.samples import Kind, Sample, cast

KEY_HIGH: Final = 0  # a key of 128 bits in two words, each as its signed value
KEY_LOW: Final = 1
STUCK_SERVER: Final = 2  # the slot of the server, from 1; 0: none
EXPIRES_MS: Final = 3  # monotonic clock; 0: the row is free
ROW: Final = 4
GROUP: Final = 16
"""Rows among which a key has its place."""
MOST_ROWS: Final = 1 << 24
NEVER: Final = 1 << 61
"""Added to the time of the last use of a row that does not expire: who was used longest ago is still to be seen."""
WORD: Final = 1 << 64
TYPES: Final = ("ip", "ipv6", "integer")


def rows_of(table: StickTable | None) -> int:
    """Return how many rows a table needs."""
    if table is None:
        return 0
    if table.size <= GROUP:
        return table.size
    return min(-(-2 * table.size // GROUP) * GROUP, MOST_ROWS)


def key_of(sample: Sample, type_: str) -> int | None:
    """Return a sample as a key of a table, None if it cannot be one."""
    if type_ == "integer":
        number = sample.value if isinstance(sample, Ip) and sample.version == 4 else cast_number(sample)
        return None if number is None else number & 0xFFFFFFFF
    address = cast(sample, Kind.ADDRESS)
    if not isinstance(address, Ip):
        return None
    if type_ == "ipv6":
        return address.value if address.version == 6 else address.value | 0xFFFF << 32
    if address.version == 4:
        return address.value
    return address.value & 0xFFFFFFFF if address.value >> 32 == 0xFFFF else None


def cast_number(sample: Sample) -> int | None:
    """Return a sample as a number, None if it is none."""
    if isinstance(sample, Ip):
        return None
    number = cast(sample, Kind.INT)
    return number if isinstance(number, int) else None


@dataclass(frozen=True, slots=True)
class Entry:
    """A row that is in use; ``expires_in`` is seconds, None: it does not expire."""

    key: int
    server: int
    expires_in: float | None


class Table:
    """A view of the memory of one table."""

    def __init__(self, table: StickTable, words: Memory) -> None:
        self.table = table
        self._words = words
        self._rows = rows_of(table)
        self._group = min(self._rows, GROUP)
        self._life_ms = None if table.expire is None else int(table.expire * 1000)

    def find(self, key: int, now_ms: int) -> int | None:
        """Return the slot of the server that was used for a key, and keep it longer; None: it is not known."""
        row = self._row(key, now_ms)
        if row is None:
            return None
        self._words[row + EXPIRES_MS] = self._expiry(now_ms)
        server = self._words[row + STUCK_SERVER]
        return server - 1 if server else None

    def store(self, key: int, server: int, now_ms: int) -> bool:
        """Remember the slot of the server that was used for a key; returns False if there is no room."""
        row = self._row(key, now_ms)
        if row is None:
            row = min(self._places(key), key=lambda place: self._words[place + EXPIRES_MS])
            if self.table.nopurge and self._words[row + EXPIRES_MS] > now_ms:
                return False
        self._words[row + EXPIRES_MS] = 0  # whoever reads without the lock sees no key with another one's server
        self._words[row + KEY_HIGH] = _signed(key >> 64)
        self._words[row + KEY_LOW] = _signed(key % WORD)
        self._words[row + STUCK_SERVER] = server + 1
        self._words[row + EXPIRES_MS] = self._expiry(now_ms)
        return True

    def remove(self, key: int, now_ms: int) -> bool:
        """Forget a key; returns whether it was known."""
        row = self._row(key, now_ms)
        if row is not None:
            self._words[row + EXPIRES_MS] = 0
        return row is not None

    def entries(self, now_ms: int) -> Iterator[Entry]:
        """Yield what is known."""
        for row in range(0, self._rows * ROW, ROW):
            expires = self._words[row + EXPIRES_MS]
            if expires > now_ms:
                key = (self._words[row + KEY_HIGH] % WORD << 64) + self._words[row + KEY_LOW] % WORD
                left = None if expires >= NEVER else (expires - now_ms) / 1000
                yield Entry(key, self._words[row + STUCK_SERVER] - 1, left)

    def _expiry(self, now_ms: int) -> int:
        return now_ms + (NEVER if self._life_ms is None else self._life_ms)

    def _places(self, key: int) -> range:
        groups = self._rows // self._group
        # Fibonacci hashing: neighbours among addresses do not become neighbours here.
        mixed = ((key ^ key >> 64) * 0x9E3779B97F4A7C15) % WORD >> 32
        start = mixed % groups * self._group * ROW
        return range(start, start + self._group * ROW, ROW)

    def _row(self, key: int, now_ms: int) -> int | None:
        high, low = _signed(key >> 64), _signed(key % WORD)
        for row in self._places(key):
            words = self._words
            if words[row + KEY_LOW] == low and words[row + KEY_HIGH] == high and words[row + EXPIRES_MS] > now_ms:
                return row
        return None


def _signed(word: int) -> int:
    return word - WORD if word >= WORD >> 1 else word
