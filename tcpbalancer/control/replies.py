"""What is answered over HTTP: status, headers and body, in HAProxy's words.

Laws: pure. Header names are in small letters, as HAProxy writes them. Nothing is cached.

Source: HAProxy's ``http.c`` (the standard errors), its management guide, section 9.1, and what 2.6.12 was seen to send.
"""

from __future__ import annotations

from dataclasses import dataclass

REASONS = {
    200: "OK", 301: "Moved Permanently", 302: "Found", 303: "See Other", 307: "Temporary Redirect",
    308: "Permanent Redirect", 400: "Bad request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found",
    405: "Method Not Allowed", 407: "Unauthorized", 408: "Request Time-out", 410: "Gone", 413: "Payload Too Large",
    425: "Too Early", 429: "Too Many Requests", 500: "Internal Server Error", 501: "Not Implemented",
    502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Time-out",
}  # fmt: skip
_SENTENCES = {
    200: "Service ready.",
    400: "Your browser sent an invalid request.",
    401: "You need a valid user and password to access this content.",
    403: "Request forbidden by administrative rules.",
    404: "The resource could not be found.",
    408: "Your browser didn't send a complete request in time.",
    429: "You have sent too many requests in a given amount of time.",
    503: "No server is available to handle this request.",
}
NO_CACHE = ("cache-control", "no-cache")
_HTML = ("content-type", "text/html")


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer. ``chunked``: its length is not told beforehand; ``ends``: the connection ends with it.

    ``who`` is what the log has for the server; ``flags`` are its two letters; ``served``: the page, the metrics or a
    rule has answered.
    """

    status: int
    headers: tuple[tuple[str, str], ...] = (NO_CACHE,)
    body: bytes = b""
    chunked: bool = False
    ends: bool = False
    who: str = "<NOSRV>"
    flags: str = "LR"
    served: bool = False
    logged: bool = True

    @property
    def reason(self) -> str:
        """What stands behind the status."""
        return REASONS.get(self.status, "")

    def to_bytes(self) -> bytes:
        """Return the whole answer for whoever is sent away."""
        head = [f"HTTP/1.1 {self.status} {self.reason}", f"content-length: {len(self.body)}"]
        head += [f"{name}: {value}" for name, value in (*self.headers, ("connection", "close"))]
        return "\r\n".join([*head, "", ""]).encode("latin-1") + self.body


def standard(status: int, *, flags: str = "PR", served: bool = False, ends: bool = False) -> Reply:
    """Return one of HAProxy's standard answers."""
    reason = REASONS.get(status, "")
    sentence = _SENTENCES.get(status, f"{reason}.")
    body = f"<html><body><h1>{status} {reason}</h1>\n{sentence}\n</body></html>\n".encode()
    return Reply(status, (NO_CACHE, _HTML), body, flags=flags, served=served, ends=ends)


def unauthorised(realm: str, who: str = "<NOSRV>") -> Reply:
    """Return the 401 that asks for credentials; ``realm`` is printable ASCII."""
    escaped = realm.replace("\\", "\\\\").replace('"', '\\"')
    plain = standard(401)
    headers = (*plain.headers, ("www-authenticate", f'Basic realm="{escaped}"'))
    return Reply(401, headers, plain.body, who=who, served=True)


def document(kind: str, text: str, *more: tuple[str, str], refresh: float | None = None, logged: bool = True) -> Reply:
    """Return a page of the statistics; ``refresh``: seconds after which a browser asks again."""
    headers = (NO_CACHE, ("content-type", kind), *more)
    if refresh is not None:
        headers += (("refresh", str(max(1, round(refresh)))),)
    return Reply(200, headers, text.encode(), chunked=True, who="<STATS>", served=True, logged=logged)


def see_other(location: str) -> Reply:
    """Return the answer to a form: look at the page again."""
    headers = (NO_CACHE, ("content-type", "text/plain"), ("location", location))
    return Reply(303, headers, who="<STATS>", served=True)


def redirect(status: int, location: str) -> Reply:
    """Return what sends a browser elsewhere."""
    return Reply(status, (NO_CACHE, ("location", location)), served=True)
