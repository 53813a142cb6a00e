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
from tcpbalancer.counters import DROPPED_RECORDS, HEARTBEAT, RECORDS_WANTED, WORKER_BLOCK, SharedMemory
from tcpbalancer.doorway import Doorkeeper
from tcpbalancer.handover import Handover
from tcpbalancer.outbox import Outbox
from tcpbalancer.poller import HUP, READ, Poller
from tcpbalancer.relay import PipePool
from tcpbalancer.relaying import Relaying
from tcpbalancer.route import make_layout, make_pools, make_routes
from tcpbalancer.session import Session
from tcpbalancer.session_log import SessionRecord
from tcpbalancer.session_view import view

BUFFER = 65536
"""Bytes of the one buffer through which all connections are copied."""
PAUSE = 0.1
"""Seconds after which paused listeners and queues look again, if no connection has ended here before."""
TICK = 1.0
"""Seconds between two heartbeats, and two reports of the bytes of running connections."""
SPARE_ALARMS = 64
"""Alarms of sessions that have ended which may be kept, beside one for each session that has not."""
SPARE_RECORDS = 50
"""Records of a second that are told though nobody has asked for them yet."""


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
        self._settings = self._memory.view(self._memory.layout.settings)
        self._stderr = Console(2)
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
        self._sessions: dict[Session, None] = {}  # in the order of their coming
        self._number = handover.worker
        # Ids of sessions never repeat, not even over workers and their successors: a late order cuts nobody else's.
        self._ids = itertools.count(os.getpid() << 32)
        self._alarms: list[tuple[float, int, Relaying]] = []
        self._order = itertools.count()
        self._outbox = Outbox(self._channel, self.poller)
        self._next_tick = 0.0
        self._next_try = 0.0  # to resume listeners that are paused
        self._has_paused = False  # whether a listener is paused
        self._due = 0.0  # until then nothing is to be done but what epoll tells
        self._spare_records = SPARE_RECORDS
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
        if deadline is not None:
            self.wake(session, deadline)
        self._due = 0.0  # it may stand in a queue now, or have left room

    def wake(self, session: Relaying, at: float) -> None:
        """Wake a session at this time, or before."""
        if session.alarm is None or at < session.alarm:
            session.alarm = at
            heapq.heappush(self._alarms, (at, next(self._order), session))
            self._due = min(self._due, at)
            self._forget_alarms()

    def wants_record_of(self, session: Session) -> bool:
        """Return whether anybody wants to read the record of a session that ends now.

        If there is neither a log nor a listener, some are told all the same: whoever asks later finds the latest ones.
        """
        if session.route.frontend.connection_log is not None or self._settings[RECORDS_WANTED]:
            return True
        if session.chosen is not None and session.chosen.ends_wanted:
            return True
        self._spare_records -= 1
        return self._spare_records >= 0

    def ended(self, session: Session, record: SessionRecord | None) -> None:
        """Take a session's record, if there is one, and the room that it leaves."""
        if session in self._sessions:
            del self._sessions[session]
            assert session.entry is not None
            session.entry.open -= 1
            self._gate.closed()
        session.alarm = None
        if record is not None and not self.report(Ended(record)):
            self._words[DROPPED_RECORDS] += 1
        if self._has_paused:
            self._resume_listeners(time.monotonic())
        if session.chosen is not None and session.chosen.has_news:
            self._due = 0.0

    def noted(self, record: SessionRecord) -> None:
        """Take the record of a session that goes on."""
        if not self.report(Noted(record)):
            self._words[DROPPED_RECORDS] += 1

    def report(self, report: Report) -> bool:
        """Send a report with the next ones; returns False, and drops it, if too many wait already."""
        taken = self._outbox.put(pack_report(report))
        if self._outbox.wants_attention:
            self._due = 0.0
        return taken

    def _forget_alarms(self) -> None:
        """Drop the alarms that are not wanted any more, if they are many: each holds its session in memory."""
        if len(self._alarms) > 2 * len(self._sessions) + SPARE_ALARMS:
            self._alarms = [alarm for alarm in self._alarms if alarm[2].alarm == alarm[0]]
            heapq.heapify(self._alarms)

    # -- listeners --------------------------------------------------------------------------------------------------

    def begin(
        self,
        entry: Entry,
        client: socket.SocketType,
        address: tuple[str, int],
        now: float,
        arrival: Arrival | None = None,
    ) -> None:
        """Start the session of a connection that was just accepted."""
        if arrival is None:
            session = Session(self, entry.route, client, address, time.time())
        else:
            session = ArrivingSession(self, entry.route, client, address, time.time(), arrival)
        session.entry, session.number = entry, next(self._ids)
        entry.open += 1
        self._gate.opened()
        self._sessions[session] = None
        self._tell(session.start, now)

    def _resume_listeners(self, now: float) -> None:
        for listener in self._listeners:
            listener.resume(now)
        self._has_paused = any(listener.is_paused for listener in self._listeners)

    def paused(self) -> None:
        """Look at the listeners again when a connection has ended, or after a while."""
        self._has_paused = True
        self._due = 0.0

    # -- the loop ---------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Serve until told to stop, or until the supervisor is gone."""
        while self._channel_ready(READ, time.monotonic()):
            pass  # what is not as in the file any more is known before anybody is served
        self.poller.register(self._channel, READ, self._channel_ready)
        while waiting := self.poller.happened(0.0):  # what has changed since the configuration was written
            for handler, mask in waiting:
                handler(mask, time.monotonic())
        if self._memory.bells:
            self._bell = self._memory.bells[self._number]
            self.poller.register(self._bell, READ, self._bell_rang)
        self._resume_listeners(time.monotonic())
        self._channel.send(pack_report(Ready()))
        while not (self._stopping and not self._sessions and not self._outbox.waiting):
            happened = self.poller.happened(max(self._due - time.monotonic(), 0.0))
            now = time.monotonic()
            for handler, mask in happened:
                try:
                    handler(mask, now)
                except Exception:  # noqa: BLE001 - see ``_tell``
                    self._failed(handler, now)
            if now >= self._due:
                self._look_around(now)

    def _look_around(self, now: float) -> None:
        """Do what no event tells of, and find out when to do it again."""
        self._ring(now)
        for pool in self._pools.values():
            if pool.has_news or pool.somebody_waits:
                pool.serve_queues(self._tell, now)
        if now >= self._next_tick:
            self._tick(now)
        if now >= self._next_try:
            self._next_try = now + PAUSE
            self._resume_listeners(now)
        if self._outbox.waiting:
            self._outbox.send_in_time(now, is_last=self._stopping)
        self._due = self._next_due(now)

    def _next_due(self, now: float) -> float:
        """Return until when nothing is to be done but what epoll tells."""
        times = [self._next_tick]
        if self._outbox.due is not None:
            times.append(self._outbox.due)
        if self._alarms:
            times.append(self._alarms[0][0])
        if self._has_paused:
            times.append(self._next_try)
        if any(pool.somebody_waits for pool in self._pools.values()):
            times.append(now + PAUSE)  # another worker's session may end, or a server come up
        return min(times)

    def _tell(self, handler: Callable[..., None], now: float, *what: object) -> None:
        """Call a handler; an error of ours may cost one connection, but not all of them."""
        try:
            handler(*what, now)
        except Exception:  # noqa: BLE001 - whatever it is, the other connections go on
            self._failed(handler, now)

    def _failed(self, handler: Callable[..., None], now: float) -> None:
        """Say what went wrong in a handler, and end the session that it is of."""
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
        """Wake the sessions whose alarm has come; what is set meanwhile comes after the next events."""
        latest = next(self._order)
        while self._alarms and self._alarms[0][0] <= now and self._alarms[0][1] < latest:
            at, _, session = heapq.heappop(self._alarms)
            if session.alarm == at:  # else a nearer one has replaced it
                session.alarm = None
                self._tell(session.on_deadline, now, 0)

    def _tick(self, now: float) -> None:
        self._next_tick = now + TICK
        self._words[HEARTBEAT] += 1
        self._spare_records = SPARE_RECORDS
        self._forget_alarms()
        for session in self._sessions:
            session.report_bytes()

    def _bell_rang(self, _mask: int, _now: float) -> None:
        """Look at the queues in this round: there is room for somebody who waits here, or a limit was changed."""
        os.eventfd_read(self._bell)
        self._next_try = self._due = 0.0
        for pool in self._pools.values():
            pool.has_news = True

    # -- the supervisor ---------------------------------------------------------------------------------------------

    def _channel_ready(self, mask: int, now: float) -> bool:
        """Obey one order; returns whether there was one."""
        self._due = 0.0
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
                self._pools[backend].add(server, place)
            case RemoveServer(backend, place):
                self._pools[backend].remove(place)
            case SetFrontend(frontend, admission):
                for listener in self._listeners:
                    if listener.frontend == frontend:
                        listener.admit(admission, now)
            case ClearCounters(everything):
                self._memory.clear(self._number, everything=everything)
            case ListSessions():
                pass
        if question is not None:
            listed = self._sessions if isinstance(order, ListSessions) else ()
            views = (view(session, self._number, now) for session in listed)
            self._outbox.answer((pack_report(part) for part in answers(question, views, count)), now)

    def _cut(self, cut: Cut, now: float) -> int:
        """End the sessions that are meant; returns their number."""
        meant = [session for session in self._sessions if _is_meant(cut, session)]
        for session in meant:
            self._tell(session.cut, now, cut.flags, cut.reason)
        return len(meant)

    def _close_listeners(self) -> None:
        self._stopping = True
        for listener in self._listeners:
            listener.close()
        self._listeners.clear()


def _is_meant(cut: Cut, session: Session) -> bool:
    """Return whether an order to cut applies to a session."""
    if cut.session is not None and cut.session != session.number:
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
