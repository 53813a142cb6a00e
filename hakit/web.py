"""The pieces of aiohttp that both daemons' pages use: who may see them, and where they listen.

Laws: passwords are compared in constant time, and none is ever in a log or an answer. A page never keeps a daemon up:
stopping it does not wait for readers. Whoever reaches the port can neither exhaust our descriptors nor hold one for
long. Imports aiohttp, so only who serves a page imports this.

Sources: RFC 7617 (Basic authentication), RFC 9110 section 11.6.1; WHATWG HTML, "Server-sent events".
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import hmac
import socket
from collections.abc import Callable, Mapping, Sequence

from aiohttp import web

from hakit.events import EventHub
from hakit.transcript import Event

PARTING = 1.0
"""Seconds for a parting word to be sent."""
PAUSE = 0.5
"""Seconds after which accepting is tried again when there was no descriptor left."""
NO_CACHE = {"Cache-Control": "no-cache"}
HEARTBEAT = 10.0
"""Seconds after which a stream without events says that it is still there."""
MAX_BACKLOG = 1024
"""Events that may wait for one slow reader of a stream."""


def is_authorised(header: str | None, users: Mapping[str, str]) -> bool:
    """Whether an ``Authorization`` header names one of ``users`` with its password; everyone may if there are none."""
    if not users:
        return True
    scheme, _, credentials = (header or "").partition(" ")
    if scheme.lower() != "basic":
        return False
    try:
        user, colon, password = base64.b64decode(credentials.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return False
    # An unknown user costs the same comparison as a known one.
    expected = users.get(user, "\0")
    same = hmac.compare_digest(password.encode(), expected.encode())
    return bool(colon) and same and user in users


def unauthorised(realm: str) -> web.Response:
    """Return the 401 that asks for credentials; ``realm`` is printable ASCII."""
    escaped = realm.replace("\\", "\\\\").replace('"', '\\"')
    return web.Response(
        status=401,
        text="<html><body><h1>401 Unauthorized</h1>\nYou need a valid user and password to see this.\n</body></html>\n",
        content_type="text/html",
        headers={**NO_CACHE, "WWW-Authenticate": f'Basic realm="{escaped}"'},
    )


async def _say_nothing_of_the_server(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers.popall("Server", None)


class Doorkeeper:
    """Who stands at the door of a site, and counts; this one lets everybody in and counts nobody."""

    def admits(self, _peer: socket.socket) -> bool:
        """Whether somebody who has just connected is served; if not, the connection is closed."""
        return True

    def left(self) -> None:
        """Take note that somebody who was admitted has gone."""

    def received(self, count: int) -> None:
        """Take note of bytes that came in."""

    def misunderstood(self, _transport: asyncio.BaseTransport) -> bytes:
        """Return what is sent to whoever sent something that is no HTTP; nothing: aiohttp's own words."""
        return b""

    def too_late(self, _transport: asyncio.Transport, _seconds: float) -> bytes:
        """Return what is sent, before the end, to whoever has not asked anything within these seconds."""
        return b""


class _Handler(web.RequestHandler):
    __slots__ = ("doorkeeper",)
    doorkeeper: Doorkeeper

    @property
    def asked(self) -> int:
        """How many requests have come whole (of one with a body: its headers)."""
        return self._request_count

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what aiohttp could not read, or what we could not answer."""
        transport = request.transport
        if isinstance(exc, ConnectionError):
            return web.Response(status=status)  # whoever asked has gone: that is no error of ours
        if status < 500 and isinstance(transport, asyncio.Transport) and not request.writer.output_size:
            said = self.doorkeeper.misunderstood(transport)
            if said:
                transport.write(said)
                transport.close()
                return web.Response(status=status)  # it finds nobody any more
        return super().handle_error(request, status, exc, message)


class _Visit(asyncio.Protocol):
    """One connection: stands before aiohttp's own protocol, and ends it if it keeps us waiting.

    The first answer has to be under way ``patience[0]`` seconds after it came, each further one ``patience[1]`` after
    the one before it. Who has said all that he has to say (``nc -N``, ``socat``) is answered, and then it ends.
    """

    def __init__(
        self,
        inner: _Handler,
        patience: tuple[float, float],
        doorkeeper: Doorkeeper,
        on_end: Callable[[], None],
    ) -> None:
        self._inner = inner
        self._patience = patience
        self._doorkeeper = doorkeeper
        self._answers = 0
        self._has_ended = False
        self._on_end = on_end
        self._transport: asyncio.Transport | None = None
        self._limit: asyncio.TimerHandle | None = None

    def answers(self, response: web.StreamResponse) -> None:
        """Take note that this answer begins."""
        self._answers += 1
        if self._has_ended and self._answers >= self._inner.asked:
            response.force_close()
        self.keep()

    def keep(self) -> None:
        """Let the time run anew."""
        self._wait(self._patience[1])

    def _wait(self, seconds: float) -> None:
        if self._limit is not None:
            self._limit.cancel()
        if self._transport is not None:
            self._limit = asyncio.get_running_loop().call_later(seconds, self._end)

    def _end(self) -> None:
        transport = self._transport
        assert transport is not None  # its end cancels the limit
        parting = b"" if self._answers else self._doorkeeper.too_late(transport, self._patience[0])
        if not parting:
            transport.abort()
            return
        transport.write(parting)
        transport.close()
        self._limit = asyncio.get_running_loop().call_later(PARTING, transport.abort)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._wait(self._patience[0])
        self._inner.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._limit is not None:
            self._limit.cancel()
        self._inner.connection_lost(exc)
        self._on_end()

    def data_received(self, data: bytes) -> None:
        self._doorkeeper.received(len(data))
        self._inner.data_received(data)

    def eof_received(self) -> bool:
        """Return whether somebody who says no more is still to be answered; aiohttp would hang up (RFC 9112, 9.6)."""
        self._has_ended = True
        return self._answers < self._inner.asked

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()


class Site:
    """An aiohttp application on sockets that listen already.

    At most ``most`` connections are open at a time, further ones wait in the kernel. One that has not been answered
    ``patience`` seconds after it came, or after its last answer began, is dropped; ``keep_alive``: other seconds for
    the second of these.
    """

    def __init__(
        self,
        application: web.Application,
        listening: Sequence[socket.socket],
        *,
        most: int,
        patience: float,
        keep_alive: float | None = None,
        doorkeeper: Doorkeeper | None = None,
    ) -> None:
        application.on_response_prepare.append(_say_nothing_of_the_server)
        application.on_response_prepare.append(self._answered)
        self._runner = web.AppRunner(application, access_log=None, handle_signals=False, shutdown_timeout=0.0)
        self._listening = tuple(listening)
        self._most = most
        self._patience = (patience, patience if keep_alive is None else keep_alive)
        self._doorkeeper = doorkeeper or Doorkeeper()
        self._visits: dict[asyncio.Protocol, _Visit] = {}
        self._admissions: set[asyncio.Task[None]] = set()
        self._is_open = False

    async def start(self) -> None:
        """Answer from now on."""
        await self._runner.setup()
        self._is_open = True
        for opened in self._listening:
            opened.setblocking(False)
        self._resume()

    async def stop(self) -> None:
        """Close the sockets and every connection."""
        self._is_open = False
        self._pause()
        for opened in self._listening:
            opened.close()
        await asyncio.gather(*self._admissions, return_exceptions=True)
        await self._runner.cleanup()

    def _resume(self) -> None:
        if self._is_open and len(self._visits) < self._most:
            for opened in self._listening:
                asyncio.get_running_loop().add_reader(opened, self._accept, opened)

    def _pause(self) -> None:
        for opened in self._listening:
            asyncio.get_running_loop().remove_reader(opened)

    def _accept(self, opened: socket.socket) -> None:
        # asyncio's own server accepts without a limit, and writes to stderr when descriptors run out.
        while len(self._visits) < self._most:
            try:
                peer, _ = opened.accept()
            except (BlockingIOError, ConnectionError):
                return
            except OSError:  # no descriptor left
                self._pause()
                asyncio.get_running_loop().call_later(PAUSE, self._resume)
                return
            self._admit(peer)
        self._pause()

    def _admit(self, peer: socket.socket) -> None:
        assert self._runner.server is not None
        if not self._doorkeeper.admits(peer):
            peer.close()
            return
        inner = _Handler(
            self._runner.server,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type] # as aiohttp's own runner passes it
        )
        inner.doorkeeper = self._doorkeeper

        def leave() -> None:
            del self._visits[inner]
            self._doorkeeper.left()
            self._resume()

        async def connect() -> None:
            try:
                await asyncio.get_running_loop().connect_accepted_socket(lambda: visit, peer)
            except OSError:  # it has left already
                peer.close()
                leave()

        visit = self._visits[inner] = _Visit(inner, self._patience, self._doorkeeper, leave)
        task = asyncio.create_task(connect())
        self._admissions.add(task)
        task.add_done_callback(self._admissions.discard)

    async def _answered(self, request: web.Request, response: web.StreamResponse) -> None:
        visit = self._visits.get(request.protocol)
        if visit is not None:
            visit.answers(response)

    def keep(self, request: web.Request) -> None:
        """Let the patience with the connection of ``request`` begin anew: something has just been sent to it."""
        visit = self._visits.get(request.protocol)
        if visit is not None:
            visit.keep()

    async def stream(self, request: web.Request, hub: EventHub) -> web.StreamResponse:
        """Answer with the hub's recent events and then every one as it happens, as server-sent events, until it leaves.

        Each has the monotonic time as its id and the JSON line of the event as its data. A reader that falls
        MAX_BACKLOG events behind is dropped.
        """
        response = web.StreamResponse(headers={**NO_CACHE, "Content-Type": "text/event-stream"})
        await response.prepare(request)
        queue: asyncio.Queue[Event] = asyncio.Queue()
        for past in tuple(hub.recent):
            queue.put_nowait(past)

        def offer(event: Event) -> None:
            if queue.qsize() < MAX_BACKLOG:
                queue.put_nowait(event)
            elif request.transport is not None:
                request.transport.abort()

        stop = hub.listen(offer)
        try:
            while True:
                text = ": still here\n\n"
                with contextlib.suppress(TimeoutError):
                    event = await asyncio.wait_for(queue.get(), HEARTBEAT)
                    text = f"id: {event.at:.6f}\ndata: {event.to_line()}\n\n"
                await response.write(text.encode())
                self.keep(request)
        except ConnectionError:
            return response
        finally:
            stop()
