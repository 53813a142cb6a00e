"""The benchmarks' tables, as they are printed and as they stand in the documentation: the same text.

Laws: pure; a result, which is what --json writes, gives lines of Markdown that can be read at a terminal as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import vrrp_rows
from rows import (
    DIRECT,
    FAILED,
    KERNEL,
    NGINX,
    OURS,
    ROOM,
    ROWS,
    THEIRS,
    Row,
    Spread,
    figures_of,
    is_limited,
    is_short,
    ratios,
)

_PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"))
LIMITED = "†"


def amount(value: float, unit: str) -> str:
    """Return a figure with three digits that count and its unit: 663 MB/s, 25.4 ms, 14,100 /s."""
    if unit == "/s":
        return f"{float(f'{value:.3g}'):,.0f} /s"
    if value == 0:
        return f"0 {unit}"
    rounded = abs(float(f"{value:.3g}"))
    size, prefix = next((pair for pair in _PREFIXES if rounded >= pair[0]), _PREFIXES[-1])
    return f"{float(f'{value / size:.3g}'):g} {prefix}{unit}"


def spread(values: Sequence[float]) -> str:
    """Return the median of some ratios, and the least and the greatest in brackets."""
    found = Spread.of(values)
    return f"{found.median:.2f} ({found.least:.2f}–{found.greatest:.2f})" if found else "–"


def aim(rounds: Sequence[Any], row: Row, program: str) -> str:
    """Return what is aimed at, and whether it is met."""
    target = row.targets.get(program)
    found = Spread.of(ratios(rounds, row, program))
    if target is None or found is None:
        return ""
    words = f"{'≤' if row.smaller_is_better else '≥'} {target:g}"
    return f"{words} **short**" if is_short(row, program, found) else f"{words} met"


def grid(lines: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table whose columns also stand below each other at a terminal."""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    padded = [[cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in lines]
    rule = ["-" * width for width in widths]
    return "\n".join("| " + " | ".join(line) + " |" for line in (padded[0], rule, *padded[1:]))


def balancer(result: Mapping[str, Any]) -> str:
    """Return the table of the balancers, and below it what has to be known to read it."""
    rounds, reloads = result["rounds"], result["reloads"]
    ours = [name for name in (OURS, KERNEL) if any(name in one for one in rounds)]
    lines = [["× HAProxy", *(cell for name in ours for cell in (name, "aim")), NGINX, DIRECT, "HAProxy itself"]]
    for row in ROWS:
        if not figures_of(rounds, row, THEIRS):
            continue
        cells = [cell for name in ours for cell in (spread(ratios(rounds, row, name)), aim(rounds, row, name))]
        star = LIMITED if is_limited(rounds, row) else ""
        theirs = Spread.of(figures_of(rounds, row, THEIRS))
        lines.append(
            [
                row.name + (" (less is better)" if row.smaller_is_better else ""),
                *cells,
                spread(ratios(rounds, row, NGINX)),
                spread(ratios(rounds, row, DIRECT)) + star,
                amount(theirs.median, row.unit) if theirs else "–",
            ]
        )
    if reloads:
        lines.append(_reloads(reloads, ours))
    return grid(lines) + "\n\n" + "\n\n".join(_legend(result, lines))


def _reloads(reloads: Mapping[str, Mapping[str, int]], ours: Sequence[str]) -> list[str]:
    def failed(name: str) -> str:
        found = reloads.get(name)
        return f"{found['failed']} of {found['went']:,}" if found else "–"

    cells = []
    for name in ours:
        short = name in reloads and reloads[name]["failed"] > 0
        cells += [failed(name), "0 **short**" if short else "0 met" if name in reloads else ""]
    count = next(iter(reloads.values()))["reloads"]
    return [f"failed connections in {count} reloads", *cells, failed(NGINX), "–", failed(THEIRS)]


def _rounds(count: int) -> str:
    return f"{count} rounds" if count != 1 else "1 round"


def _legend(result: Mapping[str, Any], lines: Sequence[Sequence[str]]) -> list[str]:
    machine, versions = result["machine"], result["versions"]
    told = ", ".join(f"{name} {number}" for name, number in versions.items())
    rounds = (
        f"{_rounds(len(result['rounds']))} of {result['seconds']} s a load: the median, and in brackets the least and"
        " the greatest, of a program's figure as a multiple of HAProxy's in the same round."
    )
    legend = [
        rounds,
        f"{machine['cores']} cores, {machine['memory']} GiB, Linux {machine['kernel']}; {told}.",
    ]
    if any(LIMITED in cell for line in lines for cell in line):
        legend.append(
            f"{LIMITED} Without a balancer this load is less than {ROOM:g} times as fast as through the best proxy:"
            " client and server work as hard as the balancer, and the row shows the differences smaller than they are."
        )
    for name in sorted({name for one in result["rounds"] for name in one}):
        failed = sum(one.get(name, {}).get(FAILED, 0) for one in result["rounds"])
        if failed:
            legend.append(f"Of the new connections through {name}, {failed:.0f} failed.")
    return legend + _foreign(machine)


def _foreign(machine: Mapping[str, Any]) -> list[str]:
    share = machine["foreign share"]
    if share < 0.02:
        return []
    words = "the programs take turns, so that ratios hold; times of single events say less."
    return [f"Other work, at low priority, took {share:.0%} of the processors meanwhile: {words}"]


def vrrp(result: Mapping[str, Any]) -> str:
    """Return the table of the VRRP speakers, and below it what has to be known to read it."""
    ours, theirs = vrrp_rows.PYVRRP, vrrp_rows.KEEPALIVED
    lines = [["", ours, theirs, "×", "aim"]]
    for row, figures in result["figures"].items():
        multiple = vrrp_rows.ratio(figures)
        lines.append(
            [
                row,
                _figures(row, figures.get(ours, ())),
                _figures(row, figures.get(theirs, ())),
                "–" if multiple is None else f"{multiple:.2f}",
                _vrrp_aim(row, figures),
            ]
        )
    return grid(lines) + "\n\n" + "\n\n".join(_vrrp_legend(result))


def _figures(row: str, values: Sequence[float]) -> str:
    """Return the median, and of more than one the least and the greatest in brackets."""
    found, unit = Spread.of(values), vrrp_rows.unit(row)
    if found is None:
        return "–"

    def said(value: float) -> str:
        if unit == "share":
            return f"{value:.2%}".replace("%", " %")
        return f"{value:g}" if not unit else amount(value, unit)

    return said(found.median) + (f" ({said(found.least)}–{said(found.greatest)})" if len(values) > 1 else "")


def _vrrp_aim(row: str, figures: Mapping[str, Sequence[float]]) -> str:
    wanted = vrrp_rows.aim(row)
    if wanted is None:
        return ""
    words = []
    if wanted.ratio is not None:
        words.append(f"≤ {wanted.ratio:g} ×")
    if wanted.below is not None:
        words.append(f"< {_figures(row, [wanted.below])}")
    if wanted.no_more:
        words.append("no more")
    return ", ".join(words) + (" **short**" if vrrp_rows.is_short(row, figures) else " met")


def _vrrp_legend(result: Mapping[str, Any]) -> list[str]:
    machine, versions = result["machine"], result["versions"]
    told = ", ".join(f"{name} {number}" for name, number in versions.items())
    what = (
        "from the master's death, right after an advertisement, to the first answer that a client gets from the other"
    )
    return [
        f"A takeover lasts {what} router; the client asks 2,000 times a second.",
        f"{_rounds(result['rounds'])} of takeovers and starts: the median, and in brackets the least and the greatest.",
        f"{machine['cores']} cores, {machine['memory']} GiB, Linux {machine['kernel']}; {told}.",
        *_foreign(machine),
    ]
