"""One trial: a world and a story by chance, told under the eyes of the judge.

Laws: pure. ``make`` turns a number into chance (at the edge: ``Chance(random.Random(number).random)``), so that the
seed of a trial is all that is needed to have it again. The story is data: a shorter one in the same world is told with
the same chance for what happens on the way of each packet.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from pyvrrp.simulation.chance import Chance
from pyvrrp.simulation.faults import ClockStep
from pyvrrp.simulation.invariants import BrokenInvariantError
from pyvrrp.simulation.judge import Judge
from pyvrrp.simulation.judged_router import JudgedRouter
from pyvrrp.simulation.lan import Lan
from pyvrrp.simulation.liveness import Core, a_core, has_one_master, is_quiet, settle
from pyvrrp.simulation.probes import probe
from pyvrrp.simulation.stories import LENGTH, Step, a_story
from pyvrrp.simulation.timeline import Entry
from pyvrrp.simulation.worlds import World, a_world

Make = Callable[[int], Chance]
AFTER = 10
"""Intervals that a story goes on behind its last fault."""
LIVELY = 3
"""Every third trial ends with a healthy core."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What a seed stands for. ``core``: in a liveness trial, who is whole at the end."""

    seed: int
    world: World
    story: tuple[Step, ...]
    core: Core | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a trial ended. ``broken``: the invariant that does not hold, or the error of the machine; None: all hold."""

    events: int
    lan: Lan
    broken: BaseException | None = None

    @property
    def kind(self) -> str:
        """What is broken: the invariant's name, or that of the error's class; "" if nothing is."""
        if isinstance(self.broken, BrokenInvariantError):
            return self.broken.invariant
        return type(self.broken).__name__ if self.broken is not None else ""


def a_trial(seed: int, make: Make) -> Trial:
    """Return the trial of this seed."""
    chance = make(2 * seed)
    world = a_world(chance)
    story = tuple(a_story(world, chance))
    return Trial(seed, world, story, a_core(world, chance) if seed % LIVELY == 0 else None)


def a_lan(world: World, chance: Chance) -> Lan:
    """Return a judged LAN with the nodes of ``world``, none of which has started."""
    lan = Lan(chance, machine=JudgedRouter, observer=Judge(), most_lag=0.002 * world.interval, remarks=False)
    for node in world.nodes:
        lan.add(node.name, node.configuration, node.cards)
    return lan


def tell(trial: Trial, make: Make, story: Sequence[Step] | None = None) -> Verdict:
    """Tell the story of ``trial`` (or another one) until its end, or until something is broken."""
    chance = make(2 * trial.seed + 1)
    lan = a_lan(trial.world, chance)
    try:
        for at, fault in trial.story if story is None else story:
            lan.run_until(at)
            lan.inject(fault)
        lan.run_until(max(lan.now, LENGTH * trial.world.interval) + AFTER * trial.world.interval)
        if trial.core is not None:
            _end_well(lan, trial.world, trial.core, chance)
    except Exception as broken:  # noqa: BLE001 - whatever the machine raises is a finding, too
        return Verdict(lan.events, lan, broken)
    return Verdict(lan.events, lan)


def _end_well(lan: Lan, world: World, core: Core, chance: Chance) -> None:
    """Leave a healthy core and hold it to what it owes: one Master, peace, and takeovers in time."""
    settle(lan, world, core)
    is_quiet(lan, world, core)
    has_one_master(lan, core)
    probe(lan, world, core, chance)


def under_other_clocks(trial: Trial, before: Verdict, make: Make) -> Verdict:
    """Tell a trial once more without any step of a wall clock (S16): whatever happened has to happen again."""
    plain = replace(trial, story=tuple(step for step in trial.story if not isinstance(step[1], ClockStep)))
    after = tell(plain, make)
    if after.broken is None and _happenings(after) != _happenings(before):
        return replace(after, broken=BrokenInvariantError("S16", "another wall clock has another story"))
    return after


def _happenings(verdict: Verdict) -> list[Entry]:
    return [one for one in verdict.lan.timeline if one.kind != "fault"]
