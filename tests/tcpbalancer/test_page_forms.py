"""What is asked of the statistics page, and what its form does: HAProxy's words and codes."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from statistics_pictures import SNAPSHOT

from tcpbalancer.administration import Administration
from tcpbalancer.channel import Cut, Order
from tcpbalancer.control.asked import Asked, Wish, is_same_origin, read_asked, read_form
from tcpbalancer.control.deeds import ACTIONS, carry_out
from tcpbalancer.control.http_log import httplog
from tcpbalancer.control.replies import document, redirect, see_other, standard, unauthorised
from tcpbalancer.control.selection import in_scope, working
from tcpbalancer.control.table import rows
from tcpbalancer.page_counters import Pages
from tcpbalancer.session_log import SessionRecord
from tcpbalancer.watched import WatchedServer


@pytest.mark.parametrize(
    ("suffix", "asked"),
    [
        ("", Asked()), (";csv", Asked("csv")), ("/;csv", Asked("csv")),
        ("/;csv;norefresh", Asked("csv", refresh=False)),
        (";json", Asked("json")), (";typed", Asked("typed")), (";json-schema", Asked("json-schema")),
        (";up", Asked(up=True)), (";no-maint;csv", Asked("csv", no_maint=True)), (";live", Asked("live")),
        ("?scope=pg", Asked(scope="pg")), (";csv?scope=pg", Asked("csv", scope="pg")),
        (";scope=pg;csv", Asked("csv", scope="pg")),
        ("?scope=%3Cx%3E", Asked()), ("?scope=" + "a" * 61, Asked()), (";st=DONE", Asked(outcome="DONE")),
        (";st=<b>", Asked()), ("foo;csv", Asked("csv")), (";csvx;upx", Asked()),
    ],
)  # fmt: skip
def test_words_behind_the_address_say_what_is_wanted(suffix: str, asked: Asked) -> None:
    assert read_asked(suffix) == asked


def test_links_keep_what_is_seen() -> None:
    assert Asked().suffix == ""
    assert Asked(up=True, no_maint=True, refresh=False, scope="a").suffix == ";up;no-maint;norefresh?scope=a"


@pytest.mark.parametrize(
    ("body", "wish"),
    [
        (b"s=pg1&action=maint&b=postgres", Wish("maint", "postgres", ("pg1",))),
        (b"s=a&s=b%31&action=ready&b=x+y", Wish("ready", "x y", ("a", "b1"))),
        (b"b=b&b=t&action=ready&action=drain", Wish("drain", "t", ())),
        (b"", Wish(None, None, ())), (b"foo", Wish(None, None, ())), (b"x=y&=z&s=", Wish(None, None, ("",))),
        (b"\xff=\xfe&s=%ff", Wish(None, None, ("\ufffd",))),
    ],
)  # fmt: skip
def test_a_form_is_read_whatever_it_is(body: bytes, wish: Wish) -> None:
    assert read_form(body) == wish


@pytest.mark.parametrize(
    ("headers", "same"),
    [
        ({}, True),
        ({"sec-fetch-site": "same-origin"}, True), ({"sec-fetch-site": "none"}, True),
        ({"sec-fetch-site": "cross-site"}, False), ({"sec-fetch-site": "same-site"}, False),
        ({"origin": "http://lb:8404", "host": "lb:8404"}, True), ({"origin": "http://evil", "host": "lb:8404"}, False),
        ({"origin": "null", "host": "lb:8404"}, False), ({"origin": "http://lb:8404"}, False),
        ({"sec-fetch-site": "cross-site", "origin": "http://lb:8404", "host": "lb:8404"}, False),
    ],
)  # fmt: skip
def test_another_site_s_form_is_told_from_ours_and_from_a_script_s(headers: dict[str, str], *, same: bool) -> None:
    assert is_same_origin(headers) is same


class Watch:
    """Servers of two backends; ``told`` is what was done to them."""

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.backends = [self._backend("b", ("s1", "s2")), self._backend("t", ("s1",))]

    def _backend(self, name: str, servers: tuple[str, ...]) -> Any:
        backend = SimpleNamespace(backend=SimpleNamespace(name=name), place=len(name), servers=[])
        for place, server in enumerate(servers):
            check = SimpleNamespace(configured=name == "b", enabled=True)
            made = WatchedServer.__new__(WatchedServer)
            made.server = SimpleNamespace(name=server)  # type: ignore[assignment] # no more is asked of it
            made.backend, made.place, made.tracked = backend, place, None
            agent = SimpleNamespace(configured=False, enabled=False)
            made.state = SimpleNamespace(check=check, agent=agent)  # type: ignore[assignment] # as above
            backend.servers.append(made)
        return backend


class Noting(Administration):
    """Notes what would be done."""

    def page_action(self, server: WatchedServer, action: str) -> bool:
        self._watch.told.append((server.name, action))  # type: ignore[attr-defined] # it is the one above
        return True


def posted(body: bytes) -> tuple[str, list[Any]]:
    watch = Watch()
    orders: list[Order] = []
    code = carry_out(read_form(body), Noting(watch, lambda _: None), orders.append)  # type: ignore[arg-type] # stands in
    return code, [*watch.told, *orders]


@pytest.mark.parametrize(
    ("body", "code", "done"),
    [
        (b"s=s1&action=maint&b=b", "DONE", [("b/s1", "maint")]),
        (b"s=s1&s=s2&action=drain&b=b", "DONE", [("b/s2", "drain"), ("b/s1", "drain")]),
        (b"b=b&action=ready&s=s1", "DONE", [("b/s1", "ready")]),
        (b"s=s1&action=ready&b=b&b=t", "DONE", [("t/s1", "ready")]),
        (b"s=s1&s=zz&action=maint&b=b", "PART", [("b/s1", "maint")]),
        (b"s=zz&action=maint&b=b", "ERRP", []), (b"s=s1&action=maint&b=zz", "ERRP", []),
        (b"s=s1&action=foo&b=b", "ERRP", []), (b"s=s1&action=&b=b", "ERRP", []), (b"s=#1&action=maint&b=b", "ERRP", []),
        (b"s=t/s1&action=ready&b=b", "ERRP", []), (b"s=S1&action=ready&b=B", "ERRP", []),
        (b"action=maint&b=b", "NONE", []), (b"s=s1&b=b", "NONE", []), (b"s=s1&action=maint", "NONE", []),
        (b"", "NONE", []), (b"foo", "NONE", []),
        (b"s=s1&action=dagent&b=b", "NONE", []), (b"s=s1&action=arunn&b=b", "NONE", []),
        (b"s=s1&action=ehlth&b=t", "NONE", []), (b"s=s1&action=dhlth&b=b", "DONE", [("b/s1", "dhlth")]),
        (b"s=s1&action=hdown&b=t", "DONE", [("t/s1", "hdown")]), (b"s=s1&action=stop&b=b", "DONE", [("b/s1", "stop")]),
    ],
)  # fmt: skip
def test_post_admin_has_haproxys_outcome(body: bytes, code: str, done: list[tuple[str, str]]) -> None:
    assert posted(body) == (code, done)


def test_shutdown_ends_the_sessions_of_a_server() -> None:
    code, (order,) = posted(b"s=s2&action=shutdown&b=b")
    assert code == "DONE"
    assert isinstance(order, Cut)
    assert (order.flags, order.backend, order.server) == ("KC", 1, 1)


def test_the_actions_are_haproxys() -> None:
    assert [name for name, _ in ACTIONS] == [
        "ready", "drain", "maint", "dhlth", "ehlth", "hrunn", "hnolb", "hdown", "dagent", "eagent", "arunn", "adown",
        "shutdown",
    ]  # fmt: skip


def test_standard_answers_are_haproxys_to_the_byte() -> None:
    lengths = {400: 90, 401: 112, 403: 93, 408: 110, 503: 107, 200: 58}
    assert {status: len(standard(status).body) for status in lengths} == lengths
    assert standard(408).to_bytes().startswith(b"HTTP/1.1 408 Request Time-out\r\ncontent-length: 110\r\n")
    assert unauthorised('a"b\\').headers[-1] == ("www-authenticate", 'Basic realm="a\\"b\\\\"')
    page = document("text/html", "x", ("a", "b"), refresh=0.2)
    assert page.headers == (("cache-control", "no-cache"), ("content-type", "text/html"), ("a", "b"), ("refresh", "1"))
    assert (page.chunked, page.who, page.reason) == (True, "<STATS>", "OK")
    assert document("text/plain", "x").headers == (("cache-control", "no-cache"), ("content-type", "text/plain"))
    assert see_other("/s;st=DONE").headers[1:] == (("content-type", "text/plain"), ("location", "/s;st=DONE"))
    assert redirect(302, "/x").headers == (("cache-control", "no-cache"), ("location", "/x"))


def test_up_and_no_maint_leave_rows_out_and_scope_proxies() -> None:
    table = list(rows(SNAPSHOT))
    assert [row["svname"] for row in working(table, SNAPSHOT, only_up=True)] == [
        "FRONTEND", "BACKEND", "FRONTEND", "BACKEND",
    ]  # fmt: skip
    assert [row["status"] for row in working(table, SNAPSHOT, only_up=False)][-1] == "DOWN (0/2)"

    def shown(scopes: tuple[str, ...], wanted: str = "") -> set[str]:
        return {row["pxname"] for row in in_scope(table, scopes, "stats", wanted)}

    assert shown(()) == {"stats", "pg"}
    assert shown((".",)) == {"stats"}
    assert shown(("pg", "nobody")) == {"pg"}
    assert shown((), "P") == {"pg"}
    assert shown(("pg",), "stats") == set()


RECORD = SessionRecord("192.0.2.1", 7, 0.0, "f", "f", "<STATS>", 0, 0, 3, 121, 0, "LR", "", 2, 1, 0, 0, 0, False)


def test_httplog_has_a_line_for_a_request() -> None:
    line = httplog(RECORD, 303, "POST /stats HTTP/1.1")
    assert line.startswith("192.0.2.1:7 [")
    assert line.endswith('] f f/<STATS> 0/0/0/0/3 303 121 - - LR-- 2/1/0/0/0 0/0 "POST /stats HTTP/1.1"')
    unserved = replace(RECORD, server=None, wait_ms=-1, connect_ms=-1, flags="SC")
    assert ' f/<NOSRV> 0/-1/-1/-1/3 503 121 - - SC-- 2/1/0/0/0 0/0 "GET /#22#0A HTTP/1.1"' in httplog(
        unserved, 503, 'GET /"\n HTTP/1.1'
    )
    assert httplog(replace(unserved, flags="cR"), 408, None).endswith(
        ' f/<NOSRV> -1/-1/-1/-1/3 408 121 - - cR-- 2/1/0/0/0 0/0 "<BADREQ>"'
    )


def test_a_page_counts_connections_requests_and_answers() -> None:
    pages = Pages()
    page = pages["stats"]
    page.came(10.0)
    page.came(10.5)
    page.left()
    page.requests.count(10.0)
    page.answered(200)
    page.answered(503)
    page.denied = 2
    seen = page.statistics("OPEN", 50, 11.0)
    traffic, http = seen.traffic, seen.http
    assert (traffic.current, traffic.peak, traffic.total, traffic.limit) == (1, 2, 2, 50)
    assert (traffic.rate, traffic.rate_peak) == (2, 2)
    assert page.statistics("OPEN", 50, 13.0).traffic.rate == 0
    assert http is not None
    assert (http.requests, http.answers) == (1, (0, 1, 0, 0, 1))
    assert pages.current == 1
    pages.clear(everything=False)
    after = page.statistics("OPEN", 50, 14.0)
    assert (after.traffic.peak, after.traffic.rate_peak, after.traffic.total, after.denied_requests) == (1, 0, 2, 2)
    pages.clear(everything=True)
    after = page.statistics("OPEN", 50, 14.0)
    assert (after.traffic.current, after.traffic.total, after.denied_requests) == (1, 0, 0)
    assert after.http is not None
    assert (after.http.requests, after.http.answers) == (0, (0, 0, 0, 0, 0))
