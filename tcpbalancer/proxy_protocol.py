"""The PROXY protocol: who is connected, told by whoever stands between, in a few bytes before everything else.

Laws: pure; any bytes give a header, a wish for more, or a ProxyHeaderError, and nothing else. Both versions are read,
and written. What a header says is believed: only those listeners ask for one whose clients are known to send it.

Source: the PROXY protocol, versions 1 and 2 (haproxy's ``doc/proxy-protocol.txt``); what is refused, and in which
words, is HAProxy's way (``connection.c``, ``conn_recv_proxy``, ``make_proxy_line_v2``).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from tcpbalancer.model.rule import Ip

SIGNATURE: Final = b"\r\n\r\n\0\r\nQUIT\n"
LONGEST_V1: Final = 107
"""Bytes of the longest header of version 1, with its end of line."""
LONGEST: Final = 16384
"""Bytes that are read of a header of version 2; it could name 65535, but nobody sends as many."""
V2_START: Final = 16
TCP4: Final = 0x11
TCP6: Final = 0x21
TLV_CRC32C: Final = 0x03
TLV_UNIQUE_ID: Final = 0x05
TLV_SSL: Final = 0x20
_PROTOCOLS: Final = (b"TCP4 ", b"TCP6 ", b"UNKNOWN")
_LINE = re.compile(rb"PROXY (TCP4|TCP6) (\S+) (\S+) (\d{1,5}) (\d{1,5})\r\n")

NO_HEADER: Final = "Received something which does not look like a PROXY protocol header"
BAD_HEADER: Final = "Received an invalid PROXY protocol header"
BAD_PROTOCOL: Final = "Received an unhandled protocol in the PROXY protocol header"
TRUNCATED: Final = "Truncated PROXY protocol header received"
CLOSED: Final = "Connection closed while waiting for PROXY protocol header"
TIMED_OUT: Final = "Timeout while waiting for PROXY protocol header"


class ProxyHeaderError(ValueError):
    """What came is no header; the text is the one that HAProxy logs."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address with its port."""

    ip: Ip
    port: int


@dataclass(frozen=True, slots=True)
class ProxyHeader:
    """``length`` bytes say who is connected to whom; None: the addresses of the connection itself are right."""

    length: int
    source: Endpoint | None = None
    destination: Endpoint | None = None


def parse(data: bytes) -> ProxyHeader | None:
    """Return the header at the start of ``data``, None if there is not enough of it yet; raises ProxyHeaderError."""
    if b"PROXY ".startswith(data[:6]):
        return _parse_v1(data)
    if SIGNATURE.startswith(data[: len(SIGNATURE)]):
        return _parse_v2(data)
    raise ProxyHeaderError(TRUNCATED if len(data) < V2_START else NO_HEADER)  # HAProxy looks at no fewer bytes


def _parse_v1(data: bytes) -> ProxyHeader | None:
    if not any(name.startswith(data[6 : 6 + len(name)]) for name in _PROTOCOLS):
        raise ProxyHeaderError(BAD_PROTOCOL)
    end = data.find(b"\r\n", 0, LONGEST_V1)
    if end < 0:
        if len(data) >= LONGEST_V1:
            raise ProxyHeaderError(BAD_HEADER)
        return None
    line = data[: end + 2]
    if line[6:13] == b"UNKNOWN":
        return ProxyHeader(len(line))
    found = _LINE.fullmatch(line)
    if found is None:
        raise ProxyHeaderError(BAD_HEADER)
    version = 4 if found[1] == b"TCP4" else 6
    source, destination = (_endpoint(found[part], found[part + 2], version) for part in (2, 3))
    return ProxyHeader(len(line), source, destination)


def _endpoint(address: bytes, port: bytes, version: int) -> Endpoint:
    try:
        ip = ipaddress.ip_address(address.decode("ascii"))
    except ValueError:
        raise ProxyHeaderError(BAD_HEADER) from None
    if ip.version != version or int(port) > 65535:
        raise ProxyHeaderError(BAD_HEADER)
    return Endpoint(Ip(version, int(ip)), int(port))


def _parse_v2(data: bytes) -> ProxyHeader | None:
    if len(data) < V2_START:
        return None
    command, family = data[12], data[13]
    length = V2_START + int.from_bytes(data[14:16], "big")
    if command >> 4 != 2:
        raise ProxyHeaderError(NO_HEADER)
    if length > LONGEST:
        raise ProxyHeaderError(TRUNCATED)
    if len(data) < length:
        return None
    if command not in {0x20, 0x21}:
        raise ProxyHeaderError(BAD_HEADER)
    if command == 0x20:  # LOCAL: the sender speaks for itself, for instance when it checks
        return ProxyHeader(length)
    if family not in {TCP4, TCP6}:
        return ProxyHeader(length)  # not a protocol that could arrive here: the connection's own addresses hold
    size = 4 if family == TCP4 else 16
    tlvs = V2_START + 2 * size + 4
    if length < tlvs:
        raise ProxyHeaderError(BAD_HEADER)
    _check_tlvs(data[:length], tlvs)
    return ProxyHeader(length, _unpack(data, 0, size), _unpack(data, 1, size))


def _unpack(data: bytes, number: int, size: int) -> Endpoint:
    start = V2_START + number * size
    port = V2_START + 2 * size + 2 * number
    ip = Ip(4 if size == 4 else 6, int.from_bytes(data[start : start + size], "big"))
    return Endpoint(ip, int.from_bytes(data[port : port + 2], "big"))


def _check_tlvs(header: bytes, start: int) -> None:
    """Walk over what stands behind the addresses; raises ProxyHeaderError if it does not fit, or is damaged."""
    while start < len(header):
        value = start + 3
        end = value + int.from_bytes(header[start + 1 : value], "big")
        if value > len(header) or end > len(header):
            raise ProxyHeaderError(BAD_HEADER)
        if header[start] == TLV_CRC32C:
            told = header[value:end]
            if len(told) != 4 or crc32c(header[:value] + bytes(4) + header[end:]) != int.from_bytes(told, "big"):
                raise ProxyHeaderError(BAD_HEADER)
        start = end


# -- the other way ----------------------------------------------------------------------------------------------------


def make_proxy_header(
    version: int,
    source: Endpoint | None,
    destination: Endpoint | None,
    options: Iterable[str] = (),
    *,
    local: bool = False,
) -> bytes:
    """Return a header of version 1 or 2. ``local``: the connection is the balancer's own, for instance a check.

    ``options`` are those of ``proxy-v2-options`` that can be carried out: ``crc32c`` and ``ssl``.
    """
    if version == 1:
        return _make_v1(source, destination)
    return _make_v2(None if local else source, None if local else destination, frozenset(options))


def _make_v1(source: Endpoint | None, destination: Endpoint | None) -> bytes:
    if source is None or destination is None or source.ip.version != destination.ip.version:
        return b"PROXY UNKNOWN\r\n"
    addresses = f"{_text(source.ip)} {_text(destination.ip)} {source.port} {destination.port}"
    return f"PROXY TCP{source.ip.version} {addresses}\r\n".encode()


def _text(ip: Ip) -> str:
    return str(ipaddress.IPv4Address(ip.value) if ip.version == 4 else ipaddress.IPv6Address(ip.value))


def _make_v2(source: Endpoint | None, destination: Endpoint | None, options: frozenset[str]) -> bytes:
    command, family, body = 0x20, 0, b""
    if source is not None and destination is not None:
        size = 4 if source.ip.version == destination.ip.version == 4 else 16
        command, family = 0x21, TCP4 if size == 4 else TCP6
        body = b"".join(_packed(end.ip, size) for end in (source, destination))
        body += b"".join(end.port.to_bytes(2, "big") for end in (source, destination))
    checksum_at = V2_START + len(body) + 3
    if "crc32c" in options:
        body += _tlv(TLV_CRC32C, bytes(4))
    if "ssl" in options:
        body += _tlv(TLV_SSL, bytes(5))  # the client came without TLS
    header = SIGNATURE + bytes((command, family)) + len(body).to_bytes(2, "big") + body
    if "crc32c" in options:
        return header[:checksum_at] + crc32c(header).to_bytes(4, "big") + header[checksum_at + 4 :]
    return header


def _packed(ip: Ip, size: int) -> bytes:
    """An IPv4 address beside an IPv6 one is written as one (RFC 4291, section 2.5.5.2)."""
    mapped = ip.version == 4 and size == 16
    return (ip.value | 0xFFFF << 32 if mapped else ip.value).to_bytes(size, "big")


def _tlv(kind: int, value: bytes) -> bytes:
    return bytes((kind,)) + len(value).to_bytes(2, "big") + value


def _crc_table() -> tuple[int, ...]:
    """Return the table of the polynomial of RFC 3309, reflected."""
    table = []
    for byte in range(256):
        word = byte
        for _ in range(8):
            word = (word >> 1) ^ (0x82F63B78 if word & 1 else 0)
        table.append(word)
    return tuple(table)


_CRC = _crc_table()


def crc32c(data: bytes) -> int:
    """Return the CRC-32C of some bytes (RFC 3309, appendix B)."""
    word = 0xFFFFFFFF
    for byte in data:
        word = _CRC[(word ^ byte) & 0xFF] ^ (word >> 8)
    return word ^ 0xFFFFFFFF
