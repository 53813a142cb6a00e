"""What would make a failure move the addresses: each remedy is tried on the same LAN, and told only if it works.

Laws: pure. The number in a remedy is the smallest change that should do; whether it does, the trial says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from pyvrrp.doctor.node import Node
from pyvrrp.doctor.routers import shared_routers
from pyvrrp.doctor.trials import Standing, Trial, attempt
from pyvrrp.model import MAX_WEIGHT, Configuration, Instance, Tracked

Change = Callable[[Node], Configuration]


def remedies(nodes: Sequence[Node], trial: Trial) -> Iterator[str]:
    """Yield what makes the failure of ``trial`` move the addresses, with how long that takes."""
    concerned = [_alone(node, trial) for node in nodes]
    for words, change in _candidates(trial):
        again = _again([replace(node, configuration=change(node)) for node in concerned], trial)
        if again.has_moved and again.after is not None:
            yield f"{words} (tried: they move after {again.after:.2f} s)"


def next_best(trial: Trial) -> Standing:
    """Return the router that should have taken over."""
    others = [one for one in trial.standings if one.node != trial.failed.node.name]
    return max(others, key=lambda one: (one.state != "FAULT", one.priority))


def _alone(node: Node, trial: Trial) -> Node:
    """Return ``node`` with nothing but the virtual router of ``trial``, and what moves together with it."""
    mine = {member.instance.name for member in trial.router if member.node.name == node.name}
    groups = [group for group in node.configuration.groups if mine & {*group.members}]
    kept = mine.union(*(group.members for group in groups))
    instances = tuple(one for one in node.configuration.instances if one.name in kept)
    return replace(node, configuration=replace(node.configuration, instances=instances, groups=tuple(groups)))


def _candidates(trial: Trial) -> Iterator[tuple[str, Change]]:
    failed, tracked, best = trial.failed, trial.failure.tracked, next_best(trial)
    assert tracked is not None
    other = next(one.instance for one in trial.router if one.node.name == best.node)
    excess = trial.priority_of(failed.node.name) - best.priority + 1
    enough = tracked.weight - excess if tracked.weight < 0 else tracked.weight + excess
    if excess > 0 and abs(enough) <= MAX_WEIGHT:
        yield f"weight {enough} on every router", lambda node: _weighted(node.configuration, tracked, enough)
    if excess > 0 and other.priority + excess < failed.instance.priority:
        nearer = other.priority + excess
        yield f"priority {nearer} on {best.node}", lambda node: _prioritised(node, best.node, other.name, nearer)
    if not other.preempt:
        yield f"no nopreempt on {best.node}", lambda node: _preempting(node.configuration, other.name)
    yield "no weight, so that a failure is FAULT", lambda node: _weighted(node.configuration, tracked, 0)


def _again(nodes: Sequence[Node], trial: Trial) -> Trial:
    """Return what becomes of the failure of ``trial`` among these ``nodes``."""
    wanted = (trial.failed.node.name, trial.failed.instance.name)
    routers = shared_routers(nodes)
    router = next(one for one in routers if wanted in {(each.node.name, each.instance.name) for each in one})
    (again,) = attempt(nodes, [router], trial.failure, trial.dead)
    return again


def _weighted(configuration: Configuration, tracked: Tracked, weight: int) -> Configuration:
    def changed(lines: tuple[Tracked, ...]) -> tuple[Tracked, ...]:
        return tuple(replace(line, weight=weight) if line.key == tracked.key else line for line in lines)

    return replace(
        configuration,
        instances=tuple(replace(one, tracked=changed(one.tracked)) for one in configuration.instances),
        groups=tuple(replace(one, tracked=changed(one.tracked)) for one in configuration.groups),
    )


def _prioritised(node: Node, on: str, name: str, priority: int) -> Configuration:
    if node.name != on:
        return node.configuration
    return _with(node.configuration, name, lambda one: replace(one, priority=priority))


def _preempting(configuration: Configuration, name: str) -> Configuration:
    return _with(configuration, name, lambda one: replace(one, preempt=True))


def _with(configuration: Configuration, name: str, change: Callable[[Instance], Instance]) -> Configuration:
    instances = (change(one) if one.name == name else one for one in configuration.instances)
    return replace(configuration, instances=tuple(instances))
