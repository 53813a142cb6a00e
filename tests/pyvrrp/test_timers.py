"""Skew_Time and Master_Down_Interval in absolute values, as the real keepalived 2.2.7 prints them."""

from __future__ import annotations

import pytest

from pyvrrp.protocol.timers import lease_is_due, lease_to_ask_for, master_down_interval, skew_time


@pytest.mark.parametrize(
    ("version", "priority", "interval", "seconds"),
    [
        (2, 100, 1.0, 3.609375),
        (2, 150, 1.0, 3.414062),
        (2, 95, 1.0, 3.628906),
        (2, 77, 2.0, 6.699218),
        (2, 254, 1.0, 3.007812),
        (2, 255, 1.0, 3.003906),
        (2, 1, 255.0, 765.996093),
        (3, 100, 0.5, 1.804687),
        (3, 100, 1.0, 3.609375),
        (3, 100, 0.01, 0.036093),
        (3, 1, 40.95, 163.640039),
        (3, 255, 0.3, 0.901171),
    ],
)
def test_master_down_interval_in_microseconds(version: int, priority: int, interval: float, seconds: float) -> None:
    assert master_down_interval(priority, interval, version=version) == seconds


@pytest.mark.parametrize(
    ("version", "priority", "interval", "seconds"),
    [
        (2, 100, 1.0, 0.609375),
        (2, 100, 20.0, 0.609375),
        (2, 77, 2.0, 0.699218),
        (3, 100, 0.5, 0.304687),
        (3, 100, 20.0, 12.1875),
        (3, 255, 1.0, 0.003906),
    ],
)
def test_skew_time_is_scaled_by_the_interval_in_version_3_alone(
    version: int, priority: int, interval: float, seconds: float
) -> None:
    assert skew_time(priority, version, interval) == seconds


def test_version_3_s_skew_is_keepalived_s_integer_of_centiseconds() -> None:
    for priority in (1, 77, 100, 254, 255):
        for centiseconds in (1, 3, 50, 100, 333, 4095):
            microseconds = (256 - priority) * centiseconds * 625 // 16
            assert skew_time(priority, 3, centiseconds / 100) == microseconds / 1_000_000


@pytest.mark.parametrize(("adverts", "seconds"), [(1, 1.609375), (3, 3.609375), (100, 100.609375)])
def test_down_timer_adverts_is_how_many_advertisements_may_be_missed(adverts: int, seconds: float) -> None:
    assert master_down_interval(100, 1.0, adverts) == seconds


@pytest.mark.parametrize(
    ("lease", "interval", "renewed"),
    [
        (3, 1.0, [1, 2, 3, 4]),
        (2, 1.0, [1, 2, 3, 4]),
        (2, 0.25, [1.0, 2.0, 3.0, 4.0]),
        (10, 1.0, [5, 10, 15]),
        (4, 1.0, [2, 4, 6]),
    ],
)
def test_a_lease_is_renewed_with_the_last_advertisement_before_it_is_half_over(
    lease: int, interval: float, renewed: list[float]
) -> None:
    found, last = [], 0.0
    for number in range(1, 17):
        now = number * interval
        if lease_is_due(now - last, interval, lease):
            found.append(now)
            last = now
        assert now - last <= lease / 2 - interval + 1e-9 or now == last
    assert found[: len(renewed)] == renewed


@pytest.mark.parametrize(("lag", "seconds"), [(0.0, 3), (0.4, 3), (0.5, 4), (1.2, 5), (9.0, 21), (99.0, 30)])
def test_a_kernel_that_takes_seconds_for_a_renewal_is_asked_for_a_longer_lease(lag: float, seconds: int) -> None:
    assert lease_to_ask_for(3, lag) == seconds
