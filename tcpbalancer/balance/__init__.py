"""How the next server is chosen: one small protocol, one table of algorithms by their name in ``balance``.

Laws: pure. An algorithm keeps nothing of its own: its memory is a row of integers that the caller gives it, all zero at
the start, which may lie in memory shared by several processes. The caller sees to it that one pick at a time touches
that row; then the order is exact over all of them. Weights come in as they are at that moment: 0 means "not this one".

Source: HAProxy's configuration manual, ``balance``, ``hash-type``, ``hash-balance-factor``, ``option allbackups``; the
sequences are those of HAProxy 2.6 with one thread.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType

from tcpbalancer.balance.choice import Balancer, Choice
from tcpbalancer.balance.first import First
from tcpbalancer.balance.hashed import Hashed, MapHashed, digest_of
from tcpbalancer.balance.leastconn import LeastConnections
from tcpbalancer.balance.random import Random
from tcpbalancer.balance.roundrobin import RoundRobin
from tcpbalancer.balance.static import StaticRoundRobin
from tcpbalancer.model import Backend

__all__ = ["ALGORITHMS", "Balancer", "Choice", "eligible", "is_dynamic", "make_balancer"]


def _identities(backend: Backend) -> list[int]:
    return [server.identity or slot + 1 for slot, server in enumerate(backend.servers)]


def _hashed(backend: Backend) -> Balancer:
    digest = digest_of(backend.hashing, is_source=backend.balance == "source")
    if backend.hashing.consistent:
        return Hashed(digest, _identities(backend), backend.hashing.balance_factor)
    return MapHashed(digest)


ALGORITHMS: Mapping[str, Callable[[Backend], Balancer]] = MappingProxyType(
    {
        "roundrobin": lambda _: RoundRobin(),
        "static-rr": lambda _: StaticRoundRobin(),
        "leastconn": lambda _: LeastConnections(),
        "first": lambda backend: First(_identities(backend)),
        "source": _hashed,
        "hash": _hashed,
        "random": lambda backend: Random(backend.draws),
    }
)
"""The algorithms by the name that stands behind the keyword ``balance``."""


def make_balancer(backend: Backend) -> Balancer:
    """Return the algorithm of a backend."""
    return ALGORITHMS[backend.balance](backend)


def is_dynamic(backend: Backend) -> bool:
    """Whether the algorithm honours weights that change while it runs; the static ones know their weight and 0."""
    return make_balancer(backend).dynamic


def eligible(weights: Sequence[int], backups: Collection[int], *, all_backups: bool = False) -> list[int]:
    """Return the weights of those who take part: ``backups`` only if nobody else is usable.

    ``weights`` is 0 for a server that is not usable now; ``backups`` holds the indexes of backup servers. Then the
    first usable one gets everything, or (``option allbackups``) all of them take part.
    """
    active = [0 if index in backups else weight for index, weight in enumerate(weights)]
    if any(active):
        return active
    if all_backups:
        return list(weights)
    first = next((index for index, weight in enumerate(weights) if weight), None)
    return [weight if index == first else 0 for index, weight in enumerate(weights)]
