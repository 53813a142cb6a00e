"""The stats sockets at work: clients come, ask, are answered, and go.

Laws: it runs in the supervisor and waits for nobody: each client has a task, a time limit for its line and for taking
its answer, and one of ``stats maxconn`` places; who comes when all are taken waits in the kernel. Input is bounded.
Without a prompt the lines that have come are answered and the connection ends, also if the client has shut down its
side right behind them.

Source: HAProxy's management guide, section 9.3 "Unix Socket commands"; ``cli_io_handler`` (``cli.c``).
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import replace

from tcpbalancer import takeover
from tcpbalancer.control.cli_line import Reader, TooLongError, encode
from tcpbalancer.control.cli_listening import open_all
from tcpbalancer.control.cli_room import Conversation, Room
from tcpbalancer.model import Configuration, StatsSocket
from tcpbalancer.model.stats_socket import Place

PORTION = 65536
NO_ROOM = 0.1
"""Seconds to wait when no descriptor is left."""
_WELCOME_TIMEOUT = 2.0

Begin = Callable[..., Conversation]
"""Makes a conversation of the same arguments as ``Conversation``."""
Listeners = Callable[[], Sequence[takeover.Named]]
"""Returns the listening sockets that a successor may take over, with the names of their places."""


class CliServer:
    """Serves all stats sockets of a configuration; ``reload`` goes over to another one."""

    def __init__(self, room: Room, listeners: Listeners = tuple, begin: Begin = Conversation) -> None:
        self.room = room
        self._begin = begin
        self._listeners = listeners
        self._open: dict[StatsSocket, socket.socket] = {}  # by what makes two lines ask for the same socket
        self._settings: dict[StatsSocket, StatsSocket] = {}  # what the line says of it now
        self._accepting: dict[StatsSocket, asyncio.Task[None]] = {}
        self._serving: set[asyncio.Task[None]] = set()
        self._timeout = 10.0
        self._maxconn = 10
        self._places = asyncio.Semaphore(10)

    def start(self, configuration: Configuration) -> None:
        """Serve the stats sockets of a configuration. Raises StatsSocketError, and then nothing has changed."""
        self.serve(configuration.stats_sockets, configuration.stats_timeout, configuration.stats_maxconn)
        self.room.sockets = [_shown(each, self._open[_file(each)]) for each in configuration.stats_sockets]

    reload = start

    def serve(self, wanted: Sequence[StatsSocket], timeout: float, maxconn: int) -> None:
        """Listen on these sockets, and no more on others. Raises StatsSocketError, and then nothing has changed."""
        new = [each for each in wanted if _file(each) not in self._open]
        opened = dict(zip(map(_file, new), open_all(new), strict=True))
        self._settings = {_file(each): each for each in wanted}
        for gone in [each for each in self._open if each not in self._settings]:
            self._close(gone)
        self._timeout = timeout
        if maxconn != self._maxconn:
            self._maxconn = maxconn
            self._places = asyncio.Semaphore(maxconn)  # those who are there keep the places that they have
        self._open.update(opened)
        for file, listening in opened.items():
            self._accepting[file] = asyncio.create_task(self._accept(file, listening))

    async def stop(self) -> None:
        """Close all sockets and connections."""
        tasks = [*self._accepting.values(), *self._serving]
        for file in tuple(self._open):
            self._close(file)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _close(self, file: StatsSocket) -> None:
        self._accepting.pop(file).cancel()
        self._open.pop(file).close()

    async def _accept(self, file: StatsSocket, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, address = await loop.sock_accept(listening)
            except OSError:  # no descriptor left, or the client has gone already
                await asyncio.sleep(NO_ROOM)
                continue
            places = self._places
            try:
                await places.acquire()
            except BaseException:
                connection.close()
                raise
            task = asyncio.create_task(self._serve(self._settings[file], connection, address))
            self._serving.add(task)
            task.add_done_callback(self._serving.discard)
            task.add_done_callback(functools.partial(_release, places))

    async def _serve(self, place: StatsSocket, connection: socket.socket, address: tuple[str, int] | str) -> None:
        connection.setblocking(False)
        is_unix = connection.family == socket.AF_UNIX
        conversation = self._begin(
            self.room,
            place.level,
            self._timeout,
            source="unix:1" if is_unix else f"{address[0]}:{address[1]}",  # by now it may be gone
            proto="unix_stream" if is_unix else ("tcpv4" if connection.family == socket.AF_INET else "tcpv6"),
            fd=connection.fileno(),
            severity=place.severity,
        )
        self.room.conversations.add(conversation)
        self.room.total += 1
        try:
            with connection, contextlib.suppress(OSError, TimeoutError, TooLongError):
                await self._converse(place, conversation, connection)
        finally:
            self.room.conversations.discard(conversation)

    async def _converse(self, place: StatsSocket, conversation: Conversation, connection: socket.socket) -> None:
        reader = Reader()
        while await self._has_line(reader, conversation, connection):
            requests = reader.next_line()
            assert requests is not None
            if not requests and reader.awaits_payload:
                if conversation.prompts:
                    await _send(connection, "+ ", conversation.timeout)
                continue
            for request in requests:
                if request.words == ("_getsocks",):
                    await self._give_sockets(place, connection)
                    return
                await _send(connection, await conversation.answer(request), conversation.timeout)
                if conversation.has_quit:
                    return
            if not conversation.interactive and not reader.has_line:
                await _end(connection)
                return

    @staticmethod
    async def _has_line(reader: Reader, conversation: Conversation, connection: socket.socket) -> bool:
        """Read until a line is complete; returns False at the client's end. Raises TimeoutError."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(conversation.timeout):
            while not reader.has_line:
                data = await loop.sock_recv(connection, PORTION)
                if not data:
                    return False
                reader.feed(data)
        return True

    async def _give_sockets(self, place: StatsSocket, connection: socket.socket) -> None:
        if not place.exposes_listeners or connection.family != socket.AF_UNIX:
            await _send(connection, "Permission denied\n\n", _WELCOME_TIMEOUT)
            return
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(_WELCOME_TIMEOUT):
            for text, sockets in takeover.messages(self._listeners()):
                sent = 0
                while not sent:
                    try:
                        sent = takeover.send_message(connection, text, sockets)
                    except BlockingIOError:
                        await asyncio.sleep(NO_ROOM)
                await loop.sock_sendall(connection, text[sent:])


def _file(told: StatsSocket) -> StatsSocket:
    """Return what makes two lines ask for the same socket: a change of the rest needs no other one."""
    rights = (told.mode, told.uid, told.gid) if told.place is Place.UNIX else (None, None, None)
    return StatsSocket(told.place, told.host, told.port, *rights)


def _shown(told: StatsSocket, listening: socket.socket) -> StatsSocket:
    """Return a socket as ``show cli sockets`` has it: one that was inherited under the address that it has."""
    if told.place is not Place.DESCRIPTOR:
        return told
    address = listening.getsockname()
    if listening.family == socket.AF_UNIX:
        name = os.fsdecode(address)
        place = Place.ABSTRACT if name.startswith("\0") else Place.UNIX
        return replace(told, place=place, host=name.strip("\0"))
    place = Place.IPV6 if listening.family == socket.AF_INET6 else Place.IPV4
    return replace(told, place=place, host=address[0], port=address[1])


def _release(places: asyncio.Semaphore, _task: asyncio.Task[None]) -> None:
    places.release()


async def _send(connection: socket.socket, text: str, limit: float) -> None:
    """Send a text; TimeoutError if the client takes nothing for too long."""
    data = memoryview(encode(text))
    loop = asyncio.get_running_loop()
    for start in range(0, len(data), PORTION):
        async with asyncio.timeout(limit):
            await loop.sock_sendall(connection, data[start : start + PORTION])


async def _end(connection: socket.socket) -> None:
    """Close politely: what the client still sends must not reset away what it has not read yet."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_WR)
        with contextlib.suppress(BlockingIOError):
            while connection.recv(PORTION):
                pass
