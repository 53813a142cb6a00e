"""A configuration at work: its memory, what is known of its servers, its workers, and what they tell.

Laws: a generation is never changed; a reload makes the next one, and this one finishes. What both know, the next one
takes over: the states of servers, the turns of the balancing algorithms, the counters. A generation that finishes keeps
its connections, follows the newer one in what is known of servers, and cuts sessions with it: a connection is not
worse off because a reload came after it (haproxy #3330, #228).
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from hakit.events import EventHub
from hakit.transcript import Value
from tcpbalancer.channel import (
    Admission,
    Attempted,
    ClearCounters,
    Cut,
    Ended,
    Exhausted,
    Noted,
    Order,
    SetFrontend,
    SoftStop,
    Stop,
)
from tcpbalancer.counters import (
    CONNECTIONS,
    CURRENT,
    DROPPED_RECORDS,
    HEARTBEAT,
    IN_KERNEL,
    INEXACT_PICKS,
    RECORDS_WANTED,
)
from tcpbalancer.handover import for_workers
from tcpbalancer.limits import descriptors_needed
from tcpbalancer.listening import ListeningSockets
from tcpbalancer.log_book import ConnectionLines, Log
from tcpbalancer.model import Configuration, Server
from tcpbalancer.nursery_process import NurseryProcess
from tcpbalancer.oversight import Oversight
from tcpbalancer.page_counters import Pages
from tcpbalancer.route import all_backends, make_memory, tcp_frontends
from tcpbalancer.session_log import SessionRecord
from tcpbalancer.shortage import Shortages
from tcpbalancer.snapshot import Idleness, Painter, Rates
from tcpbalancer.statistics import Snapshot, WorkerStatistics
from tcpbalancer.tally import Correspondence, Tally, correspondence, is_same
from tcpbalancer.version import REPORTED
from tcpbalancer.worker_process import WorkerProcess, explain

if TYPE_CHECKING:
    from tcpbalancer.kernel.plane import Plane

STOP_LIMIT = 2.0
"""Seconds within which workers must have ended their connections when told to stop."""
SHORT_LIFE = 1.0
"""A worker that dies sooner than this many seconds after its start has died young."""
MISFORTUNES = 5
"""How many may die young in a row and be replaced at once; each one more is replaced only after ``SHORT_LIFE``."""


@dataclass(frozen=True, slots=True)
class Premises:
    """Where a generation tells what happens: events, and lines with a syslog level by name; whence workers come."""

    hub: EventHub
    log: Log
    nursery: NurseryProcess


class Generation:
    """One configuration with everything that belongs to it alone."""

    def __init__(self, configuration: Configuration, premises: Premises, before: Generation | None = None) -> None:
        """Prepare; ``before`` is the generation that this one will follow."""
        self.configuration = configuration
        self.memory = make_memory(configuration)
        self.tally = Tally(self.memory)
        self.oversight = Oversight(configuration, self.memory, premises.hub, premises.log, self.send)
        self.watch = self.oversight.watch
        self.administration = self.oversight.administration
        self.roster = self.oversight.roster
        self.workers: dict[int, WorkerProcess] = {}
        self.is_over = False
        self.is_former = False
        self.admissions: dict[str, Admission] = {}  # of frontends that do not take connections
        self.older: list[Generation] = []
        self.kernel: Plane | None = None  # while it relays for this generation
        self._premises = premises
        self._sockets: ListeningSockets | None = None
        self._stop_hearing = premises.hub.on_interest("session", self._heard)
        self._restarts = [0] * configuration.nbthread
        self._died_young = [0] * configuration.nbthread  # in a row
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False
        if before is not None:
            self._take_over(before)
        self._rates = Rates(self.tally)
        self._idleness = Idleness()
        self._lines = ConnectionLines()
        self._shortages = Shortages(descriptors_needed(configuration))
        self.pages: Pages = Pages() if before is None else before.pages
        self._painter = Painter(configuration, self.tally, self.watch, self._rates, self.pages)

    def _take_over(self, before: Generation) -> None:
        self.watch.follow(before.watch)
        theirs = {backend.name: (place, backend) for place, backend in enumerate(all_backends(before.configuration))}
        for place, backend in enumerate(all_backends(self.configuration)):
            known = theirs.get(backend.name)
            if known is not None and known[1].servers == backend.servers and known[1].balance == backend.balance:
                turns = before.memory.view(before.memory.layout.memory(known[0]))
                self.memory.view(self.memory.layout.memory(place))[:] = turns
                if known[1].table == backend.table:
                    stuck = before.memory.view(before.memory.layout.table(known[0]))
                    self.memory.view(self.memory.layout.table(place))[:] = stuck
        self.tally.take_over(before.tally, self._same(before))
        for older in (before, *before.older):
            self.tally.stand_on(older.memory, self._same(older))

    def _same(self, other: Generation) -> Correspondence:
        return correspondence(self.configuration, self.memory.layout, other.configuration, other.memory.layout)

    # -- life -------------------------------------------------------------------------------------------------------

    async def start(self, sockets: ListeningSockets) -> None:
        """Start the workers; returns when all of them accept. Raises RuntimeError or OSError if one does not."""
        self._sockets = sockets
        for number in range(self.configuration.nbthread):
            self._start_worker(number)
        for worker in tuple(self.workers.values()):
            await worker.came_up()

    def _heard(self, is_heard: bool) -> None:  # noqa: FBT001 - what a hub calls
        """Have the workers tell of every session as long as anybody listens."""
        self.memory.words[self.memory.layout.settings.start + RECORDS_WANTED] = int(is_heard)

    def serve(self, before: Generation | None = None) -> None:
        """Begin to check; from ``before``, which serves until now, this one takes over."""
        if before is not None:
            before.is_former = True
            self.older = [before, *before.older]
            before.older = []
            self.tally.settle_all_but([older.memory for older in self.older])
        followers = [older.oversight for older in self.older]
        self.oversight.start(None if before is None else before.oversight, followers)
        self._spawn(self._look_every_second())

    async def finish(self, order: Order, limit: float | None) -> None:
        """Give the workers an order and wait for them to end; a second order may overtake the first."""
        self._stopping = True
        for taker in self._takers():
            taker.order(order)
        if not await self._workers_ended(limit):
            for taker in self._takers():
                taker.kill()
            await self._workers_ended(None)
        await self.oversight.stop()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if not self.is_over:
            self.is_over = True
            self._stop_hearing()
            self.memory.close()

    async def retire(self) -> None:
        """Let the connections come to their end, but not for longer than ``hard-stop-after``."""
        limit = self.configuration.process.hard_stop_after
        ending = asyncio.create_task(self.finish(SoftStop(), None))
        try:
            if not (await asyncio.wait([ending], timeout=limit))[0]:
                self._tell_hard_stop()
                await self.finish(Stop(), STOP_LIMIT)
            await ending
        finally:
            ending.cancel()

    def _tell_hard_stop(self) -> None:
        self._premises.log("warning", "soft-stop running for too long, performing a hard-stop.")
        layout, words = self.memory.layout, self.memory
        for place, frontend in enumerate(tcp_frontends(self.configuration)):
            count = words.sum(layout.frontend(place), CURRENT)
            if count:
                text = f"Proxy {frontend.name} hard-stopped ({count} remaining conns will be closed)."
                self._premises.log("warning", text, frontend.name)

    def forget(self, older: Generation) -> None:
        """Take note that an older generation is over: what it counted stays."""
        self.tally.settle(older.memory)
        self.older = [other for other in self.older if other is not older]
        self.oversight.lead([other.oversight for other in self.older])

    # -- what is asked of it ----------------------------------------------------------------------------------------

    def send(self, order: Order) -> None:
        """Give an order to all workers; sessions are cut in those of older generations, too."""
        for taker in self._takers():
            taker.order(order)
        if isinstance(order, Cut) and order.backend is not None:
            named = None if order.server is None else self.watch.at(order.backend, order.server)
            if named is not None:
                for older in self.older:
                    older.cut_same(named.backend.backend.name, named.origin, order)

    def _takers(self) -> list[WorkerProcess | Plane]:
        """Return who takes orders: the workers, and the kernel's data plane, which is one more."""
        return [*self.workers.values(), *([] if self.kernel is None else [self.kernel])]

    async def admit(self, frontend: str, admission: Admission) -> None:
        """Have all workers accept a frontend's connections, or not; returns when they have heard of it."""
        self.admissions[frontend] = admission
        place = [each.name for each in tcp_frontends(self.configuration)].index(frontend)
        order = SetFrontend(place, admission)
        await asyncio.gather(*(worker.ask(order, STOP_LIMIT) for worker in self.workers.values()))
        if self.kernel is not None:
            await self.kernel.obey(order)

    def clear_counters(self, *, everything: bool) -> None:
        """Forget the largest values, or all that was counted."""
        self.tally.clear(everything=everything)
        self._rates.clear(everything=everything)
        self.pages.clear(everything=everything)
        for taker in self._takers():
            taker.order(ClearCounters(everything))
        if everything:
            self.watch.clear_counters()

    def cut_same(self, name: str, server: Server, order: Cut) -> None:
        """Have all workers end the sessions on the server that is this one of backend ``name``, if there is one."""
        for backend in self.watch.backends:
            for other in backend.servers if backend.backend.name == name else ():
                if is_same(other.origin, server):
                    self.send(replace(order, backend=backend.place, server=other.place))

    def snapshot(self, started_at: float, *, is_open: bool) -> Snapshot:
        """Return what the statistics show now; ``is_open`` is False once the listeners are closed."""
        now = time.monotonic()
        configuration, tally = self.configuration, self.tally
        workers = tuple(self._worker_statistics(number) for number in range(configuration.nbthread))
        return Snapshot(
            taken_at=time.time(),
            counters_age=now - self._rates.sampled_at,
            pid=os.getpid(),
            version=REPORTED,
            uptime=now - started_at,
            node=configuration.node or socket.gethostname(),
            description=configuration.description,
            maxconn=configuration.maxconn,
            current=self.connections() + sum(older.connections() for older in self.older) + self.pages.current,
            idle_percent=self._idleness.percent,
            dropped_records=sum(tally.own_word(number, DROPPED_RECORDS) for number in range(len(workers))),
            workers=workers,
            proxies=tuple(self._painter.proxies(now, is_open=is_open, admissions=self.admissions)),
            inexact_picks=sum(tally.own_word(number, INEXACT_PICKS) for number in range(len(workers))),
        )

    def connections(self) -> int:
        """Return the connections that its workers have, and the kernel's."""
        return self.memory.sum_of_words(CONNECTIONS) + self.memory.sum_of_words(IN_KERNEL)

    def _worker_statistics(self, number: int) -> WorkerStatistics:
        worker = self.workers.get(number)
        return WorkerStatistics(
            number=number,
            pid=0 if worker is None else worker.pid,
            alive=worker is not None,
            restarts=self._restarts[number],
            current=self.memory.own_word(number, CONNECTIONS),
        )

    # -- workers ----------------------------------------------------------------------------------------------------

    def _start_worker(self, number: int) -> None:
        assert self._sockets is not None
        listeners = self._sockets.numbered(tcp_frontends(self.configuration))
        worker = WorkerProcess(self._premises.nursery, number, self._reported, self._worker_ended)
        worker.start(for_workers(self.configuration), self.memory, listeners)
        self.workers[number] = worker
        self._bring_up_to_date(worker)
        self._premises.hub.publish("worker", worker=number, action="started", pid=worker.pid)

    def _bring_up_to_date(self, worker: WorkerProcess) -> None:
        """Tell a new worker, before it accepts, what is not as in the file any more."""
        for place, frontend in enumerate(tcp_frontends(self.configuration)):
            if frontend.name in self.admissions:
                worker.order(SetFrontend(place, self.admissions[frontend.name]))
        for order in self.watch.changed_definitions():
            worker.order(order)

    def _worker_ended(self, worker: WorkerProcess) -> None:
        del self.workers[worker.number]
        status = worker.ended.result()
        lost = self.memory.own_word(worker.number, CONNECTIONS)
        self.memory.forget_gauges(worker.number)
        if not worker.ready.done():
            worker.ready.set_exception(RuntimeError(f"worker {worker.number} did not come up: {explain(status)}"))
            worker.ready.exception()  # it is known now, whoever else may still want to know
        if self._stopping:
            news: dict[str, Value] = {"worker": worker.number, "action": "ended", "pid": worker.pid, "status": status}
            self._premises.hub.publish("worker", explain(status), former=self.is_former, **news)
            return
        reason = f"{explain(status)}; {lost} connections lost"
        news = {"worker": worker.number, "action": "died", "pid": worker.pid, "status": status}
        self._premises.hub.publish("worker", reason, **news)
        lived = asyncio.get_running_loop().time() - worker.started_at
        young = self._died_young[worker.number] = 0 if lived > SHORT_LIFE else self._died_young[worker.number] + 1
        self._spawn(self._replace_worker(worker.number, 0.0 if young <= MISFORTUNES else SHORT_LIFE))
        self._premises.log("alert", f"Worker {worker.number} ({worker.pid}) died: {reason}. A new one is started.")

    async def _replace_worker(self, number: int, delay: float) -> None:
        await asyncio.sleep(delay)
        self._restarts[number] += 1
        while not self._stopping:
            try:
                self._start_worker(number)
            except OSError as problem:  # no process or no descriptor to be had now
                self._premises.log("alert", f"Worker {number} could not be started: {problem}. It is tried again.")
                await asyncio.sleep(SHORT_LIFE)
            else:
                return

    def _reported(self, report: Noted | Ended | Attempted | Exhausted) -> None:
        match report:
            case Noted(record):
                self.write_line(record)
            case Ended(record):
                self._record(record)
            case Attempted():
                server = self.watch.at(report.backend, report.server)
                if server is not None and self.watch.observed(server, report):
                    self.oversight.checks.hurry(server)
            case Exhausted(proxy, problem):
                told = self._shortages.line(proxy, problem, asyncio.get_running_loop().time())
                if told is not None:
                    self._premises.log(*told, proxy)

    def write_line(self, record: SessionRecord, text: str | None = None) -> None:
        """Write the line of a connection, or of a request to a page, whose text may be known already."""
        found = self._lines.line(record, self.configuration.frontends[record.frontend], text)
        if found is not None:
            self._premises.log(*found, record.frontend)

    def _record(self, record: SessionRecord) -> None:
        """Tell of a session that has ended."""
        self._premises.hub.publish(
            "session",
            record.reason,
            frontend=record.frontend,
            backend=record.backend,
            server=record.server,
            client=f"{record.client}:{record.client_port}",
            flags=record.flags,
            wait_ms=record.wait_ms,
            connect_ms=record.connect_ms,
            total_ms=record.total_ms,
            bytes_to_client=record.bytes_to_client,
            bytes_from_client=record.bytes_from_client,
            retries=record.retries,
            redispatched=record.redispatched,
        )
        self.write_line(record)
        if record.server is not None:
            self.watch.session_ended(record.backend, record.server)

    # -- time and the end -------------------------------------------------------------------------------------------

    async def _look_every_second(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            if self.kernel is not None:
                await self.kernel.read()
            self._rates.sample()
            self._idleness.sample(worker.pid for worker in self.workers.values())
            for worker in tuple(self.workers.values()):
                if worker.has_frozen(self.memory.own_word(worker.number, HEARTBEAT)):
                    worker.kill()
                    self._premises.log(
                        "alert", f"Worker {worker.number} ({worker.pid}) does not move any more: it is killed."
                    )

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _workers_ended(self, limit: float | None) -> bool:
        """Wait until all workers, and the kernel's data plane, have ended; returns whether they have."""
        ends = [taker.ended for taker in self._takers()]
        return not ends or not (await asyncio.wait(ends, timeout=limit))[1]
