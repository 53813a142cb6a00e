"""The PROXY protocol: headers as its specification has them, and whatever else may come."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcpbalancer.model.rule import Ip
from tcpbalancer.proxy_protocol import (
    BAD_HEADER,
    BAD_PROTOCOL,
    NO_HEADER,
    SIGNATURE,
    TRUNCATED,
    Endpoint,
    ProxyHeader,
    ProxyHeaderError,
    crc32c,
    make_proxy_header,
    parse,
)


def end(address: str, port: int) -> Endpoint:
    found = ipaddress.ip_address(address)
    return Endpoint(Ip(found.version, int(found)), port)


CLIENT, SERVER = end("192.0.2.7", 4321), end("198.51.100.1", 443)
CLIENT6, SERVER6 = end("2001:db8::7", 4321), end("2001:db8::1", 443)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"PROXY TCP4 192.0.2.7 198.51.100.1 4321 443\r\n", (CLIENT, SERVER)),
        (b"PROXY TCP6 2001:db8::7 2001:db8::1 4321 443\r\n", (CLIENT6, SERVER6)),
        (b"PROXY UNKNOWN\r\n", (None, None)),
        (b"PROXY UNKNOWN whatever stands here\r\n", (None, None)),
    ],
)
def test_version_1_is_one_line(line: bytes, expected: tuple[Endpoint | None, Endpoint | None]) -> None:
    assert parse(line + b"data") == ProxyHeader(len(line), *expected)
    for length in range(len(line)):
        assert parse(line[:length]) is None


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"GET / HTTP/1.1\r\n", NO_HEADER),
        (b"PROXi", TRUNCATED),
        (b"\0", TRUNCATED),
        (b"PROXY x", BAD_PROTOCOL),
        (b"PROXY TCP4 192.0.2.7 198.51.100.1 4321\r\n", BAD_HEADER),
        (b"PROXY TCP4 192.0.2.7 198.51.100.1 4321 65536\r\n", BAD_HEADER),
        (b"PROXY TCP4 2001:db8::7 198.51.100.1 4321 443\r\n", BAD_HEADER),
        (b"PROXY TCP4 192.0.2.777 198.51.100.1 4321 443\r\n", BAD_HEADER),
        (b"PROXY TCP4 \xff 198.51.100.1 4321 443\r\n", BAD_HEADER),
        (b"PROXY UDP4 192.0.2.7 198.51.100.1 4321 443\r\n", BAD_PROTOCOL),
        (b"PROXY TCP4 " + b"1" * 100, BAD_HEADER),
        (SIGNATURE + bytes((0x11, 0x11, 0, 12)) + bytes(12), NO_HEADER),
        (SIGNATURE + bytes((0x22, 0x11, 0, 12)) + bytes(12), BAD_HEADER),
        (SIGNATURE + bytes((0x21, 0x11, 0, 11)) + bytes(12), BAD_HEADER),
        (SIGNATURE + bytes((0x21, 0x11, 0xFF, 0xFF)), TRUNCATED),
        (SIGNATURE + bytes((0x21, 0x11, 0, 14)) + bytes(14), BAD_HEADER),
        (SIGNATURE + bytes((0x21, 0x11, 0, 15)) + bytes(12) + b"\x05\0\x01", BAD_HEADER),
        (SIGNATURE + bytes((0x21, 0x11, 0, 19)) + bytes(12) + b"\x03\0\x04abcd", BAD_HEADER),
        (SIGNATURE + bytes((0x21, 0x11, 0, 16)) + bytes(12) + b"\x03\0\x01a", BAD_HEADER),
    ],
)
def test_what_is_no_header_is_refused_in_the_words_that_haproxy_logs(data: bytes, why: str) -> None:
    with pytest.raises(ProxyHeaderError, match=why):
        parse(data)


@pytest.mark.parametrize("options", [(), ("crc32c",), ("ssl",), ("crc32c", "ssl")])
@pytest.mark.parametrize(("source", "destination"), [(CLIENT, SERVER), (CLIENT6, SERVER6)])
def test_version_2_is_read_as_it_is_written(source: Endpoint, destination: Endpoint, options: tuple[str, ...]) -> None:
    header = make_proxy_header(2, source, destination, options)
    assert header.startswith(SIGNATURE + b"\x21")
    assert parse(header + b"data") == ProxyHeader(len(header), source, destination)
    for length in range(len(header)):
        assert parse(header[:length]) is None


def test_the_specification_s_own_bytes_of_version_2() -> None:
    header = make_proxy_header(2, CLIENT, SERVER)
    assert header == SIGNATURE + bytes.fromhex("2111000c c0000207 c6336401 10e1 01bb")


def test_version_1_is_read_as_it_is_written() -> None:
    for source, destination in ((CLIENT, SERVER), (CLIENT6, SERVER6)):
        header = make_proxy_header(1, source, destination)
        assert parse(header) == ProxyHeader(len(header), source, destination)


@pytest.mark.parametrize(("source", "destination"), [(None, SERVER), (CLIENT, None), (CLIENT, SERVER6)])
def test_version_1_cannot_tell_mixed_or_missing_addresses(
    source: Endpoint | None, destination: Endpoint | None
) -> None:
    assert make_proxy_header(1, source, destination) == b"PROXY UNKNOWN\r\n"


def test_version_2_writes_mixed_addresses_as_ipv6() -> None:
    found = parse(make_proxy_header(2, CLIENT, SERVER6))
    assert found is not None
    assert found.source == Endpoint(Ip(6, 0xFFFF << 32 | CLIENT.ip.value), 4321)


def test_a_check_speaks_for_itself() -> None:
    header = make_proxy_header(2, CLIENT, SERVER, local=True)
    assert header == SIGNATURE + bytes((0x20, 0, 0, 0))
    assert parse(header) == ProxyHeader(16)
    assert make_proxy_header(2, None, SERVER) == header


def test_a_family_that_cannot_arrive_here_leaves_the_connection_s_own_addresses() -> None:
    assert parse(SIGNATURE + bytes((0x21, 0x31, 0, 2)) + b"xx") == ProxyHeader(18)


def test_a_unique_id_is_read_over() -> None:
    data = SIGNATURE + bytes((0x21, 0x11, 0, 17)) + bytes(12) + b"\x05\0\x02ab"
    assert parse(data) == ProxyHeader(33, end("0.0.0.0", 0), end("0.0.0.0", 0))


def test_crc32c_is_that_of_rfc_3720() -> None:
    assert crc32c(bytes(32)) == 0x8A9136AA  # RFC 3720, appendix B.4
    assert crc32c(b"123456789") == 0xE3069283


@given(st.binary(max_size=300), st.sampled_from((b"", b"PROXY ", b"PROXY TCP4 ", SIGNATURE, SIGNATURE + b"\x21\x11\0")))
def test_any_bytes_give_a_header_a_wish_for_more_or_an_error(data: bytes, start: bytes) -> None:
    try:
        found = parse(start + data)
    except ProxyHeaderError:
        return
    assert found is None or found.length <= len(start + data)
