"""Which timeout bounds the silence of a side, in every stage of a connection's end."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tcpbalancer.model import Timeouts
from tcpbalancer.relay import CLIENT, SERVER, Side
from tcpbalancer.silence import silence_limit

FRONT = Timeouts(client=10, client_fin=1)
BACK = Timeouts(server=20, server_fin=2)
TUNNEL = Timeouts(server=20, server_fin=2, tunnel=30)


@dataclass
class StandIn:
    """As much of a relay as is asked."""

    ended: frozenset[Side] = frozenset()
    told: frozenset[Side] = frozenset()
    owed: frozenset[Side] = frozenset()

    def has_ended(self, side: Side) -> bool:
        return side in self.ended

    def passed_end_to(self, side: Side) -> bool:
        return side in self.told

    def owes(self, side: Side) -> bool:
        return side in self.owed


CLIENT_CLOSED = StandIn(ended=frozenset({CLIENT}), told=frozenset({SERVER}))
SERVER_CLOSED = StandIn(ended=frozenset({SERVER}), told=frozenset({CLIENT}))
CLIENT_OWED = StandIn(ended=frozenset({CLIENT}), told=frozenset({SERVER}), owed=frozenset({CLIENT}))


@pytest.mark.parametrize(
    ("relay", "side", "back", "expected"),
    [
        (StandIn(), CLIENT, BACK, ("timeout client", 10)),
        (StandIn(), SERVER, BACK, ("timeout server", 20)),
        (StandIn(), CLIENT, TUNNEL, ("timeout tunnel", 30)),
        (StandIn(), SERVER, TUNNEL, ("timeout tunnel", 30)),
        (StandIn(), SERVER, Timeouts(), None),
        (CLIENT_CLOSED, CLIENT, BACK, None),
        (CLIENT_CLOSED, SERVER, BACK, ("timeout server-fin", 2)),
        (CLIENT_CLOSED, SERVER, TUNNEL, ("timeout server-fin", 2)),
        (CLIENT_CLOSED, SERVER, Timeouts(server=20), ("timeout server", 20)),
        (CLIENT_OWED, CLIENT, BACK, ("timeout client", 10)),
        (SERVER_CLOSED, CLIENT, BACK, ("timeout client-fin", 1)),
        (SERVER_CLOSED, SERVER, BACK, None),
    ],
)
def test_a_side_is_bounded_while_something_is_expected_from_it_or_owed_to_it(
    relay: StandIn, side: Side, back: Timeouts, expected: tuple[str, float] | None
) -> None:
    assert silence_limit(relay, side, FRONT, back) == expected  # type: ignore[arg-type]
