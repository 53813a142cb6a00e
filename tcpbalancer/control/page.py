"""The statistics page in HTML: one table per proxy, made from the same rows as the CSV.

Laws: pure; everything that comes from a configuration or a server is escaped. A state is told by a word and by a
colour, never by the colour alone. No script: the page works in a terminal browser, and reloads itself by a header line.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from itertools import groupby
from string import Template

from tcpbalancer.control.table import Row, rows
from tcpbalancer.model import StatsPage
from tcpbalancer.statistics import Snapshot
from tcpbalancer.version import OWN, RELEASED

HEADINGS = (
    "Name", "Status", "Last change", "Check", "Weight", "Queue", "Sessions", "Max", "Limit", "Total", "Rate", "Last",
    "Bytes in", "Bytes out", "Conn. errors", "Retries", "Redisp.", "Checks failed", "Downs", "Downtime",
)  # fmt: skip
_WORDS = 4
"""How many of the first columns hold words."""
_HEADING_CELLS = tuple(
    f'<th class="word">{heading}</th>' if place < _WORDS else f"<th>{heading}</th>"
    for place, heading in enumerate(HEADINGS)
)


def render(template: str, snapshot: Snapshot, page: StatsPage, *, refresh: bool = True) -> str:
    """Return the page; ``template`` is the text of ``page.html``, without ``refresh`` the page stays as it is."""
    again = page.refresh if refresh else None
    return Template(template).substitute(
        refresh="" if again is None else f'<meta http-equiv="refresh" content="{max(1, round(again))}">',
        node=escape(snapshot.node),
        description="" if snapshot.description is None else f"({escape(snapshot.description)})",
        version="HAProxy" if page.hide_version else f"HAProxy version {escape(snapshot.version)}, released {RELEASED}",
        own=OWN,
        pid=snapshot.pid,
        uptime=uptime(snapshot.uptime),
        maxconn=snapshot.maxconn,
        current=snapshot.current,
        workers=f"{sum(worker.alive for worker in snapshot.workers)} of {len(snapshot.workers)} alive",
        idle=snapshot.idle_percent,
        age=f"{snapshot.counters_age:.1f}",
        time=_time_of_day(snapshot.taken_at),
        uri=escape(page.uri),
        tables="\n".join(_tables(rows(snapshot))),
    )


def uptime(seconds: float) -> str:
    """Return seconds as HAProxy's ``0d 0h00m12s``."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return f"{days}d {hours}h{minutes:02}m{rest:02}s"


def age(seconds: str) -> str:
    """Return a number of seconds as its two largest units, ``3m12s``; empty stays empty."""
    if not seconds:
        return ""
    left = int(seconds)
    for size, unit, smaller, small in ((86400, "d", 3600, "h"), (3600, "h", 60, "m"), (60, "m", 1, "s")):
        if left >= size:
            return f"{left // size}{unit}{left % size // smaller}{small}"
    return f"{left}s"


def _time_of_day(wall: float) -> str:
    seconds = int(wall) % 86400
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02} UTC"


def _tables(table: Iterable[Row]) -> Iterable[str]:
    for name, group in groupby(table, key=lambda row: row["pxname"]):
        yield f'<h2 id="{escape(name)}">{escape(name)}</h2>\n<div class="wide"><table>'
        yield f"<tr>{''.join(_HEADING_CELLS)}</tr>"
        yield from (_row(row) for row in group)
        yield "</table></div>"


def _row(row: Row) -> str:
    kind = ' class="total"' if row.kind != "SERVER" else ""
    cells = [f'<td class="word">{escape(row["svname"])}</td>', f'<td class="{colour(row)}">{escape(_status(row))}</td>']
    cells += [f'<td class="word">{escape(age(row["lastchg"]))}</td>', f'<td class="check">{escape(_check(row))}</td>']
    cells += [f"<td>{escape(value)}</td>" for value in _numbers(row)]
    return f"<tr{kind}>{''.join(cells)}</tr>"


def _status(row: Row) -> str:
    return f"{row['status']} backup" if row.kind == "SERVER" and row["bck"] == "1" else row["status"]


def colour(row: Row) -> str:
    """Return the class of the status cell: up, going (on its way up or down), down, or off (by an operator's will)."""
    status = row["status"]
    if status in {"UP", "OPEN", "no check"}:
        return "up"
    if status.startswith(("UP ", "NOLB", "DRAIN")):
        return "going"
    if status.startswith("MAINT") or status == "STOP":
        return "off"
    return "going" if status.startswith("DOWN ") else "down"


def _check(row: Row) -> str:
    if not row["check_status"]:
        return ""
    code = f"/{row['check_code']}" if row["check_code"] else ""
    duration = f" in {row['check_duration']}ms" if row["check_duration"] else ""
    info = f": {row['last_chk']}" if row["last_chk"] else ""
    return f"{row['check_status']}{code}{duration}{info}"


def _numbers(row: Row) -> Sequence[str]:
    last = "" if row["lastsess"] in {"", "-1"} else age(row["lastsess"])
    return (
        row["weight"], row["qcur"], row["scur"], row["smax"], row["slim"], row["stot"], row["rate"], last, row["bin"],
        row["bout"], row["econ"], row["wretr"], row["wredis"], row["chkfail"], row["chkdown"], age(row["downtime"]),
    )  # fmt: skip
