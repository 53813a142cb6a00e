"""The control socket of a daemon: one line in, one JSON document out, or the stream of events.

Laws: a Unix socket of mode 0600, for root and the daemon's own user only. A request is one line of words. The answer
to ``events`` is a snapshot of the recent ones and then every event as it happens, one JSON line each, until either
side closes; to ``events recent`` the snapshot alone; to any other command one JSON line, then the end. A command may
change the daemon, and may take its time: then only who asked waits. A command that is refused, or that fails, is
answered with ``{"error": sentence}``. What a client sends is bounded, a client that does not read is dropped, and
neither ever holds the daemon up.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import json
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from hakit.events import EventHub
from hakit.transcript import Event, Value

MAX_REQUEST = 4096
"""Bytes in a request line."""
MAX_BACKLOG = 1024
"""Events that may wait for one slow reader."""

Command = Callable[[Sequence[str]], Value | Awaitable[Value]]
"""Takes the words behind the command's own; raises ValueError for a request that makes no sense or is refused, OSError
for what the system refused: the text of either is the answer."""


class ControlServer:
    """Serves a daemon's commands and its events at a path of the file system."""

    def __init__(self, path: Path, hub: EventHub, commands: Mapping[str, Command]) -> None:
        self.path = path
        self._hub = hub
        self._commands = commands
        self._server: asyncio.Server | None = None
        self._made: os.stat_result | None = None

    async def start(self, *, succeeds: bool = False) -> None:
        """Listen. A socket that nobody answers is replaced; one that is answered, and any other file, is not.

        Who ``succeeds`` another instance takes its place. Raises FileExistsError with a sentence, or another OSError
        if the system refuses.
        """
        self.path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        if self.path.is_socket():
            if not succeeds and await is_answered(self.path):
                raise FileExistsError(f"{self.path} is in use: another instance is running")
            self.path.unlink()
        elif self.path.exists():
            raise FileExistsError(f"{self.path} is no socket: give --control a path of its own")
        before = os.umask(0o177)
        try:
            self._server = await asyncio.start_unix_server(self._serve, self.path, limit=MAX_REQUEST)
            self._made = self.path.stat()
        finally:
            os.umask(before)

    async def stop(self) -> None:
        """Stop listening and remove the socket file."""
        if self._server is not None:
            self._server.close()
            self._server = None
            with contextlib.suppress(PermissionError, FileNotFoundError):  # the folder may be root's, who is given up
                if self._made is not None and os.path.samestat(self._made, self.path.stat()):  # no successor's
                    self.path.unlink()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            words = (await reader.readline()).decode("utf-8", "replace").split()
            if words == ["events", "recent"]:
                writer.write("".join(event.to_line() + "\n" for event in tuple(self._hub.recent)).encode())
                await writer.drain()
            elif words[:1] == ["events"]:
                await self._stream(reader, writer)
            else:
                answer = await self._answer(words)
                writer.write((json.dumps(answer, ensure_ascii=False) + "\n").encode())
                await writer.drain()
        except (ConnectionError, ValueError):
            pass  # a client that left, or a line beyond MAX_REQUEST: nothing is owed to it
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _answer(self, words: Sequence[str]) -> Value:
        if not words or words[0] not in self._commands:
            known: list[Value] = [*sorted(self._commands), "events"]
            return {"error": f"unknown command '{' '.join(words)}'", "commands": known}
        try:
            answer = self._commands[words[0]](words[1:])
            return await answer if inspect.isawaitable(answer) else answer
        except (ValueError, OSError) as wrong:
            return {"error": str(wrong)}

    async def _stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        queue: asyncio.Queue[Event | None] = asyncio.Queue()
        for past in self._hub.recent:
            queue.put_nowait(past)

        def offer(event: Event) -> None:
            if queue.qsize() < MAX_BACKLOG:
                queue.put_nowait(event)
            else:
                writer.transport.abort()  # too slow, goodbye: also to one that waits in drain() and never reads

        stop = self._hub.listen(offer)
        gone = asyncio.ensure_future(_until_end(reader))
        gone.add_done_callback(lambda _: queue.put_nowait(None))
        try:
            while (event := await queue.get()) is not None:
                writer.write((event.to_line() + "\n").encode())
                await writer.drain()
        finally:
            stop()
            gone.cancel()


async def _until_end(reader: asyncio.StreamReader) -> None:
    with contextlib.suppress(ConnectionError):
        while await reader.read(MAX_REQUEST):
            pass  # what a listener says is not listened to


async def is_answered(path: Path) -> bool:
    """Return whether somebody listens at this socket."""
    try:
        _, writer = await asyncio.open_unix_connection(path)
    except OSError:
        return False
    writer.close()
    return True


def request(path: Path, *words: str, timeout: float = 5.0) -> Value:
    """Ask a daemon at ``path`` from a program without a loop; returns its answer.

    Raises FileNotFoundError or ConnectionRefusedError if no daemon is there, TimeoutError if it does not answer,
    ConnectionResetError if it ended meanwhile.
    """
    import socket

    with socket.socket(socket.AF_UNIX) as asking:
        asking.settimeout(timeout)
        asking.connect(str(path))
        asking.sendall((" ".join(words) + "\n").encode())
        with asking.makefile("r", encoding="utf-8") as answer:
            line = answer.readline()
        if not line:
            raise ConnectionResetError("the daemon ended before it answered")
        value: Value = json.loads(line)
        return value
