"""``pyvrrp simulate``: what the routers of some files would do, on a LAN in memory, in no time and without a privilege.

Laws: machine, trackers and packets are the daemon's own; time jumps from event to event. The same words bring the same
story: what is left to chance comes from ``--seed``. Nothing is read but the files, and nothing written but what
``--svg`` names. Exit status: 0 it was simulated; 1 the picture cannot be written; 2 a file is no configuration, or the
command line makes no sense.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from hakit.diagnostics import ConfigError
from hakit.duration import parse_duration
from hakit.transcript import Value
from hakit.whole_file import write_whole
from pyvrrp.config.load import load
from pyvrrp.consult import EXIT_CONFIG, EXIT_USAGE, node_of
from pyvrrp.doctor.node import Node, listed
from pyvrrp.doctor.routers import shared_routers
from pyvrrp.doctor.stage import lan_of
from pyvrrp.doctor.trials import patience
from pyvrrp.model import Configuration
from pyvrrp.nodes import NamesError, read_nodes
from pyvrrp.rehearsal.account import Account, account_of, entry_as_dict, folded
from pyvrrp.rehearsal.cues import FORMS, CueError, read_cue
from pyvrrp.rehearsal.picture import picture
from pyvrrp.simulation.chance import Chance
from pyvrrp.simulation.faults import Fault
from pyvrrp.simulation.lan import Lan
from pyvrrp.simulation.medium import Conditions
from pyvrrp.simulation.timeline import render

EXIT_CANNOT_WRITE = 1
LONGEST = 86400.0
"""Seconds that can be simulated: a day of two routers takes some ten seconds."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(EXIT_USAGE, f"pyvrrp simulate: {message}; see pyvrrp simulate --help\n")


def _epilog() -> str:
    lines = [f"  ROUTER: {form:30}  {about}".rstrip() for form, about in FORMS]
    return "\n".join((
        "what can happen (several --at may be given):",
        *lines,
        "",
        "FILE may be NAME=FILE: the name of the router. TIME is 5s, 500ms, 2m; a bare number is seconds.",
        "",
        "exit status: 0 simulated; 1 the SVG cannot be written; 2 a file is no configuration, or a wrong command line",
    ))  # fmt: skip


def _checked(convert: Callable[[str], float], low: float, high: float, what: str) -> Callable[[str], float]:
    def checked(text: str) -> float:
        try:
            value = convert(text)
        except ValueError as wrong:
            raise argparse.ArgumentTypeError(str(wrong)) from wrong
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"'{text}' is not {what}")
        return value

    return checked


def _percent(text: str) -> float:
    try:
        return float(text.removesuffix("%")) / 100
    except ValueError:
        raise ValueError(f"'{text}' is no percentage: 30%, 2.5%") from None


_TIME = _checked(lambda text: parse_duration(text, "s"), 0.0, LONGEST, "a time of at most a day")


def _arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = _Parser(
        prog="pyvrrp simulate",
        description="Says what the routers of these files would do, by letting them do it on a LAN in memory.",
        epilog=_epilog(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="keepalived.conf or YAML, one for each router")
    parser.add_argument("--at", nargs=2, action="append", default=[], metavar=("TIME", "WHAT"), help="see below")
    parser.add_argument("--until", type=_TIME, metavar="TIME", help="when to stop (default: when all is quiet again)")
    parser.add_argument(
        "--loss",
        type=_checked(_percent, 0.0, 1.0, "from 0% to 100%"),
        default=0.0,
        metavar="PERCENT",
        help="of all packets, each on its own",
    )
    parser.add_argument(
        "--delay",
        type=_checked(lambda text: parse_duration(text, "s"), 0.0, 60.0, "a delay of at most a minute"),
        default=Conditions().delay,
        metavar="TIME",
        help="of every packet (default 0.2 ms)",
    )
    parser.add_argument("--seed", type=int, metavar="NUMBER", help="what is left to chance (default 0 with --loss)")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="draw the timeline")
    parser.add_argument("--json", action="store_true", help="all of it, for programs")
    return parser.parse_args(words)


@dataclass(frozen=True, slots=True)
class _Rehearsal:
    """What was asked for, understood."""

    nodes: list[Node]
    cues: list[tuple[float, Fault]]
    until: float
    seed: int | None


def main(words: Sequence[str]) -> int:
    """Simulate what ``words`` ask for; returns the exit status."""
    options = _arguments(words)
    try:
        asked = _understood(options)
    except (NamesError, CueError) as wrong:
        print(f"pyvrrp simulate: {wrong}", file=sys.stderr)
        return EXIT_USAGE
    except ConfigError as wrong:
        for found in wrong.diagnostics:
            print(found.render(), file=sys.stderr)
        return EXIT_CONFIG
    chance = None if asked.seed is None else Chance(random.Random(asked.seed).random)  # noqa: S311 - a story, no secret
    lan = lan_of(asked.nodes, chance, Conditions(delay=options.delay, loss=options.loss))
    for at, fault in asked.cues:
        lan.inject_at(at, fault)
    lan.run_until(asked.until)
    accounts = [account_of(router, lan.timeline, asked.until) for router in shared_routers(asked.nodes)]
    print(_document(asked, lan, accounts) if options.json else _text(asked, lan, accounts))
    return 0 if options.svg is None else _draw(options.svg, picture(accounts, lan.timeline, asked.until))


def _understood(options: argparse.Namespace) -> _Rehearsal:
    """Return what the words mean; raises NamesError, CueError, or ConfigError."""
    nodes = [node_of(file) for file in read_nodes(options.files)]
    cues: list[tuple[float, Fault]] = []
    for time, what in options.at:
        try:
            at = _TIME(time)
        except argparse.ArgumentTypeError as wrong:
            raise CueError(f"--at {wrong}") from wrong
        if options.until is not None and at > options.until:
            raise CueError(f"--at {time} lies behind the end, --until {options.until:g}s")
        cues += [(at, fault) for fault in read_cue(what, nodes, _reload)]
    last = max((at for at, _ in cues), default=0.0)
    until = math.ceil(last + patience(nodes)) if options.until is None else options.until
    seed = 0 if options.seed is None and 0 < options.loss < 1 else options.seed
    return _Rehearsal(nodes, cues, max(until, 0.001), seed)


def _reload(path: str, router: str) -> Configuration:
    return load(path, config_id=router).configuration


def _text(asked: _Rehearsal, lan: Lan, accounts: Sequence[Account]) -> str:
    """Return the timeline and how it ended."""
    columns = [column for account in accounts for column in account.columns]
    heads = [f"{name} is {listed(addresses)}" for name, addresses in _addresses(lan).items()]
    heads += [f"seed {asked.seed}"] if asked.seed is not None else []
    return "\n".join(
        [
            *heads,
            *render(folded(lan.timeline), columns),
            "",
            f"after {asked.until:g} s:",
            *(f"  {account.sentence()}" for account in accounts),
        ]
    )


def _addresses(lan: Lan) -> dict[str, list[str]]:
    """Return, by router, the addresses from which its instances send."""
    found: dict[str, list[str]] = {}
    for node in lan.nodes.values():
        sent = found.setdefault(node.name, [])
        for instance in node.configuration.instances:
            own = (one.ip for one in node.kernel.cards[instance.interface].addresses)
            source = instance.source or next(ip for ip in own if ip.version == instance.family)
            sent += [str(source)] if str(source) not in sent else []
    return found


def _document(asked: _Rehearsal, lan: Lan, accounts: Sequence[Account]) -> str:
    document: dict[str, Value] = {
        "seed": asked.seed,
        "until": asked.until,
        "addresses": {name: list[Value](addresses) for name, addresses in _addresses(lan).items()},
        "timeline": [entry_as_dict(entry) for entry in lan.timeline],
        "routers": [account.as_dict() for account in accounts],
    }
    return json.dumps(document, ensure_ascii=False, indent=2)


def _draw(path: Path, drawn: str) -> int:
    try:
        write_whole(path, drawn)
    except OSError as refused:
        print(f"pyvrrp simulate: {path} cannot be written: {refused.strerror}", file=sys.stderr)
        return EXIT_CANNOT_WRITE
    return 0
