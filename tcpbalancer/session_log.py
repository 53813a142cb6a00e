"""The record of a connection, and the line in which HAProxy tells of it.

Laws: pure. A record holds values, a line is made from it in one place. The text is that of HAProxy 3.x: ``option
tcplog`` (configuration manual, section 8.2.2). A line carries neither priority nor time nor tag: the log target puts
those before it. What is said of servers is in ``state_lines``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from datetime import datetime
from operator import attrgetter
from typing import Any

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """What is known of a connection at its end. A time that was not reached is -1; times are milliseconds."""

    client: str
    client_port: int
    accepted_at: float  # seconds since 1970
    frontend: str
    backend: str
    server: str | None
    wait_ms: int  # Tw: from accept to the last connect, queues and failed attempts included
    connect_ms: int  # Tc
    total_ms: int  # Tt
    bytes_to_client: int  # %B
    bytes_from_client: int
    flags: str  # two letters: who ended it, and in which phase
    reason: str  # the same in words
    actconn: int  # connections of the process, this one included
    feconn: int  # of the frontend, this one included
    beconn: int  # of the backend, this one not included any more
    srvconn: int  # of the server, this one not included any more
    retries: int
    redispatched: bool
    server_queue: int = 0
    backend_queue: int = 0
    client_spoke: bool = False  # it has sent something, whether or not a server took it
    destination: tuple[str, int] | None = None  # the address that the client called; like ``source``, if it is logged
    source: tuple[str, int] | None = None  # our own end of the connection to the server
    target: tuple[str, int] | None = None  # the server's
    socket: str = ""  # the name, or the number, of the listening socket, where there is a failure
    failure: str = ""  # why it never became a session, in HAProxy's words
    early: bool = False  # the connection goes on: what is counted may still grow

    def to_bytes(self) -> bytes:
        """Return the record as one datagram."""
        return _encode(_values(self)).encode()

    @classmethod
    def from_bytes(cls, datagram: bytes) -> SessionRecord:
        """Return the record that ``to_bytes`` wrote."""
        values: list[Any] = [tuple(value) if isinstance(value, list) else value for value in json.loads(datagram)]
        return cls(*values)


_values = attrgetter(*(field.name for field in fields(SessionRecord)))
_encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


def format_tcplog(record: SessionRecord, pid: int | None = None) -> str:
    """Return the line of ``option tcplog``; with ``pid`` the tag ``haproxy[PID]: `` stands before it.

    %ci:%cp [%t] %ft %b/%s %Tw/%Tc/%Tt %B %ts %ac/%fc/%bc/%sc/%rc %sq/%bq
    """
    tag = "" if pid is None else f"haproxy[{pid}]: "
    server = "<NOSRV>" if record.server is None else record.server
    retries = f"+{record.retries}" if record.redispatched else str(record.retries)
    return (
        f"{tag}{record.client}:{record.client_port} [{log_date(record.accepted_at)}] {record.frontend} "
        f"{record.backend}/{server} {record.wait_ms}/{record.connect_ms}/{record.total_ms} {record.bytes_to_client} "
        f"{record.flags} {record.actconn}/{record.feconn}/{record.beconn}/{record.srvconn}/{retries} "
        f"{record.server_queue}/{record.backend_queue}"
    )


def log_date(wall: float) -> str:
    """Return a time of day as ``22/Nov/2026:19:01:57.334``, local time, English whatever the locale."""
    local = datetime.fromtimestamp(wall).astimezone()
    return f"{local.day:02d}/{MONTHS[local.month - 1]}/{local:%Y:%H:%M:%S}.{local.microsecond // 1000:03d}"


def proxy_stopped(proxy: str, frontend_total: int, backend_total: int) -> str:
    """Return the line at the end of a proxy."""
    return f"Proxy {proxy} stopped (cumulated conns: FE: {frontend_total}, BE: {backend_total})."
