"""The line that the log has for a request.

Laws: pure. With a format of TCP mode (``option tcplog``, ``log-format``) it is made from a session's record; the form
of ``option httplog`` is written here, because nothing else in a balancer of TCP connections has its fields.

Source: HAProxy's configuration manual, sections 8.2.2 "TCP log format" and 8.2.3 "HTTP log format".
"""

from __future__ import annotations

from tcpbalancer.session_log import SessionRecord, log_date

SHOWN = 1024
"""Characters of a request line that are logged (tune.http.logurilen)."""


def httplog(record: SessionRecord, status: int, line: str | None) -> str:
    """Return the line of ``option httplog``; ``line`` is the request's first one, None if it could not be read."""
    reached = record.wait_ms >= 0
    times = f"0/{record.wait_ms}/{record.connect_ms}/{0 if reached else -1}/{record.total_ms}"
    if line is None:
        times = f"-1/-1/-1/-1/{record.total_ms}"
    shown = "<BADREQ>" if line is None else _encoded(line[:SHOWN])
    return (
        f"{record.client}:{record.client_port} [{log_date(record.accepted_at)}] {record.frontend} "
        f"{record.backend}/{record.server or '<NOSRV>'} {times} {status} {record.bytes_to_client} - - "
        f"{record.flags}-- {record.actconn}/{record.feconn}/{record.beconn}/{record.srvconn}/{record.retries} "
        f'{record.server_queue}/{record.backend_queue} "{shown}"'
    )


def _encoded(text: str) -> str:
    """Return a text without what could end the quotes or the line: ``#XX`` stands for those, as in HAProxy."""
    return "".join(
        character if " " <= character <= "~" and character not in '"#' else f"#{ord(character) & 255:02X}"
        for character in text
    )
