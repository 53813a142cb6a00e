"""What the kernel is told of the sockets of connections.

Laws: see ``tcpbalancer.model``.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KeepAlive:
    """TCP keep-alive (tcp(7)): seconds of ``idle`` before the first probe, one each ``interval``, ``count`` times.

    None leaves what the system is set to.
    """

    idle: int | None = None
    interval: int | None = None
    count: int | None = None


@dataclass(frozen=True, slots=True)
class SocketOptions:
    """``nolinger``: who is closed sees a reset, and what was not delivered yet is lost."""

    keep_alive: KeepAlive | None = None
    nolinger: bool = False

    @property
    def is_special(self) -> bool:
        """Whether there is anything to be set."""
        return self.nolinger or self.keep_alive is not None
