"""Our TCP balancer beside HAProxy and nginx, side by side in one run: `./run bench balancer`.

Laws: a round puts every load on every program, one after the other, and rounds are repeated; what is printed are ratios
to HAProxy within a round, for these machines are shared and absolute figures say little. ``direct`` is the same load
without a balancer. Nothing here is a test.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import machine
import tables
from bench_network import DIRECTLY, Network, standing
from contenders import CONTENDERS
from loads import LOADS, failures_of_reloads, idle_memory
from progress import told
from results import keep
from rows import NGINX, OURS, THEIRS


def measured(
    network: Network, rounds: int, seconds: int, only: str, *, quick: bool
) -> list[dict[str, dict[str, float]]]:
    """Return every figure of every round: program to name to figure; ``quick``: memory, which never varies, once."""
    found: list[dict[str, dict[str, float]]] = []
    for number in range(rounds):
        figures: dict[str, dict[str, float]] = {}
        for name, load in LOADS.items():
            if only not in name or (quick and number and load is idle_memory):
                continue
            for target in (DIRECTLY, *(network.target(each) for each in CONTENDERS)):
                told(f"round {number + 1}/{rounds}: {name}, {target.name}")
                figures.setdefault(target.name, {}).update(load(network, target, seconds))
        found.append(figures)
    told("")
    return found


def result(rounds: int, only: str, *, quick: bool) -> dict[str, Any]:
    """Measure; return what --json writes."""
    # Many short turns rather than a few long ones: what else the machine does changes within seconds.
    seconds, reloads = (1, 4) if quick else (2, 50)
    shape, before = machine.shape(), machine.ticks()
    with standing() as network:
        found = measured(network, rounds, seconds, only, quick=quick)
        failed = {} if only else {name: failures_of_reloads(network, name, reloads) for name in CONTENDERS}
    return {
        "machine": {**shape, "foreign share": machine.foreign_share(before, machine.ticks())},
        "versions": {
            OURS: machine.version_of_ours(),
            THEIRS: machine.version(["haproxy", "-v"]),
            NGINX: machine.version(["nginx", "-v"]).removeprefix("nginx/"),
        },
        "seconds": seconds,
        "rounds": found,
        "reloads": failed,
    }


def main() -> None:
    """Measure, print the table, write the figures."""
    parser = argparse.ArgumentParser(prog="./run bench balancer")
    parser.add_argument("--quick", action="store_true", help="two short rounds: under two minutes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure of every round")
    parser.add_argument("--rounds", type=int, default=0)
    parser.add_argument("--only", default="", metavar="LOAD", help=f"one of: {', '.join(LOADS)}")
    options = parser.parse_args()
    if not any(options.only in name for name in LOADS):
        parser.error(f"there is no load '{options.only}'; there are {', '.join(LOADS)}")
    found = result(options.rounds or (2 if options.quick else 9), options.only, quick=options.quick)
    print(tables.balancer(found))
    if options.json is not None:
        keep(options.json, "balancer", found)


if __name__ == "__main__":
    main()
