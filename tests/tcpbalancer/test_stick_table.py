"""Stick tables: what was used for a key is found again, for as long as the table says and there is room."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcpbalancer.model.rule import Ip, StickTable
from tcpbalancer.rules.stick_table import GROUP, MOST_ROWS, ROW, Entry, Table, key_of, rows_of


def table(size: int = 1000, **options: object) -> Table:
    declared = StickTable("ip", size, **options)  # type: ignore[arg-type]
    return Table(declared, [0] * (rows_of(declared) * ROW))


def test_a_server_is_remembered_by_its_slot() -> None:
    known = table()
    assert known.find(7, now_ms=1) is None
    assert known.store(7, 0, now_ms=1)
    assert known.store(8, 3, now_ms=1)
    assert (known.find(7, 2), known.find(8, 2)) == (0, 3)
    assert known.store(7, 2, now_ms=3)
    assert known.find(7, 4) == 2
    assert sorted(entry.key for entry in known.entries(5)) == [7, 8]


def test_what_is_used_is_kept_longer_and_what_is_not_is_forgotten() -> None:
    known = table(expire=10.0)
    known.store(7, 1, now_ms=1000)
    assert known.find(7, 9000) == 1
    assert list(known.entries(9000)) == [Entry(7, 1, 10.0)]
    assert known.find(7, 18_999) == 1
    assert known.find(7, 28_999) is None
    assert list(known.entries(28_999)) == []


def test_without_expire_nothing_is_forgotten_by_time() -> None:
    known = table()
    known.store(7, 1, now_ms=1000)
    assert list(known.entries(10**12)) == [Entry(7, 1, None)]
    assert known.find(7, 10**12) == 1


def test_a_full_table_forgets_who_was_used_longest_ago() -> None:
    known = table(size=2)
    for moment, key in enumerate((1, 2), 1):
        known.store(key, key, moment)
    assert known.find(1, 3) == 1
    assert known.store(3, 3, 4)
    assert [known.find(key, 5) for key in (1, 2, 3)] == [1, None, 3]


def test_with_nopurge_a_full_table_takes_nothing_more() -> None:
    known = table(size=1, nopurge=True, expire=1.0)
    assert known.store(1, 1, now_ms=1)
    assert not known.store(2, 2, now_ms=2)
    assert known.store(2, 2, now_ms=2000)


def test_a_key_can_be_removed() -> None:
    known = table()
    known.store(1, 1, now_ms=1)
    assert known.remove(1, 2)
    assert not known.remove(1, 2)
    assert known.find(1, 2) is None


@given(st.dictionaries(st.integers(0, 2**128 - 1), st.integers(0, 63), max_size=40))
def test_every_key_keeps_its_own_server(wanted: dict[int, int]) -> None:
    known = table(size=4000)
    for key, server in wanted.items():
        assert known.store(key, server, now_ms=5)
    assert {key: known.find(key, 6) for key in wanted} == wanted
    assert {entry.key: entry.server for entry in known.entries(6)} == wanted


def test_there_is_room_for_twice_the_size_up_to_a_bound() -> None:
    assert rows_of(None) == 0
    assert rows_of(StickTable("ip", 3)) == 3
    assert rows_of(StickTable("ip", 1000)) == 2000
    assert rows_of(StickTable("ip", 1001)) % GROUP == 0
    assert rows_of(StickTable("ip", 1 << 30)) == MOST_ROWS


MAPPED = Ip(6, 0xFFFF << 32 | 0xC0000201)


@pytest.mark.parametrize(
    ("sample", "kind", "key"),
    [
        (Ip(4, 0xC0000201), "ip", 0xC0000201),
        (MAPPED, "ip", 0xC0000201),
        (Ip(6, 1), "ip", None),
        (Ip(6, 1), "ipv6", 1),
        (Ip(4, 0xC0000201), "ipv6", MAPPED.value),
        (b"192.0.2.1", "ip", 0xC0000201),
        (b"nonsense", "ip", None),
        (Ip(4, 0xC0000201), "integer", 0xC0000201),
        (Ip(6, 1), "integer", None),
        (5, "integer", 5),
        (b"x", "integer", None),
    ],
)
def test_a_sample_becomes_a_key_if_it_makes_sense_as_one(sample: Ip | bytes | int, kind: str, key: int | None) -> None:
    assert key_of(sample, kind) == key
