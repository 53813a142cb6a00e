"""What a configuration says of the process itself: whose it is, where it may look, how it ends.

Laws: see ``tcpbalancer.model``.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the process becomes once everything is bound; None: who it is already. ``chroot`` is for who meets clients.

    ``capabilities`` are names such as ``cap_net_bind_service`` that are kept; normally there are none left.
    """

    uid: int | None = None
    gid: int | None = None
    chroot: str | None = None
    capabilities: frozenset[str] = frozenset()

    @property
    def changes(self) -> bool:
        """Whether anything is to be given up at all."""
        return self != Identity(capabilities=self.capabilities)


@dataclass(frozen=True, slots=True)
class Process:
    """``descriptors`` is ``ulimit-n``, None: as many as there may be. Times are seconds."""

    identity: Identity = Identity()
    is_master: bool = False
    quiet: bool = False
    zero_warning: bool = False
    hard_stop_after: float | None = None
    grace: float = 0.0
    descriptors: int | None = None
    strict_limits: bool = True
    promises_maxconn: bool = False  # maxconn is the operator's number, and not a default
    dumpable: bool = False
    shares_ports: bool = True  # SO_REUSEPORT, unless 'noreuseport'
