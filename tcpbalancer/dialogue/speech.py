"""Answers in the protocols of databases, directories and SPOP agents.

Laws: pure. Each reader gets what has come so far and whether more can come; it asks for more (None) only if more can
come. Numbers in answers come from the server and bound nothing but slices.

Sources: MySQL's "Client/Server Protocol"; RFC 4511 (LDAP), sections 4.1.9 and 4.2.2; HAProxy's SPOE.txt, section 3.2;
PostgreSQL's "Message Formats".
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tcpbalancer.check_status import CheckStatus
from tcpbalancer.model.dialogue import Farewell, Speech

_NOT_LDAP = "Not LDAPv3 protocol"
_LDAP_RESULT = "See RFC: http://tools.ietf.org/html/rfc4511#section-4.1.9"
_SPOP_REASONS = {
    4: "invalid frame received",
    5: "version value not found",
    6: "max-frame-size value not found",
    7: "capabilities value not found",
    8: "unsupported version",
    9: "max-frame-size too big or too small",
}
_SPOP_FRAMES = range(256, 16381)  # the sizes between which a frame may be limited


@dataclass(frozen=True, slots=True)
class Wrong:
    """An answer that makes the check fail; ``words`` empty: the server did not say why."""

    status: CheckStatus
    code: int = 0
    words: str = ""


GOOD = Wrong(CheckStatus.L7OK)
"""Not wrong at all."""
_INVALID = Wrong(CheckStatus.L7RSP)


def hear(speech: Speech, data: bytes, *, ended: bool) -> Wrong | None:
    """Return what an answer means, GOOD if it is right, or None if more has to come first."""
    if speech is Speech.MYSQL_GREETING:
        return _mysql(data, 0, ended=ended)
    if speech is Speech.MYSQL_OK:
        return _mysql(data, 4 + int.from_bytes(data[:3], "little"), ended=ended)
    return _ldap(data, ended=ended) if speech is Speech.LDAP_BIND else _spop(data, ended=ended)


def _mysql(data: bytes, start: int, *, ended: bool) -> Wrong | None:
    """A packet: three bytes of length, one of sequence; an error begins with 0xff and a number."""
    packet = data[start + 4 :]
    length = int.from_bytes(data[start : start + 3], "little")
    if len(data) < start + 4 or len(packet) < length or not packet:
        return _INVALID if ended else None
    if packet[0] == 0xFF:
        return Wrong(CheckStatus.L7STS, int.from_bytes(packet[1:3], "little"), packet[3:].decode("latin-1"))
    return GOOD


def _ldap(data: bytes, *, ended: bool) -> Wrong | None:
    """A BindResponse whose resultCode is 0; lengths in BER, as far as directories write them."""
    outer = re.match(rb"\x30(?:[\x00-\x7f]|\x82..|\x84....)", data, re.DOTALL)
    if outer is None:
        cut_off = len(data) < 6 and data[1:2] in {b"", b"\x82", b"\x84"}
        return None if cut_off and not ended else Wrong(CheckStatus.L7RSP, words=_NOT_LDAP)
    given = outer[0][1:]
    length = given[0] if len(given) == 1 else int.from_bytes(given[1:], "big")
    message = data[outer.end() :]
    if len(message) < length:
        return _INVALID if ended else None
    inner = re.match(rb"\x02\x01\x01\x61(?:[\x00-\x7f]|\x81.|\x82..|\x84....)\x0a\x01(.)", message, re.DOTALL)
    if inner is None:
        return Wrong(CheckStatus.L7RSP, words=_NOT_LDAP)
    code = inner[1][0]
    return Wrong(CheckStatus.L7STS, code, _LDAP_RESULT) if code else GOOD


def _spop(data: bytes, *, ended: bool) -> Wrong | None:
    """An AGENT-HELLO frame with version, frame size and capabilities; an AGENT-DISCONNECT says why not."""
    length = int.from_bytes(data[:4], "big")
    if len(data) < 11 or (len(data) < 4 + length and length < 65536):
        return _spop_wrong(4) if ended else None
    if data[4] not in {101, 102} or data[5:11] != b"\0\0\0\1\0\0" or len(data) < 4 + length:
        return _spop_wrong(4)
    items = _spop_items(data[11 : 4 + length])
    if items is None:
        return _spop_wrong(4)
    if data[4] == 102:
        code, message = items.get(b"status-code"), items.get(b"message")
        words = message.decode("latin-1") if isinstance(message, bytes) else ""
        return Wrong(CheckStatus.L7RSP, code if isinstance(code, int) else 0, words)
    return _spop_hello(items)


def _spop_hello(items: dict[bytes, bytes | int]) -> Wrong:
    version, size = items.get(b"version"), items.get(b"max-frame-size")
    if version is None or size is None or b"capabilities" not in items:
        return _spop_wrong(5 if version is None else 6 if size is None else 7)
    if not isinstance(version, bytes) or not isinstance(size, int):
        return _spop_wrong(4)
    if re.fullmatch(rb"\s*[12]\.\d+\s*", version) is None:
        return _spop_wrong(8)
    return GOOD if size in _SPOP_FRAMES else _spop_wrong(9)


def _spop_wrong(code: int) -> Wrong:
    return Wrong(CheckStatus.L7RSP, code, _SPOP_REASONS[code])


def _spop_items(data: bytes) -> dict[bytes, bytes | int] | None:
    """Return names and values, or None if these are not such."""
    items: dict[bytes, bytes | int] = {}
    while data:
        size, data = _varint(data)
        name, data = data[:size], data[size:]
        if not name or not data:
            return None
        kind, data = data[0] & 0x0F, data[1:]
        if kind in {8, 9}:  # a string, bytes
            size, data = _varint(data)
            items[name], data = data[:size], data[size:]
        elif kind in {2, 3, 4, 5}:
            items[name], data = _varint(data)
        elif kind > 1:  # an address: nobody says hello with one
            return None
    return items


def _varint(data: bytes) -> tuple[int, bytes]:
    """Return a number in SPOP's encoding, and what follows; 0 if it is cut off."""
    if not data or data[0] < 240:
        return (data[0] if data else 0), data[1:]
    value, shift = data[0], 4
    for position, byte in enumerate(data[1:10], 1):
        value += byte << shift
        shift += 7
        if byte < 128:
            return value, data[position + 1 :]
    return 0, b""


def goodbye(farewell: Farewell | None, received: bytes) -> bytes:
    """Return what is said before the connection is closed, so that the server has nothing to log."""
    # PostgreSQL: Terminate. Who was asked for a password instead of being let in just hangs up: any other message
    # would be an error in the server's log, silence is none.
    if farewell is Farewell.PGSQL and received.startswith(b"R") and received[5:9] == b"\0\0\0\0":
        return b"X\0\0\0\4"
    # RFC 4511, section 4.3: UnbindRequest, message 2.
    return bytes.fromhex("30050201024200") if farewell is Farewell.LDAP and received else b""
