"""Our VRRP daemon beside the real keepalived, side by side in one run: `./run bench vrrp`.

Laws: both do the same on the same kernel, one after the other, in turns. A takeover is what a client sees: from the
death of the master to the first answer of the other router. Nothing here is a test: a loaded machine makes all figures
worse, and those of both.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import machine
import tables
import vrrp_rows as rows
from progress import told
from results import keep
from vrrp_lan import MOST, VIP, Routers, many_text, pair_text, until_all_held
from vrrp_rows import KEEPALIVED, LINK_DOWN, PYVRRP, SIGKILL, SIGTERM

from halab import faults

STEADY = 10.0
"""Seconds over which the processor time of the steady state is taken."""
SETTLED = 7.0
"""Seconds until the steady state: the second burst of gratuitous ARP comes after five."""
WITHIN = 20.0

Figures = dict[str, dict[str, list[float]]]


def takeovers(program: str, interval: float) -> dict[str, float]:
    """The master ends, loses its link, is killed; in between it comes back."""
    with Routers() as lan:
        lan.start("right", program, pair_text(100, interval))
        lan.until_log("right", "Entering BACKUP STATE", WITHIN)
        left = lan.define("left", program, pair_text(200, interval))
        left.start()
        lan.until_held_by("left", WITHIN)
        figures = {rows.takeover(SIGTERM, interval): lan.outage(lambda: lan.terminate("left"), WITHIN)}
        _start_again(lan)
        lan.until_held_by("left", WITHIN)
        figures[rows.takeover(LINK_DOWN, interval)] = lan.outage(lambda: lan.cut("left"), WITHIN)
        lan.heal("left")
        lan.until_held_by("left", WITHIN)
        figures[rows.takeover(SIGKILL, interval)] = lan.outage(lambda: lan.kill("left"), WITHIN)
    return figures


def healed(program: str) -> dict[str, float]:
    """The master is cut off in silence until the other has taken over; then both are joined, and the other yields.

    The client still sends to the one that has yielded, until the first one says where the address lives now.
    """
    with Routers() as lan:
        lan.start("left", program, pair_text(200, 0.01))
        lan.until_held_by("left", WITHIN)
        lan.start("right", program, pair_text(100, 0.01))
        lan.until_log("right", "Entering BACKUP STATE", WITHIN)
        faults.partition(lan.lab, "left")
        lan.watch.until(VIP, {"left", "right"}, WITHIN)
        return {rows.HEALED: lan.outage(lambda: faults.heal(lan.lab, "left"), WITHIN)}


def _start_again(lan: Routers) -> None:
    """Start the left program once more, until it stays: keepalived lingers for a second, and refuses a second of it."""
    left, deadline = lan.speakers["left"], time.monotonic() + WITHIN
    while time.monotonic() < deadline:
        if not left.ready():
            left.start()
        time.sleep(0.3)
        if left.ready() and "left" in lan.watch.holders(VIP):
            return


def start(program: str) -> dict[str, float]:
    """Start one alone: how long until it says that it is in BACKUP, and so listens."""
    with Routers() as lan:
        speaker = lan.define("left", program, pair_text(100, 1))
        begun = time.monotonic()
        starting = threading.Thread(target=speaker.start)  # ours returns only when it says that it is ready
        starting.start()
        said = lan.until_log("left", "Entering BACKUP STATE", WITHIN)
        starting.join()
        return {rows.START: said - begun}


def many(left: str, right: str, count: int, *, lease: bool = False) -> tuple[dict[str, float], dict[str, float]]:
    """So many virtual routers, all masters on the left and backups on the right: shares of a core, and memory.

    Without ``lease``, both programs ask the kernel for the same.
    """
    settings = {PYVRRP: "" if lease else "vip_lease off", KEEPALIVED: ""}
    with Routers(lans=(count - 1) // MOST + 1) as lan:
        lan.start("left", left, many_text(200, count, settings[left]))
        until_all_held(lan, "left", count, 60)
        lan.start("right", right, many_text(100, count, settings[right]))
        time.sleep(SETTLED)
        names = ("left", "right")
        before, begun = [lan.processor_time(name) for name in names], time.monotonic()
        time.sleep(STEADY)
        took = time.monotonic() - begun
        shares = [(lan.processor_time(name) - was) / took for name, was in zip(names, before, strict=True)]
        sizes = [lan.memory(name) for name in names]
    return (
        {rows.masters(count): shares[0], rows.memory(rows.masters(count)): sizes[0]},
        {rows.backups(count): shares[1], rows.memory(rows.backups(count)): sizes[1]},
    )


def steadfast(program: str, seconds: int) -> dict[str, float]:
    """A hundred advertisements a second while every processor has more than it can do: how often is one missed?"""
    with Routers() as lan:
        lan.start("left", program, pair_text(200, 0.01))
        lan.until_held_by("left", WITHIN)
        lan.start("right", program, pair_text(100, 0.01))
        lan.until_log("right", "Entering BACKUP STATE", WITHIN)
        before, taken = len(lan.watch.changes), ("right", VIP, True)
        with lan.busy(2 * (os.cpu_count() or 1)):
            lan.forget_advertisements()
            time.sleep(seconds)
            heard = list(lan.advertisements("left"))
        moved = (one for one in lan.watch.changes[before:] if (one.host, one.address, one.present) == taken)
        count = sum(1 for _ in moved)
    pause = max(later - one for one, later in itertools.pairwise(heard))
    return {rows.false_failovers(seconds): float(count), rows.LONGEST: pause}


def measured(rounds: int, seconds: int, only: str) -> Figures:
    """Every figure by its name and program, in turns."""
    figures: Figures = {}

    def note(program: str, found: dict[str, float]) -> None:
        for name, value in found.items():
            figures.setdefault(name, {}).setdefault(program, []).append(value)

    works: dict[str, Callable[[str], dict[str, float]]] = {
        **{f"takeover {each:g} s": functools.partial(takeovers, interval=each) for each in rows.INTERVALS},
        "partition": healed,
        "start": start,
    }
    for number in range(rounds):
        for name, work in works.items():
            for program in (PYVRRP, KEEPALIVED) if only in name else ():
                told(f"round {number + 1}/{rounds}: {name}, {program}")
                note(program, work(program))
    for count in rows.COUNTS if only in "many" else ():
        for left, right in ((PYVRRP, KEEPALIVED), (KEEPALIVED, PYVRRP)):
            told(f"{count} virtual routers, {left} as master")
            of_masters, of_backups = many(left, right, count)
            note(left, of_masters)
            note(right, of_backups)
    for count in rows.COUNTS[-1:] if only in "many" else ():
        told(f"{count} virtual routers with a lease")
        with_lease, _ = many(PYVRRP, KEEPALIVED, count, lease=True)
        note(PYVRRP, {rows.leased(count): with_lease[rows.masters(count)]})
    for program in (PYVRRP, KEEPALIVED) if only in "load" else ():
        told(f"{seconds} s under load, {program}")
        note(program, steadfast(program, seconds))
    told("")
    return figures


def main() -> None:
    """Measure, print the table, write the figures."""
    parser = argparse.ArgumentParser(prog="./run bench vrrp")
    parser.add_argument("--quick", action="store_true", help="one round, and a quarter of the time under load")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure of every round")
    parser.add_argument("--rounds", type=int, default=0)
    parser.add_argument("--only", default="", metavar="WHAT", help="one of: takeover, partition, start, many, load")
    options = parser.parse_args()
    rounds, seconds = (1, 15) if options.quick else (5, 60)
    shape, before = machine.shape(), machine.ticks()
    figures = measured(options.rounds or rounds, seconds, options.only)
    found: dict[str, Any] = {
        "machine": {**shape, "foreign share": machine.foreign_share(before, machine.ticks())},
        "versions": {PYVRRP: machine.version_of_ours(), KEEPALIVED: machine.version(["keepalived", "-v"]).lstrip("v")},
        "rounds": options.rounds or rounds,
        "figures": figures,
    }
    print(tables.vrrp(found))
    if options.json is not None:
        keep(options.json, "vrrp", found)


if __name__ == "__main__":
    main()
