"""How a server is reached: from where, through which namespace, and what is said first.

Laws: see ``tcpbalancer.model``.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Source:
    """Where connections to servers come from: ``address`` ``""`` is the kernel's choice; ports 0: any."""

    address: str = ""
    first_port: int = 0
    last_port: int = 0
    interface: str | None = None


@dataclass(frozen=True, slots=True)
class Reach:
    """``proxy_version`` 0: no PROXY header. ``called_port``: the port that the client called, ``port_offset`` added."""

    proxy_version: int = 0
    proxy_options: tuple[str, ...] = ()
    source: Source | None = None
    namespace: str | None = None
    tcp_user_timeout: float | None = None
    called_port: bool = False
    port_offset: int = 0

    @property
    def is_plain(self) -> bool:
        """Whether a socket and a connect are all it takes, but for what is said first."""
        return self == Reach(self.proxy_version, self.proxy_options)
