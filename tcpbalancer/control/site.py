"""Serves every proxy in HTTP mode: the statistics page, metrics, monitors, and what rules answer.

Laws: answers come from a snapshot and never wait for a worker. Nothing is cached, nothing is told before the rules have
been asked, who holds a connection without asking is sent away, and what nobody answers is 503, as from a proxy without
servers. Each request has a line in the log as if it had been a session; those of a page that keeps itself up to date
have none, there would be one a second. Imports aiohttp: only a configuration with a page needs it.

Source: HAProxy's configuration manual, ``stats uri``; management guide, chapter 9; RFC 9110; ``http_ana.c``.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import TYPE_CHECKING

from aiohttp import HttpVersion10, web
from aiohttp.typedefs import Handler

from hakit.web import Doorkeeper, Site
from tcpbalancer.control import metrics, page, table, typed
from tcpbalancer.control.asked import Asked, is_same_origin, read_asked, read_form
from tcpbalancer.control.cli_room import Room
from tcpbalancer.control.commands.process import process_values
from tcpbalancer.control.deeds import carry_out
from tcpbalancer.control.gate import DROPPED, Gate
from tcpbalancer.control.http_log import httplog
from tcpbalancer.control.page_census import PageCensus
from tcpbalancer.control.replies import Reply, document, see_other, standard
from tcpbalancer.control.schema import SCHEMA
from tcpbalancer.control.selection import in_scope, working
from tcpbalancer.model import Frontend, HttpFront, StatsPage
from tcpbalancer.model.page import PROMETHEUS
from tcpbalancer.page_counters import PageCounters
from tcpbalancer.rules.facts import Facts, Request
from tcpbalancer.rules.samples import parse_ip
from tcpbalancer.session_log import SessionRecord
from tcpbalancer.snapshot import FIRST_PROXY

if TYPE_CHECKING:
    from tcpbalancer.supervisor import Supervisor

LARGEST_FORM = 16384
"""Bytes of a form (tune.bufsize): more servers than fit have to be chosen in two steps."""
MOST_CONNECTIONS = 64
"""Connections that a page serves at a time, unless the frontend's maxconn is less: each takes a descriptor from us, who
need them for the checks."""
PATIENCE = 30.0
"""Seconds for a request, and for its answer, unless the timeouts of the file are less: those of clients are meant for
long sessions."""
_KINDS = {"csv": "text/plain", "typed": "text/plain", "json": "application/json", "json-schema": "application/json"}


@dataclass(frozen=True, slots=True)
class _Visit:
    """One request on its way to the log."""

    peer: tuple[str, int]
    came_at: float  # seconds since 1970
    line: str | None


class StatisticsSite:
    """The page of one frontend."""

    def __init__(self, frontend: Frontend, room: Room, sockets: Sequence[socket.socket]) -> None:
        """Prepare; ``sockets`` listen, and are not closed with the page."""
        self._frontend = frontend
        self._page = frontend.stats
        self._http = frontend.http or HttpFront()
        self._supervisor: Supervisor = room.supervisor
        self._room = room
        self._sockets = sockets
        self._gate = Gate(frontend)
        self._assets = page.read_assets()
        self._site: Site | None = None

    @property
    def counters(self) -> PageCounters:
        """What is counted of this frontend."""
        return self._supervisor.current.pages[self._frontend.name]

    async def start(self) -> None:
        """Answer whoever comes."""
        application = web.Application(client_max_size=LARGEST_FORM, middlewares=[self._whatever_it_is])
        application.on_response_prepare.append(_plain_headers)
        client = self._frontend.timeouts.client or PATIENCE
        first = min(self._http.request_timeout or client, PATIENCE)
        following = self._http.keep_alive_timeout or self._http.request_timeout or client
        self._site = Site(
            application,
            [listening.dup() for listening in self._sockets],
            most=min(self._frontend.maxconn, MOST_CONNECTIONS),
            patience=first,
            keep_alive=min(following, PATIENCE),
            doorkeeper=_Counting(self),
        )
        await self._site.start()

    async def stop(self) -> None:
        """Close everything."""
        if self._site is not None:
            await self._site.stop()
            self._site = None

    # -- at the door ------------------------------------------------------------------------------------------------

    def admits(self, peer: socket.socket) -> bool:
        """Whether somebody who has just connected is let in; he is counted."""
        try:
            facts = self._facts(peer.getpeername(), peer.getsockname())
        except OSError:  # it has left already
            return False
        if not self._gate.admits(facts):
            self.counters.rejected += 1
            return False
        self.counters.came(time.monotonic())
        return True

    def _facts(self, peer: object, own: object, request: Request | None = None) -> Facts:
        (source, source_port), (destination, destination_port) = _address(peer), _address(own)
        return Facts(
            PageCensus(self._supervisor.snapshot),
            parse_ip(_unmapped(source)),
            source_port,
            parse_ip(_unmapped(destination)),
            destination_port,
            frontend=self._frontend.name,
            frontend_id=self._number(),
            request=request,
        )

    def _number(self) -> int:
        order = self._supervisor.configuration.order
        return order.index(self._frontend.name) + FIRST_PROXY if self._frontend.name in order else 0

    def sent_away(self, transport: asyncio.BaseTransport, reply: Reply, waited: float) -> None:
        """Take note of somebody whose request could not be read, or did not come in time."""
        self.counters.errors += 1
        self.counters.requests.count(time.monotonic())
        self.counters.answered(reply.status)
        peer = _address(transport.get_extra_info("peername"))
        self._log(_Visit(peer, time.time() - waited, None), reply, 0)

    @web.middleware
    async def _whatever_it_is(self, request: web.Request, handler: Handler) -> web.StreamResponse:  # noqa: ARG002
        """Answer before aiohttp looks for a route: what is asked for need not be a path."""
        return await self._answer(request)

    # -- requests ---------------------------------------------------------------------------------------------------

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        counters = self.counters
        if request.version < HttpVersion10 and isinstance(request.transport, asyncio.Transport):
            reply = standard(400)
            self.sent_away(request.transport, reply, 0.0)
            request.transport.write(reply.to_bytes())
            request.transport.close()
            raise ConnectionResetError
        counters.requests.count(time.monotonic())
        own = ("", 0) if request.transport is None else request.transport.get_extra_info("sockname")
        peer = ("", 0) if request.transport is None else request.transport.get_extra_info("peername")
        line = f"{request.method} {request.raw_path} HTTP/{request.version.major}.{request.version.minor}"
        visit = _Visit(_address(peer), time.time(), line)
        reply = await self._reply(request, peer, own)
        if reply is DROPPED:
            counters.denied += 1
            if request.transport is not None:
                request.transport.abort()
            raise ConnectionResetError
        response = _response(request, reply)
        await response.prepare(request)
        await response.write_eof()
        sent = request.writer.output_size
        counters.answered(reply.status)
        counters.bytes_out += sent
        counters.intercepted += reply.served
        counters.denied += reply.flags == "PR"
        if reply.logged:
            self._log(visit, reply, sent)
        return response

    async def _reply(self, request: web.Request, peer: object, own: object) -> Reply:
        known = await self._gate.known_to(request.headers.get("Authorization"))
        headers = tuple((name.lower(), value) for name, value in request.headers.items())
        version = f"{request.version.major}.{request.version.minor}"
        facts = self._facts(peer, own, Request(request.method, request.raw_path, version, headers, known))
        decided = self._gate.before(facts)
        if isinstance(decided, Reply):
            return decided
        if decided == PROMETHEUS:
            return self._metrics(request)
        shown = self._page
        if shown is None or not request.raw_path.startswith(shown.uri) or request.method not in {"GET", "HEAD", "POST"}:
            return standard(503, flags="SC")
        refused = self._gate.page(facts)
        if refused is not None:
            return refused
        asked = read_asked(request.raw_path[len(shown.uri) :])
        is_admin = self._gate.is_admin(facts)
        if request.method == "POST":
            return await self._carry_out(request, shown, asked, is_admin=is_admin)
        return self._statistics(shown, asked, is_admin=is_admin)

    def _metrics(self, request: web.Request) -> Reply:
        query = request.query
        try:
            text = metrics.render(
                list(table.rows(self._supervisor.snapshot())),
                process_values(self._room, precise=False),
                metrics.Choice.read(query.getall("scope", []), without_maintenance="no-maint" in query),
            )
        except metrics.ChoiceError:
            bad = standard(400)
            return Reply(400, bad.headers, bad.body, who="<PROMEX>")
        return replace(document(metrics.CONTENT_TYPE, text), who="<PROMEX>")

    async def _carry_out(self, request: web.Request, shown: StatsPage, asked: Asked, *, is_admin: bool) -> Reply:
        headers = {name.lower(): value for name, value in request.headers.items()}
        try:
            body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            return replace(see_other(f"{shown.uri};st=EXCD{asked.suffix}"), ends=True)
        if not is_admin or not is_same_origin(headers):
            return see_other(f"{shown.uri};st=DENY{asked.suffix}")
        generation = self._supervisor.current
        code = carry_out(read_form(body), generation.administration, generation.send)
        return see_other(f"{shown.uri};st={code}{asked.suffix}")

    def _statistics(self, shown: StatsPage, asked: Asked, *, is_admin: bool) -> Reply:
        refresh = shown.refresh if asked.refresh else None
        if asked.form == "json-schema":
            return document(_KINDS[asked.form], SCHEMA, refresh=refresh)
        snapshot = self._supervisor.snapshot()
        rows = in_scope(table.rows(snapshot), shown.scopes, self._frontend.name, asked.scope)
        if asked.up or asked.no_maint:
            rows = working(rows, snapshot, only_up=asked.up)
        match asked.form:
            case "csv":
                return document(_KINDS["csv"], table.as_csv(rows), refresh=refresh)
            case "json":
                return document(_KINDS["json"], typed.as_json(rows), refresh=refresh)
            case "typed":
                return document(_KINDS["typed"], typed.typed(rows), refresh=refresh)
            case form:
                view = page.View(snapshot, tuple(rows), shown, asked, is_admin)
                if form == "live":
                    return document("application/json", page.live(view), logged=False)
                return document("text/html", page.render(self._assets, view), *self._assets.policy)

    # -- the log ----------------------------------------------------------------------------------------------------

    def _log(self, visit: _Visit, reply: Reply, sent: int) -> None:
        name, current = self._frontend.name, self.counters.current
        served = reply.who != "<NOSRV>"
        record = SessionRecord(
            client=visit.peer[0],
            client_port=visit.peer[1],
            accepted_at=visit.came_at,
            frontend=name,
            backend=name,
            server=reply.who if served else None,
            wait_ms=0 if served else -1,
            connect_ms=0 if served else -1,
            total_ms=max(0, round((time.time() - visit.came_at) * 1000)),
            bytes_to_client=sent,
            bytes_from_client=0,
            flags=reply.flags,
            reason=reply.reason,
            actconn=self._supervisor.snapshot().current,
            feconn=current,
            beconn=0,
            srvconn=0,
            retries=0,
            redispatched=False,
            client_spoke=True,
        )
        line = httplog(record, reply.status, visit.line) if self._http.httplog else None
        self._supervisor.current.write_line(record, line)


class _Counting(Doorkeeper):
    """Stands at the door for a page."""

    def __init__(self, site: StatisticsSite) -> None:
        self._site = site

    def admits(self, peer: socket.socket) -> bool:
        return self._site.admits(peer)

    def left(self) -> None:
        self._site.counters.left()

    def received(self, count: int) -> None:
        self._site.counters.bytes_in += count

    def misunderstood(self, transport: asyncio.BaseTransport) -> bytes:
        reply = standard(400)
        self._site.sent_away(transport, reply, 0.0)
        return reply.to_bytes()

    def too_late(self, transport: asyncio.Transport, seconds: float) -> bytes:
        reply = standard(408, flags="cR")
        self._site.sent_away(transport, reply, seconds)
        return reply.to_bytes()


def _as_response(reply: Reply) -> web.Response:
    return web.Response(status=reply.status, reason=reply.reason, headers=dict(reply.headers), body=reply.body)


def _response(request: web.Request, reply: Reply) -> web.Response:
    response = _as_response(reply)
    if reply.chunked and request.version >= (1, 1):
        response.enable_chunked_encoding()
    if reply.ends:
        response.force_close()
    return response


async def _plain_headers(_request: web.Request, response: web.StreamResponse) -> None:
    """Leave only what HAProxy would send, in small letters: clients have been written against it."""
    told = [(name.lower(), value) for name, value in response.headers.items() if name.lower() != "date"]
    response.headers.clear()
    response.headers.extend(told)


def _address(name: object) -> tuple[str, int]:
    return (str(name[0]), int(name[1])) if isinstance(name, tuple) else ("unix", 0)


def _unmapped(host: str) -> str:
    """Return an IPv4 address that came in an IPv6 one as what it is."""
    try:
        mapped = getattr(ip_address(host), "ipv4_mapped", None)
    except ValueError:
        return host
    return host if mapped is None else str(mapped)
