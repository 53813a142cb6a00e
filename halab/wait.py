"""Waits on events, and on nothing else: for an address, for a daemon's word, for a real part that tells nothing.

Laws: nobody sleeps for a guess of time. A wait that fails says what was seen instead. Times are on the machine's
monotonic clock, so that what different hosts and daemons tell is in one order.
"""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http.client import HTTPException
from typing import TypeVar

from hakit.transcript import Event
from halab.namespace import Host
from halab.rtnetlink import RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR, AddressSeen, RouteSocket

T = TypeVar("T")
KEPT = 5000
"""How many events of a daemon are remembered at least."""
_tick = threading.Event()  # never set: its wait() is the pause between two questions to a part that tells nothing


class NotSeenError(AssertionError):
    """What was waited for did not come; the message says what was seen."""


@dataclass(frozen=True, slots=True)
class AddressChange:
    """An address came to a host, or left it; ``at`` is monotonic seconds."""

    at: float
    host: str
    address: str
    present: bool

    def __str__(self) -> str:
        return f"{self.at:.3f} {self.host} {'has' if self.present else 'has lost'} {self.address}"


class AddressWatch:
    """Knows which of some hosts hold which addresses, from their kernels, and when each came and went."""

    def __init__(self, hosts: Iterable[Host]) -> None:
        self.changes: list[AddressChange] = []
        self._held: dict[str, set[str]] = {}
        self._closed = False
        self._condition = threading.Condition()
        self._routes = [RouteSocket(host, RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR) for host in hosts]
        for route in self._routes:
            for seen in route.addresses():
                self._take(route.host.name, seen)
        self._stop, self._stopped = socket.socketpair()
        self._thread = threading.Thread(target=self._listen, name="addresses", daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        while True:
            ready, _, _ = select.select([self._stopped.fileno(), *(one.fileno() for one in self._routes)], [], [])
            if self._stopped.fileno() in ready:
                return
            for route in self._routes:
                for seen in route.read(0) if route.fileno() in ready else ():
                    self._take(route.host.name, seen)

    def _take(self, host: str, seen: object) -> None:
        if isinstance(seen, AddressSeen):
            with self._condition:
                held = self._held.setdefault(host, set())
                if seen.present != (seen.address in held):
                    (held.add if seen.present else held.discard)(seen.address)
                    self.changes.append(AddressChange(seen.at, host, seen.address, seen.present))
                    self._condition.notify_all()

    def holders(self, address: str) -> set[str]:
        """Return the names of the hosts that hold ``address`` now."""
        with self._condition:
            return {host for host, held in self._held.items() if address in held}

    def until(self, address: str, hosts: set[str], within: float) -> float:
        """Return when exactly ``hosts`` hold ``address``: the time (monotonic) of the change that made it so."""
        with self._condition:
            self._condition.wait_for(lambda: self._closed or self.holders_locked(address) == hosts, within)
            if self.holders_locked(address) != hosts:
                wanted = " and ".join(sorted(hosts)) or "nobody"
                raise NotSeenError(f"{wanted} should hold {address} within {within:g} s; {self._told(address)}")
            return max((change.at for change in self.changes if change.address == address), default=0.0)

    def holders_locked(self, address: str) -> set[str]:
        """Return what ``holders`` does, for a caller that holds the lock."""
        return {host for host, held in self._held.items() if address in held}

    def _told(self, address: str) -> str:
        told = [str(change) for change in self.changes if change.address == address][-8:]
        holders = ", ".join(sorted(self.holders_locked(address))) or "nobody"
        return f"held by {holders}; seen: {'; '.join(told) or 'nothing'}"

    def close(self) -> None:
        """Stop listening; whoever waits is told that it has not been seen."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()
        self._stop.close()
        self._thread.join()
        self._stopped.close()
        for route in self._routes:
            route.close()


class DaemonEvents:
    """The event stream of a daemon in a host, followed over its restarts.

    ``path`` is the control socket's in the host. Whenever the daemon's service changes its state the stream is opened
    anew if it has closed, so nothing is polled.
    """

    def __init__(self, host: Host, path: str) -> None:
        self.host = host
        self.path = path
        self.events: list[Event] = []
        self.condition = threading.Condition()
        self._closed = False
        self._current: socket.socket | None = None
        self._states: dict[str, str] = {}
        threading.Thread(target=self._follow, name=f"events {host.name}{path}", daemon=True).start()

    def _follow(self) -> None:
        last = 0.0
        while not self._closed and not self.host.ended.done():
            states = len(self.host.service_events)
            with contextlib.suppress(OSError, ValueError), socket.socket(socket.AF_UNIX) as stream:
                self._current = stream
                stream.connect(str(self.host.path(self.path)))
                stream.sendall(b"events\n")
                with stream.makefile("r", encoding="utf-8") as lines:
                    for line in lines:
                        event = Event.from_line(line)
                        self._note(event)
                        if event.at > last:  # a new connection starts with what may have been told before
                            last = event.at
                            self._tell(event)
            self._states = {}  # nobody is there to be in a state
            with self.host.changed:
                if len(self.host.service_events) == states and not self._closed:
                    self.host.changed.wait(1.0)

    def _note(self, event: Event) -> None:
        if event.event == "transition":
            self._states[event.source] = str(event.get("to"))

    def _tell(self, event: Event) -> None:
        with self.condition:
            self.events.append(event)
            if len(self.events) > 2 * KEPT:  # a lab may stand for days
                del self.events[:-KEPT]
            self.condition.notify_all()

    def until(self, matches: Callable[[Event], bool], within: float, since: float = 0.0) -> Event:
        """Return the first event at or after ``since`` (monotonic) that ``matches``; raises NotSeenError."""
        found: list[Event] = []

        def seek() -> bool:
            found[:] = [event for event in self.events if event.at >= since and matches(event)][:1]
            return bool(found)

        with self.condition:
            if not self.condition.wait_for(seek, within):
                told = "; ".join(event.to_line() for event in self.events if event.at >= since)
                raise NotSeenError(f"{self.host.name}: not told within {within:g} s; told instead: {told or 'nothing'}")
        return found[0]

    def state(self, instance: str) -> str:
        """Return the state of ``instance`` as the VRRP daemon that runs now last told it, or an empty text."""
        return self._states.get(instance, "")

    def last_state(self, instance: str) -> str:
        """Return the state that was last told of ``instance``, whoever told it and whether he lives or not."""
        told = [str(one.get("to")) for one in self.events if one.event == "transition" and one.source == instance]
        return told[-1] if told else ""

    def close(self) -> None:
        """Stop following."""
        self._closed = True
        if self._current is not None:
            with contextlib.suppress(OSError):
                self._current.shutdown(socket.SHUT_RDWR)
        with self.host.changed:
            self.host.changed.notify_all()


def poll(probe: Callable[[], T | None], within: float, what: str, every: float = 0.05) -> T:
    """Ask a part that tells nothing by itself until ``probe`` returns something true, and return that.

    An exception of the network, or a broken HTTP answer, counts as "not yet". Raises NotSeenError with what was seen
    last.
    """
    deadline = time.monotonic() + within
    last: object = None
    while True:
        try:
            found = probe()
        except (OSError, HTTPException) as problem:
            last = problem
        else:
            if found:
                return found
            last = found
        if time.monotonic() >= deadline:
            raise NotSeenError(f"{what}: not within {within:g} s; seen last: {last}")
        _tick.wait(every)


def hold(predicate: Callable[[], bool], for_: float, what: str, every: float = 0.05) -> None:
    """Return after ``for_`` seconds in which ``predicate`` held at every look; raises NotSeenError when it does not."""
    begun = time.monotonic()
    while (passed := time.monotonic() - begun) < for_:
        if not predicate():
            raise NotSeenError(f"{what}: no longer so after {passed:.2f} s")
        _tick.wait(min(every, for_ - passed) or 0.001)
