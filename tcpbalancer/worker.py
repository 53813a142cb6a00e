"""The data plane: one process, one loop. It accepts, and tells each session what happened to its sockets.

Laws: a process of its own, forked by the nursery, that imports neither asyncio nor aiohttp. It never waits for the
supervisor: weights are read from shared memory, records are dropped (and counted) if nobody takes them. The listening
sockets are the supervisor's; a worker that dies takes only its own connections with it, and one whose supervisor has
died ends at once; its heart beats once per tick, so that one that is frozen can be told from one that is idle.
Accepting has a file of its own (``accepting.py``).
"""

from __future__ import annotations

import gc
import heapq
import itertools
import os
import resource
import signal
import socket
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable, Sequence

from hakit.logtarget import LONGEST, Console
from tcpbalancer.accepting import Entry, Gate, Listener
from tcpbalancer.arrival import Arrival
from tcpbalancer.arriving_session import ArrivingSession
from tcpbalancer.channel import (
    ClearCounters,
    Cut,
    Ended,
    ListSessions,
    Noted,
    Order,
    Ready,
    RemoveServer,
    Report,
    SetFrontend,
    SetServer,
    SoftStop,
    Stop,
    answers,
    pack_report,
    unpack_order,
)
from tcpbalancer.counters import DROPPED_RECORDS, HEARTBEAT, WORKER_BLOCK, SharedMemory
from tcpbalancer.doorway import Doorkeeper
from tcpbalancer.handover import Handover
from tcpbalancer.poller import HUP, READ, WRITE, Poller
from tcpbalancer.pool import Pool
from tcpbalancer.relay import PipePool
from tcpbalancer.route import make_layout, make_pools, make_routes
from tcpbalancer.session import Session
from tcpbalancer.session_log import SessionRecord
from tcpbalancer.session_view import Begun, view

BUFFER = 65536
"""Bytes of the one buffer through which all connections are copied."""
PAUSE = 0.1
"""Seconds after which paused listeners and queues look again, if no connection has ended here before."""
TICK = 1.0
"""Seconds between two heartbeats, and two reports of the bytes of running connections."""
SPARE_ALARMS = 64
"""Alarms of sessions that have ended which may be kept, beside one for each session that has not."""
MAX_PENDING = 4096
"""Reports that may wait for the supervisor."""
PER_DATAGRAM = 64
"""Reports sent at once, but for those that are longer together than ``BUFFER``: a datagram has its limits."""
REPORT_DELAY = 0.02
"""Seconds for which the report of a session may wait for others: one call then tells of all of them."""


class Worker:
    """The loop and all that hangs on it; the surroundings of its sessions."""

    def __init__(self, handover: Handover) -> None:
        configuration = handover.configuration
        self.poller = Poller()
        self.buffer = memoryview(bytearray(BUFFER))
        self.pipes = PipePool()
        self._memory = SharedMemory(make_layout(configuration), handover.counters, handover.bells)
        own = self._memory.layout.worker(handover.worker)
        self._words = self._memory.view(slice(own, own + WORKER_BLOCK))
        self._stderr = Console(2)
        self._number = handover.worker
        pools = make_pools(configuration, self._memory, handover.worker)
        self._pools = {pool.index: pool for pool in pools.values()}
        self._routes = make_routes(configuration, self._memory, handover.worker, pools)
        self._gate = Gate(self._memory, self._routes, self._words)
        keeper = Doorkeeper(configuration, self._routes, pools, self._memory)
        self._listeners = []
        binds = [iter(route.frontend.binds) for route in self._routes]  # the descriptors are in their order
        for index, descriptor in handover.listeners:
            route, bind = self._routes[index], next(binds[index])
            listening, share = socket.socket(fileno=descriptor), -(-bind.maxconn // configuration.nbthread)
            doorway = keeper.doorway(route, bind)
            self._listeners.append(Listener(self, self._gate, listening, route, index, doorway, share))
        self._channel = socket.socket(fileno=handover.channel)
        self._channel.setblocking(False)
        self._sessions: dict[Session, Begun] = {}
        self._number = handover.worker
        # Ids of sessions never repeat, not even over workers and their successors: a late order cuts nobody else's.
        self._ids = itertools.count(os.getpid() << 32)
        self._alarms: list[tuple[float, int, Session]] = []
        self._order = itertools.count()
        self._reports: deque[bytes] = deque()
        self._reports_due: float | None = None  # None: there are none, or the channel takes none now
        self._next_tick = 0.0
        self._next_try = 0.0  # to resume listeners that are paused
        self._stopping = False
        self.ends_by = 0
        """The signal by which this process ends once it has stopped; 0: none."""

    # -- surroundings of the sessions -------------------------------------------------------------------------------

    def connections(self) -> int:
        """Return the connections of all frontends and workers."""
        return self._gate.connections()

    def schedule(self, session: Session) -> None:
        """Wake a session at its deadline; an alarm that comes too early only asks again."""
        deadline = session.deadline
        if deadline is not None and (session.alarm is None or deadline < session.alarm):
            session.alarm = deadline
            heapq.heappush(self._alarms, (deadline, next(self._order), session))
            self._forget_alarms()

    def ended(self, session: Session, record: SessionRecord | None) -> None:
        """Take a session's record, if there is one, and the room that it leaves."""
        begun = self._sessions.pop(session, None)
        if begun is not None:
            begun.entry.open -= 1
            self._gate.closed()
        session.alarm = None
        self._forget_alarms()
        if record is not None and not self.report(Ended(record)):
            self._words[DROPPED_RECORDS] += 1
        self._resume_listeners(time.monotonic())

    def noted(self, record: SessionRecord) -> None:
        """Take the record of a session that goes on."""
        if not self.report(Noted(record)):
            self._words[DROPPED_RECORDS] += 1

    def report(self, report: Report) -> bool:
        """Send a report with the next ones; returns False, and drops it, if too many wait already."""
        if len(self._reports) >= MAX_PENDING:
            return False
        self._reports.append(pack_report(report))
        return True

    def _forget_alarms(self) -> None:
        """Drop the alarms that are not wanted any more, if they are many: each holds its session in memory."""
        if len(self._alarms) > 2 * len(self._sessions) + SPARE_ALARMS:
            self._alarms = [alarm for alarm in self._alarms if alarm[2].alarm == alarm[0]]
            heapq.heapify(self._alarms)

    # -- listeners --------------------------------------------------------------------------------------------------

    def begin(
        self, entry: Entry, client: socket.socket, address: tuple[str, int], now: float, arrival: Arrival | None = None
    ) -> None:
        """Start the session of a connection that was just accepted."""
        accepted_at = time.time()
        if arrival is None:
            session = Session(self, entry.route, client, address, accepted_at)
        else:
            session = ArrivingSession(self, entry.route, client, address, accepted_at, arrival)
        entry.open += 1
        self._gate.opened()
        self._sessions[session] = Begun(next(self._ids), *address, accepted_at, now, entry)
        self._tell(session.start, now)

    def _resume_listeners(self, now: float) -> None:
        for listener in self._listeners:
            listener.resume(now)

    # -- the loop ---------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Serve until told to stop, or until the supervisor is gone."""
        while self._channel_ready(READ, time.monotonic()):
            pass  # what is not as in the file any more is known before anybody is served
        self.poller.register(self._channel, READ, self._channel_ready)
        while waiting := self.poller.select(0.0):  # what has changed since the configuration was written
            for key, mask in waiting:
                key.data(mask, time.monotonic())
        if self._memory.bells:
            self._bell = self._memory.bells[self._number]
            self.poller.register(self._bell, READ, self._bell_rang)
        self._resume_listeners(time.monotonic())
        self._channel.send(pack_report(Ready()))
        while not (self._stopping and not self._sessions and not self._reports):
            happened = self.poller.select(self._patience(time.monotonic()))
            now = time.monotonic()
            for key, mask in happened:
                self._tell(key.data, now, mask)
            self._ring(now)
            for pool in self._pools.values():
                if pool.has_news or pool.somebody_waits:
                    pool.serve_queues(self._tell, now)
            if now >= self._next_tick:
                self._tick(now)
            if now >= self._next_try:
                self._next_try = now + PAUSE
                self._resume_listeners(now)
            if self._reports:
                self._report_in_time(now)

    def _patience(self, now: float) -> float:
        """Return for how many seconds nothing is to be done but what epoll tells."""
        times = [self._next_tick]
        if self._reports_due is not None:
            times.append(self._reports_due)
        if self._alarms:
            times.append(self._alarms[0][0])
        if any(listener.is_paused for listener in self._listeners):
            times.append(self._next_try)
        if any(pool.somebody_waits for pool in self._pools.values()):
            times.append(now + PAUSE)  # another worker's session may end, or a server come up
        return max(min(times) - now, 0.0)

    def _tell(self, handler: Callable[..., None], now: float, *what: object) -> None:
        """Call a handler; an error of ours may cost one connection, but not all of them."""
        try:
            handler(*what, now)
        except Exception:  # noqa: BLE001 - whatever it is, the other connections go on
            self._stderr.write(traceback.format_exc().encode()[-LONGEST + 1 :])
            session = getattr(handler, "__self__", None)
            if isinstance(session, Session):
                self._give_up(session, now)

    def _give_up(self, session: Session, now: float) -> None:
        """End a session that has met an error of ours, whatever else goes wrong."""
        try:
            session.cut("ID", "internal error, see the trace on stderr", now)
        except Exception:  # noqa: BLE001 - as above
            self._stderr.write(traceback.format_exc().encode()[-LONGEST + 1 :])
        if session in self._sessions:  # the error was in its end
            session.drop()
            self.ended(session, None)

    def _ring(self, now: float) -> None:
        """Wake the sessions whose alarm has come."""
        while self._alarms and self._alarms[0][0] <= now:
            at, _, session = heapq.heappop(self._alarms)
            if session.alarm == at:  # else a nearer one has replaced it
                session.alarm = None
                self._tell(session.on_deadline, now, 0)

    def _tick(self, now: float) -> None:
        self._next_tick = now + TICK
        self._words[HEARTBEAT] += 1
        for session in self._sessions:
            session.report_bytes()

    def _bell_rang(self, _mask: int, _now: float) -> None:
        """Look at the queues in this round: there is room for somebody who waits here, or a limit was changed."""
        os.eventfd_read(self._bell)
        self._next_try = 0.0
        for pool in self._pools.values():
            pool.has_news = True

    # -- the supervisor ---------------------------------------------------------------------------------------------

    def _channel_ready(self, mask: int, now: float) -> bool:
        """Obey one order; returns whether there was one."""
        if mask & READ:
            try:
                message = self._channel.recv(BUFFER)
            except BlockingIOError:
                return False
            except OSError:
                message = b""  # the supervisor was killed with words of ours unread
            if message:
                self._obey(*unpack_order(message), now)
                return True
        if mask & (READ | HUP):
            sys.exit(0)  # the supervisor is gone: who would restart us, check the servers, or hold the listeners?
        return False

    def _obey(self, order: Order, question: int | None, now: float) -> None:
        count = 0
        match order:
            case SoftStop():
                self._close_listeners()
            case Stop(by):
                self.ends_by = by
                self._close_listeners()
                count = self._cut(Cut("KC", "the balancer was stopped"), now)
            case Cut():
                count = self._cut(order, now)
            case SetServer(backend, place, server):
                self._pool(backend).add(server, place)
            case RemoveServer(backend, place):
                self._pool(backend).remove(place)
            case SetFrontend(frontend, admission):
                for listener in self._listeners:
                    if listener.frontend == frontend:
                        listener.admit(admission, now)
            case ClearCounters(everything):
                self._memory.clear(self._number, everything=everything)
            case ListSessions():
                pass
        if question is not None:
            listed = self._sessions.items() if isinstance(order, ListSessions) else ()
            views = (view(session, begun, self._number, now) for session, begun in listed)
            # An answer is never dropped: there are no more than the supervisor has asked for. Nor does it wait.
            self._reports.extend(pack_report(part) for part in answers(question, views, count))
            self._reports_due = now

    def _pool(self, backend: int) -> Pool:
        return self._pools[backend]

    def _cut(self, cut: Cut, now: float) -> int:
        """End the sessions that are meant; returns their number."""
        meant = [session for session, begun in self._sessions.items() if _is_meant(cut, session, begun)]
        for session in meant:
            self._tell(session.cut, now, cut.flags, cut.reason)
        return len(meant)

    def _close_listeners(self) -> None:
        self._stopping = True
        for listener in self._listeners:
            listener.close()
        self._listeners.clear()

    def _report_in_time(self, now: float) -> None:
        """Send what waits, if it is much, if it waits for long enough, or if nothing else will come."""
        if self._reports_due is None:
            self._reports_due = now + REPORT_DELAY
        if now >= self._reports_due or len(self._reports) >= PER_DATAGRAM or self._stopping:
            self._send_reports()

    def _send_reports(self) -> None:
        """Hand reports to the supervisor as far as it takes them."""
        self._reports_due = None
        while self._reports:
            batch = self._next_reports()
            try:
                self._channel.send(b"\n".join(batch))
            except BlockingIOError:
                self.poller.modify(self._channel, READ | WRITE, self._channel_ready)
                return
            except OSError:
                sys.exit(0)  # the supervisor is gone
            for _ in batch:
                self._reports.popleft()
        if self.poller.get_map()[self._channel.fileno()].events & WRITE:
            self.poller.modify(self._channel, READ, self._channel_ready)

    def _next_reports(self) -> list[bytes]:
        """Return the first reports that wait, as many as fit a datagram; at least one."""
        lengths = itertools.accumulate(len(report) + 1 for report in self._reports)
        fitting = sum(1 for length in itertools.islice(lengths, PER_DATAGRAM) if length <= BUFFER)
        return list(itertools.islice(self._reports, max(fitting, 1)))


def _is_meant(cut: Cut, session: Session, begun: Begun) -> bool:
    """Return whether an order to cut applies to a session."""
    if cut.session is not None and cut.session != begun.number:
        return False
    if cut.backend is not None and (session.chosen is None or session.chosen.index != cut.backend):
        return False
    return cut.server is None or (session.target is not None and session.target.index == cut.server)


def allow_all_descriptors() -> None:
    """Raise the limit on open descriptors as far as it may be raised."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def serve(descriptors: Sequence[int]) -> None:
    """Be a worker, in a process of its own: the descriptors are those of ``Handover.of``, in that order."""
    worker = Worker(Handover.received(descriptors))
    gc.collect()
    gc.freeze()
    worker.run()
    if worker.ends_by:
        signal.signal(worker.ends_by, signal.SIG_DFL)
        os.kill(os.getpid(), worker.ends_by)
