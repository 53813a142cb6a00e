"""Accepting: a listening socket as a worker sees it, and the limits under which it takes connections.

Laws: what is over a limit stays in the kernel's backlog, where it costs nothing and is not lost. At most ``ACCEPTS``
connections are taken per wake-up; when descriptors run out or a limit is reached, accepting pauses without spinning.
"""

from __future__ import annotations

import errno
import socket
from typing import Protocol

from tcpbalancer.channel import Admission
from tcpbalancer.poller import EXCLUSIVE, READ, Poller
from tcpbalancer.route import Route

ACCEPTS = 64
"""Connections taken per wake-up and listener."""
NO_ROOM = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


class Host(Protocol):
    """What a listener needs of its worker."""

    poller: Poller

    def has_room(self, route: Route) -> bool:
        """Return whether the limits allow one more connection."""
        ...

    def begin(self, route: Route, client: socket.socket, address: tuple[str, int], now: float) -> None:
        """Start the session of a connection that was just accepted."""
        ...


class Listener:
    """A listening socket and where its connections go."""

    def __init__(self, worker: Host, listening: socket.socket, route: Route, frontend: int) -> None:
        self.route = route
        self.frontend = frontend
        self.admission = Admission.OPEN
        self._worker = worker
        self._socket = listening
        self._watched = False

    def resume(self) -> None:
        """Accept (again), if the limits allow it."""
        if not self._watched and self.admission is Admission.OPEN and self._worker.has_room(self.route):
            self._worker.poller.register(self._socket, READ | EXCLUSIVE, self.ready)
            self._watched = True

    def pause(self) -> None:
        """Leave connections in the kernel's backlog until ``resume``."""
        if self._watched:
            self._worker.poller.unregister(self._socket)
            self._watched = False

    @property
    def is_paused(self) -> bool:
        """Whether connections wait in the backlog for want of room."""
        return not self._watched and self.admission is Admission.OPEN

    def admit(self, admission: Admission) -> None:
        """Accept from now on, or do not: an operator said so."""
        self.admission = admission
        if admission is Admission.OPEN:
            self.resume()
        else:
            self.pause()

    def close(self) -> None:
        """Accept no more; the supervisor's copy of the socket is not touched."""
        self.pause()
        self._socket.close()

    def ready(self, _mask: int, now: float) -> None:
        """Accept what waits, up to ``ACCEPTS``."""
        for _ in range(ACCEPTS if self._watched else 0):  # it may have been paused in this very round of events
            if not self._worker.has_room(self.route):
                self.pause()
                return
            try:
                client, address = self._socket.accept()
            except BlockingIOError:
                return
            except OSError as problem:
                if problem.errno in NO_ROOM:
                    self.pause()
                    return
                continue  # this one left before it was accepted (accept(2), "Error handling")
            self._worker.begin(self.route, client, address[:2], now)
