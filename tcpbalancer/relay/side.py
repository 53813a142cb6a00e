"""The two sides of a connection.

Laws: a side is 0 or 1, so that it can be an index and ``1 << side`` a set.
"""

from __future__ import annotations

from typing import Final, Literal

Side = Literal[0, 1]
CLIENT: Final = 0
SERVER: Final = 1
RECEIVED: Final = 2
"""Shifts the bit of a side to where a relay says from which sides something came."""


def other(side: Side) -> Side:
    """Return the side across."""
    return SERVER if side == CLIENT else CLIENT
