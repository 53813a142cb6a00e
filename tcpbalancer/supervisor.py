"""The parent of the data plane: it owns the listening sockets and the workers, checks servers, and knows everything.

Laws: no byte of a connection passes through here, so nothing here can slow one down. The listening sockets stay open
while workers come and go: a connection that arrives in between waits in the kernel. Whatever happens is published on
the hub, and told in HAProxy's words through ``log``. Frontends in HTTP mode are the control room's.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Callable, Coroutine
from typing import Any

from hakit.events import EventHub
from tcpbalancer.channel import Attempted, Cut, Ended, Order, SoftStop, Stop
from tcpbalancer.counters import CURRENT, DROPPED_RECORDS, HEARTBEAT, INEXACT_PICKS
from tcpbalancer.handover import for_workers
from tcpbalancer.listening import ListenError, listen
from tcpbalancer.model import Configuration
from tcpbalancer.route import make_memory, tcp_frontends
from tcpbalancer.server_watch import ServerWatch
from tcpbalancer.session_log import SessionRecord, format_tcplog, proxy_stopped
from tcpbalancer.snapshot import Idleness, Painter, Rates
from tcpbalancer.statistics import Snapshot, WorkerStatistics
from tcpbalancer.version import REPORTED
from tcpbalancer.worker_process import WorkerProcess, explain

__all__ = ["ListenError", "Supervisor"]

START_LIMIT = 10.0
"""Seconds within which a worker must say that it is ready."""
STOP_LIMIT = 2.0
"""Seconds within which workers must have ended their connections when told to stop."""
SHORT_LIFE = 1.0
"""A worker that dies sooner than this many seconds after its start is replaced only after as many."""


class Supervisor:
    """Everything of a running balancer but its control room."""

    def __init__(
        self, configuration: Configuration, hub: EventHub, log: Callable[[str, str], None] = lambda _level, _line: None
    ) -> None:
        """Prepare; ``log`` takes a syslog level by name (``info``, ``alert``, ...) and a line without prefix."""
        self._configuration = configuration
        self._hub = hub
        self._log = log
        self._memory = make_memory(configuration)
        self._watch = ServerWatch(configuration, self._memory, hub, log, self._cut)
        self._rates = Rates(self._memory)
        self._idleness = Idleness()
        self._painter = Painter(configuration, self._memory, self._watch, self._rates)
        self._listeners: list[tuple[int, socket.socket]] = []
        self._workers: dict[int, WorkerProcess] = {}
        self._restarts = [0] * configuration.nbthread
        self._tasks: set[asyncio.Task[None]] = set()
        self._started_at = time.monotonic()
        self._stopping = False
        self._is_over = False

    async def start(self) -> None:
        """Listen, start the workers and the checks; returns when connections are accepted.

        Raises ListenError if an address cannot be had and RuntimeError if a worker does not come up; nothing is left
        behind then.
        """
        try:
            self._listeners = listen(tcp_frontends(self._configuration))
            for number in range(self._configuration.nbthread):
                self._start_worker(number)
            for worker in tuple(self._workers.values()):
                await _came_up(worker)
        except BaseException:
            await self.stop()
            raise
        self._watch.start()
        self._spawn(self._look_every_second())
        self._hub.publish("ready", f"{len(self._listeners)} listeners, {len(self._workers)} workers")

    async def stop(self) -> None:
        """End at once: listeners are closed, clients see FIN, workers end."""
        await self._finish(Stop(), STOP_LIMIT)

    async def soft_stop(self) -> None:
        """Accept no more, let the connections that there are come to their end, then stop."""
        for name in self._configuration.order:
            self._log("warning", proxy_stopped(name, *self._totals(name)))
        await self._finish(SoftStop(), None)

    def snapshot(self) -> Snapshot:
        """Return what the statistics show now."""
        now = time.monotonic()
        configuration, memory = self._configuration, self._memory
        workers = tuple(self._worker_statistics(number) for number in range(configuration.nbthread))
        return Snapshot(
            taken_at=time.time(),
            counters_age=now - self._rates.sampled_at,
            pid=os.getpid(),
            version=REPORTED,
            uptime=now - self._started_at,
            node=configuration.node or socket.gethostname(),
            description=configuration.description,
            maxconn=configuration.maxconn,
            current=sum(worker.current for worker in workers),
            idle_percent=self._idleness.percent,
            dropped_records=sum(memory.own_word(number, DROPPED_RECORDS) for number in range(len(workers))),
            workers=workers,
            proxies=tuple(self._painter.proxies(now, is_open=not self._stopping)),
            inexact_picks=sum(memory.own_word(number, INEXACT_PICKS) for number in range(len(workers))),
        )

    # -- workers ----------------------------------------------------------------------------------------------------

    def _start_worker(self, number: int) -> None:
        worker = WorkerProcess(number, self._reported, self._worker_ended)
        worker.start(for_workers(self._configuration), self._memory.descriptor, self._listeners)
        self._workers[number] = worker
        self._hub.publish("worker", worker=number, action="started", pid=worker.pid)

    def _worker_ended(self, worker: WorkerProcess) -> None:
        del self._workers[worker.number]
        status = worker.ended.result()
        lost = self._connections(worker.number)
        self._memory.forget_gauges(worker.number)
        if not worker.ready.done():
            worker.ready.set_exception(RuntimeError(f"worker {worker.number} did not come up: {explain(status)}"))
            worker.ready.exception()  # it is known now, whoever else may still want to know
        if self._stopping:
            return
        reason = f"{explain(status)}; {lost} connections lost"
        self._hub.publish("worker", reason, worker=worker.number, action="died", pid=worker.pid)
        lived = asyncio.get_running_loop().time() - worker.started_at
        self._spawn(self._replace_worker(worker.number, 0.0 if lived > SHORT_LIFE else SHORT_LIFE))
        self._log("alert", f"Worker {worker.number} ({worker.pid}) died: {reason}. A new one is started.")

    async def _replace_worker(self, number: int, delay: float) -> None:
        await asyncio.sleep(delay)
        self._restarts[number] += 1
        while not self._stopping:
            try:
                self._start_worker(number)
            except OSError as problem:  # no process or no descriptor to be had now
                self._log("alert", f"Worker {number} could not be started: {problem}. It is tried again.")
                await asyncio.sleep(SHORT_LIFE)
            else:
                return

    def _connections(self, worker: int) -> int:
        layout = self._memory.layout
        places = range(len(tcp_frontends(self._configuration)))
        return sum(self._memory.words[layout.block(worker, layout.frontend(place)).start + CURRENT] for place in places)

    def _worker_statistics(self, number: int) -> WorkerStatistics:
        worker = self._workers.get(number)
        return WorkerStatistics(
            number=number,
            pid=0 if worker is None else worker.pid,
            alive=worker is not None,
            restarts=self._restarts[number],
            current=self._connections(number),
        )

    def _cut(self, backend: int, server: int, reason: str) -> None:
        """Have all workers end the sessions on a server."""
        for worker in self._workers.values():
            worker.order(Cut("DC", reason, backend=backend, server=server))

    def _reported(self, report: Ended | Attempted) -> None:
        if isinstance(report, Ended):
            self._record(report.record)

    def _record(self, record: SessionRecord) -> None:
        """Tell of a session that has ended."""
        frontend = self._configuration.frontends[record.frontend]
        self._hub.publish(
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
        if frontend.tcplog and (record.client_spoke or not frontend.dontlognull):
            self._log("info", format_tcplog(record))

    # -- time and the end -------------------------------------------------------------------------------------------

    async def _look_every_second(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            self._rates.sample()
            self._idleness.sample(worker.pid for worker in self._workers.values())
            for worker in tuple(self._workers.values()):
                if worker.has_frozen(self._memory.own_word(worker.number, HEARTBEAT)):
                    worker.kill()
                    self._log("alert", f"Worker {worker.number} ({worker.pid}) does not move any more: it is killed.")

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _finish(self, order: Order, limit: float | None) -> None:
        """Close the listeners, give the workers an order, wait for them; a second order may overtake the first."""
        self._stopping = True
        for _, listening in self._listeners:
            listening.close()
        self._listeners.clear()
        for worker in self._workers.values():
            worker.order(order)
        if not await self._workers_ended(limit):
            for worker in tuple(self._workers.values()):
                worker.kill()
            await self._workers_ended(None)
        await self._watch.stop()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if not self._is_over:
            self._is_over = True
            self._memory.close()
            self._hub.publish("stopped")

    async def _workers_ended(self, limit: float | None) -> bool:
        """Wait until all workers have ended; returns whether they have."""
        ends = [worker.ended for worker in self._workers.values()]
        return not ends or not (await asyncio.wait(ends, timeout=limit))[1]

    def _totals(self, proxy: str) -> tuple[int, int]:
        """Return how many sessions a proxy has had as a frontend and as a backend."""
        statistics = self.snapshot().proxy(proxy)
        frontend, backend = statistics.frontend, statistics.backend
        return (0 if frontend is None else frontend.traffic.total, 0 if backend is None else backend.traffic.total)


async def _came_up(worker: WorkerProcess) -> None:
    """Wait until a worker accepts; raises RuntimeError if it does not."""
    try:
        async with asyncio.timeout(START_LIMIT):
            await worker.ready
    except TimeoutError:
        raise RuntimeError(f"worker {worker.number} did not come up within {START_LIMIT:g} s") from None
