"""The executor as its supervisor sees it, without one: what is answered, in what order, and its end."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable

import pytest

from tcpbalancer.kernel.executor_process import ExecutorProcess, KernelError
from tcpbalancer.model.process import Identity


def asked(
    monkeypatch: pytest.MonkeyPatch, scenario: Callable[[ExecutorProcess, socket.socket], Awaitable[None]]
) -> None:
    """Carry a scenario out with a process whose end of the connection it has in its hand."""
    ours, theirs = socket.socketpair()
    monkeypatch.setattr(ExecutorProcess, "_launch", lambda *_: ours)

    async def run() -> None:
        executor = ExecutorProcess()
        with socket.socket() as claimed:
            await executor.start(1, claimed, Identity())
        await scenario(executor, theirs)
        executor.kill()

    with theirs:
        theirs.setblocking(False)
        asyncio.run(run())


async def heard(theirs: socket.socket) -> dict[str, object]:
    told: dict[str, object] = json.loads(await asyncio.get_running_loop().sock_recv(theirs, 4096))
    return told


def test_an_answer_goes_to_whoever_has_asked_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(executor: ExecutorProcess, theirs: socket.socket) -> None:
        look = asyncio.create_task(executor.ask("look"))
        assert await heard(theirs) == {"number": 0, "do": "look"}
        change = asyncio.create_task(executor.ask("change", wanted=1))
        assert await heard(theirs) == {"number": 1, "do": "change", "wanted": 1}
        theirs.sendall(b'{"number": 1}\n{"number": 0, "open": {}}\n{"number": 7}\n')
        assert await change == {"number": 1}
        assert await look == {"number": 0, "open": {}}

    asked(monkeypatch, scenario)


def test_what_was_not_done_is_an_error_with_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(executor: ExecutorProcess, theirs: socket.socket) -> None:
        question = asyncio.create_task(executor.ask("change"))
        await heard(theirs)
        theirs.sendall(b'{"number": 0, "problem": "nft: no"}\n')
        with pytest.raises(KernelError, match=r"^nft: no$"):
            await question

    asked(monkeypatch, scenario)


@pytest.mark.parametrize("last", [b"", b'{"number": 0, "lis'], ids=["between two answers", "in the middle of one"])
def test_whoever_waits_for_an_answer_learns_at_once_of_the_end(monkeypatch: pytest.MonkeyPatch, last: bytes) -> None:
    async def scenario(executor: ExecutorProcess, theirs: socket.socket) -> None:
        question = asyncio.create_task(executor.ask("read"))
        await heard(theirs)
        theirs.sendall(last)
        theirs.shutdown(socket.SHUT_RDWR)
        with pytest.raises(KernelError, match="has ended"):
            await question
        with pytest.raises(KernelError, match="not there"):
            await executor.ask("read")

    asked(monkeypatch, scenario)


def test_one_who_does_not_answer_in_time_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(executor: ExecutorProcess, _theirs: socket.socket) -> None:
        with pytest.raises(KernelError, match=r"has not answered within 0\.01 s"):
            await executor.ask("read", patience=0.01)

    asked(monkeypatch, scenario)
