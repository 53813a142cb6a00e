"""The kernel's data plane as its supervisor sees it: one more worker, which goes from generation to generation.

Laws: it reads the weights that workers read, whenever their bell rings, and has the rules changed in one transaction;
it takes the orders that workers take. Everything is done in the order in which it was asked for, so nobody is cut off
before the rules lead elsewhere. What could not be done is told once, and tried again every second. Connections belong
to no generation: a reload changes who is led where, and leaves alone those who have been led.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Collection, Coroutine, Mapping
from typing import Any, Protocol

from hakit.events import EventHub
from tcpbalancer.channel import (
    Admission,
    ClearCounters,
    Cut,
    ListSessions,
    Order,
    RemoveServer,
    SetFrontend,
    SetServer,
    SoftStop,
    Stop,
)
from tcpbalancer.counters import SharedMemory
from tcpbalancer.kernel.books import Blocks, Books, blocks_of
from tcpbalancer.kernel.conditions import is_dual_stack, missing
from tcpbalancer.kernel.executor_process import KernelError
from tcpbalancer.kernel.plan import Candidate, Numbers, Passage, origin, plan, relayed
from tcpbalancer.kernel.standing import Standing
from tcpbalancer.kernel.wanted import Wanted
from tcpbalancer.log_book import Log
from tcpbalancer.model import Configuration
from tcpbalancer.server_watch import ServerWatch

LOOK_SHARE = 20
"""Looking at the table of connections takes at most one part in so many of the time, however many there are."""
READ_LIMIT = 0.5
"""Seconds for which the rates wait for what the kernel has counted."""
DRAIN_PAUSE = 0.2
"""Seconds between two looks, while it is waited for the last connection."""


class Served(Protocol):
    """A generation, as far as the plane has to do with it."""

    configuration: Configuration
    memory: SharedMemory
    watch: ServerWatch
    admissions: dict[str, Admission]
    kernel: Plane | None


class Plane:
    """Nothing is in the kernel until the first ``go_over``."""

    def __init__(self, hub: EventHub, log: Log) -> None:
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._hub = hub
        self._log = log
        self._served: Served | None = None
        self._numbers = Numbers()
        self._books = Books(self._numbers)
        self._blocks: Mapping[int, Blocks] = {}
        self._standing = Standing(hub, log, self._books.begin_again)
        self._open: dict[int, int] = {}
        self._empty: set[int] = set()
        self._next_look = 0.0
        self._cuts: list[tuple[list[int], str]] = []
        self._stale = False
        self._closed = False
        self._told = ""
        self._woken = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._working: asyncio.Task[None] | None = None
        self._reading: asyncio.Task[None] | None = None

    # -- generations ------------------------------------------------------------------------------------------------

    async def go_over(self, served: Served) -> None:
        """Lead connections as this generation wants it from now on; raises KernelError, and nothing has changed."""
        wants_any = bool(relayed(served.configuration))
        if not wants_any and self._served is None:
            return
        names = ", ".join(f"'{frontend.name}'" for frontend in relayed(served.configuration))
        if problems := [*missing(served.configuration)] if wants_any else []:
            raise KernelError(f"the kernel cannot relay {names}: {'; '.join(problems)}")
        async with self._one_at_a_time:
            if self._served is not None:
                await self._try(self._read())  # what was counted until now belongs to who has served until now
            before = self._leave()
            self._enter(served)
            try:
                await self._apply()
            except KernelError as problem:
                self._leave()
                if before is None:
                    self._standing.close()
                else:
                    self._enter(before)
                raise KernelError(f"the kernel cannot relay {names}: {problem}") from None
        self._working = self._working or self._spawn(self._work())

    def _enter(self, served: Served) -> None:
        self._served = served
        served.kernel = self
        memory = served.memory
        if memory.layout.kernel:
            asyncio.get_running_loop().add_reader(memory.bells[memory.layout.workers], self._rung)

    def _leave(self) -> Served | None:
        served, self._served = self._served, None
        if served is not None:
            served.kernel = None
            memory = served.memory
            if memory.layout.kernel:
                asyncio.get_running_loop().remove_reader(memory.bells[memory.layout.workers])
                memory.forget_gauges(memory.layout.workers)
        return served

    def _rung(self) -> None:
        assert self._served is not None
        memory = self._served.memory
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(memory.bells[memory.layout.workers])
        self._wake()

    # -- orders -----------------------------------------------------------------------------------------------------

    def order(self, order: Order) -> None:
        """Take an order, as workers do."""
        match order:
            case SetServer() | RemoveServer() | SetFrontend():
                self._wake()
            case Cut(session=None):
                self._cuts.append((self._numbers_of(order), order.reason))
                self._woken.set()
            case ClearCounters(everything):
                served = self._served
                if served is not None and served.memory.layout.kernel:
                    served.memory.clear(served.memory.layout.workers, everything=everything)
            case SoftStop():
                self._spawn(self._drain())
            case Stop():
                self._spawn(self._end())
            case ListSessions() | Cut():
                pass  # its connections have no sessions that could be named

    async def obey(self, order: Order) -> None:
        """Take an order that changes rules, and wait until they are changed."""
        self.order(order)
        async with self._one_at_a_time:
            if self._served is not None:
                await self._try(self._catch_up())

    def _numbers_of(self, cut: Cut) -> list[int]:
        """Return the ways to the server that is meant, or to all of its backend."""
        assert self._served is not None
        if cut.backend is None:
            return [number for number, _ in self._numbers.passages()]
        backend = self._served.watch.backends[cut.backend]
        server = None if cut.server is None else self._served.watch.at(cut.backend, cut.server)
        return [
            number
            for number, passage in self._numbers.passages()
            if passage.backend == backend.backend.name
            and (server is None or (passage.server, passage.origin) == (server.server.name, origin(server.origin)))
        ]

    def kill(self) -> None:
        """End without waiting for an answer any more: who does not hear of us takes away what it has put there."""
        self._standing.close()
        self._is_over()

    def _wake(self) -> None:
        self._stale = True
        self._woken.set()

    async def _work(self) -> None:
        while True:
            await self._woken.wait()
            self._woken.clear()
            async with self._one_at_a_time:
                if self._served is not None:
                    await self._try(self._catch_up())

    async def _try(self, act: Coroutine[Any, Any, None]) -> None:
        """Do something; a problem is told once, until something is done again without one."""
        try:
            await act
        except KernelError as problem:
            if str(problem) != self._told:
                text = str(problem).removesuffix(".")
                self._log("alert", f"The kernel does not relay as it should: {text}. It is tried again.")
            self._told = str(problem)
        else:
            self._told = ""

    async def _catch_up(self) -> None:
        """Make the rules what they must be, then end the connections that must end."""
        if self._stale or not self._standing.is_there:
            await self._apply()
        while self._cuts:
            numbers, reason = self._cuts[0]
            await self._standing.cut(numbers)
            self._cuts.pop(0)
            self._hub.publish("kernel", reason, action="cut")

    # -- rules ------------------------------------------------------------------------------------------------------

    def _wanted(self, gone: Collection[int] = ()) -> Wanted:
        served = self._served
        assert served is not None
        words, layout = served.memory.words, served.memory.layout
        candidates = {
            backend.backend.name: [
                Candidate(server.server, server.origin, words[layout.weights(backend.place).start + server.place])
                for server in backend.servers
            ]
            for backend in served.watch.backends
        }
        admissions = served.admissions
        return plan(
            served.configuration,
            candidates,
            self._numbers,
            refusing={name for name, admission in admissions.items() if admission is Admission.PAUSED},
            closed={front.name for front in relayed(served.configuration)}
            if self._closed
            else {name for name, admission in admissions.items() if admission is Admission.STOPPED},
            kept=[number for number in self._standing.wanted.ways if number not in gone],
            dual_stack=is_dual_stack(),
        )

    async def _apply(self, gone: Collection[int] = ()) -> None:
        """Make the rules what they must be now; ways that are ``gone`` need not be kept for their connections."""
        served, before, wanted = self._served, self._standing.wanted, self._wanted(gone)
        assert served is not None
        self._stale = False
        try:
            await self._standing.make(wanted, served.configuration.process.identity)
        except KernelError:
            self._stale = True
            raise
        seats = {
            (backend.backend.name, server.server.name): (origin(server.origin), server.place)
            for backend in served.watch.backends
            for server in backend.servers
        }
        self._blocks = blocks_of(served.configuration, served.memory.layout, seats, self._numbers)
        if served.memory.layout.kernel:
            self._books.enter_open(served.memory, self._blocks, self._open)
        for number, entrance in wanted.entrances.items():
            if entrance != before.entrances.get(number):
                turns = sum(map(len, entrance.turns))
                self._hub.publish("kernel", action="changed", frontend=entrance.title, turns=turns)

    # -- counters ---------------------------------------------------------------------------------------------------

    async def read(self, limit: float | None = READ_LIMIT) -> None:
        """Enter what the kernel has counted; once a second. What takes longer than ``limit`` goes on by itself."""
        if self._reading is None or self._reading.done():
            self._reading = self._spawn(self._read_and_look())
        await asyncio.wait({self._reading}, timeout=limit)

    async def _read_and_look(self) -> None:
        async with self._one_at_a_time:
            if self._served is not None:
                await self._try(self._read())
        if self._served is not None and time.monotonic() >= self._next_look:
            await self._try(self._look())

    async def _read(self) -> None:
        await self._catch_up()
        served, told = self._served, await self._standing.counts()
        if served is not None and served.memory.layout.kernel:
            self._books.enter(served.memory, self._blocks, told, time.monotonic())

    async def _look(self) -> None:
        """See how many connections there are; changes of the rules do not wait for that."""
        began, before = time.monotonic(), self._open
        self._open = await self._standing.open_connections()
        self._next_look = time.monotonic() + LOOK_SHARE * (time.monotonic() - began)
        async with self._one_at_a_time:
            served = self._served
            if served is not None:
                if served.memory.layout.kernel:
                    self._books.enter_open(served.memory, self._blocks, self._open)
                for number in before.keys() - self._open.keys():
                    passage = self._numbers.known.get(number)
                    if isinstance(passage, Passage):
                        served.watch.session_ended(passage.backend, passage.server)
                await self._sweep(served)

    async def _sweep(self, served: Served) -> None:
        """Forget the ways that nothing leads to and on which nobody was seen, two looks in a row."""
        ways, entrances = self._standing.wanted.ways, self._standing.wanted.entrances
        led = {number for one in entrances.values() for turns in one.turns for number in turns}
        empty = {number for number in ways if number not in self._open and number not in led}
        gone, self._empty = empty & self._empty, empty
        if gone:
            await self._apply(gone)
        if gone := gone - self._standing.wanted.ways.keys():
            await self._standing.forget(gone)
            for number in gone:
                self._books.forget(number)
        if self._standing.wanted == Wanted() and not relayed(served.configuration):
            await self._standing.take_away()
            self._leave()

    # -- the end ----------------------------------------------------------------------------------------------------

    async def _drain(self) -> None:
        """Let nobody in any more, and end when the last connection has ended."""
        self._closed = self._stale = True
        async with self._one_at_a_time:
            await self._try(self._catch_up())
        if self._reading is not None:
            await asyncio.wait({self._reading})  # it may have looked when there still was an entrance
        while True:
            self._next_look = 0.0
            await self.read(None)
            if not self._open and not self._told:
                break
            await asyncio.sleep(DRAIN_PAUSE)
        await self._end()

    async def _end(self) -> None:
        async with self._one_at_a_time:
            await self._try(self._standing.take_away())
        self._is_over()

    def _is_over(self) -> None:
        self._leave()
        for task in self._tasks - {asyncio.current_task()}:
            task.cancel()
        if not self.ended.done():
            self.ended.set_result(0)
            self._hub.publish("kernel", action="ended")

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
