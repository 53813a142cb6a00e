"""From the configuration and the weights of this moment to what must stand in the kernel.

Laws: pure. A passage is a way with what it is counted for; it keeps its number for as long as the daemon runs, and no
number is given twice. A server that may not be picked now has no turn, and keeps its passages.

NAT stays within a family: clients who come by IPv6 go to servers that have an IPv6 address, and no others.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tcpbalancer.kernel.turns import hashed_turns, turns
from tcpbalancer.kernel.wanted import Entrance, Place, Wanted, Way
from tcpbalancer.model import Backend, Bind, Configuration, Frontend, Server, Timeouts
from tcpbalancer.model.reach import Source

FOREVER = 5 * 24 * 3600
"""Seconds for which a silent connection is kept if no timeout says otherwise (nf_conntrack_tcp_timeout_established)."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A server as it is now: ``origin`` is its definition in the file, ``weight`` the one at which it may be picked."""

    server: Server
    origin: Server
    weight: int


@dataclass(frozen=True, slots=True)
class Passage:
    """A way, and whose connections go there; ``origin`` tells a server from another one that had its name before."""

    frontend: str
    backend: str
    server: str
    origin: str
    way: Way


class Numbers:
    """Gives passages and frontends their numbers."""

    def __init__(self) -> None:
        self._numbers: dict[Passage | str, int] = {}
        self.known: dict[int, Passage | str] = {}

    def of(self, thing: Passage | str) -> int:
        """Return the number of a passage, or of a frontend by its name."""
        number = self._numbers.get(thing)
        if number is None:
            number = self._numbers[thing] = len(self._numbers) + 1
            self.known[number] = thing
        return number

    def passages(self) -> Iterator[tuple[int, Passage]]:
        """Yield all passages that there ever were."""
        return ((number, thing) for number, thing in self.known.items() if isinstance(thing, Passage))


def relayed(configuration: Configuration) -> list[Frontend]:
    """Return the frontends whose connections the kernel relays."""
    return [frontend for frontend in configuration.frontends.values() if frontend.kernel_relay]


def origin(server: Server) -> str:
    """Return what tells a server from another one of its name in another configuration (``tally.is_same``)."""
    return f"{server.host or server.address} {server.port}"


def plan(
    configuration: Configuration,
    candidates: Mapping[str, Sequence[Candidate]],
    numbers: Numbers,
    *,
    refusing: Collection[str] = (),
    closed: Collection[str] = (),
    kept: Iterable[int] = (),
    dual_stack: bool = True,
) -> Wanted:
    """Return what must stand in the kernel.

    ``candidates`` are the servers of each backend, in their order. Frontends that are ``refusing`` lead nowhere,
    ``closed`` ones are not there. ``kept`` are ways that have connections, though nothing leads to them any more.
    ``dual_stack``: whether ``::`` takes IPv4, too, unless a bind line says otherwise.
    """
    ways: dict[int, Way] = {}
    entrances: dict[int, Entrance] = {}
    for frontend in relayed(configuration):
        if frontend.name in closed:
            continue
        backend = configuration.backends[frontend.default_backend or ""]
        servers = [one for one in candidates.get(backend.name, ()) if one.server.address]
        found = {numbers.of(passage): passage.way for passage in (_passage(frontend, backend, one) for one in servers)}
        ways |= found
        leads = frontend.name not in refusing
        entrances[numbers.of(frontend.name)] = Entrance(
            frontend.name,
            tuple(place for bind in frontend.binds for place in _places(bind, dual_stack=dual_stack)),
            _choice(backend),
            (
                _turns(backend, servers, list(found), 4) if leads else (),
                _turns(backend, servers, list(found), 6) if leads else (),
            ),
        )
    for number in kept:
        passage = numbers.known[number]
        if isinstance(passage, Passage):
            ways.setdefault(number, passage.way)
    return Wanted(ways, entrances)


def _passage(frontend: Frontend, backend: Backend, one: Candidate) -> Passage:
    server, source = one.server, one.server.reach.source or Source()
    idle = _idle(frontend.timeouts, backend.timeouts)
    way = Way(
        f"{frontend.name} > {backend.name}/{server.name}",
        server.address,
        server.port,
        source.address,
        idle,
        _half_closed(frontend.timeouts, backend.timeouts) or idle or FOREVER,
    )
    return Passage(frontend.name, backend.name, server.name, origin(one.origin), way)


def _choice(backend: Backend) -> str:
    return backend.balance if backend.balance in {"source", "random"} else "turns"


def _turns(backend: Backend, servers: Sequence[Candidate], ways: Sequence[int], family: int) -> tuple[int, ...]:
    """Return the turns among the servers of one family, each by the number of the way to it."""
    ours = [(":" in one.server.address) == (family == 6) for one in servers]
    weights = [one.weight * mine for one, mine in zip(servers, ours, strict=True)]
    if backend.balance != "source":
        return tuple(ways[at] for at in turns(weights))
    nominal = [one.origin.weight * (mine and not one.origin.backup) for one, mine in zip(servers, ours, strict=True)]
    return tuple(ways[at] for at in hashed_turns(nominal, weights))


def _places(bind: Bind, *, dual_stack: bool) -> Iterator[Place]:
    for family in families(bind, dual_stack=dual_stack):
        yield Place(family, "" if bind.host == "::" else bind.host, bind.port)


def families(bind: Bind, *, dual_stack: bool = True) -> tuple[int, ...]:
    """Return the families by which clients can come to an address."""
    if ":" not in bind.host:
        return (4,)
    only = not dual_stack if bind.only_v6 is None else bind.only_v6
    return (4, 6) if bind.host == "::" and not only else (6,)


def _idle(front: Timeouts, back: Timeouts) -> int:
    """Return after how many seconds without a packet a connection is forgotten; 0: it is said nowhere."""
    return _shortest(back.tunnel or front.tunnel, None) or _shortest(front.client, back.server)


def _half_closed(front: Timeouts, back: Timeouts) -> int:
    return _shortest(front.client_fin, back.server_fin)


def _shortest(one: float | None, other: float | None) -> int:
    given = [seconds for seconds in (one, other) if seconds]
    return math.ceil(min(given)) if given else 0
