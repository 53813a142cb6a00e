"""What supervisor and workers say to each other over their SOCK_SEQPACKET channel, and its bytes.

Laws: pure. An order goes down, a report comes up; both are frozen values, and each has one form on the wire. Whoever
wants an answer puts a question's number beside its order: the reports that answer it carry the number. Orders are
pickles, for a worker trusts its parent as it does with its ``Handover``; reports are JSON, for the parent, who has more
rights, trusts no worker with its code. A datagram from a worker holds one report a line, since records come in crowds.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from enum import Enum
from typing import assert_never

from tcpbalancer.model import Server
from tcpbalancer.session_log import SessionRecord

# -- orders: from the supervisor to a worker


@dataclass(frozen=True, slots=True)
class SoftStop:
    """Accept no more, and end when the last session has ended."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Accept no more, cut all sessions, end: by a signal if ``by`` is its number, as HAProxy's workers do."""

    by: int = 0


@dataclass(frozen=True, slots=True)
class ListSessions:
    """Tell of all sessions; the answers carry them."""


@dataclass(frozen=True, slots=True)
class Cut:
    """End sessions at once: those to which all that is given applies. ``session`` is an id, the others are places.

    ``server`` only counts together with ``backend``. ``flags`` are the two letters of the log: ``DC`` where a server
    went down, ``KC`` where an operator said so, ``UC`` where an active server has come back (manual, section 8.5).
    """

    flags: str
    reason: str
    session: int | None = None
    backend: int | None = None
    server: int | None = None


@dataclass(frozen=True, slots=True)
class SetServer:
    """A server is new at its place, or its definition (address, port, source, ...) is another one from now on."""

    backend: int
    place: int
    server: Server


@dataclass(frozen=True, slots=True)
class RemoveServer:
    """There is no server at this place any more; sessions that it has go on."""

    backend: int
    place: int


@dataclass(frozen=True, slots=True)
class ClearCounters:
    """Set the largest values of a worker's counters back, or everything but what is open now."""

    everything: bool


class Admission(Enum):
    """Whether a frontend takes connections."""

    OPEN = "open"
    PAUSED = "paused"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class SetFrontend:
    """A frontend (its place among those in TCP mode) accepts from now on, or does not; STOPPED is for ever."""

    frontend: int
    admission: Admission


Order = SoftStop | Stop | ListSessions | Cut | SetServer | RemoveServer | SetFrontend | ClearCounters


def pack_order(order: Order, question: int | None = None) -> bytes:
    """Return the datagram of an order; with ``question``, an ``Answer`` of that number is wanted."""
    return pickle.dumps((question, order))


def unpack_order(datagram: bytes) -> tuple[Order, int | None]:
    """Return the order, and the question's number if an answer is wanted."""
    question, order = pickle.loads(datagram)  # noqa: S301 - written by our own parent, see the laws
    assert isinstance(order, Order)
    return order, question


# -- reports: from a worker to the supervisor


@dataclass(frozen=True, slots=True)
class Ready:
    """The worker accepts connections."""


@dataclass(frozen=True, slots=True)
class Noted:
    """A session goes on, and its line in the log is due now (no format, or ``option logasap``)."""

    record: SessionRecord


@dataclass(frozen=True, slots=True)
class Ended:
    """A session has ended."""

    record: SessionRecord


@dataclass(frozen=True, slots=True)
class Attempted:
    """How traffic found a server (``observe layer4``): places of backend and server, and what went wrong if it did."""

    backend: int
    server: int
    passed: bool
    info: str = ""


@dataclass(frozen=True, slots=True)
class Exhausted:
    """A call for a proxy has failed for want of something that is ours (``shortage.py``): an error of the system."""

    proxy: str
    problem: int


@dataclass(frozen=True, slots=True)
class SessionView:
    """A session that goes on, as ``show sess`` tells of it. Times are seconds; None where there is nothing (yet)."""

    id: int
    frontend: str
    backend: str | None
    server: str | None
    client: str
    client_port: int
    phase: str  # a Phase's value
    age: float
    expires: float | None  # from now
    bytes_in: int = 0
    bytes_out: int = 0
    server_address: str | None = None
    worker: int = 0
    accepted_at: float = 0.0  # seconds since 1970


@dataclass(frozen=True, slots=True)
class Answer:
    """A part of the answer to a question; ``count`` says how many sessions an order has met, with the last part."""

    question: int
    is_last: bool
    count: int = 0
    sessions: tuple[SessionView, ...] = ()


Report = Ready | Noted | Ended | Attempted | Exhausted | Answer

PER_ANSWER = 100
"""Sessions in one part of an answer: together they fit a datagram."""


def pack_report(report: Report) -> bytes:
    """Return the line of a report; lines joined by LF make a datagram."""
    match report:
        case Ended(record):
            return b"E" + record.to_bytes()
        case Noted(record):
            return b"N" + record.to_bytes()
        case Ready():
            return b"R"
        case Attempted():
            return b"A" + _json(astuple(report))
        case Exhausted():
            return b"S" + _json(astuple(report))
        case Answer(question, is_last, count, sessions):
            return b"Q" + _json((question, is_last, count, [astuple(session) for session in sessions]))
        case _:
            assert_never(report)


def unpack_reports(datagram: bytes) -> list[Report]:
    """Return the reports of one datagram, in their order."""
    return [_report(line[:1], line[1:]) for line in datagram.split(b"\n")]


def answers(question: int, sessions: Iterable[SessionView], count: int) -> list[Answer]:
    """Return an answer in as many parts as it needs."""
    views = tuple(sessions)
    starts = range(0, max(len(views), 1), PER_ANSWER)
    parts = [views[start : start + PER_ANSWER] for start in starts]
    return [Answer(question, part is parts[-1], count, part) for part in parts]


def _report(kind: bytes, body: bytes) -> Report:
    match kind:
        case b"E":
            return Ended(SessionRecord.from_bytes(body))
        case b"N":
            return Noted(SessionRecord.from_bytes(body))
        case b"R":
            return Ready()
        case b"A":
            return Attempted(*json.loads(body))
        case b"S":
            return Exhausted(*json.loads(body))
        case b"Q":
            question, is_last, count, sessions = json.loads(body)
            return Answer(question, is_last, count, tuple(SessionView(*session) for session in sessions))
        case _:
            raise ValueError(f"no such report: {kind!r}")


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
