"""Stories by chance: what goes wrong in a world, when, and when it is mended again.

Laws: pure, and data: a story is a list of (when, fault), so that it can be told again, cut shorter and printed. In a
safety story every fault heals; in the end of a liveness story a healthy core is left, and what is outside never heals.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from pyvrrp.model import Configuration, Instance, TrackerKind
from pyvrrp.simulation.chance import Chance
from pyvrrp.simulation.checks import Outcome
from pyvrrp.simulation.faults import (
    AddressTaken,
    Check,
    ClockStep,
    Cut,
    Demote,
    Fault,
    Freeze,
    Heal,
    Isolate,
    Kill,
    LinkCreated,
    LinkDeleted,
    LinkDown,
    LinkUp,
    Mute,
    OwnAddresses,
    Promote,
    Reading,
    RefuseAddresses,
    RefuseSends,
    Reload,
    Start,
    Stop,
    Thaw,
    Uncut,
    Weather,
)
from pyvrrp.simulation.medium import CALM, Conditions
from pyvrrp.simulation.worlds import CHECKS, NodePlan, World

Step = tuple[float, Fault]
LENGTH = 60
"""Intervals that a story lasts."""


@dataclass(frozen=True, slots=True)
class Telling:
    """What a fault needs: the world, chance, when it happens (seconds), and a node that it may happen to."""

    world: World
    chance: Chance
    at: float
    node: NodePlan

    def later(self, most: float = 12.0) -> float:
        """Return when it heals: up to ``most`` intervals later."""
        return self.at + self.chance.between(0.0, most) * self.world.interval

    def card(self) -> str:
        """Return the name of an interface."""
        return self.chance.pick(tuple(self.node.cards))

    def instance(self) -> Instance:
        """Return an instance of the node."""
        return self.chance.pick(self.node.configuration.instances)

    def other(self) -> str:
        """Return the name of another node."""
        return self.chance.pick([one.name for one in self.world.nodes if one is not self.node])


def _frozen(told: Telling) -> Iterator[Step]:
    yield told.at, Freeze(told.node.name)
    yield told.later(20.0), Thaw(told.node.name)


def _killed(told: Telling) -> Iterator[Step]:
    yield told.at, Kill(told.node.name)
    yield told.later(), Start(told.node.name)


def _stopped(told: Telling) -> Iterator[Step]:
    yield told.at, Stop(told.node.name)
    yield told.later(), Start(told.node.name)


def _isolated(told: Telling) -> Iterator[Step]:
    name = told.node.name
    yield told.at, Isolate(name) if told.chance.happens(0.5) else Mute(name)
    yield told.later(), Heal(told.node.name)


def _cut(told: Telling) -> Iterator[Step]:
    """One direction between two, or a chain of cuts that are healed in another order (swizzle-clog)."""
    pairs = [(told.node.name, told.other())]
    if told.chance.happens(0.3):
        names = told.chance.shuffled([one.name for one in told.world.nodes])
        pairs = [(one, other) for one in names for other in names if one != other and told.chance.happens(0.5)]
    for n, (sender, receiver) in enumerate(pairs):
        yield told.at + n * 0.1 * told.world.interval, Cut(sender, receiver)
    for sender, receiver in told.chance.shuffled(pairs):
        yield told.later(), Uncut(sender, receiver)


def _carrier(told: Telling) -> Iterator[Step]:
    card = told.card()
    yield told.at, LinkDown(told.node.name, card)
    yield told.later(), LinkUp(told.node.name, card)


def _deleted(told: Telling) -> Iterator[Step]:
    card = told.card()
    yield told.at, LinkDeleted(told.node.name, card)
    yield told.later(), LinkCreated(told.node.name, card)


def _readdressed(told: Telling) -> Iterator[Step]:
    card = told.card()
    yield told.at, OwnAddresses(told.node.name, card, ())
    yield told.later(), OwnAddresses(told.node.name, card, told.node.cards[card].addresses)


def _taken(told: Telling) -> Iterator[Step]:
    instance = told.instance()
    for n in range(told.chance.pick((1, 1, 1, 30))):
        address = told.chance.pick(instance.addresses).ip
        yield told.at + 0.3 * n, AddressTaken(told.node.name, instance.interface, address)


def _refused(told: Telling) -> Iterator[Step]:
    yield told.at, RefuseAddresses(told.node.name, refuses=True)
    yield told.later(), RefuseAddresses(told.node.name, refuses=False)


def _unsent(told: Telling) -> Iterator[Step]:
    yield told.at, RefuseSends(told.node.name, told.chance.pick((errno.ENOBUFS, errno.EPERM)))
    yield told.later(4.0), RefuseSends(told.node.name, 0)


def _checked(told: Telling) -> Iterator[Step]:
    key = (TrackerKind.SCRIPT, told.chance.pick(CHECKS)[0])
    bad = told.chance.pick([one for one in Outcome if one is not Outcome.SUCCEEDS])
    yield told.at, Check(told.node.name, key, bad)
    yield told.later(20.0), Check(told.node.name, key, Outcome.SUCCEEDS)


def _counted(told: Telling) -> Iterator[Step]:
    key = (TrackerKind.FILE, "number")
    yield told.at, Reading(told.node.name, key, told.chance.pick((-254, -60, 7, 300)))
    yield told.later(), Reading(told.node.name, key, 0)


def _operated(told: Telling) -> Iterator[Step]:
    name, instance = told.node.name, told.instance().name
    yield told.at, Promote(name, instance) if told.chance.happens(0.5) else Demote(name, instance)


def _stepped(told: Telling) -> Iterator[Step]:
    """Signed advertisements count from the wall clock: who is set back and restarted is not believed (their rule)."""
    if not any(one.hmac for one in told.node.configuration.instances):
        yield told.at, ClockStep(told.node.name, told.chance.pick((-3600.0, -1.0, 0.5, 86400.0)))


def _reloaded(told: Telling) -> Iterator[Step]:
    yield told.at, Reload(told.node.name, told.node.configuration)
    changed = _changed(told)
    yield told.at + 0.01, Reload(told.node.name, changed)
    yield told.later(), Reload(told.node.name, told.node.configuration)


def _changed(told: Telling) -> Configuration:
    before, chance = told.node.configuration, told.chance
    kept = [one for one in before.instances if not chance.happens(0.2)] or list(before.instances)
    after = []
    for one in kept:
        owner = one.is_owner
        after.append(
            replace(
                one,
                priority=one.priority if owner else chance.pick((one.priority, 60, 120)),
                preempt=owner or chance.happens(0.5),
                addresses=one.addresses[: max(1, chance.below(len(one.addresses) + 1))],
                garp=replace(one.garp, refresh=chance.pick((0.0, 10.0))),
            )
        )
    names = {one.name for one in after}
    groups = tuple(group for group in before.groups if names >= set(group.members) and chance.happens(0.7))
    return replace(before, instances=tuple(after), groups=groups)


def _weather(told: Telling) -> Iterator[Step]:
    chance, interval = told.chance, told.world.interval
    bad = Conditions(
        delay=chance.pick((0.0002, 0.01, 0.3 * interval)),
        jitter=chance.pick((0.0, 0.01, 0.5 * interval)),
        loss=chance.pick((0.0, 0.1, 0.5)),
        duplication=chance.pick((0.0, 0.2)),
        reordering=chance.pick((0.0, 0.2)),
        late=2 * interval,
        corruption=chance.pick((0.0, 0.1)),
        truncation=chance.pick((0.0, 0.05)),
        padding=chance.pick((0.0, 1.0)),
    )
    pair = (told.node.name, told.other()) if chance.happens(0.5) else (None, None)
    yield told.at, Weather(bad, *pair)
    yield told.later(20.0), Weather(CALM, *pair)


KINDS: tuple[Callable[[Telling], Iterator[Step]], ...] = (
    _frozen, _frozen, _killed, _stopped, _isolated, _isolated, _cut, _cut, _carrier, _deleted, _readdressed, _taken,
    _refused, _unsent, _checked, _checked, _counted, _operated, _stepped, _reloaded, _weather, _weather,
)  # fmt: skip


def a_story(world: World, chance: Chance) -> list[Step]:
    """Return a safety story: every node starts, then faults come and heal, in order of time (seconds)."""
    steps: list[Step] = [(chance.between(0.0, 2.0) * world.interval, Start(node.name)) for node in world.nodes]
    rate = chance.pick((1.0, 4.0, 10.0))
    at = chance.between(0.0, 10.0) * world.interval
    while at < LENGTH * world.interval:
        telling = Telling(world, chance, at, chance.pick(world.nodes))
        steps += chance.pick(KINDS)(telling)
        at += chance.between(0.0, 2 * rate) * world.interval
    return sorted(steps, key=lambda step: step[0])
