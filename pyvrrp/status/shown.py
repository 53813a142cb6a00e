"""How keepalived shows single things in its dumps: an address, a route, a rule, a script, a time, a number.

Laws: the words are those of a running 2.2.7. Directories of a command are shown resolved (``/bin/true`` as
``/usr/bin/true``), as keepalived does; nothing else is looked at.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from hakit.script import SEARCH_PATH, identity
from pyvrrp.model import FOREVER, TABLE_MAIN, Network, Route, Rule, Script, Tracked, VirtualAddress

MASKED = "********"
"""Stands where keepalived 2.2.7 prints a password."""
SCOPES = {0: "global", 200: "site", 253: "link", 254: "host", 255: "nowhere"}
_TABLES = {253: "default", TABLE_MAIN: "main", 255: "local"}
_PROTOCOL = 18
"""RTPROT_KEEPALIVED (rtnetlink.h)."""


def address(one: VirtualAddress, interface: str, *, held: bool, filtered: bool = False) -> str:
    """``10.9.0.101/24 dev eth0 scope global label eth0:1 set``; ``interface`` is that of the instance.

    ``filtered``: the firewall drops what is sent to it (no_accept). A peer is not shown: the third word is the device.
    """
    is_v6, network = one.interface.version == 6, one.interface.network
    words = [str(one.ip) if network.prefixlen == network.max_prefixlen else str(one.interface)]
    if one.broadcast is not None:
        words += ["brd", str(one.broadcast)]
    words += ["dev", one.device or interface, "scope", SCOPES.get(one.scope, str(one.scope))]
    if one.label is not None:
        words += ["label", one.label]
    flags = {
        "home": one.home,
        "-nodad": one.dad,
        "mngtmpaddr": one.mngtmpaddr,
        "noprefixroute": one.noprefixroute,
        "autojoin": one.autojoin,
        "no_track": not one.tracked,
    }
    words += [word for word, is_set in flags.items() if is_set]
    words += _lifetime(one) if is_v6 else []
    words += ["set"] if held else []
    words += ["nftable_set"] if held and filtered else []
    return " ".join(words)


def _lifetime(one: VirtualAddress) -> list[str]:
    # A /128 is not preferred as a source unless somebody says so (keepalived.conf(5), virtual_ipaddress).
    network = one.interface.network
    alone = network.prefixlen == network.max_prefixlen
    if one.preferred_lft is None:
        return ["deprecated"] if alone else ["preferred_lft", "forever"]
    if one.preferred_lft == 0:
        return ["deprecated"]
    return ["preferred_lft", "forever" if one.preferred_lft == FOREVER else str(one.preferred_lft)]


def route(one: Route) -> str:
    """``prepend 10.60.0.0/16 via inet 10.9.0.2 dev eth0 proto 18``."""
    words = ["prepend"] if one.kind == "unicast" else ["add", one.kind]
    words.append(str(one.destination))
    words += ["from", str(one.source_network)] if one.source_network is not None else []
    words += ["src", str(one.source)] if one.source is not None else []
    if one.via is not None:
        words += ["via", "inet6" if one.via.version == 6 else "inet", str(one.via)]
    words += ["dev", one.device] if one.device is not None else []
    words += ["table", str(one.table)] if one.table != TABLE_MAIN else []
    words += ["tos", f"0x{one.tos:x}"] if one.tos else []
    if one.protocol is not None or one.tracked or one.device is None:  # an explicit no_track leaves it out in 2.2.7
        words += ["proto", str(_PROTOCOL if one.protocol is None else one.protocol)]
    words += ["scope", str(one.scope)] if one.scope is not None else []
    words += ["metric", str(one.priority)] if one.priority is not None else []
    words += ["onlink"] if one.onlink else []
    for name, value in one.metrics.items():
        words += [name, *(["lock"] if name in one.locked else []), str(value)]
    for hop in one.nexthops:
        words.append("nexthop")
        if hop.via is not None:
            words += ["via", "inet6" if hop.via.version == 6 else "inet", str(hop.via)]
        words += ["dev", hop.device] if hop.device is not None else []
        words += ["weight", str(hop.weight)]
    return " ".join([*words, *([] if one.tracked else ["no_track"])])


def rule(one: Rule) -> str:
    """``from 10.60.0.0/16 priority 200 tos 0x0 protocol 18 lookup 10``."""
    words = ["not"] if one.inverted else []
    words += ["from", _selector(one.source)] if one.source is not None else []
    words += ["to", _selector(one.destination)] if one.destination is not None else []
    words += ["priority", str(one.priority)] if one.priority is not None else []
    words += ["fwmark", f"0x{one.fwmark:x}"] if one.fwmark is not None else []
    words += ["iif", one.input_interface] if one.input_interface is not None else []
    words += ["oif", one.output_interface] if one.output_interface is not None else []
    words += ["tos", f"0x{one.tos:x}", "protocol", str(_PROTOCOL if one.protocol is None else one.protocol)]
    if one.action == "table":
        table = TABLE_MAIN if one.table is None else one.table
        words += ["lookup", _TABLES.get(table, str(table))]
    else:
        words += [one.action, *([str(one.goto)] if one.goto is not None else [])]
    return " ".join([*words, *([] if one.tracked else ["no_track"])])


def _selector(network: Network) -> str:
    """Return a network, or a single address without its length."""
    alone = network.prefixlen == network.max_prefixlen
    return str(network.network_address if alone else network)


def command(words: Sequence[str]) -> str:
    """``'/usr/bin/test' '-e' 'x y'``: each word quoted, the directory of the first one resolved."""
    return " ".join(f"'{word}'" for word in (_resolved(words[0]), *words[1:])) if words else ""


def _resolved(program: str) -> str:
    found = Path(program) if "/" in program else Path(shutil.which(program, path=SEARCH_PATH) or program)
    return str(found.parent.resolve() / found.name) if found.is_absolute() else program


def owner(user: str | None, group: str | None = None) -> str:
    """``uid:gid 0:0``; a user who does not exist is shown by name."""
    try:
        uid, gid = identity(user, group)
    except LookupError:
        return f"uid:gid {user}:{group}"
    return f"uid:gid {uid}:{gid}"


def script(one: Script) -> str:
    """``'/usr/bin/echo' 'x', uid:gid 0:0``."""
    return f"{command(one.words)}, {owner(one.user, one.group)}"


def weight(one: Tracked, separator: str = "") -> str:
    """``chk weight -60``, with ``reverse`` behind it; of files and processes keepalived puts a comma before it."""
    return f"{one.name}{separator} weight {one.weight}{' reverse' if one.reverse else ''}"


def moment(wall: float) -> str:
    """``1795374760.629328 (Sun Nov 22 19:12:40.629328 2026)``."""
    seconds, micros = divmod(round(wall * 1e6), 1_000_000)
    at = time.localtime(seconds)
    return f"{seconds}.{micros:06d} ({time.strftime('%a %b %e %T', at)}.{micros:06d} {time.strftime('%Y', at)})"


def number(value: float) -> int | float:
    """Return a whole number as an integer: clients decode ``garp_delay`` into one."""
    return int(value) if float(value).is_integer() else round(value, 6)


def yes(value: bool, words: tuple[str, str] = ("true", "false")) -> str:  # noqa: FBT001 - it is what is shown
    """Return keepalived's word for a truth."""
    return words[0] if value else words[1]


def tmp_directory() -> str:
    """Return where keepalived puts its dumps: ``$TMPDIR``, or /tmp."""
    return os.environ.get("TMPDIR") or "/tmp"  # noqa: S108 - clients look there


def indented(blanks: int, lines: Iterator[str]) -> list[str]:
    """Return ``lines`` behind so many blanks."""
    return [f"{' ' * blanks}{line}" for line in lines]
