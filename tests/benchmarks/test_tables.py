from __future__ import annotations

from typing import Any

import pytest
import tables
from rows import BULK, BULK_COST, DIRECT, FAILED, IDLE, KERNEL, NEW, NGINX, OURS, THEIRS


def result(**changes: Any) -> dict[str, Any]:
    """What two rounds may have given."""
    one = {
        OURS: {NEW: 500.0, BULK: 2e9, BULK_COST: 0.3},
        THEIRS: {NEW: 1000.0, BULK: 1e9, BULK_COST: 1.0},
        NGINX: {NEW: 900.0, BULK: 1.1e9, BULK_COST: 0.6},
        DIRECT: {NEW: 1600.0, BULK: 2.5e9},
    }
    return {
        "machine": {"cores": 2, "memory": 8, "kernel": "6.1.0", "foreign share": 0.0},
        "versions": {OURS: "1", THEIRS: "2.6.12"},
        "seconds": 5,
        "rounds": [one, {**one, OURS: {NEW: 600.0, BULK: 1.9e9, BULK_COST: 0.5}}],
        "reloads": {name: {"failed": 0, "went": 12345, "reloads": 50} for name in (OURS, THEIRS, NGINX)},
        **changes,
    }


def cells(name: str, found: dict[str, Any]) -> list[str]:
    """The cells of the row with this name."""
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in tables.balancer(found).splitlines()]
    return next(line for line in lines if line[0].startswith(name))


def test_a_row_has_the_ratio_its_spread_the_aim_and_whether_it_is_met() -> None:
    head = ["× HAProxy", OURS, "aim", NGINX, DIRECT, "HAProxy itself"]
    assert cells("× HAProxy", result()) == head
    assert cells(NEW, result()) == [
        NEW, "0.55 (0.50–0.60)", "≥ 1.1 **short**", "0.90 (0.90–0.90)", "1.60 (1.60–1.60)", "1,000 /s",
    ]  # fmt: skip
    assert cells(BULK_COST, result())[:3] == [f"{BULK_COST} (less is better)", "0.40 (0.30–0.50)", "≤ 0.4 met"]


def test_a_row_that_the_load_limits_has_a_mark_and_the_mark_is_explained() -> None:
    found = result()
    assert cells(BULK, found)[4] == "2.50 (2.50–2.50)†"  # 2.5 without a balancer, 1.95 through ours
    assert "† Without a balancer this load is less than 1.5 times" in tables.balancer(found)
    del found["rounds"][0][DIRECT], found["rounds"][1][DIRECT]
    assert "†" not in tables.balancer(found)


def test_a_program_that_was_not_there_has_no_column_and_one_that_was_has_two() -> None:
    assert KERNEL not in tables.balancer(result())
    found = result()
    for one in found["rounds"]:
        one[KERNEL] = {NEW: 1400.0}
    found["reloads"][KERNEL] = {"failed": 3, "went": 10, "reloads": 50}
    assert cells(NEW, found)[3:5] == ["1.40 (1.40–1.40)", "≥ 1.3 met"]
    assert cells(BULK, found)[3:5] == ["–", ""]
    assert cells("failed", found) == [
        "failed connections in 50 reloads", "0 of 12,345", "0 met", "3 of 10", "0 **short**", "0 of 12,345", "–",
        "0 of 12,345",
    ]  # fmt: skip


def test_a_row_that_was_not_measured_is_not_there() -> None:
    text = tables.balancer(result(reloads={}))
    assert IDLE not in text
    assert "failed" not in text


def test_connections_that_failed_while_new_ones_were_counted_are_told() -> None:
    found = result()
    assert "failed." not in tables.balancer(found)
    found["rounds"][1][NGINX] = {NEW: 900.0, FAILED: 3.0}
    assert "Of the new connections through nginx, 3 failed." in tables.balancer(found)


def test_who_else_was_at_work_is_said() -> None:
    assert "Other work" not in tables.balancer(result())
    busy = {"cores": 2, "memory": 8, "kernel": "6.1.0", "foreign share": 0.21}
    assert "Other work, at low priority, took 21% of the processors" in tables.balancer(result(machine=busy))


def test_the_columns_stand_below_each_other_at_a_terminal() -> None:
    lines = tables.balancer(result()).split("\n\n")[0].splitlines()
    assert len({len(line) for line in lines}) == 1


@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [
        (663.2e6, "B/s", "663 MB/s"), (0.0254, "s", "25.4 ms"), (1.158, "s", "1.16 s"), (14149.0, "/s", "14,100 /s"),
        (0.0000741, "s", "74.1 µs"), (3380.0, "B", "3.38 kB"), (0.0, "s", "0 s"), (999.96, "B", "1 kB"),
        (1e-12, "s", "0.001 ns"), (3.4e12, "B/s", "3400 GB/s"),
    ],
)  # fmt: skip
def test_a_figure_has_three_digits_that_count_and_its_unit(value: float, unit: str, words: str) -> None:
    assert tables.amount(value, unit) == words


def vrrp_cells(name: str, figures: dict[str, dict[str, list[float]]]) -> list[str]:
    found = {
        "machine": {"cores": 2, "memory": 8, "kernel": "6.1.0", "foreign share": 0.0},
        "versions": {"pyvrrp": "1", "keepalived": "2.2.7"},
        "rounds": 2,
        "figures": figures,
    }
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in tables.vrrp(found).splitlines()]
    return next(line for line in lines if line[0] == name)


def test_a_takeover_has_both_programs_their_ratio_and_the_aim() -> None:
    row = "takeover, SIGKILL, advert_int 0.01"
    figures = {row: {"pyvrrp": [0.0384, 0.0402], "keepalived": [0.042, 0.043]}}
    assert vrrp_cells(row, figures) == [
        row, "39.3 ms (38.4 ms–40.2 ms)", "42.5 ms (42 ms–43 ms)", "0.92", "≤ 1 ×, < 60 ms met",
    ]  # fmt: skip


def test_shares_numbers_and_sizes_are_said_as_such() -> None:
    share, false, size = "1,000 masters, share of a core", "false failovers in 60 s of full load", "1 master, memory"
    figures = {
        share: {"pyvrrp": [0.1234], "keepalived": [0.02]},
        false: {"pyvrrp": [2.0], "keepalived": [0.0]},
        size: {"pyvrrp": [31e6]},
    }
    assert vrrp_cells(share, figures) == [share, "12.34 %", "2.00 %", "6.17", "< 10.00 % **short**"]
    assert vrrp_cells(false, figures) == [false, "2", "0", "–", "no more **short**"]
    assert vrrp_cells(size, figures) == [size, "31 MB", "–", "–", ""]
