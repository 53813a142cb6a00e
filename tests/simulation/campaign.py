"""Trials by the million events, over all processors: ``./run simulate``.

Every trial has a seed of its own, counted on from ``--seed``; ``--trial SEED`` tells one of them, with its timeline.
The first that breaks an invariant is made as short as it gets and printed; then the status is 1.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import os
import random
import resource
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

from reliability import record
from two_routers import PAIRS

from pyvrrp.simulation.chance import Chance
from pyvrrp.simulation.invariants import LIVENESS, SAFETY
from pyvrrp.simulation.shrinking import shrunk
from pyvrrp.simulation.timeline import render
from pyvrrp.simulation.trial import Trial, a_trial, tell, under_other_clocks

OTHER_CLOCKS = 20
"""Every so many trials, one is told again with other wall clocks (S16)."""


@dataclass(frozen=True, slots=True)
class Share:
    """What one processor has done: trials and events, and the first seed that broke something."""

    trials: int
    events: int
    broken: int | None = None


def make(number: int) -> Chance:
    """Return the chance of this number: the same on every machine."""
    return Chance(random.Random(number).random)  # noqa: S311 - it has to come back, no secret


def share(first: int, step: int, events: int) -> Share:
    """Tell every ``step``-th trial from ``first`` on until there were so many events, or something broke."""
    done = 0
    for trials, seed in enumerate(itertools.count(first, step), 1):
        trial = a_trial(seed, make)
        verdict = tell(trial, make)
        done += verdict.events
        if verdict.broken is None and trials % OTHER_CLOCKS == 0:
            verdict = under_other_clocks(trial, verdict, make)
            done += verdict.events
        if verdict.broken is not None:
            return Share(trials, done, seed)
        if done >= events:
            return Share(trials, done)
    raise AssertionError("the numbers do not end")


def campaign(events: int, seed: int) -> Share:
    """Tell trials on all processors until there were so many events."""
    several = os.cpu_count() or 1
    with multiprocessing.Pool(several) as pool:
        shares = pool.starmap(share, [(seed + n, several, events // several) for n in range(several)])
    broken = [one.broken for one in shares if one.broken is not None]
    return Share(sum(one.trials for one in shares), sum(one.events for one in shares), min(broken) if broken else None)


def picture(trial: Trial) -> Iterator[str]:
    """Yield a trial as text: its world, what happened, and what broke."""
    verdict = tell(trial, make)
    yield str(trial.world)
    columns = [(node.name, one.name) for node in trial.world.nodes for one in node.configuration.instances]
    yield from render(verdict.lan.timeline, columns)
    yield f"{verdict.lan.now:10.6f}  {verdict.broken or 'every invariant holds'}"


def main() -> int:
    """Carry out what the command line says; return the exit status."""
    parser = argparse.ArgumentParser(prog="./run simulate", description=__doc__)
    parser.add_argument("--events", type=int, default=10_000_000, help="how many, over all processors")
    parser.add_argument("--seed", type=int, default=0, help="of the first trial")
    parser.add_argument("--trial", type=int, help="tell this one, with its timeline, and no other")
    parser.add_argument("--record", action="store_true", help="write the figures into docs/reliability.md")
    asked = parser.parse_args()
    if asked.trial is not None:
        trial = a_trial(asked.trial, make)
        print("\n".join(picture(trial)))
        return int(bool(tell(trial, make).kind))
    begun = time.monotonic()
    found = campaign(asked.events, asked.seed)
    seconds = time.monotonic() - begun
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    rate = found.events / (spent.ru_utime + spent.ru_stime)
    print(f"{found.trials} trials from seed {asked.seed}, {found.events} events in {seconds:.0f} s")
    print(f"{rate:.0f} events a second of processor time")
    if found.broken is not None:
        print(f"seed {found.broken} breaks an invariant; ./run simulate --trial {found.broken} tells it; shortened:")
        print("\n".join(picture(shrunk(a_trial(found.broken, make), make))))
        return 1
    if asked.record:
        record("invariants", ["", "what is held"], list((SAFETY | LIVENESS).items()), "./run simulate --record")
        write_down(found, rate)
        write_pairs_down()
    return 0


def write_down(found: Share, rate: float) -> None:
    """Write the figures of a campaign that broke nothing; ``rate``: events a second of processor time."""
    rows = [
        ("trials (worlds of 2 to 7 routers)", f"{found.trials:,}"),
        ("events", f"{found.events:,}"),
        ("events a second of processor time", f"{rate:,.0f}"),
        ("invariants held after every event", f"{len(SAFETY)}: {', '.join(SAFETY)}"),
        ("invariants held of healthy cores", f"{len(LIVENESS)}: {', '.join(LIVENESS)}"),
        ("broken", "0"),
    ]
    record("simulation", ["what", "found"], rows, "./run simulate --record")


def write_pairs_down() -> None:
    """Write what the exhaustive search of all pairs finds."""
    tried = [(pair, pair.search()) for pair in PAIRS]
    columns = ["priorities", "beside packets and stalls", "states", "transitions", "steps of half an interval"]
    cells = [
        (
            str(pair),
            "faults, stops, kills, starts" if pair.faults else "nothing",
            f"{one.states:,}",
            f"{one.transitions:,}",
            f"{one.depth}, then nothing is new" if one.is_closed else one.depth,
        )
        for pair, one in tried
    ]
    record("exhaustive", columns, cells, "./run simulate --record")


if __name__ == "__main__":
    sys.exit(main())
