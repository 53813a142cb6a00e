"""What a worker is given when it starts: the configuration without its secrets, and the numbers of its descriptors.

Laws: it travels in a piece of memory without a name, which the worker inherits from its supervisor and nobody else can
open; so it may be a pickle. A worker learns nothing of statistics pages, their users and their passwords.
"""

from __future__ import annotations

import os
import pickle
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

    @classmethod
    def unpack(cls, descriptor: int) -> Handover:
        """Return what ``pack`` wrote, and close the descriptor."""
        with open(descriptor, "rb") as file:
            file.seek(0)
            handover = pickle.load(file)  # noqa: S301 - written by our own parent, see the laws
        assert isinstance(handover, cls)
        return handover


def for_workers(configuration: Configuration) -> Configuration:
    """Return the configuration as workers need it: TCP frontends, backends, limits."""
    frontends = tcp_frontends(configuration)
    return replace(
        configuration,
        frontends={frontend.name: replace(frontend, stats=None) for frontend in frontends},
        backends=dict(configuration.backends),
        log_targets=(),
        saved={},
    )
