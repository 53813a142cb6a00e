"""The first message of a TLS client, as far as rules ask for it: the server's name, the version, the kind of message.

Laws: pure; any bytes give an answer. Nothing is decrypted, and nothing is believed: every length is checked against
what is there. ``Unread.MORE`` says that more bytes could still change it, ``Unread.NEVER`` that they cannot.

Source: RFC 8446, section 4.1.2 "Client Hello", and RFC 6066, section 3 "Server Name Indication"; what is looked at, and
when it is enough, is HAProxy's way (``payload.c``).
"""

from __future__ import annotations

from enum import Enum

HANDSHAKE = 0x16
CLIENT_HELLO = 0x01
SHORTEST_HELLO = 2 + 32 + 1 + 2 + 2 + 1 + 1 + 2 + 2
"""Version, random, and the emptiest of everything else that has to stand before an extension."""
LARGEST_RECORD = (1 << 14) + 2048


class Unread(Enum):
    """Why there is no value."""

    MORE = "it may stand in bytes that have not come yet"
    NEVER = "this is nothing that has one"


class _EndError(Exception):
    """A list ends before what it promises."""


class _Reader:
    """Takes bytes from the front; raises _EndError when there are not as many."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, count: int) -> bytes:
        """Return the next ``count`` bytes."""
        end = self._at + count
        if end > len(self._data):
            raise _EndError
        taken, self._at = self._data[self._at : end], end
        return taken

    def number(self, size: int) -> int:
        """Return a number of ``size`` bytes."""
        return int.from_bytes(self.take(size), "big")

    def block(self, size: int) -> bytes:
        """Return what stands behind a length of ``size`` bytes."""
        return self.take(self.number(size))

    @property
    def is_done(self) -> bool:
        """Whether everything was taken."""
        return self._at == len(self._data)


def server_name(data: bytes) -> bytes | Unread:
    """Return the name of the server that a client asks for (``req.ssl_sni``)."""
    hello = _hello(data)
    if isinstance(hello, Unread):
        return hello
    try:
        return _name_in(_extensions(hello))
    except _EndError:
        return Unread.NEVER


def _hello(data: bytes) -> bytes | Unread:
    """Return the body of a ClientHello that has come as a whole."""
    if not _may_be_hello(data):
        return Unread.NEVER
    if len(data) < 9:
        return Unread.MORE
    length = int.from_bytes(data[6:9], "big")
    if length < SHORTEST_HELLO:
        return Unread.NEVER
    return data[9 : 9 + length] if len(data) >= 9 + length else Unread.MORE


def _may_be_hello(data: bytes) -> bool:
    """Whether what has come of the first nine bytes is that of a ClientHello in a record of SSLv3 or later."""
    if data[:1] not in {b"", b"\x16"} or data[5:6] not in {b"", b"\x01"}:
        return False
    if len(data) >= 2 and data[1] < 3:
        return False
    return len(data) < 5 or int.from_bytes(data[3:5], "big") >= SHORTEST_HELLO + 4


def _extensions(hello: bytes) -> _Reader:
    reader = _Reader(hello)
    reader.take(2 + 32)
    for size in (1, 2, 1):  # session, cipher suites, compression methods
        reader.block(size)
    return _Reader(reader.block(2))


def _name_in(extensions: _Reader) -> bytes | Unread:
    while not extensions.is_done:
        kind, body = extensions.number(2), _Reader(extensions.block(2))
        if kind == 0:
            names = _Reader(body.block(2))
            if names.number(1) == 0:
                return names.block(2)
    return Unread.NEVER


def message_type(data: bytes) -> int | Unread:
    """Return the type of the handshake message that has come (``req.ssl_hello_type``): 1 for a ClientHello."""
    if not data:
        return Unread.MORE
    if not 0x14 <= data[0] <= 0x17:
        return Unread.NEVER
    if len(data) < 9:
        return Unread.MORE
    if data[1] < 3 or int.from_bytes(data[3:5], "big") < 4:
        return Unread.NEVER
    return data[5] if len(data) >= 9 + int.from_bytes(data[6:9], "big") else Unread.MORE


def version(data: bytes) -> int | Unread:
    """Return the version that a ClientHello names, major * 65536 + minor (``req.ssl_ver``): 3.3 for TLS 1.2 and 1.3."""
    if not data:
        return Unread.MORE
    if data[0] != HANDSHAKE:
        return Unread.NEVER
    if len(data) < 11:
        return Unread.MORE
    length = int.from_bytes(data[3:5], "big")
    if data[1] < 3 or not 6 <= length <= LARGEST_RECORD:
        return Unread.NEVER
    return (data[9] << 16) + data[10] if len(data) >= 5 + length else Unread.MORE
