"""docs/reference/tcpbalancer-doctor.md: every rule of the doctor.

Laws: made from the table that the program itself uses; a test holds the file equal to ``text()``, which the module
prints as a program.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tcpbalancer.doctor.rules import RULES

FILE = Path(__file__).parents[2] / "docs/reference/tcpbalancer-doctor.md"
COMMAND = "python -m tcpbalancer.doctor.reference > docs/reference/tcpbalancer-doctor.md"

_HEAD = f"""\
# What tcpbalancer doctor looks for

Made from the program's own table by `{COMMAND}`; do not edit it by hand.

    tcpbalancer doctor haproxy.cfg            # what it will not do, why, and what to write instead
    tcpbalancer doctor --live haproxy.cfg     # and what this machine and the servers say to it
    tcpbalancer doctor --json haproxy.cfg     # for programs

Several files are one configuration, as behind several `-f`. The exit status is the worst that was told: 0 for nothing,
1 for warnings, 2 for errors. What is meant is said in the file, on the line of the finding or on the one above it:
`# doctor: accept swarm-port (nodes join here)`.

`--live` tries every address with a socket that never listens, looks at who listens already, asks every server once as
its check would ask, and asks the running balancer, if there is one, whom it gives no connections. So it answers "the
balancer does not balance" (`no-answer`, `server-no-answer`, `taken-out`) and "Swarm does not connect" (`no-answer` at
2377, `swarm-port`). It changes nothing.
"""


def text() -> str:
    """Return the page."""
    rows = [f"| `{rule.name}` | {rule.level.word} | {rule.about} |" for rule in RULES]
    return "\n".join([_HEAD, "| rule | level | what it finds |", "|---|---|---|", *rows, ""])


if __name__ == "__main__":
    sys.stdout.write(text())
