"""The statistics for Prometheus, under the names of HAProxy's exporter.

Laws: pure; made from the same rows as the CSV, and from the same values as ``show info``. A family has one HELP and one
TYPE line before all its series. What a configuration may hold is escaped. Names, types and labels are those of 3.5;
families that would tell something of HTTP caches, compression or TLS are there and are 0, as in a HAProxy without them.

Source: HAProxy's ``addons/promex``; Prometheus, "Exposition formats", text format 0.0.4.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tcpbalancer.control.descriptions import COLUMNS, INFO
from tcpbalancer.control.info import Info
from tcpbalancer.control.metric_families import BACKEND, FRONTEND, PROCESS, SERVER, Family, Shape
from tcpbalancer.control.table import Row

CONTENT_TYPE = "text/plain; version=0.0.4"
SCOPES = ("global", "frontend", "listener", "backend", "server")
_SERVER_STATES = ("DOWN", "UP", "MAINT", "DRAIN", "NOLB")
_PROXY_STATES = ("DOWN", "UP")
CHECK_CODES = (
    "HANA", "SOCKERR", "L4OK", "L4TOUT", "L4CON", "L6OK", "L6TOUT", "L6RSP", "L7TOUT", "L7RSP", "L7OK", "L7OKC",
    "L7STS", "PROCERR", "PROCTOUT", "PROCOK",
)  # fmt: skip
_CODES = ("1xx", "2xx", "3xx", "4xx", "5xx", "other")
_KINDS = (("frontend", "FRONTEND", FRONTEND), ("backend", "BACKEND", BACKEND), ("server", "SERVER", SERVER))

_HTTP_ONLY = frozenset({"req_rate_max", "req_tot", "intercepted", "cache_lookups", "cache_hits", "cache_hint_hits"})

Series = tuple[str, float | int | str]
"""What stands between the braces, and the value."""


class ChoiceError(ValueError):
    """What is asked for does not exist."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Which families and servers are wanted."""

    scopes: frozenset[str] = frozenset(SCOPES)
    without_maintenance: bool = False

    @classmethod
    def read(cls, scopes: Sequence[str], *, without_maintenance: bool) -> Choice:
        """Read the values of ``?scope=``: the last empty one takes all away, ``*`` is all; raises ChoiceError."""
        wanted = set(SCOPES)
        for place, scope in enumerate(scopes):
            if not place or not scope:
                wanted.clear()
            if scope == "*":
                wanted.update(SCOPES)
            elif scope in SCOPES:
                wanted.add(scope)
            elif scope:
                raise ChoiceError(scope)
        return cls(frozenset(wanted), without_maintenance)


def render(rows: Sequence[Row], info: Info, choice: Choice) -> str:
    """Return the whole text."""
    lines: list[str] = []
    if "global" in choice.scopes:
        for family in PROCESS:
            lines += _family("process", family, _of_process(family, info))
    servers: dict[str, list[Row]] = {}
    for row in rows:
        if row.kind == "SERVER":
            servers.setdefault(row["pxname"], []).append(row)
    for scope, kind, families in _KINDS:
        if scope not in choice.scopes:
            continue
        shown = [(row, _who(row)) for row in rows if row.kind == kind and not _is_hidden(row, choice)]
        for family in families:
            lines += _family(scope, family, [each for row, who in shown for each in _of_row(family, row, who, servers)])
    return "\n".join([*lines, ""])


def _is_hidden(row: Row, choice: Choice) -> bool:
    return choice.without_maintenance and row.kind == "SERVER" and row["status"].startswith("MAINT")


def _family(scope: str, family: Family, series: Iterable[Series]) -> Iterator[str]:
    """Yield the lines of a family; nothing if it has no series."""
    name, begun = f"haproxy_{scope}_{family.name}", False
    for labels, value in series:
        if not begun:
            begun = True
            yield f"# HELP {name} {_described(family)}"
            yield f"# TYPE {name} {family.type}"
        yield f"{name}{{{labels}}} {value}" if labels else f"{name} {value}"


def _described(family: Family) -> str:
    text = COLUMNS.get(family.source) or INFO.get(family.source) or family.name.replace("_", " ")
    return text[:1].upper() + text[1:]


def _label(name: str, text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
    return f'{name}="{escaped}"'


def _who(row: Row) -> str:
    """Return the labels that all series of a row have; they are many, so it is done once."""
    proxy = _label("proxy", row["pxname"])
    return f"{proxy},{_label('server', row['svname'])}" if row.kind == "SERVER" else proxy


def _of_process(family: Family, info: Info) -> Iterator[Series]:
    value = info.get(family.source, 0)
    match family.shape:
        case Shape.NAMED:
            if value:
                yield _label(family.label, str(value)), 1
        case _:
            yield "", value


def _of_row(family: Family, row: Row, who: str, servers: Mapping[str, Sequence[Row]]) -> Iterator[Series]:
    own = servers.get(row["pxname"], ())
    match family.shape:
        case Shape.SERVER_COUNTS:
            found = _counted(_SERVER_STATES, map(server_state, own)) if own else []
        case Shape.CHECK_COUNTS:
            found = _counted(CHECK_CODES, map(_check_code, own)) if own else []
        case shape:
            found = list(_SHAPES[shape](family, row))
    for labels, value in found:
        yield f"{who},{labels}" if labels else who, value


def _plain(family: Family, row: Row) -> Iterator[Series]:
    """Yield the value; what is empty is not a number, or not there where it makes no sense."""
    value = row.values.get(family.source)
    if value is not None:
        yield "", value
    elif family.source == "check_code":
        yield from [("", 0)] if _check_code(row) else []
    elif family.source not in _HTTP_ONLY or row["mode"] == "http":
        yield "", "NaN"


def _milliseconds(family: Family, row: Row) -> Iterator[Series]:
    if family.source in row.values:
        yield "", f"{int(row.values[family.source]) / 1000:.3f}".rstrip("0").rstrip(".")
    elif _check_code(row):
        yield "", "NaN"


def _codes(_: Family, row: Row) -> Iterator[Series]:
    for code in _CODES:
        if f"hrsp_{code}" in row.values:
            yield _label("code", code), row.values[f"hrsp_{code}"]


def _states(states: Sequence[str], now: str) -> Iterator[Series]:
    for state in states:
        yield _label("state", state), int(state == now)


def _proxy_state(_: Family, row: Row) -> Iterator[Series]:
    up = "UP" if row["status"].startswith(("UP", "OPEN")) else "DOWN"
    yield from _states(_PROXY_STATES, up)


def _server_state(_: Family, row: Row) -> Iterator[Series]:
    yield from _states(_SERVER_STATES, server_state(row))


def server_state(row: Row) -> str:
    """Return which of the exporter's five states a server is in; without a check it is up (promex_srv_status)."""
    word = row["status"].split(" ", 1)[0]
    return word if word in _SERVER_STATES else "UP"


def _check_state(_: Family, row: Row) -> Iterator[Series]:
    if now := _check_code(row):
        yield from _states(CHECK_CODES, now)


def _check_code(row: Row) -> str:
    return row["check_status"].removeprefix("* ")


def _counted(names: Iterable[str], present: Iterable[str]) -> list[Series]:
    seen = list(present)
    return [(_label("state", name), seen.count(name)) for name in names]


_SHAPES: Mapping[Shape, Callable[[Family, Row], Iterator[Series]]] = {
    Shape.PLAIN: _plain,
    Shape.MILLISECONDS: _milliseconds,
    Shape.CODES: _codes,
    Shape.PROXY_STATE: _proxy_state,
    Shape.SERVER_STATE: _server_state,
    Shape.CHECK_STATE: _check_state,
}
