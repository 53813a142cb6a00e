"""What happens to a connection between accept and the choice of a server.

Laws: nothing waits: who asks is told to come again when more has come, or at ``deadline``. Data that a client sends
stays in the kernel until there is a server to give it to: whoever wants to know it looks at it there (``MSG_PEEK``).
Only a PROXY header is taken out, byte for byte. The stages are HAProxy's, in its order: the PROXY header, the rules of
the session, contents, ``use_backend``, the backend's contents, ``use-server``, stick tables.

Source: HAProxy's configuration manual, section 4.2 "tcp-request"; ``session.c``, ``tcp_rules.c``, ``stream.c``.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from tcpbalancer.closing import close_with_reset, vanish
from tcpbalancer.counters import DENIED_CONNECTIONS, DENIED_REQUESTS, DENIED_SESSIONS
from tcpbalancer.doorway import Doorway, Room
from tcpbalancer.poller import ERROR
from tcpbalancer.pool import Pool
from tcpbalancer.proxy_protocol import CLOSED, LONGEST, TIMED_OUT, TRUNCATED, Endpoint, ProxyHeaderError, parse
from tcpbalancer.rules.facts import Facts
from tcpbalancer.rules.fetches import LARGEST_PAYLOAD
from tcpbalancer.rules.ruleset import PENDING, RuleList
from tcpbalancer.rules.samples import as_address


class Leaving(Enum):
    """What the end of a client means that comes before a server is reached."""

    STAYS = "there is no end yet"
    ASKS = "it sent data before its FIN, and waits for an answer"
    LEFT = "it closed without a word"
    RESET = "it reset the connection"


def leaving(client: socket.SocketType, mask: int) -> Leaving:
    """Return what epoll's ``mask`` means for a client that has no server yet."""
    try:
        asks = bool(client.recv(1, socket.MSG_PEEK)) and not mask & ERROR
    except BlockingIOError:
        return Leaving.STAYS
    except OSError:
        return Leaving.RESET
    if mask & ERROR:
        return Leaving.RESET
    return Leaving.ASKS if asks else Leaving.LEFT


@dataclass(frozen=True, slots=True)
class Refused:
    """The connection ends here. ``flags`` None: no session has begun, so no record is made; ``failure`` is logged."""

    reason: str
    flags: str | None = None
    failure: str = ""
    silently: bool = False


class Outcome(Enum):
    """What becomes of a connection that is not refused."""

    WAITS = "more has to come, or the deadline"
    GOES_ON = "a backend is chosen, if there is one; a server may be, too"


def enter(doorway: Doorway, client: socket.SocketType, address: tuple[str, int], now: float) -> Arrival | None:
    """Ask the rules that come before anything else; returns None if they refuse: then the connection is reset."""
    facts = doorway.facts(client, address)
    wanted: list[str] = []
    action = doorway.connection.decide(facts, wanted.append)
    if action in {"reject", "silent-drop"}:
        doorway.route.block.add(DENIED_CONNECTIONS)
        (vanish if action == "silent-drop" else close_with_reset)(client)
        return None
    arrival = Arrival(doorway, client, address, facts, now)
    if doorway.accept_proxy or "expect-proxy" in wanted:
        arrival.expect_header()
    return arrival


class Arrival:
    """One connection on its way in. ``pool`` and ``bound`` (a server's slot) are set as soon as they are chosen."""

    def __init__(
        self, doorway: Doorway, client: socket.SocketType, address: tuple[str, int], facts: Facts, now: float
    ) -> None:
        self.address = address
        self.deadline: float | None = None
        self.pool: Pool | None = None
        self.bound: int | None = None
        self.key: bytes | None = None  # what ``balance hash`` hashes
        self.socket = doorway.socket
        self._client = client
        self._doorway = doorway
        self._facts = facts
        self._begun = now
        self._room: Room | None = None
        self._keys: list[tuple[Room, int]] = []
        self._has_begun = False  # as a session
        self._was_reset = False
        self._stage: Callable[[float, bool], Refused | Outcome | None] = self._session_rules

    def expect_header(self) -> None:
        """Wait for a PROXY header before anything else."""
        self._stage = self._proxy_header

    def advance(self, now: float, *, ended: bool = False, was_reset: bool = False) -> Refused | Outcome:
        """Go as far as it gets with what has come; ``ended``: the client will send nothing more.

        Who was reset is asked to the end, and denied if a rule says so; but no server hears of it.
        """
        self._was_reset |= was_reset
        while (outcome := self._stage(now, ended)) is None:
            pass
        if self._was_reset and self._has_begun and isinstance(outcome, Outcome):
            return Refused("the client reset the connection before a server was chosen", "CR")
        return outcome

    def established(self, slot: int, now: float) -> None:
        """Remember the server that was reached, for whoever comes with the same key."""
        for room, key in self._keys:
            room.remember(key, slot, now)

    def endpoints(self) -> tuple[Endpoint | None, Endpoint | None]:
        """Return the client's address, and the one that it called, as far as they are known."""
        facts = self._facts
        source = None if facts.source is None else Endpoint(facts.source, facts.source_port or 0)
        called = None if facts.destination is None else Endpoint(facts.destination, facts.destination_port or 0)
        return source, called

    # -- the stages -------------------------------------------------------------------------------------------------

    def _proxy_header(self, now: float, ended: bool) -> Refused | Outcome | None:  # noqa: FBT001 - a stage
        data = self._peek(LONGEST)
        try:
            header = parse(data)
        except ProxyHeaderError as wrong:
            return Refused(str(wrong), failure=str(wrong))
        if header is None:
            if self.deadline is not None and now >= self.deadline:
                return Refused(TIMED_OUT, failure=TIMED_OUT)
            if ended:
                return Refused(TRUNCATED if data else CLOSED, failure=TRUNCATED if data else CLOSED)
            limit = self._doorway.route.frontend.timeouts.client
            self.deadline = None if limit is None else self._begun + limit
            return Outcome.WAITS
        self._client.recv(header.length)
        if header.source is not None and header.destination is not None:
            self._facts.source, self._facts.source_port = header.source.ip, header.source.port
            self._facts.destination, self._facts.destination_port = header.destination.ip, header.destination.port
            self.address = (str(as_address(header.source.ip)), header.source.port)
        self.deadline = None
        self._stage = self._session_rules
        return None

    def _session_rules(self, now: float, _ended: bool) -> Refused | None:  # noqa: FBT001
        action = self._doorway.session.decide(self._facts)
        if action in {"reject", "silent-drop"}:
            self._doorway.route.block.add(DENIED_SESSIONS)
            return Refused("tcp-request session reject", silently=action == "silent-drop")
        self._doorway.route.block.counted(now)
        self._has_begun = True
        self._stage = self._front_contents
        return None

    def _front_contents(self, now: float, ended: bool) -> Refused | Outcome | None:  # noqa: FBT001
        outcome = self._contents(self._doorway.content, self._doorway.inspect_delay, now, ended=ended)
        if outcome is None:
            self._stage = self._choose_backend
        return outcome

    def _choose_backend(self, _now: float, _ended: bool) -> Outcome | None:  # noqa: FBT001
        if self._doorway.backends:
            self._facts.data, self._facts.final = self._peek(LARGEST_PAYLOAD), True
        self.pool = self._doorway.choose(self._facts)
        if self.pool is None:
            return Outcome.GOES_ON
        self._facts.backend, self._facts.backend_id = self.pool.backend.name, self._doorway.number_of(self.pool)
        self._room = self._doorway.room(self.pool)
        if self._room is None:
            return Outcome.GOES_ON
        self._stage = self._back_contents
        return None

    def _back_contents(self, now: float, ended: bool) -> Refused | Outcome | None:  # noqa: FBT001
        room = self._room
        assert room is not None
        if room.name != self._doorway.route.frontend.name:  # a listen section's rules were asked already
            outcome = self._contents(room.content, room.inspect_delay, now, ended=ended)
            if outcome is not None:
                return outcome
        self._facts.final = True
        self.bound, keys = room.choose(self._facts, now)
        self._keys = [(room, key) for key in keys]
        if room.hashes:
            self._facts.data = self._peek(LARGEST_PAYLOAD)
            self.key = room.key(self._facts)
        return Outcome.GOES_ON

    # -- looking at what has come -------------------------------------------------------------------------------------

    def _contents(self, rules: RuleList, delay: float | None, now: float, *, ended: bool) -> Refused | Outcome | None:
        """Ask rules about what has come; None: they let it pass."""
        if not rules:
            return None
        facts = self._facts
        facts.data = self._peek(LARGEST_PAYLOAD)
        over = self.deadline is not None and now >= self.deadline
        facts.final = delay is None or ended or over or len(facts.data) >= LARGEST_PAYLOAD
        action = rules.decide(facts)
        if action == PENDING:
            assert delay is not None
            self.deadline = self.deadline or now + delay
            return Outcome.WAITS
        self.deadline = None
        if action in {"reject", "silent-drop"}:
            self._doorway.route.block.add(DENIED_REQUESTS)
            return Refused("tcp-request content reject", "PR", silently=action == "silent-drop")
        return None

    def _peek(self, most: int) -> bytes:
        try:
            return self._client.recv(most, socket.MSG_PEEK)
        except BlockingIOError:
            return b""
        except OSError:  # told only once
            self._was_reset = True
            return b""
