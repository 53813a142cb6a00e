"""What must stand in the kernel: ways to servers, entrances for clients, and which turns lead from one to the other.

Laws: pure and frozen. It says nothing of nftables. It travels from the supervisor to the executor, who trusts it with
nothing: what is not an address, a port or a number does not come through ``unpack``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from ipaddress import ip_address
from typing import Any, Final

HIGHEST_NUMBER: Final = (1 << 24) - 1
"""A way or an entrance has a number of 24 bits: the other 8 bits of a mark are the daemon's own."""
_STRANGE = re.compile(r"[^A-Za-z0-9_.:/> -]")
_LONGEST_TITLE: Final = 120


@dataclass(frozen=True, slots=True)
class Way:
    """From an entrance to a server. ``port`` 0: the one that was called. ``source`` empty: the kernel's choice.

    ``idle``: seconds after which a connection without a packet is forgotten, 0: as the kernel is set (five days).
    ``half_closed``: the same, once one side has sent its end.
    """

    title: str
    address: str
    port: int
    source: str = ""
    idle: int = 0
    half_closed: int = 0

    @property
    def family(self) -> int:
        """4 or 6."""
        return 6 if ":" in self.address else 4


@dataclass(frozen=True, slots=True)
class Place:
    """Where connections arrive: ``address`` empty for all of this machine's, of a ``family`` of 4 or 6."""

    family: int
    address: str
    port: int


@dataclass(frozen=True, slots=True)
class Entrance:
    """A frontend. ``turns`` are the numbers of ways, by family; ``choice`` is ``turns``, ``source`` or ``random``."""

    title: str
    places: tuple[Place, ...]
    choice: str
    turns: tuple[tuple[int, ...], tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Everything, by number; a way that no turn leads to is kept for the connections that it has."""

    ways: Mapping[int, Way] = field(default_factory=dict)
    entrances: Mapping[int, Entrance] = field(default_factory=dict)


def pack(wanted: Wanted) -> str:
    """Return it as JSON."""
    return json.dumps(asdict(wanted))


def unpack(text: str) -> Wanted:
    """Return what was packed; raises ValueError if anything in it is not what it has to be."""
    try:
        told = json.loads(text)
        return Wanted(
            {_number(number): _way(**way) for number, way in told["ways"].items()},
            {_number(number): _entrance(**entrance) for number, entrance in told["entrances"].items()},
        )
    except (KeyError, TypeError, AttributeError) as wrong:
        raise ValueError(f"not what must stand in the kernel: {wrong!r}") from None


def _way(title: str, address: str, port: int, source: str, idle: int, half_closed: int) -> Way:
    return Way(_title(title), _address(address), _port(port), source and _address(source), int(idle), int(half_closed))


def _entrance(title: str, places: list[dict[str, Any]], choice: str, turns: list[list[int]]) -> Entrance:
    if choice not in {"turns", "source", "random"}:
        raise ValueError(f"no such choice: {choice}")
    old, new = turns
    return Entrance(
        _title(title),
        tuple(_place(**place) for place in places),
        choice,
        (tuple(_number(number) for number in old), tuple(_number(number) for number in new)),
    )


def _place(family: int, address: str, port: int) -> Place:
    return Place(6 if family == 6 else 4, address and _address(address), _port(port))


def _address(text: str) -> str:
    if "%" in text:  # a zone may be any text
        raise ValueError(f"an address with a zone: {text}")
    return str(ip_address(text))


def _port(number: int) -> int:
    return _within(number, 65535)


def _number(number: int | str) -> int:
    return _within(number, HIGHEST_NUMBER)


def _within(number: int | str, most: int) -> int:
    if not 0 <= int(number) <= most:
        raise ValueError(f"not between 0 and {most}: {number}")
    return int(number)


def _title(text: str) -> str:
    return _STRANGE.sub("?", text)[:_LONGEST_TITLE]
