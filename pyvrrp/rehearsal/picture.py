"""The timeline as a picture (SVG 1.1): a bar for each router, its colour the state, a line where something was done.

Laws: pure; text in, text out, no outside file, no script. What a colour says is written beside it, and every bar tells
its reason when it is pointed at.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape

from pyvrrp.rehearsal.account import Account
from pyvrrp.simulation.timeline import DEAD, Entry

COLOURS = {
    "MASTER": "#2e7d32",
    "BACKUP": "#90a4ae",
    "FAULT": "#c62828",
    "INIT": "#e0e0e0",
    DEAD: "#424242",
}
LEFT, RIGHT, TOP, ROW, BAR = 140, 20, 64, 34, 22
WIDTH = 960
WRITTEN = {state: "#ffffff" if state in {"MASTER", "FAULT", DEAD} else "#212121" for state in COLOURS}
ROOM_FOR_A_WORD = 60
"""Pixels of a bar into which its state is written."""
TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600)
"""Seconds between two marks of the axis, of which there are at most MOST_TICKS."""
MOST_TICKS = 16


def picture(accounts: Sequence[Account], timeline: Sequence[Entry], until: float) -> str:
    """Return the picture of a rehearsal that ended at ``until`` (seconds)."""
    faults: dict[float, list[str]] = {}
    for entry in timeline:
        if entry.kind == "fault" and entry.at > 0:
            faults.setdefault(entry.at, []).append(entry.text)
    rows = sum(len(account.columns) for account in accounts)
    floor = TOP + rows * ROW
    height = floor + 40 + 18 * len(faults) + 30
    size = f'width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        *_legend(),
        *_axis(until, floor),
        *_bars(accounts, until),
        *_marks(faults, until, floor),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _x(at: float, until: float) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * min(at, until) / until


def _text(x: float, y: float, words: str, anchor: str = "start", fill: str = "#212121") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{fill}">{escape(words)}</text>'


def _legend() -> Iterator[str]:
    for index, (state, colour) in enumerate(COLOURS.items()):
        x = LEFT + index * 110
        yield f'<rect x="{x}" y="12" width="14" height="14" fill="{colour}"/>'
        yield _text(x + 20, 24, state)


def _axis(until: float, floor: float) -> Iterator[str]:
    step = next((one for one in TICKS if until / one <= MOST_TICKS), until)
    for index in range(int(until / step + 1e-9) + 1):
        x = _x(index * step, until)
        yield f'<line x1="{x:.1f}" y1="{TOP - 6}" x2="{x:.1f}" y2="{floor}" stroke="#eeeeee"/>'
        yield _text(x, floor + 16, f"{index * step:g} s", "middle", "#616161")


def _bars(accounts: Sequence[Account], until: float) -> Iterator[str]:
    y = TOP
    for account in accounts:
        for column in account.columns:
            node, instance = column
            yield _text(LEFT - 10, y + BAR / 2 + 4, f"{node} {instance}" if len(accounts) > 1 else node, "end")
            for span in account.spans:
                if span.column != column or span.begins >= until or span.ends <= span.begins:
                    continue
                x, width = _x(span.begins, until), _x(span.ends, until) - _x(span.begins, until)
                told = escape(f"{span.begins:.6f} s {span.state}: {span.reason}")
                yield (
                    f'<rect x="{x:.1f}" y="{y}" width="{max(width, 0.5):.1f}" height="{BAR}"'
                    f' fill="{COLOURS[span.state]}"><title>{told}</title></rect>'
                )
                if width >= ROOM_FOR_A_WORD:
                    yield _text(x + width / 2, y + BAR / 2 + 4, span.state, "middle", WRITTEN[span.state])
            y += ROW


def _marks(faults: Mapping[float, Sequence[str]], until: float, floor: float) -> Iterator[str]:
    for number, (at, texts) in enumerate(faults.items(), 1):
        x = _x(at, until)
        yield f'<line x1="{x:.1f}" y1="{TOP - 14}" x2="{x:.1f}" y2="{floor}" stroke="#ef6c00" stroke-dasharray="4 3"/>'
        yield _text(x, TOP - 17, str(number), "middle", "#ef6c00")
        yield _text(LEFT, floor + 40 + 18 * number, f"{number}: {at:g} s, {'; '.join(texts)}", fill="#ef6c00")
