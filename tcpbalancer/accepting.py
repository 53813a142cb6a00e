"""Accepting: a listening socket as a worker sees it, and the limits under which it takes connections.

Laws: what is over a limit stays in the kernel's backlog, where it costs nothing and is not lost. At most ``ACCEPTS``
connections are taken per wake-up; when descriptors run out or a limit is reached, accepting pauses without spinning.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from tcpbalancer.arrival import Arrival, enter
from tcpbalancer.channel import Admission, Exhausted, Report
from tcpbalancer.counters import (
    ACCEPTING,
    CONNECTIONS,
    GLOBAL_CONNECTION_RATE,
    GLOBAL_MAXCONN,
    GLOBAL_SESSION_RATE,
    MAXCONN,
    PAUSED,
    RESERVED,
    SESSION_RATE,
    SharedMemory,
)
from tcpbalancer.doorway import Doorway
from tcpbalancer.poller import EXCLUSIVE, READ, Poller
from tcpbalancer.route import Route
from tcpbalancer.shortage import NO_ROOM

ACCEPTS = 64
"""Connections taken per wake-up and listener."""
UNNAMED = ("unix", 0)
"""What a client is called that came over a Unix socket."""


class Host(Protocol):
    """What a listener needs of its worker."""

    poller: Poller

    def begin(
        self,
        entry: Entry,
        client: socket.SocketType,
        address: tuple[str, int],
        now: float,
        arrival: Arrival | None = None,
    ) -> None:
        """Start the session of a connection that was just accepted; ``arrival``: it has to arrive first."""
        ...

    def report(self, report: Report) -> bool:
        """Send a report to the supervisor; returns False, and drops it, if too many wait already."""
        ...

    def paused(self) -> None:
        """Take note that a listener takes no connections for now."""
        ...


class Gate:
    """The limits: of each frontend and of all together, on connections that are open and on those of a second.

    Who wants to accept takes his place first, under a lock that all workers share: so no limit is exceeded.
    """

    def __init__(self, memory: SharedMemory, routes: Sequence[Route], own: memoryview) -> None:
        """``own``: what this worker says of itself."""
        self._memory = memory
        self._routes = routes
        self._own = own
        self._settings = memory.view(memory.layout.settings)
        self._lock = len(memory.layout.slots)
        self.is_alone = memory.layout.writers == 1  # then nobody else takes what we have seen

    def connections(self) -> int:
        """Return the connections of all frontends and workers."""
        return self._memory.sum_of_words(CONNECTIONS)

    def opened(self) -> None:
        """Count one more connection."""
        self._own[CONNECTIONS] += 1

    def closed(self) -> None:
        """Count one connection less."""
        self._own[CONNECTIONS] -= 1

    def has_room(self, route: Route, now: float) -> bool:
        """Return whether the limits allow one more connection."""
        if route.settings[PAUSED]:
            return False
        own, whole = route.settings[MAXCONN], self._settings[GLOBAL_MAXCONN]
        if own and route.block.current() + (0 if self.is_alone else route.block.sum(RESERVED)) >= own:
            return False
        if whole and (self._own[CONNECTIONS] if self.is_alone else self._taken()) >= whole:
            return False
        rate = route.settings[SESSION_RATE]
        if rate and route.block.rate(now) + 1 > rate:
            return False
        connections, sessions = self._settings[GLOBAL_CONNECTION_RATE], self._settings[GLOBAL_SESSION_RATE]
        if not connections and not sessions:
            return True
        lowest = min(filter(None, (connections, sessions)))
        return sum(each.block.rate(now) for each in self._routes) + 1 <= lowest

    def _taken(self) -> int:
        """Return how many connections all workers have, with those that they are accepting."""
        return self.connections() + self._memory.sum_of_words(ACCEPTING)

    def take(self, route: Route, now: float) -> bool:
        """Take a place, if there is one; who has taken it gives it back, however it went."""
        if self.is_alone:
            return self.has_room(route, now)
        with self._memory.locked(self._lock):
            if not self.has_room(route, now):
                return False
            route.block.add(RESERVED)
            self._own[ACCEPTING] += 1
            return True

    def give_back(self, route: Route) -> None:
        """Give back the place: the connection counts by itself now, or there is none."""
        if not self.is_alone:
            route.block.add(RESERVED, -1)
            self._own[ACCEPTING] -= 1


class Entry(Protocol):
    """What a session came through."""

    route: Route
    open: int
    """The sessions that came through it and have not ended."""


class Listener:
    """A listening socket, and where its connections go; ``doorway`` None: nobody asks them anything."""

    def __init__(
        self,
        worker: Host,
        gate: Gate,
        listening: socket.socket,
        route: Route,
        frontend: int,
        doorway: Doorway | None = None,
        limit: int = 0,
    ) -> None:
        """``limit``: the sessions that may be open here, as far as this worker is concerned; 0: as many as come."""
        self.route = route
        self.frontend = frontend
        self.admission = Admission.OPEN
        self._worker = worker
        self._gate = gate
        self._doorway = doorway
        self._socket = listening
        self._family = int(listening.family)
        # The public one makes an object of Python's own, with system calls of its own.
        self._take: Callable[[], tuple[int, Any]] = listening._accept  # type: ignore[attr-defined] # noqa: SLF001
        self._has_ports = listening.family != socket.AF_UNIX
        self._watched = False
        self._limit = limit
        self.open = 0

    @property
    def _is_full(self) -> bool:
        return bool(self._limit) and self.open >= self._limit

    def resume(self, now: float) -> None:
        """Accept (again), if the limits allow it."""
        if self._watched or self._is_full:
            return
        if self.admission is Admission.OPEN and self._gate.has_room(self.route, now):
            self._worker.poller.register(self._socket, READ | EXCLUSIVE, self.ready)
            self._watched = True

    def pause(self) -> None:
        """Leave connections in the kernel's backlog until ``resume``."""
        if self._watched:
            self._worker.poller.unregister(self._socket)
            self._watched = False
            self._worker.paused()

    @property
    def is_paused(self) -> bool:
        """Whether connections wait in the backlog for want of room."""
        return not self._watched and self.admission is Admission.OPEN

    def admit(self, admission: Admission, now: float) -> None:
        """Accept from now on, or do not: an operator said so."""
        self.admission = admission
        if admission is Admission.OPEN:
            self.resume(now)
        else:
            self.pause()

    def close(self) -> None:
        """Accept no more; the supervisor's copy of the socket is not touched."""
        self.pause()
        self._socket.close()

    def ready(self, _mask: int, now: float) -> None:
        """Accept what waits, up to ``ACCEPTS``; then it is another worker's turn to be woken.

        Of those who wait for a socket exclusively, the kernel wakes the one that came first: if nobody went to the end
        of the line, the first worker would get every connection that comes while it has nothing to do.
        """
        if self._accept_some(now) and self._watched and not self._gate.is_alone:
            self._worker.poller.unregister(self._socket)
            self._worker.poller.register(self._socket, READ | EXCLUSIVE, self.ready)

    def _accept_some(self, now: float) -> bool:
        """Accept what waits, up to ``ACCEPTS``; returns whether there was anything."""
        took_any = False
        for _ in range(ACCEPTS if self._watched else 0):  # it may have been paused in this very round of events
            if self._is_full or not self._gate.take(self.route, now):
                self.pause()
                break
            try:
                if not self._accept(now):
                    break
                took_any = True
            finally:
                self._gate.give_back(self.route)
        return took_any

    def _accept(self, now: float) -> bool:
        """Accept one connection; returns whether there may be more."""
        try:
            number, address = self._take()
        except BlockingIOError:
            return False
        except OSError as problem:
            if problem.errno in NO_ROOM:
                self._worker.report(Exhausted(self.route.frontend.name, problem.errno))
                self.pause()
                return False
            return True  # this one left before it was accepted (accept(2), "Error handling")
        client = socket.SocketType(self._family, socket.SOCK_STREAM, 0, number)
        client.setblocking(False)
        self.route.block.arrived(now)
        address = address[:2] if self._has_ports else UNNAMED
        if self._doorway is None:
            self._worker.begin(self, client, address, now)
        elif (arrival := enter(self._doorway, client, address, now)) is not None:
            self._worker.begin(self, client, address, now, arrival)
        return True
