"""Units of time: HAProxy's, keepalived's, and those on the wire."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hakit.duration import centiseconds, format_duration, milliseconds, parse_duration


@pytest.mark.parametrize(
    ("text", "unit", "seconds"),
    [
        ("3s", "ms", 3.0),
        ("500ms", "ms", 0.5),
        ("500", "ms", 0.5),
        ("1.5", "s", 1.5),
        ("250us", "ms", 0.00025),
        ("2m", "ms", 120.0),
        ("1h", "ms", 3600.0),
        ("1d", "s", 86400.0),
    ],
)
def test_a_bare_number_counts_in_the_unit_of_its_file(text: str, unit: str, seconds: float) -> None:
    assert parse_duration(text, unit) == seconds


@pytest.mark.parametrize("text", ["", "s", "-1s", "1 s", "1,5", "1w", "٣s", ".5"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (3.0, "3s"),
        (0.5, "500ms"),
        (120.0, "2m"),
        (3600.0, "1h"),
        (172800.0, "2d"),
        (0.0, "0us"),
        (1e-9, "0.000000001s"),
    ],
)
def test_seconds_are_told_in_the_largest_unit_without_a_fraction(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@settings(derandomize=True, deadline=None)
@given(st.integers(0, 10**12).map(lambda microseconds: microseconds / 1_000_000))
def test_what_is_told_reads_back_as_the_same(seconds: float) -> None:
    assert parse_duration(format_duration(seconds)) == seconds


def test_logs_have_milliseconds_and_the_wire_has_centiseconds() -> None:
    assert milliseconds(3.609375) == 3609
    assert centiseconds(1.0) == 100
    assert centiseconds(0.126) == 13
