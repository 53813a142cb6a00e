"""The balancer's benchmark as a picture: a bar for each program and row, left of HAProxy's line or right of it.

Laws: pure; a result gives the text of an SVG. Right is always better: where less is better, the ratio is turned over.
The scale is logarithmic, so that twice as good and half as good are as far from the line; what does not fit on it is
cut off and says its figure. Colours come from a style that knows light and dark surroundings; no script, no own font.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from rows import KERNEL, NGINX, OURS, ROWS, THEIRS, Row, Spread, figures_of, ratios

LEFT, SCALE, RIGHT = 250, 520, 70
"""Widths in pixels: the names of the rows, the scale, room for figures beyond it."""
BAR, GAP, TOP, BOTTOM = 11, 14, 64, 46
FIRST, LAST = 0.25, 4.0
"""The ends of the scale, as multiples of HAProxy."""
_CLASSES = {OURS: "ours", KERNEL: "kernel", NGINX: "nginx"}
_SVG = "http://www.w3.org/2000/svg"
_LABELS = {OURS: "tcpbalancer", KERNEL: "tcpbalancer, kernel plane", NGINX: "nginx stream"}
_STYLE = """\
  svg { --ink: #1f2328; --soft: #656d76; --line: #d0d7de; --ours: #0969da; --kernel: #1a7f37; --nginx: #a5adb6; }
  @media (prefers-color-scheme: dark) {
    svg { --ink: #e6edf3; --soft: #8d96a0; --line: #3d444d; --ours: #4493f8; --kernel: #3fb950; --nginx: #656c76; }
  }
  text { font: 12px system-ui, -apple-system, "Segoe UI", sans-serif; fill: var(--ink); }
  .title { font-size: 15px; font-weight: 600; }
  .soft { fill: var(--soft); font-size: 11px; }
  .grid { stroke: var(--line); }
  .haproxy { stroke: var(--ink); stroke-width: 1.5; }
  .whisker { stroke: var(--ink); stroke-opacity: .55; }
  .aim { stroke: var(--ink); stroke-width: 2; }
  .ours { fill: var(--ours); }
  .kernel { fill: var(--kernel); }
  .nginx { fill: var(--nginx); }
"""


def place(ratio: float) -> float:
    """Return where a ratio stands on the scale, in pixels from the left; what is beyond an end stands at the end."""
    if ratio <= FIRST:
        return float(LEFT)
    share = math.log(min(ratio, LAST) / FIRST) / math.log(LAST / FIRST)
    return round(LEFT + share * SCALE, 1)


def goodness(row: Row, found: Spread) -> Spread:
    """Return how many times as good as HAProxy a program is; less than nothing cannot be divided by."""
    if not row.smaller_is_better:
        return found
    least, median, greatest = (1 / max(value, 1e-6) for value in (found.greatest, found.median, found.least))
    return Spread(least, median, greatest)


def picture(result: Mapping[str, Any]) -> str:
    """Return the SVG of a result of the balancer's benchmark."""
    rounds = result["rounds"]
    programs = [name for name in _CLASSES if any(name in one for one in rounds)]
    rows = [row for row in ROWS if row.targets and figures_of(rounds, row, THEIRS)]
    parts, top = [], TOP
    for row in rows:
        height = len(programs) * BAR
        parts.append(_text(LEFT - 12, top + height / 2 + 4, row.name, 'text-anchor="end"'))
        for number, program in enumerate(programs):
            found = Spread.of(ratios(rounds, row, program))
            if found is not None:
                parts += _bar(row, program, goodness(row, found), top + number * BAR)
        top += height + GAP
    width, end = LEFT + SCALE + RIGHT, top - GAP / 2
    label = "How many times as good as HAProxy: tcpbalancer and nginx, for each load"
    frame = [
        f'<svg xmlns="{_SVG}" viewBox="0 0 {width} {end + BOTTOM:g}" role="img" aria-label="{label}">',
        f"<style>\n{_STYLE}</style>",
        _text(12, 24, "How many times as good as HAProxy on one thread", 'class="title"'),
        *_key(programs),
        *_grid(end),
    ]
    return "\n".join([*frame, *parts, "</svg>"]) + "\n"


def _text(x: float, y: float, words: str, more: str = "") -> str:
    return f'<text x="{x:g}" y="{y:g}" {more}>{escape(words)}</text>'


def _line(x: float, from_y: float, to_y: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{x:g}" x2="{x:g}" y1="{from_y:g}" y2="{to_y:g}"/>'


def _level(from_x: float, to_x: float, y: float) -> str:
    return f'<line class="whisker" x1="{from_x:g}" x2="{to_x:g}" y1="{y:g}" y2="{y:g}"/>'


def _bar(row: Row, program: str, found: Spread, top: float) -> list[str]:
    """Return a program's bar from HAProxy's line, with least and greatest as a whisker and its aim as a tick."""
    one, at = place(1), place(found.median)
    middle, inner = top + BAR / 2, BAR - 2
    told = f"{_LABELS[program]}, {row.name}: {found.median:.2f} ({found.least:.2f}–{found.greatest:.2f})"
    box = f'x="{min(one, at):g}" y="{top + 1:g}" width="{abs(at - one):g}" height="{inner}" rx="1.5"'
    shapes = [
        f'<rect class="{_CLASSES[program]}" {box}><title>{escape(told)}</title></rect>',
        _level(place(found.least), place(found.greatest), middle),
    ]
    target = row.targets.get(program)
    if target is not None:
        shapes.append(_line(place(1 / target if row.smaller_is_better else target), top, top + BAR, "aim"))
    if found.median > LAST:
        shapes.append(_text(LEFT + SCALE + 6, top + BAR - 1.5, _beyond(found.median), 'class="soft"'))
    return shapes


def _beyond(ratio: float) -> str:
    return f"{ratio:.3g}×" if ratio < 1000 else "none"


def _key(programs: Sequence[str]) -> list[str]:
    """Return who has which colour, and what the marks are."""
    shapes, x = [], 12.0
    for name in programs:
        shapes.append(f'<rect class="{_CLASSES[name]}" x="{x:g}" y="36" width="12" height="9" rx="1.5"/>')
        shapes.append(_text(x + 17, 44.5, _LABELS[name], 'class="soft"'))
        x += 34 + 6.0 * len(_LABELS[name])
    shapes += [_line(x, 35, 46, "aim"), _text(x + 7, 44.5, "aimed at", 'class="soft"')]
    x += 68
    shapes.append(_level(x, x + 14, 40.5))
    shapes.append(_text(x + 19, 44.5, "least to greatest of the rounds", 'class="soft"'))
    return shapes


def _grid(end: float) -> list[str]:
    """Return the lines of the scale with their figures, HAProxy's own and the two directions."""
    shapes = []
    for ratio, words in ((0.25, "¼"), (0.5, "½"), (1.0, "HAProxy"), (2.0, "2×"), (4.0, "4×")):
        shapes.append(_line(place(ratio), TOP - 6, end, "haproxy" if ratio == 1 else "grid"))
        shapes.append(_text(place(ratio), end + 15, words, 'text-anchor="middle" class="soft"'))
    shapes.append(_text(place(FIRST), end + 32, "← worse", 'class="soft"'))
    shapes.append(_text(place(LAST), end + 32, "better →", 'text-anchor="end" class="soft"'))
    return shapes
