"""The nursery as its supervisor sees it: a process that forks workers.

Laws: it is asked and answers at once, within milliseconds; who does not is dead, and a new one is started, unless it
would have to give up what is given up already. Imports no asyncio: it may start before all that is loaded.
"""

from __future__ import annotations

import errno
import os
import pickle
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tcpbalancer.model.process import Identity
from tcpbalancer.nursery import (
    LARGEST,
    PER_MESSAGE,
    Became,
    Become,
    Died,
    Fork,
    Forked,
    Reply,
    Request,
    send,
    unpack_reply,
)

PATIENCE = 10.0
"""Seconds for the first answer, which comes when everything is loaded."""
PROMPT = 5.0
"""Seconds for each later one: who needs longer is frozen, and holds us up."""
AFTERWARDS = 1.0
"""Seconds for the status of a worker that is known to have ended."""
ROOT = Path(__file__).resolve().parent.parent


class NurseryError(OSError):
    """No worker can be had; the sentence says why."""

    def __str__(self) -> str:
        return str(self.args[-1])


@dataclass(frozen=True, slots=True)
class Child:
    """A worker's process."""

    pid: int
    pidfd: int


class NurseryProcess:
    """Starts the process when it is first needed, and again if it has died."""

    def __init__(self) -> None:
        self._identity: Identity | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._ended: dict[int, int] = {}
        self._patience = PATIENCE

    @property
    def identity(self) -> Identity | None:
        """What workers are; None: what this process is."""
        return self._identity

    def begin(self) -> None:
        """Start the process: it loads what it needs while we go on. Raises NurseryError."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.settimeout(PATIENCE)
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "tcpbalancer.nursery", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )
        except OSError as problem:
            ours.close()
            raise NurseryError(problem.errno, f"no worker can be started: {problem.strerror}") from problem
        finally:
            theirs.close()
        self._control = ours
        self._patience = PATIENCE

    def become(self, identity: Identity) -> None:
        """Have all workers from now on be this; raises NurseryError with HAProxy's sentence."""
        reply = self._ask(Become(identity))
        assert isinstance(reply, Became)
        if reply.problem:
            raise NurseryError(0, reply.problem)
        self._identity = identity

    def fork(self, descriptors: Sequence[int]) -> Child:
        """Start a worker with copies of these descriptors; raises NurseryError."""
        reply = self._ask(Fork(len(descriptors)), descriptors)
        assert isinstance(reply, Forked)
        if reply.problem:
            raise NurseryError(0, f"no worker can be started: {reply.problem}")
        return Child(reply.pid, self._pidfds.pop())

    def status(self, pid: int) -> int:
        """Return how a worker has ended, negative for a signal; if nobody knows, as if it had been killed."""
        assert self._control is not None
        self._control.settimeout(AFTERWARDS)
        try:
            while pid not in self._ended:
                if self._receive() is None:
                    break
        except OSError:
            pass  # the nursery has died before it could tell
        return self._ended.pop(pid, -9)

    def end(self) -> None:
        """End the process; workers end with the supervisor, not with it."""
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    _pidfds: list[int]

    def _ask(self, request: Request, descriptors: Sequence[int] = ()) -> Reply:
        for _ in range(2):
            if self._process is None or self._process.poll() is not None:
                self._begin_again()
            try:
                return self._asked(request, descriptors)
            except TimeoutError:
                how = f"has not answered within {self._patience:g} s"
            except OSError:
                how = f"has ended: {self._how()}"
            self.end()
        raise NurseryError(errno.EPIPE, f"no worker can be started: the process from which they come {how}")

    def _begin_again(self) -> None:
        had = self._process is not None
        self.end()
        self.begin()
        if had and self._identity is not None:  # root is given up: what is left of an identity is to be inside
            reply = self._asked(Become(self._identity))
            if isinstance(reply, Became) and reply.problem:
                self.end()
                raise NurseryError(0, f"no worker can be started any more, restart the program: {reply.problem}")

    def _asked(self, request: Request, descriptors: Sequence[int] = ()) -> Reply:
        assert self._control is not None
        self._control.settimeout(self._patience)
        send(self._control, pickle.dumps(request), descriptors[:PER_MESSAGE])
        for start in range(PER_MESSAGE, len(descriptors), PER_MESSAGE):
            send(self._control, b"-", descriptors[start : start + PER_MESSAGE])
        while True:
            reply = self._receive()
            if reply is None:
                raise BrokenPipeError
            if not isinstance(reply, Died):
                self._patience = PROMPT
                return reply

    def _receive(self) -> Reply | None:
        assert self._control is not None
        text, self._pidfds, _, _ = socket.recv_fds(self._control, LARGEST, PER_MESSAGE)
        if not text:
            return None
        reply = unpack_reply(text)
        if isinstance(reply, Died):
            self._ended[reply.pid] = reply.status
        return reply

    def _how(self) -> str:
        assert self._process is not None
        status = self._process.wait()
        return f"exit status {status}" if status >= 0 else f"signal {-status}"


def outside(identity: Identity) -> Identity:
    """Return an identity without its chroot: for who has to read files again, and does not meet clients."""
    return replace(identity, chroot=None)
