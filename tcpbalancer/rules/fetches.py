"""The fetch methods: what each finds in a connection, of which kind, and where it may be asked.

Laws: pure. A fetch is data with a function: the reader of the configuration checks arguments against it, the evaluation
calls it. It returns a sample or None, and whether that may still change while data comes; it never raises, whatever
bytes a client has sent.

Source: HAProxy's configuration manual, sections 7.3.2 to 7.3.5; ``payload.c``, ``backend.c``, ``tcp_sample.c``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from tcpbalancer.model.rule import Argument, Ip
from tcpbalancer.rules import client_hello
from tcpbalancer.rules.client_hello import Unread
from tcpbalancer.rules.facts import Facts
from tcpbalancer.rules.samples import Kind, Sample


class Found(NamedTuple):
    """A sample, None if there is none; ``growing``: more data may change it."""

    sample: Sample | None
    growing: bool = False


class Place(Enum):
    """Where rules stand, with HAProxy's name for it."""

    CONNECTION = "frontend tcp-request connection rule"
    SESSION = "frontend tcp-request session rule"
    REQUEST = "frontend tcp-request content rule"
    RESPONSE = "backend tcp-response content rule"
    HTTP = "frontend http-request header rule"


class Needs(Enum):
    """The kind of an argument, with HAProxy's name for it."""

    INT = "integer"
    TEXT = "string"
    IPV4 = "IPv4 address"
    MASK = "IPv4 mask"
    MASK6 = "IPv6 mask"
    BACKEND = "backend"
    FRONTEND = "frontend"
    SERVER = "server"
    USERLIST = "userlist"


ANYWHERE = frozenset(Place)
IN_REQUEST = frozenset({Place.REQUEST})
WITH_BACKEND = frozenset({Place.REQUEST, Place.RESPONSE})
LARGEST_PAYLOAD = 16384
"""HAProxy's tune.bufsize: what lies behind it never matches."""
NOTHING = Found(None)
NOT_YET = Found(None, growing=True)

Find = Callable[[Facts, Sequence[Argument]], Found]


@dataclass(frozen=True, slots=True)
class Fetch:
    """A fetch method; the first ``required`` of its arguments must be given."""

    name: str
    kind: Kind
    find: Find
    places: frozenset[Place] = ANYWHERE
    arguments: tuple[Needs, ...] = ()
    required: int = 0


FETCHES: dict[str, Fetch] = {}


def _fetch(
    names: str, kind: Kind, places: frozenset[Place] = ANYWHERE, arguments: tuple[Needs, ...] = (), required: int = 0
) -> Callable[[Find], Find]:
    def register(find: Find) -> Find:
        for name in names.split():
            FETCHES[name] = Fetch(name, kind, find, places, arguments, required)
        return find

    return register


def _simple(names: str, kind: Kind, look: Callable[[Facts], Sample | None]) -> None:
    _fetch(names, kind)(lambda facts, _: Found(look(facts)))


_simple("src", Kind.ADDRESS, lambda facts: facts.source)
_simple("src_port", Kind.INT, lambda facts: facts.source_port)
_simple("dst", Kind.ADDRESS, lambda facts: facts.destination)
_simple("dst_port", Kind.INT, lambda facts: facts.destination_port)
_simple("fe_id", Kind.INT, lambda facts: facts.frontend_id)
_simple("fe_name", Kind.TEXT, lambda facts: facts.frontend.encode())
_simple("so_id", Kind.INT, lambda facts: facts.socket_id)
_simple("so_name", Kind.TEXT, lambda facts: None if facts.socket_name is None else facts.socket_name.encode())
_simple("always_true", Kind.BOOL, lambda _: True)
_simple("always_false", Kind.BOOL, lambda _: False)
_simple("src_is_local", Kind.BOOL, lambda facts: _is_local(facts, facts.source))
_simple("dst_is_local", Kind.BOOL, lambda facts: _is_local(facts, facts.destination))


def _is_local(facts: Facts, address: Ip | None) -> bool | None:
    return None if address is None else facts.census.is_local(address)


@_fetch("be_id", Kind.INT, WITH_BACKEND)
def _be_id(facts: Facts, _: Sequence[Argument]) -> Found:
    return Found(facts.backend_id)


@_fetch("be_name", Kind.TEXT, WITH_BACKEND)
def _be_name(facts: Facts, _: Sequence[Argument]) -> Found:
    return Found(None if facts.backend is None else facts.backend.encode())


# -- constants --------------------------------------------------------------------------------------------------------


@_fetch("bool", Kind.BOOL, arguments=(Needs.INT,), required=1)
def _bool(_: Facts, arguments: Sequence[Argument]) -> Found:
    return Found(bool(arguments[0]))


@_fetch("int", Kind.INT, arguments=(Needs.INT,), required=1)
def _int(_: Facts, arguments: Sequence[Argument]) -> Found:
    return Found(_number(arguments[0]))


@_fetch("str", Kind.TEXT, arguments=(Needs.TEXT,), required=1)
def _str(_: Facts, arguments: Sequence[Argument]) -> Found:
    return Found(str(arguments[0]).encode())


@_fetch("ipv4", Kind.ADDRESS, arguments=(Needs.IPV4,), required=1)
def _ipv4(_: Facts, arguments: Sequence[Argument]) -> Found:
    address = arguments[0]
    assert isinstance(address, Ip)
    return Found(address)


# -- proxies and servers ----------------------------------------------------------------------------------------------


def _counted(name: str, needs: Needs, count: Callable[[Facts, str, str], int | bool], kind: Kind = Kind.INT) -> None:
    """Register what is counted of a proxy, or of a server, whose argument is ``backend/server``."""

    def find(facts: Facts, arguments: Sequence[Argument]) -> Found:
        proxy, _, server = str(arguments[0]).partition("/")
        return Found(count(facts, proxy, server))

    _fetch(name, kind, ANYWHERE, (needs,), 1 if needs is Needs.SERVER else 0)(find)


_counted("nbsrv", Needs.BACKEND, lambda facts, proxy, _: facts.census.usable_servers(proxy))
_counted("be_conn", Needs.BACKEND, lambda facts, proxy, _: facts.census.backend_sessions(proxy))
_counted("queue", Needs.BACKEND, lambda facts, proxy, _: facts.census.queued(proxy))
_counted("avg_queue", Needs.BACKEND, lambda facts, proxy, _: _average_queue(facts, proxy))
_counted("connslots", Needs.BACKEND, lambda facts, proxy, _: facts.census.free_slots(proxy))
_counted("fe_conn", Needs.FRONTEND, lambda facts, proxy, _: facts.census.frontend_sessions(proxy))
_counted("srv_conn", Needs.SERVER, lambda facts, proxy, server: facts.census.server_sessions(proxy, server))
_counted("srv_is_up", Needs.SERVER, lambda facts, proxy, server: facts.census.is_usable(proxy, server), Kind.BOOL)


def _average_queue(facts: Facts, backend: str) -> int:
    """Return the queue's length per usable server, rounded up; without one, twice its length (backend.c)."""
    queued, usable = facts.census.queued(backend), facts.census.usable_servers(backend)
    return (queued + usable - 1) // usable if usable else 2 * queued


# -- what the client has sent -----------------------------------------------------------------------------------------


@_fetch("wait_end", Kind.BOOL)
def _wait_end(facts: Facts, _: Sequence[Argument]) -> Found:
    return Found(sample=True) if facts.final else NOT_YET


@_fetch("req.len req_len", Kind.INT, IN_REQUEST)
def _req_len(facts: Facts, _: Sequence[Argument]) -> Found:
    return Found(len(facts.data), growing=True)


@_fetch("req.payload payload", Kind.BINARY, IN_REQUEST, (Needs.INT, Needs.INT), 2)
def _payload(facts: Facts, arguments: Sequence[Argument]) -> Found:
    offset, size = (_number(argument) for argument in arguments)
    if offset < 0 or size < 0 or offset + size > LARGEST_PAYLOAD:
        return NOTHING
    if offset + size > len(facts.data):
        return NOT_YET
    return Found(facts.data[offset : offset + size]) if size else Found(facts.data[offset:], growing=True)


@_fetch("req.payload_lv payload_lv", Kind.BINARY, IN_REQUEST, (Needs.INT, Needs.INT, Needs.TEXT), 2)
def _payload_lv(facts: Facts, arguments: Sequence[Argument]) -> Found:
    """Find what stands behind a length; the offset of the value may be given, or (with a sign) moved."""
    offset, size = _number(arguments[0]), _number(arguments[1])
    start = offset + size
    if offset < 0 or size <= 0:
        return NOTHING
    if start > len(facts.data):
        return NOT_YET
    length = int.from_bytes(facts.data[offset:start], "big")
    if len(arguments) > 2:
        moved = str(arguments[2])
        start = start + int(moved) if moved[:1] in {"+", "-"} else int(moved)
    if not length or start < 0 or start + length > LARGEST_PAYLOAD:
        return NOTHING
    return Found(facts.data[start : start + length]) if start + length <= len(facts.data) else NOT_YET


def _number(argument: Argument) -> int:
    assert isinstance(argument, int)
    return argument


def _hello(names: str, kind: Kind, read: Callable[[bytes], bytes | int | Unread]) -> None:
    def find(facts: Facts, _: Sequence[Argument]) -> Found:
        found = read(facts.data)
        if isinstance(found, Unread):
            return NOT_YET if found is Unread.MORE else NOTHING
        return Found(found)

    _fetch(names, kind, IN_REQUEST)(find)


_hello("req.ssl_sni req_ssl_sni", Kind.TEXT, client_hello.server_name)
_hello("req.ssl_hello_type req_ssl_hello_type", Kind.INT, client_hello.message_type)
_hello("req.ssl_ver req_ssl_ver", Kind.INT, client_hello.version)

_REQUEST_LINE = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+ [!-~\x80-\xff]+ HTTP/\d\.\d\Z")
_HEADER_LINE = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\x00]*\Z")


@_fetch("req.proto_http req_proto_http", Kind.BOOL, IN_REQUEST)
def _proto_http(facts: Facts, _: Sequence[Argument]) -> Found:
    """Find whether this is a request of HTTP/1: that is known at the end of its headers, and before if it is none."""
    *lines, rest = facts.data.lstrip(b"\r\n").split(b"\n")
    for number, line in enumerate(lines):
        text = line.removesuffix(b"\r")
        if number and not text:
            return Found(sample=True)
        if not (_HEADER_LINE if number else _REQUEST_LINE).match(text):
            return Found(sample=False)
    return NOT_YET if len(facts.data) < LARGEST_PAYLOAD and b"\0" not in rest else Found(sample=False)
