"""What stands in the cells of the page's tables: a text, a kind that gives it a colour, and what a pointer is told.

Laws: pure. The columns are those of HAProxy's page, the state first; what it hides behind a pointer (times, aborts) has
columns of its own here, for a phone has no pointer. A value that the CSV leaves empty stays empty.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tcpbalancer.control.table import Row


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell; ``kind`` is a class of the style sheet, or empty."""

    text: str
    kind: str = ""
    title: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its group and heading, the class of its cells, and what fills it."""

    group: str
    heading: str
    fill: Callable[[Row], Cell]
    look: str = ""
    is_badge: bool = False


_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def age(seconds: str) -> str:
    """Return a number of seconds as its two largest units, ``3m12s``; empty stays empty."""
    if not seconds:
        return ""
    left = int(seconds)
    for size, unit, smaller, small in ((86400, "d", 3600, "h"), (3600, "h", 60, "m"), (60, "m", 1, "s")):
        if left >= size:
            return f"{left // size}{unit}{left % size // smaller}{small}"
    return f"{left}s"


def size(count: str) -> str:
    """Return a number of bytes with a unit, ``1.4 MiB``; empty stays empty."""
    if not count:
        return ""
    value, power = float(count), 0
    while value >= 1024 and power < len(_UNITS) - 1:
        value, power = value / 1024, power + 1
    return f"{value:.0f} B" if not power else f"{value:.{0 if value >= 100 else 1}f} {_UNITS[power]}"


def colour(row: Row) -> str:
    """Return the kind of a state: up, going (on its way up or down), drain, down, or off (by an operator's will)."""
    status = row["status"]
    if status.startswith("no check") or status in {"UP", "OPEN"}:
        return "up"
    if status.startswith("MAINT") or status in {"STOP", "PAUSED"}:
        return "off"
    if status.startswith(("NOLB", "DRAIN")):
        return "drain"
    if status.startswith("UP "):
        return "up" if row.kind == "BACKEND" else "going"
    return "going" if status.startswith("DOWN ") and "/" in status and row.kind == "SERVER" else "down"


def _state(row: Row) -> Cell:
    backup = " backup" if row.kind == "SERVER" and row["bck"] == "1" else ""
    since = f"for {age(row['lastchg'])}" if row["lastchg"] else ""
    return Cell(row["status"] + backup, colour(row), since)


def _since(row: Row) -> Cell:
    return Cell(age(row["lastchg"]))


def _check(row: Row) -> Cell:
    if not row["check_status"]:
        return Cell("")
    code = f"/{row['check_code']}" if row["check_code"] else ""
    duration = f" in {row['check_duration']}ms" if row["check_duration"] else ""
    agent = f"; agent {row['agent_status']} {row['last_agt']}".rstrip() if row["agent_status"] else ""
    info = f": {row['last_chk']}" if row["last_chk"] else ""
    about = f"{row['check_desc']}; {row['check_health']} of {row['check_rise']}+{row['check_fall']}-1"
    return Cell(f"{row['check_status']}{code}{duration}{info}{agent}", "", about)


def _weight(row: Row) -> Cell:
    weight, user = row["weight"], row["uweight"]
    return Cell(weight if weight == user or not user else f"{weight}/{user}", "", "effective/configured weight")


def _number(column: str, title: str = "") -> Callable[[Row], Cell]:
    def fill(row: Row) -> Cell:
        return Cell(row[column], "zero" if row[column] == "0" else "", title)

    return fill


def _trouble(column: str) -> Callable[[Row], Cell]:
    def fill(row: Row) -> Cell:
        value = row[column]
        return Cell(value, "zero" if value == "0" else "wrong" if value else "")

    return fill


def _bytes(column: str) -> Callable[[Row], Cell]:
    def fill(row: Row) -> Cell:
        value = row[column]
        return Cell(size(value), "zero" if value == "0" else "", f"{int(value):,} bytes" if value else "")

    return fill


def _time(column: str) -> Callable[[Row], Cell]:
    def fill(row: Row) -> Cell:
        value = row[column]
        return Cell(value, "zero" if value == "0" else "", f"at most {row[f'{column}_max']} ms" if value else "")

    return fill


def _total(row: Row) -> Cell:
    about = ""
    if row["req_tot"] and row["mode"] == "http":
        counts = ", ".join(f"{row[f'hrsp_{code}']} {code}" for code in ("2xx", "3xx", "4xx", "5xx"))
        about = f"{row['req_tot']} requests: {counts}; {row['intercepted'] or 0} answered here"
    return Cell(row["stot"], "zero" if row["stot"] == "0" else "", about)


def _last(row: Row) -> Cell:
    return Cell("" if row["lastsess"] in {"", "-1"} else age(row["lastsess"]))


def _limit(column: str) -> Callable[[Row], Cell]:
    return lambda row: Cell("" if row[column] in {"", "0"} else row[column])


def _throttle(row: Row) -> Cell:
    return Cell(f"{row['throttle']}%" if row["throttle"] else "", "going" if row["throttle"] else "")


COLUMNS = (
    Column("State", "Now", _state, "state", is_badge=True),
    Column("State", "Since", _since, "age"),
    Column("State", "Last check", _check, "check"),
    Column("State", "Wght", _weight),
    Column("State", "Act", _number("act")),
    Column("State", "Bck", _number("bck")),
    Column("Queue", "Cur", _number("qcur")),
    Column("Queue", "Max", _number("qmax")),
    Column("Queue", "Limit", _limit("qlimit")),
    Column("Sessions", "Cur", _number("scur")),
    Column("Sessions", "Max", _number("smax")),
    Column("Sessions", "Limit", _limit("slim")),
    Column("Sessions", "Total", _total),
    Column("Sessions", "LbTot", _number("lbtot")),
    Column("Sessions", "Last", _last, "age"),
    Column("Session rate", "Cur", _number("rate")),
    Column("Session rate", "Max", _number("rate_max")),
    Column("Session rate", "Limit", _limit("rate_lim")),
    Column("Bytes", "In", _bytes("bin")),
    Column("Bytes", "Out", _bytes("bout")),
    Column("Denied", "Req", _trouble("dreq")),
    Column("Denied", "Resp", _trouble("dresp")),
    Column("Errors", "Req", _trouble("ereq")),
    Column("Errors", "Conn", _trouble("econ")),
    Column("Errors", "Resp", _trouble("eresp")),
    Column("Warnings", "Retr", _trouble("wretr")),
    Column("Warnings", "Redis", _trouble("wredis")),
    Column("Aborts", "Cli", _number("cli_abrt")),
    Column("Aborts", "Srv", _number("srv_abrt")),
    Column("Average ms", "Queue", _time("qtime")),
    Column("Average ms", "Conn", _time("ctime")),
    Column("Average ms", "Total", _time("ttime")),
    Column("Health", "Chk", _trouble("chkfail")),
    Column("Health", "Dwn", _trouble("chkdown")),
    Column("Health", "Dwntme", lambda row: Cell(age(row["downtime"])), "age"),
    Column("Health", "Thrtle", _throttle),
)


def cells(row: Row) -> tuple[Cell, ...]:
    """Return the cells of a row, behind its name."""
    return tuple(column.fill(row) for column in COLUMNS)
