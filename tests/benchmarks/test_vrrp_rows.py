from __future__ import annotations

import pytest
import vrrp_rows
from vrrp_rows import HEALED, KEEPALIVED, LINK_DOWN, PYVRRP, SIGKILL, START, Aim

FAST, SLOW = vrrp_rows.takeover(SIGKILL, 0.01), vrrp_rows.takeover(LINK_DOWN, 1)
FALSE = vrrp_rows.false_failovers(60)


def test_the_rows_have_the_names_that_people_read() -> None:
    assert FAST == "takeover, SIGKILL, advert_int 0.01"
    assert vrrp_rows.masters(1000) == "1,000 masters, share of a core"
    assert vrrp_rows.leased(1000) == "1,000 masters with vip_lease, share of a core"
    assert vrrp_rows.masters(1) == "1 master, share of a core"
    assert vrrp_rows.memory(vrrp_rows.backups(100)) == "100 backups, memory"


@pytest.mark.parametrize(
    ("row", "wanted"),
    [
        (FAST, Aim(ratio=1.0, below=0.06)), (SLOW, Aim(ratio=1.0)), (HEALED, Aim(ratio=1.0)),
        (vrrp_rows.LONGEST, Aim(ratio=1.0)),
        (vrrp_rows.masters(1000), Aim(below=0.1)), (vrrp_rows.leased(1000), Aim(below=0.2)),
        (vrrp_rows.masters(100), None), (FALSE, Aim(no_more=True)),
        (START, None),
    ],
)  # fmt: skip
def test_what_is_aimed_at_depends_on_the_row(row: str, wanted: Aim | None) -> None:
    assert vrrp_rows.aim(row) == wanted


def test_a_ratio_is_the_median_of_those_within_a_round() -> None:
    assert vrrp_rows.ratio({PYVRRP: [1.0, 3.0, 8.0], KEEPALIVED: [1.0, 2.0, 2.0]}) == 1.5
    assert vrrp_rows.ratio({PYVRRP: [1.0], KEEPALIVED: [0.0]}) is None
    assert vrrp_rows.ratio({PYVRRP: [1.0]}) is None


@pytest.mark.parametrize(
    ("row", "ours", "theirs", "short"),
    [
        (SLOW, [3.63], [3.62], False), (SLOW, [3.66], [3.62], True), (FAST, [0.06], [0.07], True),
        (FAST, [0.059], [0.07], False), (FALSE, [0.0], [0.0], False), (FALSE, [1.0], [0.0], True),
        (FALSE, [3.0], [4.0], False), (vrrp_rows.masters(1000), [0.1], [0.02], True), (START, [9.0], [0.1], False),
        (SLOW, [], [3.6], False),
    ],
)  # fmt: skip
def test_a_row_is_short_if_what_is_printed_misses_the_aim(
    row: str, ours: list[float], theirs: list[float], short: bool
) -> None:
    assert vrrp_rows.is_short(row, {PYVRRP: ours, KEEPALIVED: theirs}) is short


def test_a_figure_has_the_unit_of_its_row() -> None:
    rows = (FAST, vrrp_rows.masters(1), vrrp_rows.memory(vrrp_rows.masters(1)), FALSE, START, HEALED)
    assert [vrrp_rows.unit(row) for row in rows] == ["s", "share", "B", "", "s", "s"]
