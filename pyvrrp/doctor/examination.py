"""The whole examination: every rule over every router, alone and together.

Laws: pure. A rule that is not in ``RULES`` cannot find anything: the list of rules is made from them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hakit.diagnosis import Finding, Level
from pyvrrp.doctor import alone, consequences, daemon_says, here, managed, together
from pyvrrp.doctor.machine import Machine
from pyvrrp.doctor.node import Node
from pyvrrp.doctor.routers import Shared, shared_routers
from pyvrrp.doctor.trials import Trial, try_all

MOST_NAMES = 4
"""Virtual routers that are named in a row of the table of trials; of more, two are."""
LIVE = (here, managed, daemon_says)
"""What is looked for on the machine itself."""
RULES = (*consequences.RULES, *together.RULES, *alone.RULES, *(rule for room in LIVE for rule in room.RULES))


@dataclass(frozen=True, slots=True)
class Examination:
    """What was found, and what was tried; the order of the findings is that of the rules."""

    findings: tuple[Finding, ...]
    trials: tuple[Trial, ...]


def examine(nodes: Sequence[Node]) -> Examination:
    """Return what is wrong with the configurations of ``nodes``, the routers of one LAN.

    Tried is only what their files do not contradict each other about.
    """
    routers, found, agreed = shared_routers(nodes), list[Finding](), list[Shared]()
    for router in routers:
        differences = list(together.examine(nodes, router))
        found += differences
        if len(router) > 1 and all(one.level is not Level.ERROR for one in differences):
            agreed.append(router)
    found += together.examine_groups(nodes, routers)
    for node in nodes:
        found += alone.examine(node, tried=len(nodes) > 1)
    at_peace, sound = consequences.examine_peace(nodes, agreed) if agreed else ([], [])
    trials = tuple(try_all(nodes, sound)) if sound else ()
    found += [*at_peace, *consequences.examine_trials(nodes, trials), *consequences.examine_disaster(nodes, sound)]
    return Examination(tuple(found), trials)


def examine_here(node: Node, machine: Machine) -> Iterator[Finding]:
    """Yield what is wrong with ``machine``, on which ``node`` is to run."""
    for room in LIVE:
        yield from room.examine(node, machine)


def trials_as_text(trials: Sequence[Trial]) -> str:
    """Return what was tried as a table: who failed how, and what became of which virtual routers; "" if nothing was."""
    if not trials:
        return ""
    names: dict[tuple[str, str, str], list[str]] = {}
    for one in trials:
        who = " and ".join((*one.dead, one.failed.node.name))
        names.setdefault((who, one.failure.words, one.outcome), []).append(one.failed.instance.name)
    widths = [max(len(row[column]) for row in names) for column in (0, 1)]
    lines = (
        f"  {who:{widths[0]}}  {what:{widths[1]}}  {_several(instances)}: {outcome}"
        for (who, what, outcome), instances in names.items()
    )
    return "".join(f"{line}\n" for line in ("tried, in a simulation of all files:", *lines))


def _several(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= MOST_NAMES else f"{', '.join(names[:2])} and {len(names) - 2} more"


def as_markdown() -> str:
    """Return the list of rules as the documentation shows it."""
    return "\n".join(_markdown_lines()) + "\n"


def _markdown_lines() -> Iterator[str]:
    yield "# What `pyvrrp doctor` looks for"
    yield ""
    yield "Made from the rules in `pyvrrp/doctor/`. The worst finding is the exit status: 2 an error (it will not"
    yield "work), 1 a warning (it works, and not as it seems), 0 a note or nothing."
    yield ""
    yield "| finding | level | what |"
    yield "|---|---|---|"
    for level in reversed(Level):
        for rule in RULES:
            if rule.level is level:
                yield f"| `{rule.name}` | {level.word} | {rule.about} |"


if __name__ == "__main__":
    print(as_markdown(), end="")
