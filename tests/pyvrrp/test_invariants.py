"""The invariants of a safe and live VRRP speaker, held against the real machines under any story.

S1 addresses only while master; S3 who may advertise; S5 with which priority; S7 no early takeover; S8 yield at once;
S9 preemption; S10 announcements; S11 timers; S12 groups move as one; S13 pure priority; S15 idempotent reload; S16 no
clock but the one given; S19 notifications are the transitions; S20 listen after a stall. The first group is in
``pyvrrp/simulation/judged_router.py``, checked after every event.
L1 one master; L2 takeover in time; L3 after a heal; L4 no flaps.

A failing story is printed in full, as the shortest list of events that still fails. The stories are the same in every
run; ``INVARIANT_STORIES=20000`` has so many new ones told by each test, and a failure prints what brings it back.
"""

from __future__ import annotations

import heapq
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv6Address
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyvrrp.model import Address, GratuitousArp, Instance, SyncGroup, Tracked, TrackerKind
from pyvrrp.protocol.effects import GroupTransitioned, Notify, NotifyGroup, SendAdvertisement
from pyvrrp.protocol.events import (
    AdvertisementReceived,
    Event,
    FaultCleared,
    FaultRaised,
    GiveUp,
    PriorityChanged,
    Reconfigured,
    Shutdown,
    SourceChanged,
    Startup,
    TakeOver,
    Tick,
)
from pyvrrp.protocol.groups import Ensemble, Told
from pyvrrp.protocol.machine import VirtualRouter
from pyvrrp.protocol.states import Fault, Master
from pyvrrp.protocol.timers import master_down_interval, skew_time
from pyvrrp.protocol.tracking import effective_priority
from pyvrrp.simulation.judged_router import JudgedRouter
from pyvrrp.wire.advertisement import Advertisement

NOW = 1000.0
ADDRESSES: dict[int, tuple[Address, ...]] = {
    4: tuple(IPv4Address(f"192.168.50.{n}") for n in (1, 11, 12)),
    6: tuple(IPv6Address(f"fe80::{n}") for n in (1, 11, 12)),
}

FRESH = int(os.environ.get("INVARIANT_STORIES", "0"))


def stories(number: int) -> settings:
    """Return how many stories to tell: ``number`` that are always the same, or as many new ones as are asked for."""
    return settings(max_examples=FRESH or number, derandomize=not FRESH, deadline=None, print_blob=True)


# --- One router ---------------------------------------------------------------------------------------------------


def an_instance(name: str = "VI_1") -> st.SearchStrategy[Instance]:
    """Any configuration that bears on the machine."""

    def built(version: int, six: bool, interval: float, adverts: int, **others: object) -> Instance:
        family, own = (6, interval) if version == 3 and six else (4, interval)
        seconds = own if version == 3 else max(1.0, round(own))
        plain = Instance(name, "eth0", 50, version=version, family=family, advert_interval=seconds)
        return replace(plain, down_timer_adverts=adverts, **others)  # type: ignore[arg-type]

    garp = st.builds(
        GratuitousArp,
        delay=st.sampled_from([0.0, 5.0]),
        refresh=st.sampled_from([0.0, 3.0]),
        lower_prio_repeat=st.sampled_from([0, 5]),
        lower_prio_delay=st.sampled_from([0.0, 5.0]),
    )
    return st.builds(
        built,
        version=st.sampled_from([2, 3]),
        six=st.booleans(),
        interval=st.sampled_from([0.1, 1.0, 2.5]),
        adverts=st.sampled_from([1, 3]),
        priority=st.sampled_from([1, 90, 100, 254, 255]),
        preempt=st.booleans(),
        preempt_delay=st.sampled_from([0.0, 0.0, 2.0]),
        answers_lower_priority=st.booleans(),
        answers_higher_priority=st.sampled_from([None, True, False]),
        timer_expired_backup=st.sampled_from([0.0, 0.0, 8.0]),
        notify_priority_changes=st.booleans(),
        garp=garp,
    )


@dataclass(frozen=True)
class Heard:
    """An advertisement whose sender is one of three addresses; ours is the second."""

    priority: int
    sender: int
    interval: float


@dataclass(frozen=True)
class Reload:
    """Another priority, interval or preemption; None: the same configuration."""

    priority: int | None
    interval: float
    preempt: bool


@dataclass(frozen=True)
class Passes:
    """Time passes; the timers that are due meanwhile fire ``late`` seconds after their deadlines."""

    seconds: float
    late: float


Step = Event | Heard | Reload | Passes

STEPS: st.SearchStrategy[Step] = st.one_of(
    st.builds(Passes, st.floats(0, 8), st.sampled_from([0.0, 0.0, 0.003, 1.5, 60.0])),
    st.builds(
        Heard,
        st.sampled_from([0, 1, 90, 99, 100, 101, 254, 255]),
        st.integers(0, 2),
        st.sampled_from([0.0, 0.1, 1.0, 3.0]),
    ),
    st.builds(
        Reload, st.sampled_from([None, None, 50, 100, 200, 255]), st.sampled_from([0.1, 1.0, 4.0]), st.booleans()
    ),
    st.builds(Startup, st.sampled_from([0.0, 0.0, 5.0])),
    st.builds(FaultRaised, st.sampled_from(["interface eth0 down", "script chk"])),
    st.builds(FaultCleared, st.sampled_from(["interface eth0 down", "script chk"])),
    st.builds(PriorityChanged, st.sampled_from([1, 98, 100, 254])),
    st.sampled_from([TakeOver("operator"), GiveUp("operator"), Tick()]),
)

Hand = Callable[[Event, float], object]
T = TypeVar("T")


def a_story(steps: st.SearchStrategy[T]) -> st.SearchStrategy[list[T]]:
    """Long ones, or else lists are of five on average; the short ones are what a long one shrinks to."""
    return st.one_of(st.lists(steps, max_size=10), st.lists(steps, min_size=20, max_size=40))


def play(router: VirtualRouter, steps: Iterable[Step], hand: Hand, tick: Callable[[float, float], float]) -> None:
    """Let ``steps`` happen to ``router``; ``hand`` takes its events, ``tick`` all that is due until a point in time."""
    now = NOW
    for step in steps:
        match step:
            case Passes(seconds, late):
                now = tick(now + seconds, late)
            case Heard(priority, sender, interval):
                source = ADDRESSES[router.instance.family][sender]
                hand(AdvertisementReceived(Advertisement(3, 50, priority, interval, ()), source), now)
            case Reload(None):
                hand(Reconfigured(router.instance), now)
            case Reload(priority, interval, preempt):
                seconds = interval if router.instance.version == 3 else max(1.0, interval)
                other = replace(router.instance, priority=priority, advert_interval=seconds, preempt=preempt)
                hand(Reconfigured(other), now)
            case _:
                hand(step, now)


def fire_until(
    routers: Iterable[VirtualRouter], hand: Callable[[VirtualRouter, float], object]
) -> Callable[[float, float], float]:
    """Return what fires the timers of ``routers`` in order, each ``late`` seconds after it was due."""

    def tick(end: float, late: float) -> float:
        for _ in range(400):
            due = min(((r.deadline, n, r) for n, r in enumerate(routers) if r.deadline is not None), default=None)
            if due is None or due[0] + late > end:
                break
            hand(due[2], due[0] + late)
        return end

    return tick


@stories(300)
@given(an_instance(), a_story(st.one_of(STEPS, STEPS, STEPS, STEPS, st.just(Shutdown()))))
def test_a_router_keeps_every_invariant_through_any_story(instance: Instance, steps: list[Step]) -> None:
    router = JudgedRouter(instance, ADDRESSES[instance.family][1])
    router.handle(Startup(), NOW)
    play(router, steps, router.handle, fire_until([router], lambda one, at: one.handle(Tick(), at)))
    router.handle(SourceChanged(ADDRESSES[instance.family][2]), NOW)
    router.handle(Shutdown(), NOW)
    assert not router.has_addresses, "S14"


@stories(50)
@given(an_instance(), a_story(STEPS))
def test_the_same_story_has_the_same_effects(instance: Instance, steps: list[Step]) -> None:
    """S16: no other clock, no chance, nothing remembered outside of the router."""
    traces: list[list[object]] = [[], []]
    for trace in traces:
        router = VirtualRouter(instance, ADDRESSES[instance.family][1])

        def hand(event: Event, at: float, router: VirtualRouter = router, trace: list[object] = trace) -> None:
            trace.append((event, at, router.handle(event, at), router.state))

        hand(Startup(), NOW)
        play(router, steps, hand, fire_until([router], lambda _, at, hand=hand: hand(Tick(), at)))  # type: ignore[misc]
    assert traces[0] == traces[1]


@stories(100)
@given(st.lists(st.tuples(st.sampled_from(["a", "b", "c"]), st.booleans()), max_size=30))
def test_priority_is_what_the_readings_say_whatever_came_before(changes: list[tuple[str, bool]]) -> None:
    """S13: from scratch, and step by step through the machine, it is the same number."""
    tracked = (Tracked("a", -20), Tracked("b", 30, reverse=True), Tracked("c", 5))
    instance = Instance("VI_1", "eth0", 50, tracked=tracked)
    router = VirtualRouter(instance, ADDRESSES[4][1])
    readings: dict[tuple[TrackerKind, str], bool | int | None] = {}
    for name, works in changes:
        readings[TrackerKind.SCRIPT, name] = works
        router.handle(PriorityChanged(effective_priority(instance, readings)), NOW)
        expected = 100
        expected -= 20 if readings.get((TrackerKind.SCRIPT, "a")) is False else 0
        expected -= 30 if readings.get((TrackerKind.SCRIPT, "b")) else 0
        expected += 5 if readings.get((TrackerKind.SCRIPT, "c")) else 0
        assert router.priority == expected


# --- An ensemble --------------------------------------------------------------------------------------------------

GROUP = SyncGroup("G1", ("V1", "V2", "V3"))
NAMES = ("V1", "V2", "V3", "V4")


class JudgedEnsemble:
    """An ensemble of judged routers, three of them in a group, and what must hold between them."""

    def __init__(self, instances: tuple[Instance, ...]) -> None:
        named = zip(NAMES, instances, strict=True)
        self.routers = {name: JudgedRouter(one, ADDRESSES[one.family][1]) for name, one in named}
        self.ensemble = Ensemble(self.routers, (GROUP,))
        self.group_state = "INIT"

    def hand(self, name: str, event: Event, now: float) -> None:
        self.judge(self.ensemble.handle(name, event, now))

    def reload(self, now: float) -> None:
        self.ensemble = Ensemble(self.routers, (GROUP,))
        assert self.ensemble.settle(now) == [], "S15: the same groups"
        assert self.ensemble.group_states["G1"] == self.group_state, "S15"

    def judge(self, told: list[Told]) -> None:
        states = [self.routers[name].state for name in GROUP.members]
        masters = sum(isinstance(state, Master) for state in states)
        assert masters in {0, len(states)}, f"S12: {[state.name for state in states]}"
        if any(isinstance(state, Fault) for state in states):
            assert all(isinstance(state, Fault) for state in states) or not masters, "S12"
        of_group = [effect for name, effect in told if name == "G1"]
        for one in of_group:
            if isinstance(one, GroupTransitioned):
                assert (one.before, self.ensemble.group_states["G1"]) == (self.group_state, one.after), "S19"
                self.group_state = one.after
        notified = [one.state.value for one in of_group if isinstance(one, NotifyGroup)]
        changed = [one.after for one in of_group if isinstance(one, GroupTransitioned)]
        assert notified == [{"INIT": "STOP"}.get(state, state) for state in changed], "S19"
        if changed:  # members before their group
            last_member = max(n for n, (_, effect) in enumerate(told) if isinstance(effect, Notify))
            assert last_member < min(n for n, (name, _) in enumerate(told) if name == "G1"), "S19"

    def earliest(self) -> tuple[float, str] | None:
        due = ((router.deadline, name) for name, router in self.routers.items() if router.deadline is not None)
        return min(due, default=None)

    def tick(self, end: float, late: float) -> float:
        for _ in range(400):
            due = self.earliest()
            if due is None or due[0] + late > end:
                break
            self.hand(due[1], Tick(), due[0] + late)
        return end


@stories(150)
@given(
    st.booleans(),
    st.tuples(*(an_instance(name) for name in NAMES)),
    a_story(st.tuples(st.sampled_from(NAMES), STEPS)),
)
def test_a_group_moves_as_one_through_any_story(
    begins_as_master: bool, instances: tuple[Instance, ...], steps: list[tuple[str, Step]]
) -> None:
    together = JudgedEnsemble(instances)
    for name in NAMES:
        together.hand(name, Startup(), NOW)
    now = together.tick(NOW + 20, 0.0) if begins_as_master else NOW
    assert together.group_state in ({"MASTER"} if begins_as_master else {"MASTER", "BACKUP"})
    for name, step in steps:
        if isinstance(step, Passes):
            now = together.tick(now + step.seconds, step.late)
            together.reload(now)
            continue
        at = now
        play(
            together.routers[name],
            [step],
            lambda event, _, name=name, at=at: together.hand(name, event, at),
            together.tick,
        )  # type: ignore[misc]
    told = together.ensemble.shutdown(now)
    together.judge(told)
    assert not any(router.has_addresses for router in together.routers.values()), "S14"
    stops = [name for name, effect in told if isinstance(effect, Notify | NotifyGroup)]
    assert stops == [*NAMES, "G1"], "every instance stops before the group"


# --- Several routers on one LAN -----------------------------------------------------------------------------------

DELAY = 0.0001
"""Seconds that a packet takes on the simulated LAN."""


@dataclass
class Lan:
    """Routers that hear each other, and one clock. ``loses(sender, receiver)`` says whether a packet gets lost."""

    routers: list[JudgedRouter]
    loses: Callable[[int, int], bool] = lambda _sender, _receiver: False
    now: float = NOW
    transitions: int = 0
    sent_at: dict[int, float] = field(default_factory=dict)
    _flying: list[tuple[float, int, int, AdvertisementReceived]] = field(default_factory=list)
    _count: int = 0

    def hand(self, number: int, event: Event) -> None:
        router, before = self.routers[number], self.routers[number].state.name
        for effect in router.handle(event, self.now):
            if isinstance(effect, SendAdvertisement):
                self._send(number, effect.priority)
        self.transitions += before != router.state.name

    def _send(self, number: int, priority: int) -> None:
        sender = self.routers[number]
        self.sent_at[number] = self.now
        message = Advertisement(sender.instance.version, 50, priority, sender.instance.advert_interval, ())
        for other in range(len(self.routers)):
            if other != number and not self.loses(number, other):
                self._count += 1
                packet = AdvertisementReceived(message, sender.source)
                heapq.heappush(self._flying, (self.now + DELAY, self._count, other, packet))

    def run(self, seconds: float) -> None:
        """Let everything happen that is due in the next ``seconds``: what has arrived first, then the timers."""
        end = self.now + seconds
        while (due := self._next()) is not None and due[0] <= end:
            self.now, number, event = due
            self.hand(number, event)
        self.now = end

    def _next(self) -> tuple[float, int, Event] | None:
        timers = ((r.deadline, n) for n, r in enumerate(self.routers) if r.deadline is not None)
        timer = min(timers, default=None)
        if self._flying and (timer is None or self._flying[0][0] <= timer[0]):
            at, _, number, event = heapq.heappop(self._flying)
            return at, number, event
        return None if timer is None else (max(timer[0], self.now), timer[1], Tick())

    @property
    def masters(self) -> list[int]:
        return [n for n, router in enumerate(self.routers) if isinstance(router.state, Master)]


@st.composite
def a_lan(draw: st.DrawFn, *, preempt: bool = True) -> Lan:
    """Two to five routers of different priorities, that start within a second of each other."""
    version, interval = draw(st.sampled_from([(2, 1.0), (2, 3.0), (3, 0.1), (3, 1.0)]))
    priorities = draw(st.lists(st.integers(1, 254), min_size=2, max_size=5, unique=True))
    routers = []
    for n, priority in enumerate(priorities):
        instance = Instance("VI_1", "eth0", 50, priority, version=version, advert_interval=interval, preempt=preempt)
        routers.append(JudgedRouter(instance, IPv4Address(f"10.0.0.{n + 1}")))
    lan = Lan(routers)
    for n in range(len(routers)):
        lan.hand(n, Startup())
        lan.run(draw(st.floats(0, 0.3)))
    return lan


def down(router: VirtualRouter) -> float:
    return master_down_interval(router.instance.priority, router.instance.advert_interval, 3, router.instance.version)


def skew(router: VirtualRouter) -> float:
    return skew_time(router.instance.priority, router.instance.version, router.instance.advert_interval)


def best(lan: Lan, alive: Iterable[int]) -> int:
    return max(alive, key=lambda n: lan.routers[n].priority)


@stories(80)
@given(a_lan())
def test_a_lan_has_exactly_one_master_and_it_is_the_highest(lan: Lan) -> None:
    """L1: within the Master_Down_Interval of the best, an interval and the delay."""
    highest = best(lan, range(len(lan.routers)))
    lan.run(down(lan.routers[highest]) + lan.routers[0].instance.advert_interval + 2 * DELAY)
    assert lan.masters == [highest]


@stories(40)
@given(a_lan(preempt=False), st.integers(0, 10))
def test_without_preemption_the_incumbent_stays_master_whoever_comes(lan: Lan, choice: int) -> None:
    """L1 and S9: a router of priority 254 that comes later is not obeyed, and does not take over."""
    lan.run(3 * max(down(router) for router in lan.routers))
    incumbents = lan.masters
    assert len(incumbents) == 1
    newcomer = choice % len(lan.routers)
    if newcomer == incumbents[0]:
        return
    lan.hand(newcomer, Shutdown())
    lan.routers[newcomer].instance = replace(lan.routers[newcomer].instance, priority=254)
    lan.routers[newcomer].priority = 254
    lan.hand(newcomer, Startup())
    lan.run(60)
    assert lan.masters == incumbents


@stories(60)
@given(a_lan())
def test_after_a_planned_stop_the_next_takes_over_within_its_skew(lan: Lan) -> None:
    """L2."""
    lan.run(3 * max(down(router) for router in lan.routers))
    stopped = lan.masters[0]
    lan.hand(stopped, Shutdown())
    successor = best(lan, [n for n in range(len(lan.routers)) if n != stopped])
    lan.run(skew(lan.routers[successor]) + 2 * DELAY)
    assert successor in lan.masters
    lan.run(2 * DELAY)
    assert lan.masters == [successor]


@stories(60)
@given(a_lan())
def test_after_a_crash_the_next_takes_over_within_its_master_down_interval(lan: Lan) -> None:
    """L2: counted from the last advertisement."""
    lan.run(3 * max(down(router) for router in lan.routers))
    crashed = lan.masters[0]
    lan.loses = lambda sender, receiver: crashed in {sender, receiver}
    successor = best(lan, [n for n in range(len(lan.routers)) if n != crashed])
    lan.run(lan.sent_at[crashed] + down(lan.routers[successor]) + 2 * DELAY - lan.now)
    lan.run(2 * DELAY)
    assert [n for n in lan.masters if n != crashed] == [successor]


@stories(60)
@given(a_lan(), st.integers(1, 4))
def test_after_a_split_is_healed_one_master_is_left_within_an_interval(lan: Lan, cut: int) -> None:
    """L3 and L1: one master in each part, and one in the whole."""
    parts = [[n for n in range(len(lan.routers)) if (n < cut) is left] for left in (True, False)]
    lan.loses = lambda sender, receiver: (sender < cut) is not (receiver < cut)
    interval = lan.routers[0].instance.advert_interval
    lan.run(3 * max(down(router) for router in lan.routers) + interval)
    assert lan.masters == sorted(best(lan, part) for part in parts if part)
    lan.loses = lambda _sender, _receiver: False
    lan.run(interval + 2 * DELAY)
    assert lan.masters == [best(lan, range(len(lan.routers)))]


@stories(60)
@given(a_lan(), st.data())
def test_nothing_moves_while_fewer_than_three_advertisements_in_a_row_are_lost(lan: Lan, data: st.DataObject) -> None:
    """L4."""
    lan.run(3 * max(down(router) for router in lan.routers))
    pattern = data.draw(st.lists(st.booleans(), min_size=1, max_size=20))
    missed: dict[tuple[int, int], int] = {}
    seen: dict[tuple[int, int], int] = {}

    def loses(sender: int, receiver: int) -> bool:
        pair = sender, receiver
        seen[pair] = seen.get(pair, receiver) + 1
        lost = pattern[seen[pair] % len(pattern)] and missed.get(pair, 0) < 2
        missed[pair] = missed.get(pair, 0) + 1 if lost else 0
        return lost

    lan.loses, lan.transitions = loses, 0
    lan.run(40 * lan.routers[0].instance.advert_interval)
    assert lan.transitions == 0


# --- Two nodes with a sync group on two LANs --------------------------------------------------------------------


class Nodes:
    """Nodes with one member of a group on each of two LANs; ``broken`` are the LANs that carry nothing."""

    def __init__(self, priorities: list[int]) -> None:
        self.routers: list[dict[str, JudgedRouter]] = []
        for n, priority in enumerate(priorities):
            here = {name: Instance(name, "eth0", 50, priority) for name in ("V1", "V2")}
            address = IPv4Address(f"10.0.0.{n + 1}")
            self.routers.append({name: JudgedRouter(instance, address) for name, instance in here.items()})
        self.nodes = [Ensemble(routers, (SyncGroup("G1", ("V1", "V2")),)) for routers in self.routers]
        self.broken: set[str] = set()
        self.now = NOW
        self._flying: list[tuple[float, int, int, str, AdvertisementReceived]] = []
        self._count = 0

    def hand(self, node: int, name: str, event: Event) -> None:
        for member, effect in self.nodes[node].handle(name, event, self.now):
            if isinstance(effect, SendAdvertisement) and member not in self.broken:
                message = Advertisement(2, 50, effect.priority, 1.0, ())
                packet = AdvertisementReceived(message, self.routers[node][member].source)
                for other in range(len(self.nodes)):
                    if other != node:
                        self._count += 1
                        heapq.heappush(self._flying, (self.now + DELAY, self._count, other, member, packet))

    def run(self, seconds: float) -> None:
        """Let everything happen that is due in the next ``seconds``."""
        end = self.now + seconds
        while True:
            timers = (
                (router.deadline, node, name)
                for node, routers in enumerate(self.routers)
                for name, router in routers.items()
                if router.deadline is not None
            )
            at, node, name = min(timers, default=(end + 1, 0, ""))
            if self._flying and self._flying[0][0] <= min(at, end):
                self.now, _, node, name, packet = heapq.heappop(self._flying)
                self.hand(node, name, packet)
            elif at <= end:
                self.now = max(at, self.now)
                self.hand(node, name, Tick())
            else:
                self.now = end
                return

    @property
    def groups(self) -> list[str]:
        return [node.group_states["G1"] for node in self.nodes]


@stories(40)
@given(
    st.permutations([150, 100, 50]), st.lists(st.floats(0, 1), min_size=6, max_size=6), st.sampled_from(["V1", "V2"])
)
def test_a_group_is_master_on_one_node_alone_and_moves_with_a_fault_on_either_lan(
    priorities: list[int], pauses: list[float], faulty: str
) -> None:
    """L1 and S12: the group of the highest is master, moves as a whole, and comes back as a whole."""
    nodes = Nodes(priorities)
    first, second = priorities.index(150), priorities.index(100)
    for n, pause in enumerate(pauses):
        nodes.hand(n // 2, ("V1", "V2")[n % 2], Startup())
        nodes.run(pause)
    nodes.run(10)
    assert nodes.groups == ["MASTER" if n == first else "BACKUP" for n in range(3)]
    nodes.hand(first, faulty, FaultRaised("interface eth0 down"))
    nodes.run(1.0)
    assert nodes.groups == [{first: "FAULT", second: "MASTER"}.get(n, "BACKUP") for n in range(3)]
    nodes.hand(first, faulty, FaultCleared("interface eth0 down"))
    nodes.run(10)
    assert nodes.groups == ["MASTER" if n == first else "BACKUP" for n in range(3)]


@stories(20)
@given(st.sampled_from(["V1", "V2"]), st.booleans())
def test_while_one_lan_carries_nothing_the_group_stays_where_it_is(broken: str, swapped: bool) -> None:
    """A member that hears nobody wants MASTER, but its group waits for the one that still hears the master."""
    nodes = Nodes([100, 150] if swapped else [150, 100])
    for node in (0, 1):
        for name in ("V1", "V2"):
            nodes.hand(node, name, Startup())
    nodes.run(10)
    expected = ["BACKUP", "MASTER"] if swapped else ["MASTER", "BACKUP"]
    assert nodes.groups == expected
    nodes.broken = {broken}
    nodes.run(60)
    assert nodes.groups == expected
    nodes.broken = set()
    nodes.run(60)
    assert nodes.groups == expected


def test_the_judge_finds_a_router_that_breaks_the_rules() -> None:
    """The judge itself is on trial: a machine with addresses and without being master is caught."""
    router = JudgedRouter(Instance("VI_1", "eth0", 50), ADDRESSES[4][1])
    router.handle(Startup(), NOW)
    router.has_addresses = True
    with pytest.raises(AssertionError, match="S1"):
        router.handle(FaultRaised("script chk"), NOW)
