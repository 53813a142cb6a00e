"""What would happen: each failure is tried on the LAN that the files describe, by the machine of the daemon.

Laws: pure. Nothing is concluded by a formula: the router that is master fails in one way, time passes until everything
has had its chance, and then whoever is master is master. A remedy with a number in it has been tried in the same way.
Routers whose files contradict each other are not tried: they would be master both.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import assert_never

from hakit.transcript import Value
from pyvrrp.doctor.node import Node, listed
from pyvrrp.doctor.routers import Member, Shared
from pyvrrp.doctor.stage import lan_of
from pyvrrp.model import SyncGroup, Tracked, TrackerKind, TrackHttp, TrackScript
from pyvrrp.protocol.timers import master_down_interval
from pyvrrp.simulation.checks import Outcome
from pyvrrp.simulation.faults import Check, Kill, LinkDown, Reading
from pyvrrp.simulation.lan import Lan
from pyvrrp.simulation.observer import Observer

MOST_DEAD = 2
"""How many routers, each one the master, are down already when one more failure is tried."""


@dataclass(frozen=True, slots=True)
class Failure:
    """One way in which a router fails: in words, and as a fault. ``tracked``: what it tracks that fails, and where."""

    node: Node
    words: str
    fault: Kill | LinkDown | Check | Reading
    tracked: Tracked | None = None
    group: SyncGroup | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """How one router stands in the end: its state, its effective priority, and the causes of its FAULT."""

    node: str
    state: str
    priority: int
    causes: tuple[str, ...] = ()

    def __str__(self) -> str:
        causes = f" ({', '.join(self.causes)})" if self.causes else ""
        return f"{self.node} is {self.state}{causes} with priority {self.priority}"


@dataclass(frozen=True, slots=True)
class Trial:
    """What became of one virtual router when ``failed``, its master until then, failed; ``dead`` were down before.

    ``masters``: who was master in the end. ``after``: seconds until the last of them was; None if nothing moved.
    ``standings``: of those whose daemon runs, in the end.
    """

    router: Shared
    failed: Member
    failure: Failure
    dead: tuple[str, ...]
    masters: tuple[str, ...]
    after: float | None
    standings: tuple[Standing, ...]

    @property
    def has_moved(self) -> bool:
        """Whether exactly one other router is master now."""
        return len(self.masters) == 1 and self.masters[0] != self.failed.node.name

    @property
    def outcome(self) -> str:
        """What happened, in words."""
        if self.masters == (self.failed.node.name,):
            return f"{self.masters[0]} stays MASTER"
        names = listed(self.masters) if self.masters else "nobody"
        when = f" after {self.after:.2f} s" if self.after is not None else ""
        return f"{names} {'are' if len(self.masters) > 1 else 'is'} MASTER{when}"

    def as_dict(self) -> dict[str, Value]:
        """Return the trial for programs."""
        return {
            "router": self.failed.instance.name,
            "down": list[Value](self.dead),
            "node": self.failed.node.name,
            "failure": self.failure.words,
            "masters": list[Value](self.masters),
            "after": None if self.after is None else round(self.after, 6),
            "moved": self.has_moved,
        }

    def priority_of(self, node: str) -> int:
        """Return the effective priority of a router that runs, in the end."""
        return next(one.priority for one in self.standings if one.node == node)


def try_all(nodes: Sequence[Node], routers: Sequence[Shared]) -> Iterator[Trial]:
    """Yield what becomes of ``routers`` when their masters fail, one failure at a time, in the order of the files."""
    pending: list[tuple[str, ...]] = [()]
    done: set[frozenset[str]] = set()
    while pending:
        dead = pending.pop(0)
        if frozenset(dead) in done:
            continue
        done.add(frozenset(dead))
        served = masters_of(_settled(nodes, dead), routers)
        for node in nodes:
            mine = [router for router, masters in zip(routers, served, strict=True) if masters == [node.name]]
            tried = [router for router in mine if _others(router, {*dead, node.name})]
            if not tried:
                continue
            for failure in failures_of(node, tried):
                yield from attempt(nodes, tried, failure, dead)
            if len(dead) < MOST_DEAD:
                pending.append((*dead, node.name))


def failures_of(node: Node, routers: Sequence[Shared]) -> Iterator[Failure]:
    """Yield the ways in which ``node`` can fail ``routers``: it dies, it loses its link, something tracked fails."""
    yield Failure(node, "dies", Kill(node.name))
    mine = [member.instance for router in routers for member in router if member.node is node]
    for interface in dict.fromkeys(instance.interface for instance in mine):
        yield Failure(node, f"loses {interface}", LinkDown(node.name, interface))
    seen = {(TrackerKind.INTERFACE, instance.interface) for instance in mine}
    for instance in mine:
        for tracked, group in node.tracked_by(instance):
            failure = _failure(node, tracked, group)
            if failure is not None and tracked.key not in seen:
                seen.add(tracked.key)
                yield failure


def _failure(node: Node, tracked: Tracked, group: SyncGroup | None) -> Failure | None:
    """Return how something tracked fails. A file fails in its own way, and what is reversed by working: not tried."""
    if tracked.reverse:
        return None
    match tracked.kind:
        case TrackerKind.SCRIPT | TrackerKind.HTTP:
            fault: Check | Reading | LinkDown = Check(node.name, tracked.key, Outcome.FAILS)
            words = f"{'script' if tracked.kind is TrackerKind.SCRIPT else 'URL'} {tracked.name} fails"
        case TrackerKind.PROCESS:
            fault, words = Reading(node.name, tracked.key, value=False), f"process {tracked.name} is gone"
        case TrackerKind.INTERFACE:
            fault, words = LinkDown(node.name, tracked.name), f"loses {tracked.name}, which it tracks"
        case TrackerKind.FILE:
            return None
        case _:
            assert_never(tracked.kind)
    return Failure(node, words, fault, tracked, group)


def attempt(
    nodes: Sequence[Node], routers: Sequence[Shared], failure: Failure, dead: tuple[str, ...] = ()
) -> Iterator[Trial]:
    """Let ``failure`` happen when all is well but for ``dead``; yield what becomes of those routers that it is for."""
    lan = _settled(nodes, dead)
    begun = lan.now
    lan.inject(failure.fault)
    lan.run_until(begun + patience(nodes))
    for router, masters in zip(routers, masters_of(lan, routers), strict=True):
        failed = next(member for member in router if member.node.name == failure.node.name)
        own = _as_tracked_by(failed, failure)
        if own is not None:
            after = _moved_at(lan, router, masters, begun)
            yield Trial(router, failed, own, dead, tuple(masters), after, standings(lan, router))


def _as_tracked_by(member: Member, failure: Failure) -> Failure | None:
    """Return ``failure`` with the line that this instance has for it; None if it does not track what fails."""
    if failure.tracked is None:
        return failure
    lines = member.node.tracked_by(member.instance)
    own = next(((line, group) for line, group in lines if line.key == failure.tracked.key), None)
    return None if own is None else replace(failure, tracked=own[0], group=own[1])


def _moved_at(lan: Lan, router: Shared, masters: Sequence[str], begun: float) -> float | None:
    wanted = {(member.node.name, member.instance.name) for member in router if member.node.name in masters}
    times = [
        one.at for one in lan.timeline if one.after == "MASTER" and (one.node, one.router) in wanted and one.at >= begun
    ]
    return times[-1] - begun if times else None


def standings(lan: Lan, router: Shared) -> tuple[Standing, ...]:
    """Return how those members of ``router`` stand whose daemon runs."""
    found = []
    for member in router:
        station = lan.nodes[member.node.name].stations.get(member.instance.name)
        if station is not None:
            state, causes = station.machine.state, tuple(sorted(station.faults))
            found.append(Standing(member.node.name, state.name, station.machine.priority, causes))
    return tuple(found)


def _settled(nodes: Sequence[Node], dead: Sequence[str]) -> Lan:
    """Return the LAN when all is well, but for the routers that have died, one after the other."""
    lan = undisturbed(nodes)
    for name in dead:
        lan.inject(Kill(name))
        lan.run_until(lan.now + patience(nodes))
    return lan


def masters_of(lan: Lan, routers: Sequence[Shared]) -> list[list[str]]:
    """Return the names of those who are master of each of ``routers``; who was killed is none."""
    return [
        [member.node.name for member in router if member.node.name in lan.masters(member.instance.name)]
        for router in routers
    ]


def _others(router: Shared, without: set[str]) -> list[Member]:
    return [member for member in router if member.node.name not in without]


def undisturbed(nodes: Sequence[Node], observer: Observer | None = None) -> Lan:
    """Return the LAN of ``nodes`` when all is well, ``observer`` having seen how it came about."""
    lan = lan_of(nodes, observer=observer)
    lan.run_until(patience(nodes))
    return lan


def everywhere(nodes: Sequence[Node], routers: Sequence[Shared], failure: Failure) -> list[list[str]]:
    """Return who is master of each of ``routers`` in the end if ``failure`` happens on all of ``nodes`` at once."""
    lan = undisturbed(nodes)
    for node in nodes:
        lan.inject(replace(failure.fault, node=node.name))
    lan.run_until(lan.now + patience(nodes))
    return masters_of(lan, routers)


def patience(nodes: Sequence[Node]) -> float:
    """Return the seconds after which everything that a failure can lead to has happened.

    Every check has failed as often as it has to, and every router has waited for a master twice, with its delays.
    """
    checks, waits = [0.0], [0.0]
    for node in nodes:
        configuration = node.configuration
        run: tuple[TrackScript | TrackHttp, ...] = (*configuration.scripts, *configuration.urls)
        checks += [(one.interval + (one.timeout or one.interval)) * max(one.rise, one.fall) for one in run]
        checks += [max(one.up, one.down) for one in configuration.settings.settling.values()]
        for instance in configuration.instances:
            down = master_down_interval(1, instance.advert_interval, instance.down_timer_adverts, instance.version)
            waits.append(2 * down + instance.preempt_delay + configuration.settings.startup_delay)
    return max(checks) + max(waits) + 1.0
