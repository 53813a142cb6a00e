"""Where log lines go, and what a frontend writes of its connections.

Laws: see ``tcpbalancer.model``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from tcpbalancer.log_format import LogFormat


@dataclass(frozen=True, slots=True)
class LogTarget:
    """A place for lines from ``level`` up; what is above ``minlevel`` is sent with ``minlevel``.

    ``address``: ``stdout``, ``stderr``, ``fd@N``, ``/path`` or ``abns@NAME`` of a Unix datagram socket, or
    ``host:port`` for UDP. ``format`` is one of ``hakit.logtarget.FORMATS``, or empty: ``local``, or ``rfc3164`` where a
    host name is to be sent. ``length`` is bytes, the line feed included.
    """

    address: str
    facility: str = "local0"
    format: str = ""
    level: str = "debug"
    minlevel: str = "emerg"
    length: int = 1024


class LogMoment(Enum):
    """When the line of a connection is written."""

    ACCEPTED = "accepted"
    ESTABLISHED = "established"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class ConnectionLog:
    """What a frontend writes of its connections.

    ``without_null`` (option dontlognull): nothing of those that sent nothing; ``without_normal`` (option
    dontlog-normal): only what went wrong; ``errors_louder`` (option log-separate-errors): that with level err.
    ``addresses``: the record has to hold those which only the sockets know.
    """

    format: LogFormat
    moment: LogMoment = LogMoment.ENDED
    without_null: bool = False
    without_normal: bool = False
    errors_louder: bool = False

    @property
    def addresses(self) -> bool:
        """Whether a record has to hold addresses that only the sockets know."""
        return self.format.needs_addresses


@dataclass(frozen=True, slots=True)
class ProxyLog:
    """Where a proxy's lines go, and under which tag (empty: that of the process)."""

    targets: tuple[LogTarget, ...] = ()
    tag: str = ""
