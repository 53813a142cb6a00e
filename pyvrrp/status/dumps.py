"""keepalived's dumps of a running daemon: data, statistics, JSON; and how they get into their files.

Laws: what is written is the daemon at one moment (``picture``). A file is complete or the one before, its owner's
alone, and a link that somebody has put there is replaced, never followed (``hakit.whole_file``). keepalived 2.2.7 does
none of this, and its readers see halves of files.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pyvrrp.status import shown
from pyvrrp.status.data_globals import global_definitions, static_sections
from pyvrrp.status.data_instances import topology
from pyvrrp.status.data_surroundings import interfaces, sockets, tracker_sections
from pyvrrp.status.json_dump import json_text
from pyvrrp.status.picture import Picture, take

if TYPE_CHECKING:
    from pyvrrp.daemon import Daemon

STATISTICS: Mapping[str, Mapping[str, str] | str] = {
    "Advertisements": {"Received": "advert_rcvd", "Sent": "advert_sent"},
    "Became master": "become_master",
    "Released master": "release_master",
    "Packet Errors": {
        "Length": "packet_len_err",
        "TTL": "ip_ttl_err",
        "Invalid Type": "invalid_type_rcvd",
        "Advertisement Interval": "advert_interval_err",
        "Address List": "addr_list_err",
    },
    "Authentication Errors": {
        "Invalid Type": "invalid_authtype",
        "Type Mismatch": "authtype_mismatch",
        "Failure": "auth_failure",
    },
    "Priority Zero": {"Received": "pri_zero_rcvd", "Sent": "pri_zero_sent"},
}
"""The lines of keepalived.stats, and the counters behind them."""


def data(daemon: Daemon) -> str:
    """Return keepalived.data."""
    return data_text(take(daemon))


def parent_data(daemon: Daemon) -> str:
    """Return keepalived_parent.data: the global definitions alone."""
    return parent_text(take(daemon))


def stats(daemon: Daemon) -> str:
    """Return keepalived.stats."""
    return statistics_text(take(daemon))


def json_(daemon: Daemon) -> str:
    """Return keepalived.json, in the version that the configuration asks for."""
    return json_text(take(daemon))


def data_text(picture: Picture) -> str:
    """Return keepalived.data of ``picture``."""
    sections = [
        ("Global definitions", global_definitions(picture)),
        *static_sections(picture),
        ("VRRP Topology", topology(picture)),
        ("VRRP Sockpool", sockets(picture)),
        *tracker_sections(picture),
        ("Interfaces", interfaces(picture)),
    ]
    return "".join(_section(name, lines) for name, lines in sections)


def parent_text(picture: Picture) -> str:
    """Return keepalived_parent.data of ``picture``."""
    return _section("Global definitions", global_definitions(picture, parent=True))


def _section(name: str, lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in (f"------< {name} >------", *lines))


def statistics_text(picture: Picture) -> str:
    """Return keepalived.stats of ``picture``."""
    lines: list[str] = []
    for router in picture.routers:
        lines.append(f"VRRP Instance: {router.instance.name}")
        for heading, counter in STATISTICS.items():
            if isinstance(counter, str):
                lines.append(f"  {heading}: {router.statistics[counter]}")
                continue
            lines.append(f"  {heading}:")
            lines += [f"    {name}: {router.statistics[one]}" for name, one in counter.items()]
    return "".join(f"{line}\n" for line in lines)


def paths(picture: Picture) -> dict[str, Path]:
    """Return where ``data``, ``parent``, ``stats`` and ``json`` go: as configured, else in TMPDIR or /tmp."""
    folder, dumps = Path(shown.tmp_directory()), picture.configuration.settings.dumps
    return {
        "data": Path(dumps.data or folder / "keepalived.data"),
        "parent": folder / "keepalived_parent.data",
        "stats": Path(dumps.statistics or folder / "keepalived.stats"),
        "json": Path(dumps.json or folder / "keepalived.json"),
    }
