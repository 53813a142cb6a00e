from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as ET

import bars
import pytest
from rows import BULK_COST, KERNEL, NEW, NEW_COST, NGINX, OURS, ROWS, THEIRS, Spread

NAMES = {"svg": "http://www.w3.org/2000/svg"}
MIDDLE = bars.LEFT + bars.SCALE / 2


def drawn(one: dict[str, dict[str, float]]) -> ET.Element:
    """The picture of one round, read as XML."""
    return ET.fromstring(bars.picture({"rounds": [one]}))  # noqa: S314 - our own text


def bar(picture: ET.Element, kind: str) -> dict[str, Any]:
    """The one bar with a title that is of this class."""
    found = [box for box in picture.findall("svg:rect", NAMES) if box.get("class") == kind and len(box)]
    assert len(found) == 1
    return {name: float(found[0].get(name, "")) for name in ("x", "width", "y")}


def test_the_scale_has_haproxy_in_the_middle_and_twice_as_far_as_half() -> None:
    assert bars.place(1) == MIDDLE
    assert bars.place(2) - MIDDLE == MIDDLE - bars.place(0.5)
    assert bars.place(0) == bars.place(0.25) == bars.LEFT
    assert bars.place(99) == bars.place(4) == bars.LEFT + bars.SCALE


def test_a_bar_goes_from_haproxy_to_the_median_left_if_worse_and_right_if_better() -> None:
    picture = drawn({OURS: {NEW: 50.0}, NGINX: {NEW: 200.0}, THEIRS: {NEW: 100.0}})
    assert bar(picture, "ours") | {"y": 0} == {"x": bars.place(0.5), "width": bars.SCALE / 4, "y": 0}
    assert bar(picture, "nginx") | {"y": 0} == {"x": MIDDLE, "width": bars.SCALE / 4, "y": 0}


def test_where_less_is_better_half_as_much_is_twice_as_good() -> None:
    picture = drawn({OURS: {BULK_COST: 0.5}, THEIRS: {BULK_COST: 1.0}})
    assert bar(picture, "ours")["x"] == MIDDLE
    cost = next(row for row in ROWS if row.name == BULK_COST)
    assert bars.goodness(cost, Spread(0.25, 0.5, 2.0)) == Spread(0.5, 2.0, 4.0)


@pytest.mark.parametrize(("figure", "words"), [(0.1, "10×"), (0.0, "none")])
def test_what_does_not_fit_says_its_figure(figure: float, words: str) -> None:
    picture = drawn({KERNEL: {BULK_COST: figure}, THEIRS: {BULK_COST: 1.0}})
    assert words in [text.text for text in picture.findall("svg:text", NAMES)]
    assert bar(picture, "kernel")["width"] == bars.SCALE / 2


def test_the_aim_is_a_tick_and_a_row_without_an_aim_is_not_drawn() -> None:
    picture = drawn({OURS: {NEW: 50.0, NEW_COST: 1.0}, THEIRS: {NEW: 100.0, NEW_COST: 1.0}})
    ticks = [line.get("x1") for line in picture.findall("svg:line", NAMES) if line.get("class") == "aim"]
    assert f"{bars.place(1.1):g}" in ticks
    assert NEW_COST not in [text.text for text in picture.findall("svg:text", NAMES)]


def test_whoever_took_no_part_is_not_in_the_key() -> None:
    words = [text.text for text in drawn({OURS: {NEW: 1.0}, THEIRS: {NEW: 1.0}}).findall("svg:text", NAMES)]
    assert "tcpbalancer" in words
    assert "nginx stream" not in words
