"""What a worker is given when it starts: the configuration without its secrets, and the numbers of its descriptors.

Laws: it travels in a piece of memory without a name, which the worker inherits from its supervisor and nobody else can
open; so it may be a pickle. A worker learns nothing of statistics pages, their users and their passwords.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Sequence
from dataclasses import dataclass, replace

from tcpbalancer.model import Configuration
from tcpbalancer.route import tcp_frontends


@dataclass(frozen=True, slots=True)
class Handover:
    """``listeners`` holds pairs: a frontend's place among the TCP frontends, and a listening socket's descriptor."""

    configuration: Configuration
    worker: int
    counters: int
    channel: int
    listeners: tuple[tuple[int, int], ...]
    bells: tuple[int, ...] = ()

    def pack(self) -> int:
        """Return the descriptor of a new piece of memory that holds this."""
        packed = pickle.dumps(self)
        descriptor = os.memfd_create("tcpbalancer-handover", os.MFD_CLOEXEC)
        with open(descriptor, "wb", closefd=False) as file:
            file.write(packed)
        return descriptor

    @property
    def descriptors(self) -> list[int]:
        """What goes to the worker beside this, in the order in which ``received`` takes it."""
        return [self.counters, self.channel, *self.bells, *(descriptor for _, descriptor in self.listeners)]

    @classmethod
    def received(cls, descriptors: Sequence[int]) -> Handover:
        """Return what ``pack`` wrote into the first descriptor, and close that; the others are ``descriptors``.

        They have other numbers here than where they come from.
        """
        with open(descriptors[0], "rb") as file:  # noqa: PTH123 - it has no path
            file.seek(0)
            handover = pickle.load(file)  # noqa: S301 - written by our own parent, see the laws
        assert isinstance(handover, cls)
        counters, channel, *others = descriptors[1:]
        bells, listening = others[: len(handover.bells)], others[len(handover.bells) :]
        places = (place for place, _ in handover.listeners)
        listeners = tuple(zip(places, listening, strict=True))
        return replace(handover, counters=counters, channel=channel, bells=tuple(bells), listeners=listeners)


def for_workers(configuration: Configuration) -> Configuration:
    """Return the configuration as workers need it: TCP frontends, backends, limits."""
    frontends = tcp_frontends(configuration)
    return replace(
        configuration,
        frontends={frontend.name: replace(frontend, stats=None) for frontend in frontends},
        backends=dict(configuration.backends),
        log_targets=(),
        saved={},
        resolvers={},
    )
