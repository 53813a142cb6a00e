"""Which rows of the table are shown: without servers in maintenance, only what is up, only some proxies.

Laws: pure.

Source: HAProxy's management guide, section 9.3 "show stat"; ``stats scope`` in the configuration manual.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from tcpbalancer.control.table import Row
from tcpbalancer.statistics import ProxyStatistics, Snapshot


def working(rows: Iterable[Row], snapshot: Snapshot, *, only_up: bool) -> Iterator[Row]:
    """Yield the rows without servers in maintenance (or: that are not up); backends say how many are up."""
    hidden = ("MAINT", "DOWN") if only_up else ("MAINT",)
    for row in rows:
        if row.kind == "SERVER" and row["status"].startswith(hidden):
            continue
        if row.kind == "BACKEND":
            up, all_of_them = _counted(snapshot.proxy(row["pxname"]))
            yield replace(row, values={**row.values, "status": f"{row['status']} ({up}/{all_of_them})"})
            continue
        yield row


def _counted(proxy: ProxyStatistics) -> tuple[int, int]:
    up = sum(not server.status.startswith(("MAINT", "DOWN")) for server in proxy.servers)
    return up, len(proxy.servers)


def in_scope(rows: Iterable[Row], scopes: Iterable[str], own: str, wanted: str) -> Iterator[Row]:
    """Yield the rows of proxies that ``scopes`` name (``.``: ``own``; none: all) and whose names hold ``wanted``."""
    allowed = {own if scope == "." else scope for scope in scopes}
    for row in rows:
        if (not allowed or row["pxname"] in allowed) and wanted.lower() in row["pxname"].lower():
            yield row
