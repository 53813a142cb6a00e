"""A session's way to a server: choosing one, waiting for one, and what follows an attempt that has failed.

Laws: nothing waits here either: who has no server yet stands in a queue (``waiting.py``) or is woken at its deadline.
What is counted on the way is what HAProxy counts (``assign_server_and_queue``, ``back_handle_st_cer`` of
``backend.c``): a change of server belongs to the one that was left.
"""

from __future__ import annotations

from typing import Protocol

from tcpbalancer.accounts import Accounts
from tcpbalancer.balance.hashing import packed_address
from tcpbalancer.counters import CONNECTION_ERRORS, REDISPATCHES, RETRIES, TOTAL
from tcpbalancer.pool import Crowded, Picked, Pool, Shortage, Target, Wait
from tcpbalancer.retry import Failure, Step, next_step
from tcpbalancer.surroundings import Phase
from tcpbalancer.waiting import Line, Waiter


class Traveller(Waiter, Protocol):
    """The session, as its way knows it."""

    target: Target | None
    """The server that it is on."""

    def connect(self, now: float) -> None:
        """Connect to the server that was found."""
        ...

    def rest(self, phase: Phase, now: float) -> None:
        """Be in this phase from now on, until something happens or the deadline comes."""
        ...

    def give_up(self, flags: str, reason: str, now: float) -> None:
        """End."""
        ...


class Placement:
    """Where a session stands on its way. ``bound_to``: the slot of a server that a rule or a stick table has named."""

    def __init__(self, traveller: Traveller, pool: Pool, accounts: Accounts) -> None:
        self.pool = pool
        self.bound_to: int | None = None
        rules = pool.backend.rules
        by_address = pool.hashes and (rules is None or rules.hashed is None)
        self.key = packed_address(accounts.address[0]) if by_address else None
        """What is hashed, if the algorithm hashes something."""
        self._left: Target | None = None  # the server that it was on before, until another one is chosen
        self._traveller = traveller
        self._accounts = accounts

    @property
    def target(self) -> Target | None:
        """The server that the session is on."""
        return self._traveller.target

    @property
    def title(self) -> str:
        """``backend/server``: the server that it is on, or waits for."""
        named = self.target or self._accounts.waits_for
        return f"{self.pool.backend.name}/{'<NOSRV>' if named is None else named.server.name}"

    def count(self, field: int) -> None:
        """Count something for the server (the one it waits for, if it is queued) and for the backend."""
        for named in (self.target or self._accounts.waits_for, self.pool):
            if named is not None:
                named.block.add(field)

    # -- finding a server -------------------------------------------------------------------------------------------

    def find(self, now: float, bound_to: int | None, key: bytes | None) -> None:
        """Go to the server that the session is bound to, or to one that the algorithm chooses.

        ``key``: what it hashes, if it is not the client's address.
        """
        picked, self.bound_to = None, bound_to
        self.key = key or self.key
        if self.bound_to is not None:
            picked = self.pool.bound_to(self.bound_to, now)
            if picked is None or (isinstance(picked, Crowded) and self.pool.backend.redispatch):
                self.bound_to = picked = None
        self.go_on(self._choose(now) if picked is None else picked, now)

    def _choose(self, now: float, avoid: int | None = None) -> Picked:
        return self.pool.pick(now, avoid, self.key)

    def go_on(self, picked: Picked, now: float) -> None:
        """Do what follows a choice: connect, wait, or give up."""
        if isinstance(picked, Target):
            self._traveller.target = picked
            self._accounts.assigned_now = now
            self._traveller.connect(now)
        elif isinstance(picked, Wait):
            self._queue_at(picked.target, now)
        elif picked is Shortage.FULL:
            self._queue_at(None, now)
        elif isinstance(picked, Crowded):
            self._accounts.waits_for = picked.target
            self.count(CONNECTION_ERRORS)
            self._traveller.give_up("SQ", f"{self.title}: its queue is full", now)
        else:
            self.count(CONNECTION_ERRORS)
            self._traveller.give_up("SC", "no server is available", now)

    # -- waiting ----------------------------------------------------------------------------------------------------

    @property
    def _line(self) -> Line:
        """The queue in which it waits."""
        waits_for = self._accounts.waits_for
        return self.pool.line if waits_for is None else waits_for.line

    def _queue_at(self, target: Target | None, now: float) -> None:
        """Wait for a server, or for the backend."""
        self._accounts.waits_for = target
        self.pool.has_news = True  # room may have been left since
        self._traveller.rest(Phase.QUEUED, now)
        self._line.join(self._traveller, now)

    def leave_queue(self, *, served: bool = False) -> None:
        """Wait no longer."""
        place = self._line.leave(self._traveller, served=served)
        if self._accounts.waits_for is None:
            self._accounts.backend_queue = place
        else:
            self._accounts.server_queue = place

    def turn_came(self, target: Target, now: float) -> None:
        """Go on to this server; or keep the place in the queue if another worker's session was faster."""
        if self.pool.take(target, now):
            self.leave_queue(served=True)
            self._accounts.waits_for = None
            self.go_on(target, now)

    def turned_away(self, now: float) -> None:
        """Look for another server: the one that it waited for has gone (``option redispatch``)."""
        self.leave_queue()
        self._left, self._accounts.waits_for, self.bound_to = self._accounts.waits_for, None, None
        self.go_again(now)

    # -- when it did not work ---------------------------------------------------------------------------------------

    def failed(self, why: str, now: float, *, timed_out: bool) -> None:
        """Do what follows an attempt that has failed."""
        assert self.target is not None
        backend = self.pool.backend
        step = next_step(
            Failure(
                attempt=self._accounts.retries + 1,
                retries=backend.retries,
                interval=backend.redispatch,
                timed_out=timed_out,
                server_runs=self.pool.is_running(self.target.index),
                bound=self.bound_to is not None,
                hashed=self.pool.hashes,
                active=self.pool.active(),
            )
        )
        if step is Step.GIVE_UP:
            self.count(CONNECTION_ERRORS)
            self._traveller.give_up("sC" if timed_out else "SC", f"{self.title}: {why}", now)
            return
        self._accounts.retries += 1
        if step in {Step.OTHER_NOW, Step.OTHER_LATER}:
            self._left, self._traveller.target, self.bound_to = self.target, None, None
            assert self._left is not None
            self.pool.released(self._left)
        else:
            self.count(RETRIES)
        if step is Step.SAME_NOW:
            self.go_again(now)
        elif step is Step.OTHER_NOW:  # in the next turn: attempts that fail on the spot neither nest nor hold others up
            self._traveller.rest(Phase.CHOOSING, now)
        else:
            self._traveller.rest(Phase.WAITING, now)

    def go_again(self, now: float) -> None:
        """Connect once more: to the same server, or to another one than that which was left."""
        if self.target is not None:
            self.target.block.add(TOTAL)  # HAProxy counts attempts as sessions of a server
            self._traveller.connect(now)
            return
        left, self._left = self._left, None
        assert left is not None
        picked = self._choose(now, left.index)
        same = picked is left or (isinstance(picked, Wait | Crowded) and picked.target is left)
        self._accounts.redispatched = self._accounts.redispatched or not same
        for block in (left.block, self.pool.block):
            block.add(RETRIES if same else REDISPATCHES)
        self.go_on(picked, now)
