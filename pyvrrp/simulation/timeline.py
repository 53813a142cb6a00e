"""What has happened on a simulated LAN: transitions with their reasons, faults, remarks; and the picture of it.

Laws: pure. Entries are values, in the order in which they happened. The picture has one column for each router, so that
who is Master when can be seen at a glance.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

DEAD = "DEAD"
"""After SIGKILL: no state at all."""
LETTERS = {"INIT": ".", "BACKUP": "B", "MASTER": "M", "FAULT": "F", DEAD: "x"}


@dataclass(frozen=True, slots=True)
class Entry:
    """Something that happened at ``at`` (seconds). ``kind``: transition, fault, check or an observation's name.

    ``node`` and ``router`` are "" for what happens to the LAN or to a whole node. ``before`` and ``after`` are states.
    """

    at: float
    node: str
    router: str
    kind: str
    text: str
    rule: str = ""
    before: str = ""
    after: str = ""


def render(entries: Iterable[Entry], routers: Sequence[tuple[str, str]], start: float = 0.0) -> Iterator[str]:
    """Yield the lines of the picture. ``routers``: (node, instance) of each column; times count from ``start``."""
    several = len({name for _, name in routers}) > 1
    titles = [f"{node}/{name}" if several else node for node, name in routers]
    widths = [max(len(title), 6) for title in titles]
    yield "  ".join(
        [f"{'s':>10}", *(f"{title:^{width}}" for title, width in zip(titles, widths, strict=True))]
    ).rstrip()
    states = dict.fromkeys(routers, "INIT")
    for entry in entries:
        place = (entry.node, entry.router)
        if entry.kind == "transition":
            states[place] = entry.after
        elif entry.after == DEAD:
            states.update({one: DEAD for one in routers if one[0] == entry.node})
        cells = [
            f"{states[one] if one == place and entry.kind == 'transition' else LETTERS[states[one]]:^{width}}"
            for one, width in zip(routers, widths, strict=True)
        ]
        yield "  ".join([f"{entry.at - start:10.6f}", *cells, _words(entry, several=several)]).rstrip()


def _words(entry: Entry, *, several: bool) -> str:
    where = f"{entry.node}/{entry.router}" if several and entry.router else entry.node
    if entry.kind == "fault":
        return f"-- {entry.text}"
    return f"{where}: {entry.text}"
