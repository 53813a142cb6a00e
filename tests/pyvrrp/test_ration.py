"""How much is told of what packets cause: bounded a minute, with one line about the rest."""

from __future__ import annotations

from pyvrrp.ration import MINUTE, Ration


def test_a_flood_of_any_length_is_told_at_a_bounded_rate() -> None:
    ration = Ration(instances=2)
    assert ration.size == 60 + 2 * 6
    told = [at for at in range(600_000) if ration.admits("rejected", at / 1000)]  # a thousand a second, ten minutes
    assert len(told) in range(11 * 72 - 1, 11 * 72 + 2)  # the store at the beginning, then one store a minute
    assert sum(at >= 60_000 for at in told if at < 120_000) <= 73


def test_what_was_left_out_is_told_once_a_minute_and_exactly() -> None:
    ration = Ration(instances=0)
    admitted = sum(ration.admits("rejected", 0.0) for _ in range(100)) + sum(
        ration.admits("split_brain", 0.0) for _ in "ab"
    )
    assert admitted == 60
    assert ration.left_out(MINUTE - 1) is None
    words = (
        "packets caused 42 more events in 60 s than are told (rejected 40, split_brain 2): the counters have them all"
    )
    assert ration.left_out(MINUTE) == words
    assert ration.left_out(MINUTE + 1) is None


def test_who_stays_within_the_ration_loses_nothing() -> None:
    ration = Ration()
    assert all(ration.admits("rejected", float(second)) for second in range(3600))
    assert ration.left_out(3600.0) is None


def test_a_reload_with_more_instances_has_a_larger_ration() -> None:
    ration = Ration(instances=0)
    ration.resize(10)
    assert sum(ration.admits("rejected", 100.0) for _ in range(500)) == 120
