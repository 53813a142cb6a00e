"""The whole examination: every rule over every router, alone and together.

Laws: pure. A rule that is not in ``RULES`` cannot find anything: the list of rules is made from them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hakit.diagnosis import Finding, Level
from pyvrrp.doctor import alone, together
from pyvrrp.doctor.node import Node
from pyvrrp.doctor.routers import shared_routers

RULES = (*together.RULES, *alone.RULES)


def examine(nodes: Sequence[Node]) -> Iterator[Finding]:
    """Yield what is wrong with the configurations of ``nodes``, the routers of one LAN."""
    yield from together.examine(nodes, shared_routers(nodes))
    for node in nodes:
        yield from alone.examine(node)


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
