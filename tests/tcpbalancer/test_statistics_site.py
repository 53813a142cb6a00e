"""The page's port: how many may come, and for how long they may keep us waiting."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import time
from collections.abc import AsyncIterator, Callable, Coroutine

import pytest
from aiohttp import web
from tcp_peers import PATIENCE

from hakit.web import Site

ASK = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


@contextlib.asynccontextmanager
async def site(
    most: int = 2, patience: float = PATIENCE, kind: Callable[[], socket.socket] = socket.socket
) -> AsyncIterator[tuple[str, int]]:
    """A site that answers everything; yields its address."""

    async def answer(_request: web.Request) -> web.Response:
        return web.Response(text="hello")

    application = web.Application()
    application.router.add_get("/", answer)
    listening = kind()
    listening.bind(("127.0.0.1", 0))
    listening.listen()
    address: tuple[str, int] = listening.getsockname()
    running = Site(application, [listening], most=most, patience=patience)
    await running.start()
    try:
        yield address
    finally:
        await running.stop()


class Visitor:
    """A connection to a site."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def of(cls, address: tuple[str, int]) -> Visitor:
        return cls(*await asyncio.open_connection(*address))

    async def ask(self, question: bytes = ASK) -> bytes:
        """Return the answer's first line; empty if there is none."""
        self._writer.write(question)
        line = await self._reader.readline()
        while line and (await self._reader.readline()).strip():
            pass
        if line:
            await self._reader.readexactly(len(b"hello"))
        return line

    async def is_dropped(self) -> bool:
        try:
            return not await self._reader.read(1)
        except ConnectionResetError:
            return True

    async def leave(self) -> None:
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()


def run(scene: Coroutine[None, None, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(PATIENCE):
            await scene

    asyncio.run(bounded())


def test_no_more_connections_are_taken_than_allowed_and_the_next_one_is_when_one_leaves() -> None:
    async def scene() -> None:
        async with site(most=2) as address:
            visitors = [await Visitor.of(address) for _ in range(3)]
            assert [(await visitor.ask())[:12] for visitor in visitors[:2]] == [b"HTTP/1.1 200"] * 2
            third = asyncio.create_task(visitors[2].ask())
            assert not (await asyncio.wait([third], timeout=0.2))[0]
            await visitors[0].leave()
            assert (await third)[:12] == b"HTTP/1.1 200"
            for visitor in visitors[1:]:
                await visitor.leave()

    run(scene())


@pytest.mark.parametrize("question", [b"", b"GET / HTTP/1.1\r\nHos"], ids=["nothing", "half a request"])
def test_who_does_not_ask_a_whole_question_is_dropped_and_makes_room(question: bytes) -> None:
    async def scene() -> None:
        async with site(most=1, patience=0.3) as address:
            silent, waiting = await Visitor.of(address), await Visitor.of(address)
            start = time.monotonic()
            silent._writer.write(question)
            assert (await waiting.ask())[:12] == b"HTTP/1.1 200"
            assert time.monotonic() - start >= 0.25
            assert await silent.is_dropped()
            await silent.leave()
            await waiting.leave()

    run(scene())


def test_an_answer_gives_time_for_the_next_question_and_no_more() -> None:
    async def scene() -> None:
        async with site(patience=0.4) as address:
            visitor = await Visitor.of(address)
            for _ in range(4):
                assert (await visitor.ask())[:12] == b"HTTP/1.1 200"
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(visitor.is_dropped(), 0.2)
            start = time.monotonic()
            assert await visitor.is_dropped()
            assert time.monotonic() - start < 0.4
            await visitor.leave()

    run(scene())


def test_without_descriptors_accepting_pauses_and_then_goes_on(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("hakit.web.PAUSE", 0.05)

    class Poor(socket.socket):
        tries = 0

        def accept(self) -> tuple[socket.socket, tuple[str, int]]:
            Poor.tries += 1
            if Poor.tries <= 3:
                raise OSError(errno.EMFILE, "Too many open files")
            return super().accept()

    async def scene() -> None:
        async with site(kind=Poor) as address:
            visitor = await Visitor.of(address)
            assert (await visitor.ask())[:12] == b"HTTP/1.1 200"
            await visitor.leave()

    run(scene())
    assert Poor.tries in {4, 5}
    assert capfd.readouterr().err == ""


def test_stopping_closes_every_connection() -> None:
    async def scene() -> None:
        async with site() as address:
            visitor = await Visitor.of(address)
            await visitor.ask()
        assert await visitor.is_dropped()
        await visitor.leave()
        with pytest.raises(ConnectionRefusedError):
            await Visitor.of(address)

    run(scene())
