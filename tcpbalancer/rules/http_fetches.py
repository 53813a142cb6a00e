"""What rules can look at in a request that we answer ourselves: its line, its headers, who asks.

Laws: see ``fetches``. They are asked in HTTP mode only, after the whole head of a request has come, so nothing here is
ever pending. Whether a password is right is found out before (it costs time), and comes in with the facts.

Source: HAProxy's configuration manual, section 7.3.6 "Fetching HTTP samples"; ``http_fetch.c``, ``http_acl.c``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tcpbalancer.model.rule import Argument, Condition
from tcpbalancer.rules.facts import Facts, Request
from tcpbalancer.rules.fetches import FETCHES, NOTHING, Fetch, Find, Found, Needs, Place
from tcpbalancer.rules.samples import Kind, Sample

HTTP_FETCHES: set[str] = set()
MATCHED_BY_NAME: dict[str, str] = {"http_auth_group": "group"}
"""ACL keywords whose name says how they match, such as ``path_beg``."""
_WAYS = ("beg", "dir", "dom", "end", "len", "reg", "sub")
_IN_HTTP = frozenset({Place.HTTP})


def _register(
    names: str, kind: Kind, find: Find, arguments: tuple[Needs, ...] = (), *, required: int = 0, ways: bool = False
) -> None:
    for name in names.split():
        alike = [name, *(f"{name}_{way}" for way in _WAYS if ways)]
        for each in alike:
            FETCHES[each] = Fetch(each, kind, find, _IN_HTTP, arguments, required)
            HTTP_FETCHES.add(each)
        MATCHED_BY_NAME.update({each: each.rpartition("_")[2] for each in alike[1:]})


def _of_request(look: Callable[[Request], Sample | None]) -> Find:
    def find(facts: Facts, _: Sequence[Argument]) -> Found:
        return NOTHING if facts.request is None else Found(look(facts.request))

    return find


def _path_and_query(request: Request) -> bytes:
    """Return the target without scheme and host (RFC 9112 section 3.2.2)."""
    _, scheme, rest = request.target.partition("://")
    found = request.target if not scheme or request.target.startswith("/") else "/" + rest.partition("/")[2]
    return found.encode("latin-1", "replace")


def _host(request: Request) -> bytes:
    return (request.header("host") or "").encode("latin-1", "replace")


_register("path", Kind.TEXT, _of_request(lambda request: _path_and_query(request).partition(b"?")[0]), ways=True)
_register("pathq", Kind.TEXT, _of_request(_path_and_query))
_register("query", Kind.TEXT, _of_request(lambda request: _path_and_query(request).partition(b"?")[2] or None))
_register("url", Kind.TEXT, _of_request(lambda request: request.target.encode("latin-1", "replace")), ways=True)
_register(
    "base",
    Kind.TEXT,
    _of_request(lambda request: _host(request) + _path_and_query(request).partition(b"?")[0]),
    ways=True,
)
_register("method", Kind.TEXT, _of_request(lambda request: request.method.encode()))
_register("req.ver req_ver", Kind.TEXT, _of_request(lambda request: request.version.encode()))


def _header(facts: Facts, arguments: Sequence[Argument]) -> Found:
    """Find the last value of a header, of those that commas part."""
    found = None if facts.request is None else facts.request.header(str(arguments[0]))
    return NOTHING if found is None else Found(found.rpartition(",")[2].strip().encode("latin-1", "replace"))


def _whole_header(facts: Facts, arguments: Sequence[Argument]) -> Found:
    found = None if facts.request is None else facts.request.header(str(arguments[0]))
    return NOTHING if found is None else Found(found.strip().encode("latin-1", "replace"))


def _header_count(facts: Facts, arguments: Sequence[Argument]) -> Found:
    if facts.request is None:
        return NOTHING
    values = facts.request.headers_named(str(arguments[0]))
    return Found(sum(value.count(",") + 1 for value in values))


_register("hdr req.hdr", Kind.TEXT, _header, (Needs.TEXT,), required=1, ways=True)
_register("req.fhdr", Kind.TEXT, _whole_header, (Needs.TEXT,), required=1)
_register("hdr_cnt req.hdr_cnt", Kind.INT, _header_count, (Needs.TEXT,), required=1)


def _parameter(facts: Facts, arguments: Sequence[Argument]) -> Found:
    """Find the first parameter of this name in the query, as it was sent."""
    if facts.request is None:
        return NOTHING
    for part in _path_and_query(facts.request).partition(b"?")[2].split(b"&"):
        name, _, value = part.partition(b"=")
        if name == str(arguments[0]).encode():
            return Found(value)
    return NOTHING


_register("url_param urlp", Kind.TEXT, _parameter, (Needs.TEXT,), required=1)


def _is_known(facts: Facts, arguments: Sequence[Argument]) -> Found:
    return NOTHING if facts.request is None else Found(str(arguments[0]) in facts.request.known_to)


def _groups(facts: Facts, arguments: Sequence[Argument]) -> Found:
    """Find all groups of whoever asks, one behind the other; the method ``group`` takes them apart again."""
    groups = None if facts.request is None else facts.request.known_to.get(str(arguments[0]))
    return NOTHING if not groups else Found("\0".join(sorted(groups)).encode())


_register("http_auth", Kind.BOOL, _is_known, (Needs.USERLIST,))
_register("http_auth_group", Kind.TEXT, _groups, (Needs.USERLIST,))


def http_name(condition: Condition) -> str | None:
    """Return the first fetch method of a condition that only exists in HTTP mode; None if there is none."""
    tests = (test for suite in condition.suites for term in suite for test in term.tests)
    return next((name for test in tests if (name := test.expression.fetch.name) in HTTP_FETCHES), None)
