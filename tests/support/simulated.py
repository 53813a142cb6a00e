"""Small LANs in memory for tests: two nodes or more on one LAN, each with the same instances."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from ipaddress import ip_interface

from pyvrrp.model import Configuration, Instance, Script, Tracked, TrackScript, VirtualAddress
from pyvrrp.simulation.chance import Chance
from pyvrrp.simulation.faults import Fault, Start
from pyvrrp.simulation.kernel import Card
from pyvrrp.simulation.lan import Lan
from pyvrrp.simulation.observer import Observer

VIP = VirtualAddress(ip_interface("192.0.2.100/24"))
PLAIN = Instance("VI_1", "eth0", 51, addresses=(VIP,))
CHECKED = replace(PLAIN, tracked=(Tracked("chk"),))
CHK = TrackScript("chk", Script(("/bin/true",)))


def configuration(instance: Instance = PLAIN, priority: int | None = None, **others: object) -> Configuration:
    """One instance, of this priority; scripts are there if it tracks any."""
    one = instance if priority is None else replace(instance, priority=priority)
    scripts = (CHK,) if one.track_scripts else ()
    return Configuration((one,), scripts=scripts, **others)  # type: ignore[arg-type]


def pair(
    *priorities: int, instance: Instance = PLAIN, seed: int | None = None, observer: Observer | None = None
) -> Lan:
    """Return a LAN of nodes lb1, lb2, ... with these priorities (100 and 90 if none are given), all started."""
    chance = None if seed is None else Chance(random.Random(seed).random)  # noqa: S311 - it has to come back, no secret
    lan = Lan(chance, observer=observer)
    for n, priority in enumerate(priorities or (100, 90), 1):
        lan.add(f"lb{n}", configuration(instance, priority), {"eth0": Card.of(f"192.0.2.{n}/24")})
    for name in lan.nodes:
        lan.inject(Start(name))
    return lan


def story(lan: Lan, end: float, *faults: tuple[float, Fault]) -> list[tuple[float, str, str]]:
    """Let these faults happen, run until ``end``; return the transitions: when (to a millisecond), who, to what."""
    begun = len(lan.timeline)
    for at, fault in faults:
        lan.inject_at(at, fault)
    lan.run_until(end)
    return [(round(one.at, 3), one.node, one.after) for one in lan.timeline[begun:] if one.kind == "transition"]


def columns(lan: Lan) -> Sequence[tuple[str, str]]:
    """Return all routers, for the picture."""
    return [(node.name, one.name) for node in lan.nodes.values() for one in node.configuration.instances]
