"""A backend as a worker sees it: its servers with their counters, who may be picked, and who waits.

Laws: weights and limits are read at the moment of the pick, so a server that has just gone DOWN gets nothing more; they
are read once per pick, for the supervisor may write them meanwhile. A pick touches the algorithm's memory under its
lock if several workers share it, and so does whoever takes the room that a server has left: no limit is ever exceeded.
If the lock cannot be had, it is made all the same, and counted: one turn that may not be exact is better than none.
Servers come and go while it runs: each has a slot, and what is not known here is not picked, whatever its slot says.

Who finds no room waits as in HAProxy (``queue.c``): for the server it is bound to, else for the backend. A server that
has room again takes the one who waits longest, of its own queue and of the backend's.
"""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum

from tcpbalancer.balance import Choice, make_balancer
from tcpbalancer.balance.memory import Memory
from tcpbalancer.block import Block
from tcpbalancer.counters import (
    BALANCED,
    ENDS_WANTED,
    FULLCONN,
    INEXACT_PICKS,
    QUEUED,
    RELEASED_NS,
    RUNNING,
    SERVER_MAXCONN,
    SERVER_MAXQUEUE,
    SERVER_MINCONN,
    SERVER_SETTINGS,
    SLOTS_USED,
    THROTTLE,
    SharedMemory,
)
from tcpbalancer.limits import sessions_allowed
from tcpbalancer.model import Backend, Server
from tcpbalancer.waiting import Line, Waiter

__all__ = ["Crowded", "Pool", "Shortage", "Target", "Wait", "Waiter"]


@dataclass(slots=True, eq=False)
class Target:
    """A server with this worker's counters of it, and those who wait for it and no other."""

    server: Server
    index: int
    block: Block
    family: socket.AddressFamily
    line: Line
    address: tuple[str, int]
    is_plain: bool
    """Whether a socket and a connect to ``address`` are all it takes to reach it."""
    kept_for: tuple[int, float] = (0, 0.0)
    """The ticket of another worker's session that may have its room, and since when."""


class Shortage(Enum):
    """Why no server could be picked."""

    FULL = "all usable servers have reached their maxconn: the backend's queue is the place to wait"
    NONE = "no server is usable"


@dataclass(frozen=True, slots=True)
class Wait:
    """The session is bound to this server, which is full: it has to wait for it."""

    target: Target


@dataclass(frozen=True, slots=True)
class Crowded:
    """The session is bound to this server, which is full, and so is its queue."""

    target: Target


Picked = Target | Shortage | Wait | Crowded


@dataclass(frozen=True, slots=True)
class Seen:
    """The settings of a backend's servers as they were when a pick looked last, and what follows from them."""

    raw: bytes = b""
    weights: tuple[int, ...] = ()
    """The weights at which servers may be picked; 0 for a slot whose server is not known here."""
    is_limited: bool = False
    """Whether any of them has a maxconn."""
    choice: Choice | None = None
    """All there is to choose from, if nothing else has to be looked at; None: no server may be picked."""


Tell = Callable[..., None]
"""Takes a handler, the time, and what else it wants: calls it, so that an error of ours costs one session only."""
PATIENCE = 0.1
"""Seconds for which another worker's older session is waited for while there is room for ours: it may be frozen."""


class Pool:
    """A backend with this worker's counters of it; picks servers."""

    def __init__(self, memory: SharedMemory, worker: int, backend: Backend, index: int) -> None:
        layout = memory.layout
        self._worker = worker
        self.backend = backend
        self.index = index
        self.block = Block(memory, worker, layout.backend(index))
        self._crowd: set[Waiter] = set()
        self.line = Line(self.block, self._crowd)
        self.targets: dict[int, Target] = {}
        self.has_news = False  # room was left, or somebody has come to wait
        self._shared = memory
        self._balancer = make_balancer(backend)
        self.hashes = self._balancer.hashes
        """Whether the algorithm wants to know whose session it is (``key``)."""
        # Whether the weights are all that the algorithm wants to know.
        self._is_plain = not (self._balancer.hashes or self._balancer.counts or self._balancer.draws)
        self._is_alone = layout.workers == 1
        self._settings = memory.view(layout.settings_of_servers(index))
        self._seen = Seen()
        self._maxconns, self._minconns, self._maxqueues, self._throttles, self._running = (
            memory.view(layout.server_settings(index, setting))
            for setting in (SERVER_MAXCONN, SERVER_MINCONN, SERVER_MAXQUEUE, THROTTLE, RUNNING)
        )
        self._slots_used = layout.backend_setting(index, SLOTS_USED)
        self._ends_wanted = layout.backend_setting(index, ENDS_WANTED)
        self._fullconn = layout.backend_setting(index, FULLCONN)
        self._memory = memory.view(layout.memory(index))
        self._inexact_picks = layout.worker(worker) + INEXACT_PICKS
        for slot, server in enumerate(backend.servers):
            self.add(server, slot)

    def add(self, server: Server, slot: int) -> None:
        """Take note of a server that was added; whoever adds it sees to it that its slot is free."""
        block = Block(self._shared, self._worker, self._shared.layout.server(self.index, slot))
        is_unix = server.address.startswith(("/", "abns@"))
        family = socket.AF_UNIX if is_unix else socket.AF_INET6 if ":" in server.address else socket.AF_INET
        self._seen = Seen()
        known = self.targets.get(slot)
        line = Line(block, self._crowd) if known is None else known.line
        is_plain = server.reach.is_plain and not is_unix
        self.targets[slot] = Target(server, slot, block, family, line, (server.address, server.port), is_plain)

    def remove(self, slot: int) -> None:
        """Forget a server; sessions that are still with it keep their own hand on it."""
        self._seen = Seen()
        self.targets.pop(slot, None)

    # -- choosing ---------------------------------------------------------------------------------------------------

    @property
    def ends_wanted(self) -> bool:
        """Whether somebody waits for the last session of a server."""
        return bool(self._shared.words[self._ends_wanted])

    def pick(self, now: float, avoid: int | None = None, key: bytes | None = None) -> Picked:
        """Choose a server by the algorithm: with its new session counted, or to be waited for, or none.

        ``avoid`` was just tried in vain; ``key`` is what is hashed, if the algorithm ``hashes``.
        """
        if self._is_alone:
            return self._pick(self._memory, now, avoid, key)
        with self._locked() as held:
            if held:
                return self._pick(self._memory, now, avoid, key)
            # Whoever holds the lock may write while we read: pick on a copy that nobody changes.
            copy = list(self._memory)
            picked = self._pick(copy, now, avoid, key)
            for index, word in enumerate(copy):
                self._memory[index] = word
            return picked

    def bound_to(self, slot: int, now: float) -> Picked | None:
        """Return the server that a rule or a stick table has named, as ``pick`` does; None if it may get nothing now.

        A server without a weight (drained, or a backup that is not needed) still gets what is bound to it; one that is
        down does with ``option persist`` only.
        """
        target = self.targets.get(slot)
        if target is None or not self.takes_bound(slot):
            return None
        with self._locked():
            return self._take_or_wait(target, now)

    def take(self, target: Target, now: float) -> bool:
        """Take a server's room for somebody who has waited for it; returns whether there is some."""
        with self._locked():
            if not self._room(target):
                return False
            target.block.opened(now)
            return True

    def _pick(self, memory: Memory, now: float, avoid: int | None, key: bytes | None) -> Picked:
        seen = self._look()
        if seen.choice is None:
            return Shortage.NONE
        if (self._crowd or not self._is_alone) and not self.hashes and self.line.oldest():
            return Shortage.FULL  # nobody overtakes those who wait
        is_plain = self._is_plain and not seen.is_limited and avoid is None
        choice = seen.choice if is_plain else self._choice(seen.weights, avoid, key)
        slot = self._balancer.pick(memory, choice)
        if slot is None:
            return Shortage.FULL
        target = self.targets[slot]
        if slot != avoid:
            target.block.row[BALANCED] += 1
            self.block.row[BALANCED] += 1
        if not seen.is_limited:
            target.block.opened(now)
            return target
        return self._take_or_wait(target, now)

    def _take_or_wait(self, target: Target, now: float) -> Picked:
        if self._is_free(target):
            target.block.opened(now)
            return target
        limit = self._maxqueues[target.index]
        return Crowded(target) if limit and target.block.sum(QUEUED) >= limit else Wait(target)

    def _choice(self, weights: Sequence[int], avoid: int | None, key: bytes | None) -> Choice:
        balancer, slots = self._balancer, range(len(weights))
        limited = [slot for slot in slots if weights[slot] and self._maxconns[slot]]
        full = {slot for slot in limited if not self._is_free(self.targets[slot])}
        draws = [random.getrandbits(32) for _ in range(balancer.draws)]
        if not balancer.counts:
            return Choice(weights, full, avoid=avoid, key=key, draws=draws)
        blocks = [self.targets[slot].block if weights[slot] else None for slot in slots]
        served = [0 if block is None else block.current() for block in blocks]
        queued = [0 if block is None else block.sum(QUEUED) for block in blocks]
        released = [0 if block is None else block.largest(RELEASED_NS) for block in blocks]
        # A server may be chosen beyond its maxconn as long as there is a place in its queue, if it has a bounded one.
        crowded = {slot for slot in full if served[slot] + queued[slot] >= self._allowed(slot) + self._maxqueues[slot]}
        return Choice(weights, full, crowded, avoid, served, queued, released, key, draws)

    def _look(self) -> Seen:
        """Return the settings as they are now: all of them are read at once, and understood if they have changed."""
        raw, used = self._settings.tobytes(), self._shared.words[self._slots_used]
        if raw != self._seen.raw or used != len(self._seen.weights):
            rows = memoryview(raw).cast("q")
            slots = len(rows) // SERVER_SETTINGS
            weights = tuple(rows[slot] if slot in self.targets else 0 for slot in range(used))
            maxconns = rows[SERVER_MAXCONN * slots : SERVER_MAXCONN * slots + used]
            self._seen = Seen(raw, weights, any(maxconns), Choice(weights) if any(weights) else None)
        return self._seen

    def _weights_now(self) -> Sequence[int]:
        """Return the weights at which servers may be picked now."""
        return self._look().weights

    def _allowed(self, slot: int) -> int:
        maxconn = self._maxconns[slot]
        return maxconn and sessions_allowed(
            maxconn,
            self._minconns[slot],
            fullconn=self._shared.words[self._fullconn],
            backend_sessions=self.block.current() if self._minconns[slot] else 0,
            throttle=self._throttles[slot],
        )

    def _is_free(self, target: Target) -> bool:
        """Whether a server may get one more session, and nobody waits for it; nobody does who need not."""
        return not self._maxconns[target.index] or (self._room(target) and not target.line.oldest())

    def _room(self, target: Target) -> bool:
        allowed = self._allowed(target.index)
        return not allowed or target.block.current() < allowed

    @contextmanager
    def _locked(self) -> Iterator[bool]:
        """Hold the backend's lock, if there is anybody to share it with; if it is not had, count that, yield False."""
        if self._shared.layout.workers == 1:
            yield True
            return
        with self._shared.locked(self.index) as held:
            if not held:
                self._shared.words[self._inexact_picks] += 1
            yield held

    def is_running(self, slot: int) -> bool:
        """Whether a server is up."""
        return bool(self._running[slot])

    def takes_bound(self, slot: int) -> bool:
        """Whether a server may get what is bound to it: it is up, or (``option persist``) tried all the same."""
        return self.backend.persist or self.is_running(slot)

    def usable(self) -> int:
        """Return how many servers may be picked now."""
        return sum(1 for weight in self._weights_now() if weight)

    def free_slots(self) -> int:
        """Return how many more connections the servers that may be picked take now; -1: there is no limit."""
        free = 0
        for slot, weight in enumerate(self._weights_now()):
            if weight:
                maxconn = self._allowed(slot)
                if not maxconn:
                    return -1
                free += max(maxconn - self.targets[slot].block.current(), 0)
        return free

    # -- what a retry wants to know ---------------------------------------------------------------------------------

    def active(self) -> int:
        """Return how many servers that are no backups could be picked now."""
        weights = self._weights_now()
        return sum(1 for slot, weight in enumerate(weights) if weight and not self.targets[slot].server.backup)

    # -- waiting ----------------------------------------------------------------------------------------------------

    @property
    def somebody_waits(self) -> bool:
        """Whether a session of this worker waits here; asked in each round, of each backend."""
        return bool(self._crowd)

    def released(self, target: Target) -> None:
        """Take note that a session has left a server."""
        if self._balancer.counts:
            target.block.row[RELEASED_NS] = time.monotonic_ns()
        target.block.closed()
        if self._crowd or self._seen.is_limited:  # else nobody waits for room, here or in another worker
            self.has_news = True

    def serve_queues(self, tell: Tell, now: float) -> None:
        """Let those go on who wait longest, as far as there is room; ring at other workers' for theirs."""
        self.has_news = False
        if not any(self._maxconns) and not self.somebody_waits:
            return
        weights = self._weights_now()
        for target in tuple(self.targets.values()):
            if target.line and not self._running[target.index] and self.backend.redispatch and not self.backend.persist:
                for waiter in target.line.waiters:
                    tell(waiter.turned_away, now)
            lines = [target.line] if self._running[target.index] else []
            if target.index < len(weights) and weights[target.index]:
                lines.append(self.line)
            while lines and self._room(target) and self._serve_one(target, lines, tell, now):
                pass

    def _serve_one(self, target: Target, lines: list[Line], tell: Tell, now: float) -> bool:
        """Give a server's room to the one who waits longest; returns whether one of ours has taken it."""
        waiting = [(ticket, line) for line in lines if (ticket := line.oldest())]
        if not waiting:
            return False
        ticket, line = min(waiting, key=lambda pair: pair[0])
        if line.ticket != ticket:
            if not self._gone_by(target, line, ticket, now):
                return False
            ours = [own for own in lines if own]
            if not ours:
                return False
            line = min(ours, key=lambda own: own.ticket)
        first = line.first
        tell(first.turn_came, now, target)
        return not line or line.first is not first

    def _gone_by(self, target: Target, line: Line, ticket: int, now: float) -> bool:
        """Ring for another worker's session; returns whether it has had its time and did not come."""
        if (holder := line.holder(ticket)) is not None:
            self._shared.ring(holder)
        if target.kept_for[0] != ticket:
            target.kept_for = (ticket, now)
        return now >= target.kept_for[1] + PATIENCE
