"""The rules of one worker, ready to be asked: by listener what stands before a backend, by backend what stands behind.

Laws: made once, when the worker starts. A listener behind which there is nothing to ask has no doorway at all: its
connections cost nothing.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from contextlib import nullcontext

from tcpbalancer.census import WorkerCensus
from tcpbalancer.counters import SharedMemory
from tcpbalancer.model import Bind, Configuration
from tcpbalancer.model.rule import BackRules, FrontRules
from tcpbalancer.pool import Pool
from tcpbalancer.route import Route
from tcpbalancer.rules.conditions import Outcome, make_condition, make_expression
from tcpbalancer.rules.facts import Facts
from tcpbalancer.rules.ruleset import ChoiceList, RuleList
from tcpbalancer.rules.samples import Kind, cast, parse_ip
from tcpbalancer.rules.stick_table import Table, key_of

FIRST_ID = 2
"""Of a proxy that was given none (``fe_id``, ``be_id``); the first one is HAProxy's own."""


class Room:
    """What stands between a backend and its servers."""

    def __init__(self, pool: Pool, rules: BackRules, memory: SharedMemory) -> None:
        self.name = pool.backend.name
        self.content = RuleList(rules.content)
        self.inspect_delay = rules.inspect_delay
        self._pool = pool
        self._memory = memory
        self._servers = ChoiceList(rules.servers)
        self._stick = [
            (make_condition(rule.condition), make_expression(rule.expression), rule.match, rule.store)
            for rule in rules.stick
        ]
        self._hashed = None if rules.hashed is None else make_expression(rules.hashed)
        self._hashed_as = Kind.TEXT if pool.backend.hashing.function == "none" else Kind.BINARY
        table = pool.backend.table
        self._table = None if table is None else Table(table, memory.view(memory.layout.table(pool.index)))

    @property
    def hashes(self) -> bool:
        """Whether ``key`` tells something."""
        return self._hashed is not None

    def key(self, facts: Facts) -> bytes | None:
        """Return what ``balance hash`` hashes, None if there is no such thing here."""
        sample = None if self._hashed is None else self._hashed(facts).sample
        found = None if sample is None else cast(sample, self._hashed_as)
        return found if isinstance(found, bytes) else None

    def choose(self, facts: Facts, now: float) -> tuple[int | None, list[int]]:
        """Return the slot of the server that a rule or the table names, and the keys under which one is remembered."""
        bound = next((slot for name in self._servers.names(facts) if (slot := self._slot(name)) is not None), None)
        keys: list[int] = []
        for holds, look, match, store in self._stick if self._table is not None else ():
            if holds(facts) is not Outcome.HOLDS:
                continue
            sample = look(facts).sample
            key = None if sample is None or self._table is None else key_of(sample, self._table.table.type)
            if key is None:
                continue
            if match and bound is None:
                bound = self._remembered(key, now)
            if store:
                keys.append(key)
        return bound, keys

    def _slot(self, name: str) -> int | None:
        """Return the slot of a server that is up."""
        for slot, target in self._pool.targets.items():
            if target.server.name == name:
                return slot if self._pool.takes_bound(slot) else None
        return None

    def _remembered(self, key: int, now: float) -> int | None:
        assert self._table is not None
        with self._locked():
            slot = self._table.find(key, int(now * 1000))
        return slot if slot in self._pool.targets and self._pool.takes_bound(slot) else None

    def remember(self, key: int, slot: int, now: float) -> None:
        """Keep the server that was reached under a key."""
        assert self._table is not None
        with self._locked():
            self._table.store(key, slot, int(now * 1000))

    def _locked(self) -> nullcontext[bool]:
        if self._memory.layout.workers == 1:
            return nullcontext(enter_result=True)
        return self._memory.locked(self._pool.index)  # type: ignore[return-value] # a context manager all the same


class Doorway:
    """What stands between a listener and its backends."""

    def __init__(self, keeper: Doorkeeper, route: Route, bind: Bind) -> None:
        rules = route.frontend.rules or FrontRules()
        self.route = route
        self.connection = RuleList(rules.connection)
        self.session = RuleList(rules.session)
        self.content = RuleList(rules.content)
        self.inspect_delay = rules.inspect_delay
        self.backends = ChoiceList(rules.backends)
        self.accept_proxy = bind.accept_proxy
        self.socket = bind.name or str(bind.id)
        self._bind = bind
        self._keeper = keeper

    def facts(self, client: socket.SocketType, address: tuple[str, int]) -> Facts:
        """Return what is known of a connection that was just accepted."""
        facts = Facts(
            self._keeper.census,
            source=parse_ip(address[0]) if address[0] else None,
            frontend=self.route.frontend.name,
            frontend_id=self._keeper.ids[self.route.frontend.name],
            socket_id=self._bind.id,
            socket_name=self._bind.name,
        )
        if facts.source is not None:
            facts.source_port = address[1]
            called = client.getsockname()
            facts.destination, facts.destination_port = parse_ip(called[0]), called[1]
        return facts

    def choose(self, facts: Facts) -> Pool | None:
        """Return the backend that the rules choose, or else the default one."""
        name = self.backends.first(facts)
        return self.route.pool if name is None else self._keeper.pools.get(name)

    def room(self, pool: Pool) -> Room | None:
        """Return what stands behind a backend, None if nothing does."""
        return self._keeper.rooms.get(pool.index)

    def number_of(self, pool: Pool) -> int:
        """Return the id of a backend."""
        return self._keeper.ids[pool.backend.name]


class Doorkeeper:
    """Everything of a worker that rules need."""

    def __init__(
        self, configuration: Configuration, routes: list[Route], pools: Mapping[str, Pool], memory: SharedMemory
    ) -> None:
        self.pools = pools
        self.census = WorkerCensus(routes, pools)
        self.ids = {name: number for number, name in enumerate(configuration.order, FIRST_ID)}
        self.rooms = {
            pool.index: Room(pool, pool.backend.rules, memory)
            for pool in pools.values()
            if pool.backend.rules is not None
        }

    def doorway(self, route: Route, bind: Bind) -> Doorway | None:
        """Return what stands behind a listener; None: nothing does."""
        asked = route.frontend.rules is not None or bind.accept_proxy
        if asked or (route.pool is not None and route.pool.index in self.rooms):
            return Doorway(self, route, bind)
        return None
