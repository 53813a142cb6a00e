"""How a server's weight grows after it came up: the numbers seen on HAProxy 2.6.12."""

from __future__ import annotations

from tcpbalancer import counters
from tcpbalancer.slowstart import SCALE, share, shown_weight, step, throttle


def test_slowstart_of_5_s_and_weight_100_goes_7_25_44_63_82_100() -> None:
    effective = [100 * share(float(second), 5) for second in range(6)]
    assert [shown_weight(weight) for weight in effective] == [7, 25, 44, 63, 82, 100]
    assert [throttle(weight, 100) for weight in effective] == [6, 25, 43, 62, 81, 100]


def test_a_clock_that_is_a_little_early_or_behind_zero_does_no_harm() -> None:
    assert (share(0.96, 5), share(-1.0, 5), share(9.0, 5)) == (share(1.0, 5), share(0.0, 5), SCALE)


def test_steps_are_a_twentieth_but_at_least_a_second() -> None:
    assert (step(5), step(60)) == (1.0, 3.0)


def test_a_weight_of_0_is_not_throttled() -> None:
    assert throttle(0, 0) == 100


def test_weights_have_the_scale_of_the_shared_memory() -> None:
    assert SCALE == counters.SCALE
