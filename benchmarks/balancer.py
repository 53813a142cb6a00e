"""Our TCP balancer beside HAProxy and nginx, side by side in one run: `./run bench balancer`.

Laws: a round puts every load on every program, one after the other, and rounds are repeated; what is printed are ratios
to HAProxy within a round, for these machines are shared and absolute figures say little. ``direct`` is the same load
without a balancer. Nothing here is a test.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from pathlib import Path

from bench_network import DIRECT, DIRECTLY, NGINX, OURS, PROGRAMS, THEIRS, Network, standing
from loads import LOADS, ROWS, Row, failures_of_reloads

Round = dict[str, dict[str, float]]
"""Figures by program and name."""


def measured(network: Network, rounds: int, seconds: int, only: str) -> list[Round]:
    """Return every figure of every round."""
    found: list[Round] = []
    for number in range(rounds):
        figures: Round = {}
        for name, load in LOADS.items():
            if only and only not in name:
                continue
            for target in (DIRECTLY, *(network.target(each) for each in PROGRAMS)):
                print(f"\rround {number + 1}/{rounds}: {name}, {target.name}          ", end="", file=sys.stderr)
                figures.setdefault(target.name, {}).update(load(network, target, seconds))
        found.append(figures)
    print("\r" + " " * 60 + "\r", end="", file=sys.stderr)
    return found


def ratios(rounds: list[Round], row: Row, program: str) -> list[float]:
    """Return a program's figures, as multiples of HAProxy's in the same round."""
    pairs = [(one.get(program, {}).get(row.name), one.get(THEIRS, {}).get(row.name)) for one in rounds]
    return [ours / theirs for ours, theirs in pairs if ours is not None and theirs]


def shown(values: list[float]) -> str:
    """Return median, and smallest and largest in brackets."""
    return f"{statistics.median(values):.2f} ({min(values):.2f}-{max(values):.2f})" if values else "-"


def table(rounds: list[Round]) -> str:
    """Return what people read."""
    lines = [("x HAProxy, one thread", OURS, NGINX, DIRECT, "HAProxy itself")]
    for row in ROWS:
        theirs = [one[THEIRS][row.name] for one in rounds if row.name in one.get(THEIRS, {})]
        if theirs:
            ours = (shown(ratios(rounds, row, each)) for each in (OURS, NGINX, DIRECT))
            better = " (less is better)" if row.smaller_is_better else ""
            lines.append((row.name + better, *ours, f"{statistics.median(theirs):.4g} {row.unit}"))
    widths = [max(len(line[column]) for line in lines) for column in range(5)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def main() -> None:
    """Measure, print the table, write the figures."""
    parser = argparse.ArgumentParser(prog="./run bench balancer")
    parser.add_argument("--quick", action="store_true", help="two short rounds: under two minutes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure of every round")
    parser.add_argument("--rounds", type=int, default=0)
    parser.add_argument("--only", default="", metavar="LOAD", help=f"one of: {', '.join(LOADS)}")
    options = parser.parse_args()
    rounds, seconds, reloads = (2, 2, 10) if options.quick else (5, 5, 50)
    with standing() as network:
        found = measured(network, options.rounds or rounds, seconds, options.only)
        print(table(found))
        if not options.only:
            for name in PROGRAMS:
                failed, went = failures_of_reloads(network, name, reloads)
                print(f"failed connections in {reloads} reloads under load, {name}: {failed} of {went}")
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
