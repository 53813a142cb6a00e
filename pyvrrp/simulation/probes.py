"""What a settled core is put through: a stop, a crash, a split and its end, lost advertisements, a fault and its end.

Laws: pure. Each probe begins with one Master and holds the core to a time: the formulae are those of the RFC, written
here anew. They are for routers without a group and without an outsider that disturbs them.
"""

from __future__ import annotations

from collections.abc import Callable

from pyvrrp.model import OWNER_PRIORITY
from pyvrrp.protocol.master import LEAST_PAUSE
from pyvrrp.protocol.states import Backup
from pyvrrp.simulation.chance import Chance
from pyvrrp.simulation.faults import Cut, Kill, LinkDown, LinkUp, Stop, Uncut
from pyvrrp.simulation.invariants import hold
from pyvrrp.simulation.lan import Lan
from pyvrrp.simulation.liveness import Core, is_disturbed, is_known, longest_down, stations
from pyvrrp.simulation.station import Station
from pyvrrp.simulation.worlds import World

SLACK = 0.001
"""Seconds: what packets take, and the microseconds in which keepalived reckons."""


def skew(station: Station) -> float:
    """Return Skew_Time in seconds, from the formula of RFC 3768 or RFC 5798 section 6.1."""
    interval = 1.0 if station.instance.version == 2 else station.instance.advert_interval
    return (256 - station.machine.priority) * interval / 256


def down(station: Station) -> float:
    """Return Master_Down_Interval in seconds, from the same section."""
    return station.instance.down_timer_adverts * station.instance.advert_interval + skew(station)


class Probed:
    """A router of a settled core: who is its Master, and who would be next."""

    def __init__(self, lan: Lan, world: World, core: Core, router: str) -> None:
        self.lan, self.world, self.router = lan, world, router
        self.found = stations(lan, core, router)
        self.master = next((name for name, one in self.found.items() if one.is_master), "")
        others = {name: one for name, one in self.found.items() if name != self.master}
        self.waiting = {name: one for name, one in others.items() if isinstance(one.machine.state, Backup)}
        self.can_be_probed = bool(
            self.master
            and self.waiting
            and not is_disturbed(lan, core, router)
            and not any(one.machine.grouped for one in self.found.values())
            and not any(one.instance.timer_expired_backup for one in self.found.values())
        )

    @property
    def lag(self) -> float:
        """By how much timers may be late, in seconds."""
        return 2 * self.lan.most_lag + SLACK

    def masters(self) -> list[str]:
        """Return who is Master now of those whose daemon runs."""
        alive = (name for name in self.found if self.lan.nodes[name].alive and not self.lan.nodes[name].stopping)
        return [name for name in alive if self.lan.nodes[name].stations[self.router].is_master]

    def by(self, seconds: float, invariant: str, what: str) -> None:
        """Hold that somebody else is Master within so many seconds."""
        self.lan.run_until(self.lan.now + seconds + self.lag)
        hold(
            self.masters(), invariant, f"{self.router}: {seconds:.6f} s after {what} of {self.master} nobody is Master"
        )


def _after_a_stop(probed: Probed, _chance: Chance) -> None:
    wait = min(skew(one) for one in probed.waiting.values())
    probed.lan.inject(Stop(probed.master))
    probed.by(wait, "L2", "the stop")


def _after_a_crash(probed: Probed, _chance: Chance) -> None:
    wait = min(down(one) for one in probed.waiting.values())
    probed.lan.inject(Kill(probed.master))
    probed.by(wait, "L2", "the crash")


def _after_a_split(probed: Probed, chance: Chance) -> None:
    lan, names = probed.lan, list(probed.found)
    here = [name for name in names if name == probed.master or chance.happens(0.4)]
    there = [name for name in names if name not in here]
    pairs = [pair for one in here for other in there for pair in ((one, other), (other, one))]
    for sender, receiver in pairs:
        lan.inject(Cut(sender, receiver))
    lan.run_until(lan.now + longest_down(probed.world) + probed.lag)
    hold(len(probed.masters()) == (2 if there else 1), "L1", f"{probed.router}: {probed.masters()} after a split")
    for sender, receiver in pairs:
        lan.inject(Uncut(sender, receiver))
    lan.run_until(lan.now + probed.world.interval + probed.lag)
    hold(len(probed.masters()) == 1, "L3", f"{probed.router}: {probed.masters()} an interval after the split has ended")
    has_last_words = all(one.instance.answers_higher_priority is not False for one in probed.found.values())
    master = probed.masters()[0]
    if has_last_words and probed.found[master].instance.garp.lower_prio_repeat:
        lan.run_until(lan.now + LEAST_PAUSE + probed.lag)
        is_known(lan, probed.found[master], master)


def _while_some_are_lost(probed: Probed, chance: Chance) -> None:
    lan, before = probed.lan, len(probed.lan.timeline)
    for _ in range(10):
        victim = chance.pick(list(probed.waiting))
        lan.inject(Cut(probed.master, victim))
        lan.run_until(lan.now + chance.between(0.0, 1.98) * probed.world.interval)
        lan.inject(Uncut(probed.master, victim))
        lan.run_until(lan.now + 1.02 * probed.world.interval)
    moved = [one for one in lan.timeline[before:] if one.kind == "transition" and one.router == probed.router]
    hold(not moved, "L4", f"{probed.router}: {moved}")


def _after_a_fault(probed: Probed, _chance: Chance) -> None:
    lan, station = probed.lan, probed.found[probed.master]
    lan.inject(LinkDown(probed.master, station.instance.interface))
    probed.by(min(skew(one) for one in probed.waiting.values()) + down(station), "L2", "the fault")
    lan.inject(LinkUp(probed.master, station.instance.interface))
    hold(station.machine.state.name != "FAULT", "L5", f"{probed.master}/{probed.router} is still in FAULT")


PROBES: tuple[Callable[[Probed, Chance], None], ...] = (
    _after_a_stop,
    _after_a_crash,
    _after_a_split,
    _while_some_are_lost,
    _after_a_fault,
)


def probe(lan: Lan, world: World, core: Core, chance: Chance) -> None:
    """Put one router of the core through one of the probes."""
    router = chance.pick([one.name for one in world.nodes[0].configuration.instances])
    probed = Probed(lan, world, core, router)
    if probed.can_be_probed and probed.found[probed.master].machine.priority != OWNER_PRIORITY:
        chance.pick(PROBES)(probed, chance)
