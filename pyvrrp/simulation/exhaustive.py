"""Two routers and everything that can happen between them: a search over all interleavings, until nothing is new.

Laws: pure. Time goes in steps, some to an interval. In each of them a router runs or stands still, fails or recovers,
is killed, stopped or started; every packet on its way is read, read and kept (it comes again), kept for as long as one
likes (so order is nothing), or lost; whoever runs reads first and lets its timers fire then. The machine is that of
production under its judge. Times in a state count from now, so states that are alike are one, and they come to an end:
what the search has closed holds for all time, not to a depth. From every state that is found, two healthy routers on an
undisturbed network have to come to one Master, the best.

Routers meet in packets alone, and a packet takes a step at least: so what one router can do with what is in front of it
is worked out once, whatever the other one does meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import permutations, product
from typing import NamedTuple

from pyvrrp.model import Address, Instance
from pyvrrp.protocol.effects import Effect, SendAdvertisement
from pyvrrp.protocol.events import AdvertisementReceived, Event, FaultCleared, FaultRaised, Shutdown, Startup, Tick
from pyvrrp.protocol.master import LEAST_PAUSE
from pyvrrp.protocol.states import Backup, Fault, Initialize, Master, State
from pyvrrp.simulation.invariants import hold
from pyvrrp.simulation.judged_router import JudgedRouter
from pyvrrp.wire.advertisement import Advertisement

MOST_UNDER_WAY = 2
"""Packets on their way to one router; the oldest of more is lost."""
READ, TWICE, KEPT, LOST = range(4)
CAUSE = "script chk"
_EVENTS: dict[type[State], tuple[Event | None, ...]] = {
    Initialize: (Startup(),),
    Backup: (None, FaultRaised(CAUSE), Shutdown()),
    Master: (None, FaultRaised(CAUSE), Shutdown()),
    Fault: (None, FaultCleared(CAUSE), Shutdown()),
}
"""What can happen to a router in a state, beside packets and time; None: it is killed."""
Packets = tuple[int, ...]
"""Their priorities."""


class Local(NamedTuple):
    """One router: its state and what its judge remembers, with times that count from now."""

    state: State
    heard_at: float | None
    resigned_at: float | None


class Pair(NamedTuple):
    """Both routers, by the numbers of their ``Local``s, and what is on its way to each."""

    first: int
    second: int
    to_first: Packets
    to_second: Packets


Outcome = tuple[int, Packets, Packets]
"""A router a step later: itself, by number, what it has sent, what is still on its way to it."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a search has found. ``depth``: after how many steps; ``is_closed``: because nothing was new any more."""

    states: int
    transitions: int
    depth: int
    is_closed: bool


class Search:
    """A search for two routers. ``instances``: theirs; ``sources``: their addresses; ``steps``: in an interval.

    ``faults``: whether routers fail, recover, stop and are killed, too, and not only stand still and lose packets.
    """

    def __init__(
        self,
        instances: tuple[Instance, Instance],
        sources: tuple[Address, Address],
        *,
        steps: int = 2,
        faults: bool = False,
    ) -> None:
        self._instances = instances
        self._sources = sources
        self._steps = steps
        self._faults = faults
        self._step = instances[0].advert_interval / steps
        self._locals: list[Local] = []
        self._numbers: dict[Local, int] = {}
        self._known: dict[tuple[int, int, Packets], tuple[Outcome, ...]] = {}
        self._later: dict[Pair, Pair] = {}

    def run(self, most: int) -> Found:
        """Search until nothing is new, or for ``most`` steps. Raises BrokenInvariantError."""
        nobody = self._numbered(Local(Initialize(), None, None))
        begin = Pair(nobody, nobody, (), ())
        seen, frontier, transitions, depth = {begin}, [begin], 0, 0
        while frontier and depth < most:
            depth += 1
            found: list[Pair] = []
            for pair in frontier:
                for after in self._successors(pair):
                    transitions += 1
                    if after not in seen:
                        seen.add(after)
                        found.append(after)
            frontier = found
        for pair in seen:
            self._comes_to_rest(pair)
        return Found(len(seen), transitions, depth, not frontier)

    # --- What can happen ------------------------------------------------------------------------------------------

    def _successors(self, pair: Pair) -> Iterator[Pair]:
        ones = self._outcomes(0, pair.first, pair.to_first)
        others = self._outcomes(1, pair.second, pair.to_second)
        for (first, sent, left), (second, answered, kept) in product(ones, others):
            to_first = _joined(left, answered) if answered else left
            yield Pair(first, second, to_first, _joined(kept, sent) if sent else kept)

    def _numbered(self, local: Local) -> int:
        """Return the number of ``local``: numbers are compared a million times, states are not."""
        if local not in self._numbers:
            self._numbers[local] = len(self._locals)
            self._locals.append(local)
        return self._numbers[local]

    def _outcomes(self, number: int, which: int, packets: Packets) -> tuple[Outcome, ...]:
        key = (number, which, packets)
        if key not in self._known:
            found = dict.fromkeys(self._choices(number, self._locals[which], packets))
            self._known[key] = tuple((self._numbered(local), sent, kept) for local, sent, kept in found)
        return self._known[key]

    def _choices(self, number: int, local: Local, packets: Packets) -> Iterator[tuple[Local, Packets, Packets]]:
        for event in _EVENTS[type(local.state)] if self._faults or isinstance(local.state, Initialize) else ():
            yield (*self._met(number, local, event), packets)
        for fates in product((READ, TWICE, KEPT, LOST), repeat=len(packets)):
            read = [one for one, fate in zip(packets, fates, strict=True) if fate in {READ, TWICE}]
            kept = tuple(one for one, fate in zip(packets, fates, strict=True) if fate in {KEPT, TWICE})
            if not read:
                yield self._aged(number, local), (), kept
            for order in set(permutations(read)):
                yield (*self._ran(number, local, order), kept)

    def _met(self, number: int, local: Local, event: Event | None) -> tuple[Local, Packets]:
        """Return the router after a step in which this happens to it; None: it is killed."""
        if event is None:
            return Local(Initialize(), None, None), ()
        router = self._router(number, local)
        sent = _priorities(router.handle(event, 0.0))
        return self._aged(number, Local(router.state, router.heard_at, router.resigned_at)), sent

    def _ran(self, number: int, local: Local, packets: Packets) -> tuple[Local, Packets]:
        """Return the router after a step in which it reads these, then lets its timers fire; and what it has sent."""
        router = self._router(number, local)
        peer, other = self._instances[1 - number], self._sources[1 - number]
        effects = []
        for priority in packets:
            message = Advertisement(peer.version, peer.virtual_router_id, priority, peer.advert_interval, ())
            effects += router.handle(AdvertisementReceived(message, other), 0.0)
        if router.deadline is not None and router.deadline <= 0.0:
            effects += router.handle(Tick(), 0.0)
        return self._aged(number, Local(router.state, router.heard_at, router.resigned_at)), _priorities(effects)

    def _router(self, number: int, local: Local) -> JudgedRouter:
        router = JudgedRouter(self._instances[number], self._sources[number])
        router.state, router.heard_at, router.resigned_at = local
        router.has_addresses = isinstance(local.state, Master)
        router.causes = local.state.causes if isinstance(local.state, Fault) else frozenset()
        return router

    def _aged(self, number: int, local: Local) -> Local:
        """Return what a router is a step later; what is too long ago to matter is forgotten."""
        step, interval = self._step, self._instances[number].advert_interval
        longest = (self._instances[number].down_timer_adverts + 1) * interval + step
        forgets = isinstance(local.state, Initialize | Fault)
        heard, resigned = (
            None if forgets or at is None or at - step < -longest else round(at - step, 6) for at in local[1:]
        )
        match local.state:
            case Backup(master_down_at=down_at) as state:
                aged: State = replace(state, master_down_at=max(round(down_at - step, 6), -2 * interval))
            case Master(advertise_at=advertise_at, announcement=announcement) as state:
                if announcement is not None:
                    announcement = replace(announcement, at=max(round(announcement.at - step, 6), -interval))
                aged = replace(
                    state,
                    advertise_at=max(round(advertise_at - step, 6), -2 * interval),
                    announcement=announcement,
                    answered_at=_unless_past(state.answered_at, step, interval),
                    announced_at=_unless_past(state.announced_at, step, LEAST_PAUSE),
                )
            case _:
                aged = local.state
        return Local(aged, heard, resigned)

    # --- What has to come of it -----------------------------------------------------------------------------------

    def _comes_to_rest(self, pair: Pair) -> None:
        """L1: nothing is lost any more, nobody stands still or fails: one Master, the best."""
        first, answered = self._mended(0, self._locals[pair.first])
        second, sent = self._mended(1, self._locals[pair.second])
        pair = self._paired(first, second, _joined(pair.to_first, sent), _joined(pair.to_second, answered))
        for _ in range(self._steps_to_rest):
            pair = self._undisturbed(pair)
        states = (self._locals[pair.first].state, self._locals[pair.second].state)
        masters = [number for number, state in enumerate(states) if isinstance(state, Master)]
        hold(len(masters) == 1, "L1", f"{len(masters)} masters in the end")
        ranks = [(one.priority, int(source)) for one, source in zip(self._instances, self._sources, strict=True)]
        lower = self._instances[masters[0]].priority < max(ranks)[0]
        hold(not lower or not self._instances[1 - masters[0]].preempt, "L1", "not the best is Master in the end")

    def _mended(self, number: int, local: Local) -> tuple[Local, Packets]:
        match local.state:
            case Initialize():
                return self._met(number, local, Startup())
            case Fault():
                return self._met(number, local, FaultCleared(CAUSE))
            case _:
                return local, ()

    @property
    def _steps_to_rest(self) -> int:
        """Two Master_Down_Intervals and what is on its way, in steps."""
        return 2 * self._steps * (self._instances[0].down_timer_adverts + 1) + 2 * MOST_UNDER_WAY + 2

    def _undisturbed(self, pair: Pair) -> Pair:
        if pair not in self._later:
            first, sent = self._ran(0, self._locals[pair.first], pair.to_first)
            second, answered = self._ran(1, self._locals[pair.second], pair.to_second)
            self._later[pair] = self._paired(first, second, _joined((), answered), _joined((), sent))
        return self._later[pair]

    def _paired(self, first: Local, second: Local, to_first: Packets, to_second: Packets) -> Pair:
        return Pair(self._numbered(first), self._numbered(second), to_first, to_second)


def _unless_past(at: float | None, step: float, matters: float) -> float | None:
    """Return a point in the past as it is a step later; None once it is ``matters`` seconds ago and matters no more."""
    return None if at is None or at - step <= -matters else round(at - step, 6)


def _priorities(effects: Iterable[Effect]) -> Packets:
    return tuple(effect.priority for effect in effects if isinstance(effect, SendAdvertisement))


def _joined(kept: Packets, sent: Packets) -> Packets:
    return tuple(sorted((*kept, *sent)[-MOST_UNDER_WAY:]))
