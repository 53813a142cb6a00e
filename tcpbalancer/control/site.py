"""Serves the statistics page of every proxy in HTTP mode.

Laws: answers come from a snapshot and never wait for a worker. Nothing is cached, credentials are asked for before
anything is told, who holds a connection without asking is dropped, and a URL that is not the page is 503, as from a
proxy without servers. Imports aiohttp: only a configuration with a page needs it.

Source: HAProxy's configuration manual, ``stats uri``; management guide, chapter 9; RFC 9110.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

from aiohttp import web

from hakit.web import NO_CACHE, Site, is_authorised, unauthorised
from tcpbalancer.control.page import render
from tcpbalancer.control.status import status
from tcpbalancer.control.table import csv
from tcpbalancer.model import Frontend, StatsPage
from tcpbalancer.statistics import Snapshot

LARGEST_BODY = 16384
MOST_CONNECTIONS = 64
"""Connections that a page serves at a time, unless the frontend's maxconn is less: each takes a descriptor from us, who
need them for the checks."""
PATIENCE = 30.0
"""Seconds for a request, and for its answer, unless ``timeout client`` is less: that is meant for long sessions."""


class StatisticsSite:
    """The page of one frontend."""

    def __init__(self, frontend: Frontend, snapshot: Callable[[], Snapshot], sockets: Sequence[socket.socket]) -> None:
        """Prepare; ``sockets`` listen, and are not closed with the page."""
        self._frontend = frontend
        self._snapshot = snapshot
        self._sockets = sockets
        self._template = (Path(__file__).parent / "page.html").read_text(encoding="utf-8")
        self._site: Site | None = None

    async def start(self) -> None:
        """Answer whoever comes."""
        application = web.Application(client_max_size=LARGEST_BODY)
        application.router.add_route("*", "/{anything:.*}", self._answer)
        self._site = Site(
            application,
            [listening.dup() for listening in self._sockets],
            most=min(self._frontend.maxconn, MOST_CONNECTIONS),
            patience=min(self._frontend.timeouts.client or PATIENCE, PATIENCE),
        )
        await self._site.start()

    async def stop(self) -> None:
        """Close everything."""
        if self._site is not None:
            await self._site.stop()
            self._site = None

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        page = self._frontend.stats
        if page is None or not request.raw_path.startswith(page.uri):
            return _unavailable()
        users = {user: password.value for user, password in page.users}
        if not is_authorised(request.headers.get("Authorization"), users):
            return unauthorised(page.realm)
        if request.method not in {"GET", "HEAD"}:
            return web.Response(status=405, text="405 Method Not Allowed\n", headers={**NO_CACHE, "Allow": "GET, HEAD"})
        return self._page(page, request.raw_path[len(page.uri) :])

    def _page(self, page: StatsPage, suffix: str) -> web.Response:
        """``suffix`` is what follows the page's address: words behind semicolons, a slash before them is let pass."""
        words = suffix.removeprefix("/").split(";")
        snapshot = self._snapshot()
        if "csv" in words:
            return web.Response(text=csv(snapshot), content_type="text/plain", headers=NO_CACHE)
        if "json" in words:
            document = json.dumps(status(snapshot), ensure_ascii=False)
            return web.Response(text=document, content_type="application/json", headers=NO_CACHE)
        text = render(self._template, snapshot, page, refresh="norefresh" not in words)
        return web.Response(text=text, content_type="text/html", headers=NO_CACHE)


def _unavailable() -> web.Response:
    text = (
        "<html><body><h1>503 Service Unavailable</h1>\nNo server is available to handle this request.\n</body></html>\n"
    )
    return web.Response(status=503, text=text, content_type="text/html", headers=NO_CACHE)
