"""The dialogues of well-known protocols: what ``option pgsql-check`` and its relatives say and expect.

Laws: pure. Bytes, statuses and texts are HAProxy's (``tcpcheck.c``), so that servers see the same and monitoring reads
the same; each step has the number under which HAProxy speaks of it.
"""

from __future__ import annotations

import re

from tcpbalancer.check_status import CheckStatus
from tcpbalancer.model.dialogue import (
    IMPLICIT_CONNECT,
    Connect,
    Content,
    ContentMatch,
    Dialogue,
    Expect,
    Farewell,
    HttpRequest,
    Kind,
    Sample,
    Send,
    Speech,
    StatusCodes,
)

_LINE = (Sample("res.payload", ("0", "0"), (("cut_crlf", ()),)),)
_TEXT = (Sample("res.payload", ("4", "0"), (("ltrim", (" ",)), ("cut_crlf", ()))),)
_CODE = Sample("res.payload", ("0", "3"))
_POLITE = Connect(number=1, default=True, linger=True)
SUCCESS = StatusCodes(((200, 399),))
"""Without ``http-check expect``, any status of 2xx and 3xx."""


def _match(pattern: bytes, *, binary: bool = False) -> ContentMatch:
    return ContentMatch(re.compile(pattern), binary)


def plain_http(request: HttpRequest | None = None) -> Dialogue:
    """``option httpchk`` without any ``http-check`` rule."""
    return Dialogue(
        Kind.HTTP,
        (IMPLICIT_CONNECT, request or HttpRequest(number=1), Expect(number=2, pattern=SUCCESS)),
    )


def redis() -> Dialogue:
    """``option redis-check``: PING and PONG in RESP."""
    return Dialogue(
        Kind.PROTOCOL,
        (
            IMPLICIT_CONNECT,
            Send(number=1, data=b"*1\r\n$4\r\nPING\r\n"),
            Expect(
                number=2,
                pattern=Content(b"+PONG\r\n"),
                error_status=CheckStatus.L7STS,
                on_error=_LINE,
                on_success=("Redis server is ok",),
            ),
        ),
    )


def pgsql(user: str) -> Dialogue:
    """``option pgsql-check user``: a StartupMessage of protocol 3.0, and any request for authentication as answer."""
    body = b"\0\3\0\0user\0" + user.encode("utf-8", "replace") + b"\0\0"
    return Dialogue(
        Kind.PROTOCOL,
        (
            _POLITE,
            Send(number=2, data=(len(body) + 4).to_bytes(4, "big") + body),
            Expect(
                number=3,
                pattern=_match(rb"^E"),
                inverse=True,
                min_recv=5,
                error_status=CheckStatus.L7RSP,
                on_error=(Sample("res.payload", ("6", "0")),),
            ),
            Expect(
                number=4,
                pattern=_match(rb"^52000000[A-Z0-9]{2}000000(00|02|03|04|05|06|07|09|0A)", binary=True),
                min_recv=9,
                head=1,
                error_status=CheckStatus.L7STS,
                on_error=("PostgreSQL unknown error",),
                on_success=("PostgreSQL server is ok",),
            ),
        ),
        Farewell.PGSQL,
    )


def mysql(user: str | None, dialect: str = "post-41") -> Dialogue:
    """``option mysql-check``: the greeting alone, or a login with it and COM_QUIT behind it, sent in one piece."""
    if user is None:
        return Dialogue(Kind.PROTOCOL, (_POLITE, Expect(number=2, pattern=Speech.MYSQL_GREETING)))
    name = user.encode("utf-8", "replace") + b"\0\0"
    login = {
        "pre-41": b"\x00\x80\x00\x00\x01" + name,
        "post-41": b"\x00\x82\x00\x00\x00\x80\x00\x01\x21" + bytes(23) + name,
        "post-80": b"\x00\x82\x08\x00\x00\x80\x00\x01\x21" + bytes(23) + name + b"mysql_native_password\0",
    }[dialect]
    quit_command = b"\1\0\0\0\1"
    return Dialogue(
        Kind.PROTOCOL,
        (
            _POLITE,
            Send(number=2, data=len(login).to_bytes(3, "little") + b"\1" + login + quit_command),
            Expect(number=3, pattern=Speech.MYSQL_GREETING),
            Expect(number=4, pattern=Speech.MYSQL_OK),
        ),
    )


def ldap() -> Dialogue:
    """``option ldap-check``: an anonymous bind (RFC 4511, section 4.2)."""
    return Dialogue(
        Kind.PROTOCOL,
        (
            IMPLICIT_CONNECT,
            Send(number=1, data=bytes.fromhex("300C020101600702010304008000"), binary=True),
            Expect(number=2, pattern=_match(rb"^30", binary=True), min_recv=14, on_error=("Not LDAPv3 protocol",)),
            Expect(number=3, pattern=Speech.LDAP_BIND),
        ),
        Farewell.LDAP,
    )


def smtp(greeting: str) -> Dialogue:
    """``option smtpchk``: the banner, a greeting such as ``HELO localhost``, and QUIT; its code is the one told."""
    return Dialogue(
        Kind.PROTOCOL,
        (
            _POLITE,
            Expect(
                number=2,
                pattern=_match(rb"^[0-9]{3}[ \r]"),
                min_recv=4,
                whole_line=True,
                error_status=CheckStatus.L7RSP,
                on_error=_LINE,
            ),
            Expect(
                number=3,
                pattern=_match(rb"^2[0-9]{2}[ \r]"),
                min_recv=4,
                error_status=CheckStatus.L7STS,
                on_error=_TEXT,
                code=_CODE,
            ),
            Send(number=4, data=greeting.encode("utf-8", "replace") + b"\r\n"),
            Expect(
                number=5,
                pattern=_match(rb"^(2[0-9]{2}-[^\r]*\r\n)*2[0-9]{2}[ \r]"),
                whole_line=True,
                error_status=CheckStatus.L7STS,
                on_error=_TEXT,
                on_success=_TEXT,
                code=_CODE,
            ),
            Send(number=6, data=b"QUIT\r\n"),
            Expect(
                number=7,
                pattern=_match(rb"^2[0-9]{2}[- \r]"),
                whole_line=True,
                min_recv=4,
                error_status=CheckStatus.L7STS,
                on_error=_TEXT,
                on_success=_TEXT,
                code=_CODE,
            ),
        ),
    )


def ssl_hello() -> Dialogue:
    """``option ssl-hello-chk``: a ClientHello of SSLv3 with the ciphers of its time (RFC 2246, A.3 and A.4)."""
    ciphers = "".join(f"{number:04X}" for number in [*range(0x01, 0x1C), *range(0x2F, 0x3B)])
    rest = b"HAPROXYSSLCHK\nHAPROXYSSLCHK\n".hex() + "00" + "004E" + ciphers + "0100"
    hello = ("16030000790100007503" + "00", Sample("date", (), (("htonl", ()), ("hex", ()))), rest)
    return Dialogue(
        Kind.PROTOCOL,
        (
            IMPLICIT_CONNECT,
            Send(number=1, data=hello, binary=True),
            Expect(
                number=2,
                pattern=_match(rb"^1[56]", binary=True),
                min_recv=5,
                ok_status=CheckStatus.L6OK,
                error_status=CheckStatus.L6RSP,
                timeout_status=CheckStatus.L6TOUT,
            ),
        ),
    )


def spop() -> Dialogue:
    """``option spop-check``: a HAPROXY-HELLO with ``healthcheck`` set."""
    items = b"\x12supported-versions\x08\x032.0\x0emax-frame-size\x03\xfc\xf0\x06\x0ccapabilities\x08\x00"
    items += b"\x0bhealthcheck\x11"
    frame = b"\1\0\0\0\1\0\0" + items
    return Dialogue(
        Kind.PROTOCOL,
        (
            Connect(number=1, default=True),
            Send(number=2, data=len(frame).to_bytes(4, "big") + frame),
            Expect(number=3, pattern=Speech.SPOP_HELLO),
        ),
    )
