"""A backend as a worker sees it: its servers with their counters, who may be picked, and who waits.

Laws: weights and limits are read at the moment of the pick, so a server that has just gone DOWN gets nothing more; they
are read once per pick, for the supervisor may write them meanwhile. A pick touches the algorithm's memory under its
lock if several workers share it; if the lock cannot be had, it is made all the same, and counted: one turn that may not
be exact is better than none. Servers come and go while it runs: each has a slot, and what is not known here is not
picked, whatever its slot says.
"""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from tcpbalancer.balance import ALGORITHMS
from tcpbalancer.balance.memory import Memory
from tcpbalancer.counters import BALANCED, INEXACT_PICKS, SERVER_MAXCONN, SLOTS_USED, Block, SharedMemory
from tcpbalancer.model import Backend, Server


@dataclass(slots=True)
class Target:
    """A server with this worker's counters of it."""

    server: Server
    index: int
    block: Block
    family: socket.AddressFamily


class Shortage(Enum):
    """Why no server could be picked."""

    FULL = "all usable servers have reached their maxconn"
    NONE = "no server is usable"


class Waiter(Protocol):
    """A session that waits for a server with room."""

    def turn_came(self, now: float) -> None:
        """Leave the queue and go on; or keep the place if another worker's session was faster."""
        ...


Tell = Callable[[Callable[[float], None], float], None]
"""Calls a handler with the time, and sees to it that an error costs one session only."""


class Pool:
    """A backend with this worker's counters of it; picks servers."""

    def __init__(self, memory: SharedMemory, worker: int, backend: Backend, index: int) -> None:
        layout = memory.layout
        self._worker = worker
        self.backend = backend
        self.index = index
        self.block = Block(memory, worker, layout.backend(index))
        self.targets: dict[int, Target] = {}
        self.waiting: deque[Waiter] = deque()
        self._shared = memory
        self._balancer = ALGORITHMS[backend.balance]()
        self._weights = memory.view(layout.weights(index))
        self._maxconns = memory.view(layout.server_settings(index, SERVER_MAXCONN))
        self._slots_used = layout.backend_setting(index, SLOTS_USED)
        self._memory = memory.view(layout.memory(index))
        self._inexact_picks = layout.worker(worker) + INEXACT_PICKS
        for slot, server in enumerate(backend.servers):
            self.add(server, slot)

    def add(self, server: Server, slot: int) -> None:
        """Take note of a server that was added; whoever adds it sees to it that its slot is free."""
        block = Block(self._shared, self._worker, self._shared.layout.server(self.index, slot))
        family = socket.AF_INET6 if ":" in server.address else socket.AF_INET
        self.targets[slot] = Target(server, slot, block, family)

    def remove(self, slot: int) -> None:
        """Forget a server; sessions that are still with it keep their own hand on it."""
        self.targets.pop(slot, None)

    def pick(self, now: float, avoid: Collection[int] = ()) -> Target | Shortage:
        """Return the next server with its new session counted, or why there is none."""
        if self._shared.layout.workers == 1:
            return self._pick(self._memory, now, avoid)
        with self._shared.locked(self.index) as held:
            if held:
                return self._pick(self._memory, now, avoid)
            # Whoever holds the lock may write while we read: pick on a copy that nobody changes.
            copy = list(self._memory)
            picked = self._pick(copy, now, avoid)
            for index, word in enumerate(copy):
                self._memory[index] = word
            self._shared.words[self._inexact_picks] += 1
            return picked

    def _pick(self, memory: Memory, now: float, avoid: Collection[int]) -> Target | Shortage:
        weights = self._weights_now()
        full = self._full()
        usable = {index for index, weight in enumerate(weights) if weight}
        free = usable - full
        if not free:
            return Shortage.FULL if usable else Shortage.NONE
        passed_over = full | (set(avoid) if free - set(avoid) else set())
        index = self._balancer.pick(memory, weights, passed_over)
        assert index is not None  # there is a free one
        target = self.targets[index]
        for block in (target.block, self.block):
            block.add(BALANCED)
        target.block.opened(now)
        return target

    def _weights_now(self) -> list[int]:
        """Return the weights at which servers may be picked now; 0 for a slot whose server is not known here."""
        weights = list(self._weights)[: self._shared.words[self._slots_used]]
        return [weight if index in self.targets else 0 for index, weight in enumerate(weights)]

    def _full(self) -> set[int]:
        """Return the servers that have reached their maxconn."""
        limits = ((target, self._maxconns[index]) for index, target in self.targets.items())
        return {target.index for target, maxconn in limits if maxconn and target.block.current() >= maxconn}

    def is_saturated(self) -> bool:
        """Return whether there are usable servers, but all of them are full."""
        usable = {index for index, weight in enumerate(self._weights_now()) if weight}
        return bool(usable) and usable <= self._full()

    def enqueue(self, waiter: Waiter) -> int:
        """Let a session wait for a free server, first in, first out; returns its position, from 1."""
        self.waiting.append(waiter)
        self.block.queued(len(self.waiting))
        return len(self.waiting)

    def leave_queue(self, waiter: Waiter) -> None:
        """Let a session wait no longer."""
        self.waiting.remove(waiter)
        self.block.queued(len(self.waiting))

    def serve_queue(self, tell: Tell, now: float) -> None:
        """Give free servers to those who wait longest; to all of them if no server is left, so that they learn it."""
        while self.waiting and not self.is_saturated():
            first = self.waiting[0]
            tell(first.turn_came, now)
            if self.waiting and self.waiting[0] is first:
                return  # another worker's session took the room: this one is still the next

    def has_other_than(self, target: Target) -> bool:
        """Return whether any other server could be picked now."""
        return any(weight for index, weight in enumerate(self._weights_now()) if index != target.index)
