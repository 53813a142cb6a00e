"""What the trials show to be wrong: failures that move nothing, addresses that nobody serves, or two at once.

Laws: pure. Each finding has been seen to happen; each remedy has been tried, and has worked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from hakit.diagnosis import Finding, Level, Rule, Spot
from pyvrrp.doctor.node import Node, listed
from pyvrrp.doctor.remedies import next_best, remedies
from pyvrrp.doctor.routers import Member, Shared
from pyvrrp.doctor.trials import Failure, Standing, Trial, everywhere, failures_of, masters_of, standings, undisturbed
from pyvrrp.model import TrackerKind
from pyvrrp.protocol.reception import RejectedError
from pyvrrp.simulation.lan import Lan
from pyvrrp.simulation.node import Node as Simulated
from pyvrrp.simulation.observer import Observer
from pyvrrp.simulation.station import Station
from pyvrrp.wire.packet import Packet

MOVES_NOTHING = Rule(
    "failure-moves-nothing",
    Level.ERROR,
    "Something that is tracked fails on the master, and it stays master: tried in a simulation of all files.",
)
NOBODY_TAKES_OVER = Rule(
    "nobody-takes-over", Level.ERROR, "The master fails, and nobody takes its place: tried in a simulation."
)
TWO_MASTERS = Rule("two-masters", Level.ERROR, "Two routers are master of the same addresses: seen in a simulation.")
NO_MASTER = Rule("no-master", Level.ERROR, "Nobody becomes master though nothing has failed: seen in a simulation.")
NOBODY_LEFT = Rule(
    "nobody-left", Level.NOTE, "If a check fails on all routers, nobody has the addresses: seen in a simulation."
)
RULES = (MOVES_NOTHING, NOBODY_TAKES_OVER, TWO_MASTERS, NO_MASTER, NOBODY_LEFT)


class _Refusals(Observer):
    """Remembers why each router of a LAN first refused what another one sent."""

    def __init__(self) -> None:
        self.by_router: dict[tuple[str, str], str] = {}

    def rejected(self, node: Simulated, station: Station, packet: Packet, wrong: RejectedError) -> None:
        """Take in one."""
        self.by_router.setdefault((node.name, station.name), f"from {packet.source}: {wrong}")


def examine_peace(nodes: Sequence[Node], routers: Sequence[Shared]) -> tuple[list[Finding], list[Shared]]:
    """Return which of ``routers`` have no master, or two, when nothing has failed; and those that have one."""
    refusals = _Refusals()
    lan = undisturbed(nodes, refusals)
    found, sound = list[Finding](), list[Shared]()
    for router, masters in zip(routers, masters_of(lan, routers), strict=True):
        if len(masters) == 1:
            sound.append(router)
        else:
            found.append(_two_masters(router, masters, refusals) if masters else _no_master(router, lan))
    return found, sound


def _two_masters(router: Shared, masters: Sequence[str], refusals: _Refusals) -> Finding:
    member = next(one for one in reversed(router) if one.node.name in masters)
    node, instance = member.node, member.instance
    heard = refusals.by_router.get((node.name, instance.name))
    return node.finding(
        TWO_MASTERS,
        node.at(instance),
        f"{listed(masters)} are MASTER of {instance.name} at the same time",
        why=f"{node.name} refuses what it hears {heard}" if heard else f"{node.name} hears nobody",
        remedy="let their blocks say the same, but for the priority and each router's own address",
    )


def _no_master(router: Shared, lan: Lan) -> Finding:
    node, instance = router[0].node, router[0].instance
    return node.finding(
        NO_MASTER,
        node.at(instance),
        f"nobody becomes MASTER of {instance.name}, though nothing has failed",
        why=listed(standings(lan, router)),
        remedy="mend what keeps them in that state",
    )


def examine_trials(nodes: Sequence[Node], trials: Iterable[Trial]) -> Iterator[Finding]:
    """Yield what ``trials`` show to be wrong, each thing once."""
    told: set[tuple[Rule, str, str, object]] = set()
    for trial in trials:
        rule = _broken(trial)
        tracked = trial.failure.tracked
        what = trial.failure.words if tracked is None else tracked.key
        if rule is not None and (key := (rule, trial.failed.node.name, trial.failed.instance.name, what)) not in told:
            told.add(key)
            yield _moves_nothing(nodes, trial) if rule is MOVES_NOTHING else _is_not_served(trial)


def _broken(trial: Trial) -> Rule | None:
    """Return the rule that a trial breaks. Two masters of whom one has lost its link are none that clients see."""
    if not trial.masters:
        return NOBODY_TAKES_OVER
    stays = trial.masters == (trial.failed.node.name,)
    return MOVES_NOTHING if stays and trial.failure.tracked is not None else None


def _is_not_served(trial: Trial) -> Finding:
    node, instance = trial.failed.node, trial.failed.instance
    before = f", {listed(trial.dead)} being down," if trial.dead else ""
    return node.finding(
        NOBODY_TAKES_OVER,
        _place(trial),
        f"when {node.name}{before} {trial.failure.words}, nobody is MASTER of {instance.name} any more",
        why=listed(trial.standings),
        remedy="mend what keeps the others in that state; pyvrrp simulate shows every step",
    )


def _place(trial: Trial) -> Spot:
    node, instance, failure = trial.failed.node, trial.failed.instance, trial.failure
    if failure.tracked is None:
        return node.at(instance)
    return node.weight_of(instance, failure.tracked, failure.group)


def _moves_nothing(nodes: Sequence[Node], trial: Trial) -> Finding:
    node, instance, tracked, best = trial.failed.node, trial.failed.instance, trial.failure.tracked, next_best(trial)
    assert tracked is not None
    before = f", {listed(trial.dead)} being down" if trial.dead else ""
    other = next(one.instance for one in trial.router if one.node.name == best.node)
    why = f"it has priority {trial.priority_of(node.name)} then, and {best.node} has {best.priority}"
    if best.state == "FAULT":
        why = f"{best}, and takes over from nobody"
    elif not other.preempt:
        why += f"; and {best.node}, with nopreempt, takes over from no router that lives"
    return node.finding(
        MOVES_NOTHING,
        _place(trial),
        f"a failing {tracked.name} moves nothing: {node.name} stays MASTER of {instance.name}{before}",
        why=why,
        remedy=", or ".join(remedies(nodes, trial)) or _without_a_number(best),
    )


def _without_a_number(best: Standing) -> str:
    if best.state == "FAULT":
        return f"mend what keeps {best.node} in that state"
    return "no weight on any router, and nopreempt on none"


def examine_disaster(nodes: Sequence[Node], routers: Sequence[Shared]) -> Iterator[Finding]:
    """Yield which failures, if they happen on all routers at once, leave nobody to serve one of ``routers``."""
    hit: dict[tuple[TrackerKind, str], list[tuple[Shared, Failure]]] = {}
    for router in routers:
        for failure in failures_of(router[0].node, [router]):
            tracked = failure.tracked
            if tracked is not None and not tracked.weight and tracked.kind is not TrackerKind.INTERFACE:
                hit.setdefault(tracked.key, []).append((router, failure))
    for cases in hit.values():
        served = everywhere(nodes, [router for router, _ in cases], cases[0][1])
        for (router, failure), masters in zip(cases, served, strict=True):
            if not masters:
                yield _nobody_left(router[0], failure)


def _nobody_left(member: Member, failure: Failure) -> Finding:
    node, instance, tracked, group = member.node, member.instance, failure.tracked, failure.group
    assert tracked is not None
    return node.finding(
        NOBODY_LEFT,
        node.weight_of(instance, tracked, group),
        f"if {tracked.name} fails on every router, nobody has the addresses of {instance.name}",
        why="without a weight a failure is FAULT, and a router in FAULT takes no address",
        remedy="leave it if the addresses are of no use then; with a weight, one of the failed would serve",
    )
