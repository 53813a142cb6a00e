"""Where a session stands, and what it needs of the worker around it.

Laws: no code. A session knows its worker by this protocol only, so a test can stand in for one.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Protocol

from tcpbalancer.channel import Report
from tcpbalancer.poller import Poller
from tcpbalancer.relay import PipePool
from tcpbalancer.session_log import SessionRecord

if TYPE_CHECKING:
    from tcpbalancer.relaying import Relaying
    from tcpbalancer.session import Session


class Phase(Enum):
    """Where a session stands."""

    ARRIVING = "arriving"  # rules or a PROXY header come before a server
    QUEUED = "queued"  # for a server that is full
    CONNECTING = "connecting"
    WAITING = "waiting"  # a while, before the next attempt
    CHOOSING = "choosing"  # another server, at once
    RELAYING = "relaying"
    ENDED = "ended"


class Surroundings(Protocol):
    """What a session needs of its worker."""

    poller: Poller
    buffer: memoryview
    pipes: PipePool

    def connections(self) -> int:
        """Return the connections of all frontends and workers."""
        ...

    def schedule(self, session: Session) -> None:
        """Take note that the session's deadline may have come nearer."""
        ...

    def wake(self, session: Relaying, at: float) -> None:
        """Call the session's ``on_deadline`` at this time, or before."""
        ...

    def wants_record_of(self, session: Session) -> bool:
        """Return whether anybody wants to read the record of a session that ends now."""
        ...

    def noted(self, record: SessionRecord) -> None:
        """Take a record of a session that goes on: its line is due now."""
        ...

    def report(self, report: Report) -> bool:
        """Send a report to the supervisor; returns False, and drops it, if too many wait already."""
        ...

    def ended(self, session: Session, record: SessionRecord | None) -> None:
        """Take the session's record, if there is one; it is over."""
        ...
