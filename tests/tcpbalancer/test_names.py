"""Which of the addresses that a name has a server takes, and how long an old one holds."""

from __future__ import annotations

import pytest

from tcpbalancer.model.naming import Hold, Naming
from tcpbalancer.names import Outcome, choose

SIX = Naming("r")
FOUR = Naming("r", prefers_ipv4=True)


@pytest.mark.parametrize(
    ("addresses", "now", "taken", "naming", "chosen"),
    [
        (["192.0.2.1", "192.0.2.2"], "", (), SIX, "192.0.2.1"),
        (["192.0.2.1", "192.0.2.2"], "192.0.2.2", (), SIX, "192.0.2.2"),
        (["192.0.2.1", "192.0.2.2"], "", ("192.0.2.1",), SIX, "192.0.2.2"),
        (["192.0.2.1"], "", ("192.0.2.1",), SIX, None),
        (["192.0.2.1"], "", ("192.0.2.1",), Naming("r", allows_duplicates=True), "192.0.2.1"),
        (["192.0.2.1", "2001:db8::1"], "", (), SIX, "2001:db8::1"),
        (["2001:db8::1", "192.0.2.1"], "", (), FOUR, "192.0.2.1"),
        (["192.0.2.1", "198.51.100.1"], "", (), Naming("r", networks=("198.51.100.0/24",)), "198.51.100.1"),
        ([], "192.0.2.1", (), SIX, None),
    ],
)
def test_family_network_and_neighbours_decide_but_what_is_still_true_stays(
    addresses: list[str], now: str, taken: tuple[str, ...], naming: Naming, chosen: str | None
) -> None:
    assert choose(addresses, now, taken, naming) == chosen


def test_every_outcome_has_a_time_for_which_the_last_address_holds() -> None:
    hold = Hold(nx=1.0, timeout=2.0, refused=3.0, other=4.0)
    assert [outcome.hold(hold) for outcome in Outcome] == [0.0, 1.0, 2.0, 3.0, 4.0]
