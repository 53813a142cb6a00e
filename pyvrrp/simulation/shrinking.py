"""The shortest story that still breaks: delta debugging, for traces too long for a property test's shrinker.

Laws: pure. Zeller and Hildebrandt's ddmin: leave out ever smaller parts as long as what is left fails in the same way;
in the end nothing can be left out any more. Nodes that nobody needs go first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from pyvrrp.simulation.liveness import Core
from pyvrrp.simulation.stories import Step
from pyvrrp.simulation.trial import Make, Trial, tell

T = TypeVar("T")


def shortest(items: Sequence[T], fails: Callable[[Sequence[T]], bool]) -> list[T]:
    """Return a part of ``items``, in their order, that fails and of which no single one can be left out."""
    left, parts = list(items), 2
    while len(left) > 1:
        size = max(1, len(left) // parts)
        for begin in range(0, len(left), size):
            tried = left[:begin] + left[begin + size :]
            if tried and fails(tried):
                left, parts = tried, max(2, parts - 1)
                break
        else:
            if size == 1:
                return left
            parts = min(len(left), 2 * parts)
    return left


def shrunk(trial: Trial, make: Make) -> Trial:
    """Return the smallest trial, of fewer nodes and faults, that breaks what ``trial`` breaks (if it does)."""
    kind = tell(trial, make).kind
    if not kind:
        return trial

    def breaks(one: Trial) -> bool:
        return tell(one, make).kind == kind

    def with_nodes(names: Sequence[str]) -> Trial:
        nodes = tuple(node for node in trial.world.nodes if node.name in names)
        story = tuple(step for step in trial.story if _concerns(step, names))
        core = trial.core
        if core is not None:
            whole = tuple(name for name in core.names if name in names) or (names[0],)
            core = Core(whole, tuple(fault for fault in core.faults if _concerns((0.0, fault), names)))
        return replace(trial, world=replace(trial.world, nodes=nodes), story=story, core=core)

    names = shortest([node.name for node in trial.world.nodes], lambda some: breaks(with_nodes(some)))
    fewer = with_nodes(names)
    story = shortest(fewer.story, lambda steps: breaks(replace(fewer, story=tuple(steps))))
    return replace(fewer, story=tuple(story))


def _concerns(step: Step, names: Sequence[str]) -> bool:
    """Return whether a fault names nobody but these."""
    named = (getattr(step[1], key, None) for key in ("node", "sender", "receiver"))
    return all(name is None or name in names for name in named)
