"""The request of an HTTP check, byte for byte as HAProxy sends it.

Laws: pure. Names are in lower case, as HAProxy writes them; ``connection: close`` is said where HTTP/1.1 needs it
(RFC 9112, section 9.6), and a length where a body follows or is expected.
"""

from __future__ import annotations

from tcpbalancer.dialogue.sample import Facts, filled
from tcpbalancer.model.dialogue import HttpRequest

_WITHOUT_LENGTH = frozenset({"OPTIONS", "GET", "HEAD", "DELETE"})


def request(wanted: HttpRequest, facts: Facts, *, send_state: bool) -> bytes:
    """Return the bytes to send. ``send_state``: with the server's state (``http-check send-state``)."""
    headers = [(name.lower(), value) for name, template in wanted.headers if (value := filled(template, facts))]
    body = filled(wanted.body, facts)
    if send_state:
        headers.append(("x-haproxy-server-state", facts.state.encode()))
    if body or wanted.method not in _WITHOUT_LENGTH:
        headers.append(("content-length", str(len(body)).encode()))
    if wanted.version != "HTTP/1.0" and all(name != "connection" for name, _ in headers):
        headers.append(("connection", b"close"))
    first = b"%s %s %s" % (
        wanted.method.encode("latin-1", "replace"),
        filled(wanted.uri, facts) or b"/",
        wanted.version.encode("latin-1", "replace"),
    )
    lines = [first, *(b"%s: %s" % (name.encode("latin-1", "replace"), value) for name, value in headers)]
    return b"".join(line + b"\r\n" for line in [*lines, b""]) + body
