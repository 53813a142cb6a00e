"""The statistics page in HTML: a table for each proxy, made from the same rows as the CSV.

Laws: everything that comes from a configuration or a server is escaped. A state is told by a word and by a colour,
never by the colour alone. The page needs nothing from elsewhere and works without its script, which only asks for the
same cells again (``live``) and puts in those that differ. What exporters read from HAProxy's page is here, too:
``HAProxy version X, ``, ``uptime = ``, ``idle = N``.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from itertools import groupby
from pathlib import Path
from string import Template

from tcpbalancer.control.asked import OUTCOMES, Asked
from tcpbalancer.control.cells import COLUMNS, Cell, cells
from tcpbalancer.control.deeds import ACTIONS
from tcpbalancer.control.info import uptime
from tcpbalancer.control.table import Row
from tcpbalancer.model import StatsPage
from tcpbalancer.statistics import Snapshot
from tcpbalancer.version import OWN, RELEASED

EVERY = 1.0
"""Seconds between two questions of the script, unless ``stats refresh`` says otherwise."""
_LEGEND = (
    ("up", "up"), ("going", "on its way up or down"), ("down", "down"), ("drain", "no new connections"),
    ("off", "in maintenance, or stopped"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Assets:
    """The files that make the page, and the header that allows nothing but them."""

    template: str
    style: str
    script: str
    policy: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class View:
    """What is to be shown, and to whom."""

    snapshot: Snapshot
    rows: tuple[Row, ...]
    page: StatsPage
    asked: Asked
    is_admin: bool


@functools.cache  # after a chroot they are out of reach
def read_assets() -> Assets:
    """Return the page's files; they are read once."""
    template, style, script = (
        (Path(__file__).parent / f"page.{kind}").read_text(encoding="utf-8") for kind in ("html", "css", "js")
    )
    policy = (
        f"default-src 'none'; style-src {_digest(style)}; script-src {_digest(script)}; connect-src 'self'; "
        "img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    headers = (("content-security-policy", policy), ("x-content-type-options", "nosniff"))
    return Assets(template, style, script, headers)


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def render(assets: Assets, view: View) -> str:
    """Return the page."""
    snapshot, page, asked = view.snapshot, view.page, view.asked
    uri = escape(page.uri)
    every = (page.refresh or EVERY) if asked.refresh else 0
    return Template(assets.template).substitute(
        style=assets.style,
        script=assets.script,
        title=escape(_title(view)),
        noscript=_noscript(page) if asked.refresh else "",
        live=escape(f"{page.uri};live{asked.suffix}"),
        every=f"{every:g}",
        shape=_shape(view),
        version="HAProxy" if page.hide_version else f"HAProxy version {escape(snapshot.version)}, released {RELEASED}",
        own=OWN,
        pid=snapshot.pid,
        node="" if page.node is None else f" on {escape(page.node or snapshot.node)}",
        description=f": {escape(page.description)}" if page.description else "",
        uri=uri,
        up=escape(page.uri + Asked(up=True, refresh=asked.refresh, scope=asked.scope).suffix),
        pause=escape(page.uri + Asked(up=asked.up, refresh=not asked.refresh, scope=asked.scope).suffix),
        pausing="stand still" if asked.refresh else "go on",
        scope=escape(f"?scope={asked.scope}") if asked.scope else "",
        wanted=escape(asked.scope),
        outcome=_outcome(asked),
        facts="\n".join(_facts(view)),
        time=_time_of_day(snapshot.taken_at),
        age=f"{snapshot.counters_age:.1f}",
        tables="\n".join(_tables(view)),
        legends=_legends() if page.legends else "",
    )


def live(view: View) -> str:
    """Return what the script puts into the page: the same cells."""
    seen = view.snapshot
    document = {
        "shape": _shape(view),
        "title": _title(view),
        "age": f"As of {_time_of_day(seen.taken_at)}; counters are at most {seen.counters_age:.1f} s old.",
        "facts": dict(_values(view)),
        "rows": [[(cell.text, cell.kind, cell.title) for cell in cells(row)] for row in view.rows],
    }
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False)


def _shape(view: View) -> str:
    """Return what stays the same as long as the page has the same rows."""
    names = "\n".join(f"{row['pxname']}/{row['svname']}" for row in view.rows)
    return hashlib.sha256(names.encode()).hexdigest()[:16]


def _title(view: View) -> str:
    down = sum(row.kind == "SERVER" and row["status"].startswith("DOWN") for row in view.rows)
    return f"{f'({down} down) ' if down else ''}Statistics of {view.snapshot.node}"


def _noscript(page: StatsPage) -> str:
    if page.refresh is None:
        return ""
    return f'<noscript><meta http-equiv="refresh" content="{max(1, round(page.refresh))}"></noscript>'


def _outcome(asked: Asked) -> str:
    if not asked.outcome:
        return ""
    kind, text = OUTCOMES[asked.outcome]
    return f'<p class="outcome {kind}" role="status">{escape(text)}</p>'


def _values(view: View) -> Iterator[tuple[str, str]]:
    """Yield the facts of the process by name; the text behind each name changes."""
    seen = view.snapshot
    alive = sum(worker.alive for worker in seen.workers)
    rate = sum(proxy.frontend.traffic.rate for proxy in seen.proxies if proxy.frontend is not None)
    yield "uptime", f" {uptime(seen.uptime)}"
    yield "current conns", f" {seen.current}"
    yield "maxconn", f" {seen.maxconn}"
    yield "conn rate", f" {rate}/sec"
    yield "workers", f" {alive} of {len(seen.workers)} alive"
    yield "idle", f"idle = {seen.idle_percent} %"
    if seen.dropped_records:
        yield "dropped logs", f" {seen.dropped_records}"


def _facts(view: View) -> Iterator[str]:
    for name, text in _values(view):
        if name == "idle":  # exporters look for "idle = 100 %", with nothing in between
            yield f'<span data-fact="idle">{text}</span>'
        else:
            yield f'<span data-fact="{name}"><b>{name} = </b>{escape(text)}</span>'


def _time_of_day(wall: float) -> str:
    seconds = int(wall) % 86400
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02} UTC"


def _legends() -> str:
    words = " ".join(f'<span><span class="badge {kind}">{kind}</span> {text}</span>' for kind, text in _LEGEND)
    return f'<section class="legends" aria-label="Colours">{words}</section>'


# -- tables -----------------------------------------------------------------------------------------------------------


def _tables(view: View) -> Iterator[str]:
    for name, group in groupby(view.rows, key=lambda row: row["pxname"]):
        yield from _proxy(name, list(group), view)


def _proxy(name: str, rows: list[Row], view: View) -> Iterator[str]:
    kinds = {row.kind for row in rows}
    what = "proxy" if {"FRONTEND", "BACKEND"} <= kinds else "frontend" if "FRONTEND" in kinds else "backend"
    algorithm = next((f"; {row['algo']}" for row in rows if row["algo"]), "")
    about = f"{what}, mode {rows[0]['mode']}{algorithm}" + (f", id {rows[0]['iid']}" if view.page.legends else "")
    changes = view.is_admin and "SERVER" in kinds
    yield f'<section class="proxy" data-name="{escape(name)}" id="{escape(name)}">'
    yield f'<div class="title"><h2><a href="#{escape(name)}">{escape(name)}</a></h2>'
    yield f"<small>{escape(about)}</small></div>"
    if changes:
        yield f'<form method="post" action="{escape(view.page.uri + view.asked.suffix)}">'
    yield f'<div class="wide"><table><thead>{_head(changes=changes)}</thead><tbody>'
    yield from (_row(row, changes=changes) for row in rows)
    yield "</tbody></table></div>"
    if changes:
        options = "".join(f'<option value="{action}">{escape(text)}</option>' for action, text in ACTIONS)
        yield f'<div class="act"><label>With those that are ticked: <select name="action">{options}</select></label>'
        yield f'<input type="hidden" name="b" value="{escape(name)}"><button>Apply</button></div></form>'
    yield "</section>"


def _head(*, changes: bool) -> str:
    everyone = '<input type="checkbox" data-all hidden aria-label="all servers"> ' if changes else ""
    groups = "".join(
        f'<th class="first" colspan="{len(list(columns))}">{group}</th>'
        for group, columns in groupby(COLUMNS, key=lambda column: column.group)
    )
    names = "".join(f"<th{_edge(place, column.look)}>{column.heading}</th>" for place, column in enumerate(COLUMNS))
    return f'<tr><th class="name" rowspan="2">{everyone}Name</th>{groups}</tr><tr>{names}</tr>'


def _edge(place: int, *more: str) -> str:
    first = not place or COLUMNS[place].group != COLUMNS[place - 1].group
    words = [*(["first"] if first else []), *filter(None, more)]
    return f' class="{" ".join(words)}"' if words else ""


def _row(row: Row, *, changes: bool) -> str:
    name = escape(row["svname"] if row.kind == "SERVER" else row.kind.capitalize())
    if changes and row.kind == "SERVER":
        name = f'<label><input type="checkbox" name="s" value="{escape(row["svname"])}">{name}</label>'
    kind = "total" if row.kind != "SERVER" else "backup" if row["bck"] == "1" else ""
    about = f' title="{escape(row["addr"])}"' if row["addr"] else ""
    inside = "".join(_cell(place, cell) for place, cell in enumerate(cells(row)))
    return f'<tr{f" class={kind}" if kind else ""}><td class="name"{about}>{name}</td>{inside}</tr>'


def _cell(place: int, cell: Cell) -> str:
    column = COLUMNS[place]
    title = f' title="{escape(cell.title)}"' if cell.title else ""
    if column.is_badge:
        inside = f'<span class="badge {cell.kind}" data-text data-kind="{cell.kind}">{escape(cell.text)}</span>'
        return f"<td{_edge(place, column.look)}{title}>{inside}</td>"
    kind = f' data-kind="{cell.kind}"' if cell.kind else ""
    return f"<td{_edge(place, column.look, cell.kind)}{kind}{title}>{escape(cell.text)}</td>"
