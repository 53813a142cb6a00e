"""The executor as its supervisor sees it: a process that is asked and answers.

Laws: a request that is not answered in time, or whose answer is that it was not done, is a KernelError; the process is
ended if nothing more can be expected of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from tcpbalancer.model.process import Identity

PATIENCE = 15.0
"""Seconds for an answer: a machine under load may need some for a table of a million connections."""
LAST_PATIENCE = 10.0
"""Seconds for its end, once nobody asks any more."""
LONGEST = 1 << 26
"""Bytes of an answer."""
ROOT = Path(__file__).resolve().parents[2]


class KernelError(RuntimeError):
    """The kernel does not have what it must; the sentence says why."""


class ExecutorProcess:
    """Starts with ``start``; ``is_alive`` until it has ended or was ended."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None
        self._numbers = itertools.count()
        self._questions: dict[int, asyncio.Future[dict[str, Any]]] = {}

    @property
    def is_alive(self) -> bool:
        """Whether it can be asked."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process; 0: there is none."""
        return 0 if self._process is None else self._process.pid

    async def start(self, number: int, claimed: socket.socket, identity: Identity) -> None:
        """Start the process; raises KernelError."""
        ours = self._launch(number, claimed, identity)
        reader, self._writer = await asyncio.open_connection(sock=ours, limit=LONGEST)
        self._numbers = itertools.count()
        self._reading = asyncio.create_task(self._read(reader))

    def _launch(self, number: int, claimed: socket.socket, identity: Identity) -> socket.socket:
        ours, theirs = socket.socketpair()
        words = ["-" if each is None else str(each) for each in (identity.uid, identity.gid)]
        numbers = [theirs.fileno(), claimed.fileno()]
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "tcpbalancer.kernel.executor", *map(str, numbers), str(number), *words],
                stdin=subprocess.DEVNULL,
                pass_fds=numbers,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )
        except OSError as problem:
            ours.close()
            raise KernelError(f"no process for the rules can be started: {problem.strerror}") from problem
        finally:
            theirs.close()
        return ours

    async def ask(self, do: str, *, patience: float = PATIENCE, **details: Any) -> dict[str, Any]:
        """Have something done and return the answer; raises KernelError."""
        if self._writer is None:
            raise KernelError("the process for the rules is not there")
        number, answered = next(self._numbers), asyncio.get_running_loop().create_future()
        self._questions[number] = answered
        try:
            async with asyncio.timeout(patience):
                self._writer.write(json.dumps({"number": number, "do": do, **details}).encode() + b"\n")
                await self._writer.drain()
                answer: dict[str, Any] = await answered
        except TimeoutError:
            self.kill()
            raise KernelError(f"the process for the rules has not answered within {patience:g} s") from None
        except OSError:
            self.kill()
            raise KernelError("the process for the rules has ended") from None
        finally:
            self._questions.pop(number, None)
        if "problem" in answer:
            raise KernelError(answer["problem"])
        return answer

    async def _read(self, reader: asyncio.StreamReader) -> None:
        """Give each answer to whoever has asked; at its end, maybe in the middle of one, nobody gets any more."""
        with contextlib.suppress(OSError, ValueError):
            while line := await reader.readline():
                answer = json.loads(line)
                answered = self._questions.get(answer["number"])
                if answered is not None and not answered.done():
                    answered.set_result(answer)
        for answered in self._questions.values():
            if not answered.done():
                answered.set_exception(BrokenPipeError())

    def close(self) -> None:
        """Ask nothing any more: it takes away what it has not taken away yet, and ends."""
        self._hang_up()
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(LAST_PATIENCE)
        self.kill()

    def kill(self) -> None:
        """End it at once; what it has put into the kernel stays there."""
        self._hang_up()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _hang_up(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer.transport.abort()
            self._writer = None
