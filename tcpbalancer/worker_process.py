"""A worker as its supervisor sees it: a process, a channel, and an end.

Laws: a worker is a process that has exactly the descriptors it needs. Its end is learned from a pidfd (pidfd_open(2)),
so no signal handler and no thread is involved. Orders wait here if the worker does not take them at
once; what a worker sends is read in portions, so that it cannot hold the supervisor up.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import socket
from collections import deque
from collections.abc import Callable, Sequence

from tcpbalancer.channel import (
    Answer,
    Attempted,
    Ended,
    Exhausted,
    Noted,
    Order,
    Ready,
    Report,
    pack_order,
    unpack_reports,
)
from tcpbalancer.counters import SharedMemory
from tcpbalancer.handover import Handover
from tcpbalancer.model import Configuration
from tcpbalancer.nursery_process import NurseryProcess

PORTION = 32
"""Datagrams read per wake-up."""
LARGEST = 262144
"""Bytes of a datagram."""
START_LIMIT = 10.0
"""Seconds within which a worker must say that it is ready."""
SEND_BUFFER = 1 << 20
STILL = 3
"""Looks in a row at a heart that does not beat, one second apart, after which a worker counts as frozen. Looks are
counted and not seconds: where both were stopped together and go on together, nobody is frozen."""


class WorkerProcess:
    """One running worker."""

    def __init__(
        self,
        nursery: NurseryProcess,
        number: int,
        on_report: Callable[[Noted | Ended | Attempted | Exhausted], None],
        on_end: Callable[[WorkerProcess], None],
    ) -> None:
        self._nursery = nursery
        self.number = number
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.started_at = asyncio.get_running_loop().time()
        self._on_report = on_report
        self._on_end = on_end
        self._orders: deque[bytes] = deque()
        self._questions: dict[int, tuple[asyncio.Future[list[Answer]], list[Answer]]] = {}
        self._numbers = itertools.count()
        self._heartbeat = 0
        self._still = 0

    def start(
        self, configuration: Configuration, memory: SharedMemory, listeners: Sequence[tuple[int, socket.socket]]
    ) -> None:
        """Start the process; ``ready`` is done once it accepts, ``ended`` when it has ended."""
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._channel.setblocking(False)
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        numbers = tuple((index, listening.fileno()) for index, listening in listeners)
        handover = Handover(configuration, self.number, memory.descriptor, theirs.fileno(), numbers, memory.bells)
        packed = handover.pack()
        try:
            child = self._nursery.fork([packed, *handover.descriptors])
        except OSError:
            self._channel.close()
            raise
        finally:
            os.close(packed)
            theirs.close()
        self.pid, self._pidfd = child.pid, child.pidfd
        loop = asyncio.get_running_loop()
        loop.add_reader(self._pidfd, self._process_ended)
        loop.add_reader(self._channel, self._read)

    def order(self, order: Order) -> None:
        """Send an order; nothing is heard of it."""
        self._orders.append(pack_order(order))
        self._send()

    async def ask(self, order: Order, limit: float) -> list[Answer]:
        """Send an order and return the parts of the answer: none if the worker ends or takes longer than ``limit``."""
        number = next(self._numbers)
        answered: asyncio.Future[list[Answer]] = asyncio.get_running_loop().create_future()
        self._questions[number] = (answered, [])
        self._orders.append(pack_order(order, number))
        self._send()
        try:
            async with asyncio.timeout(limit):
                return await answered
        except TimeoutError:
            return []  # it is frozen or has too much to do: nobody else is held up by that
        finally:
            del self._questions[number]

    def has_frozen(self, heartbeat: int) -> bool:
        """Look at its heartbeat, once a second; returns True once, if it has not moved for long after it was ready."""
        moves = not self.ready.done() or heartbeat != self._heartbeat
        self._heartbeat = heartbeat
        self._still = 0 if moves else self._still + 1
        return self._still == STILL

    async def came_up(self) -> None:
        """Wait until it accepts; raises RuntimeError if it does not."""
        try:
            async with asyncio.timeout(START_LIMIT):
                await self.ready
        except TimeoutError:
            raise RuntimeError(f"worker {self.number} did not come up within {START_LIMIT:g} s") from None

    def kill(self) -> None:
        """End it the hard way."""
        if not self.ended.done():
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    def _send(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._orders:
                self._channel.send(self._orders[0])
                self._orders.popleft()
        except BlockingIOError:
            loop.add_writer(self._channel, self._send)
            return
        except OSError:
            self._orders.clear()  # it has ended
        loop.remove_writer(self._channel)

    def _read(self) -> None:
        for _ in range(PORTION):
            if not self._read_one():
                return

    def _read_one(self) -> bool:
        """Read one datagram; returns whether there may be more."""
        try:
            datagram = self._channel.recv(LARGEST)
        except BlockingIOError:
            return False
        except OSError:
            datagram = b""
        if not datagram:
            asyncio.get_running_loop().remove_reader(self._channel)
            return False
        for report in unpack_reports(datagram):
            self._take(report)
        return True

    def _take(self, report: Report) -> None:
        match report:
            case Ready():
                if not self.ready.done():
                    self.ready.set_result(None)
            case Answer(question, is_last):
                answered, parts = self._questions.get(question, (None, []))
                parts.append(report)
                if is_last and answered is not None and not answered.done():
                    answered.set_result(parts)
            case _:
                self._on_report(report)

    def _process_ended(self) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        status = self._nursery.status(self.pid)
        while self._read_one():
            pass  # its last words
        loop.remove_reader(self._channel)
        loop.remove_writer(self._channel)
        self._channel.close()
        for answered, parts in self._questions.values():
            if not answered.done():
                answered.set_result(parts)
        self.ended.set_result(status)
        self._on_end(self)


def explain(status: int) -> str:
    """Return a process's exit status in words."""
    if status < 0:
        return f"killed by {signal.Signals(-status).name}"
    return f"exit status {status}"
