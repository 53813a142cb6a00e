"""How a run is told: lines as things happen, a block per step, a table at the end.

Laws: plain text; colour only on a terminal, and not if NO_COLOR is set (no-color.org). What is printed is what was
measured; a step that failed says what was seen instead.
"""

from __future__ import annotations

import os
import shutil
import textwrap
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from typing import TextIO

from halab.namespace import LabError
from halab.wait import NotSeenError

BOLD, DIM, GREEN, RED = "1", "2", "32", "31"


@dataclass(frozen=True, slots=True)
class Seen:
    """What a step saw; ``seconds`` is the time that matters, if it is not that of the whole step."""

    text: str
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a plan: what is done, what is expected, and the deed, which raises if it is not so."""

    title: str
    did: str
    expected: str
    act: Callable[[], Seen]


@dataclass(frozen=True, slots=True)
class Row:
    """A step that was carried out."""

    title: str
    seen: str
    held: bool
    seconds: float


class Report:
    """Writes to ``out``, and keeps the rows."""

    def __init__(self, out: TextIO) -> None:
        self.out = out
        self.rows: list[Row] = []
        self._colour = out.isatty() and not os.environ.get("NO_COLOR")
        self._width = min(shutil.get_terminal_size((120, 40)).columns, 120) if out.isatty() else 120

    def paint(self, text: str, code: str) -> str:
        """Return the text in a colour, if colours are shown."""
        return f"\x1b[{code}m{text}\x1b[0m" if self._colour else text

    def line(self, text: str = "") -> None:
        """Write a line."""
        self.out.write(text + "\n")
        self.out.flush()

    def mark(self, seconds: float, text: str) -> None:
        """Write a mark on the way up: the time since the start, and what is so."""
        self.line(f"  {seconds:6.2f} s  {text}")

    def carry_out(self, steps: Sequence[Step]) -> bool:
        """Carry out the steps one after the other; returns whether all held."""
        for number, step in enumerate(steps, start=len(self.rows) + 1):
            self.line()
            self.line(self.paint(f"{number:2}  {step.title}", BOLD))
            self._field("did", step.did)
            self._field("expected", step.expected)
            begun = time.monotonic()
            try:
                seen, held = step.act(), True
            except (NotSeenError, LabError, OSError, HTTPException) as problem:
                seen, held = Seen(f"{problem}" or type(problem).__name__), False
            seconds = time.monotonic() - begun if seen.seconds is None else seen.seconds
            self.rows.append(Row(step.title, seen.text, held, seconds))
            self._field("seen", seen.text)
            verdict = self.paint("held", GREEN) if held else self.paint("DID NOT HOLD", RED)
            self.line(f"    {verdict}, {seconds * 1e3:,.0f} ms")
        return all(row.held for row in self.rows)

    def _field(self, name: str, text: str) -> None:
        head = f"    {name:<9} "
        wrapped = textwrap.wrap(text, max(20, self._width - len(head)), break_on_hyphens=False) or [""]
        self.line(self.paint(head, DIM) + ("\n" + " " * len(head)).join(wrapped))

    def table(self) -> None:
        """Write the table of all rows."""
        title = max(len(row.title) for row in self.rows)
        seen = max(20, self._width - title - 25)
        self.line()
        self.line(self.paint(f"  #  {'step':<{title}}  held      ms  seen", BOLD))
        self.line(f" --  {'-' * title}  ----  ------  {'-' * seen}")
        for number, row in enumerate(self.rows, start=1):
            held = self.paint("yes ", GREEN) if row.held else self.paint("NO  ", RED)
            first, *rest = textwrap.wrap(row.seen, seen, break_on_hyphens=False) or [""]
            self.line(f" {number:2}  {row.title:<{title}}  {held}  {row.seconds * 1e3:6.0f}  {first}")
            for more in rest:
                self.line(f"     {'':<{title}}                {more}")
        self.line()
        self.line(
            "ms: from the deed to its effect where a row names one (the VIP's move, the join); else the whole step"
        )
        held_count = sum(row.held for row in self.rows)
        self.line()
        self.line(f"{held_count} of {len(self.rows)} held")
