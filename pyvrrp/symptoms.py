"""Reads what ``pyvrrp doctor --live`` judges: this machine as it is now.

Laws: it looks and changes nothing; no script is run. It needs no privilege, and sees less without one: then nft and the
daemon's control socket do not answer. What cannot be read is left out, and nothing is concluded from it.

Sources: proc(5), /proc/sys/net; nft(8), -j; the state files of systemd-networkd (/run/systemd/netif/links) and of
NetworkManager (/run/NetworkManager/devices).
"""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from socket import AF_INET, AF_INET6
from typing import Any

from hakit.control import request
from hakit.script import SEARCH_PATH, insecurity_of
from hakit.transcript import Value
from pyvrrp.doctor import script_text
from pyvrrp.doctor.machine import Card, Command, Machine, Managed, ScriptFile
from pyvrrp.doctor.node import Node
from pyvrrp.doctor.stage import interfaces_of
from pyvrrp.model import Configuration, Script
from pyvrrp.system.link import Picture
from pyvrrp.system.sysctl import Settings

PATIENCE = 5.0
"""Seconds for nft, and for the daemon."""
LONGEST_SCRIPT = 65536
NETWORKD = "systemd-network"
"""The name of systemd-networkd's process, cut to 15 characters (proc(5), comm)."""
UNIT_FOLDERS = ("etc", "run", "usr/local/lib", "usr/lib", "lib")
SETTINGS = ("ipv4/conf/all/rp_filter", "ipv4/ip_nonlocal_bind", "ipv6/ip_nonlocal_bind")


def look(node: Node, files: Iterable[str], control: Path, root: Path = Path("/")) -> Machine:
    """Return what this machine says, which ``node`` is to run on. ``files``: its configuration's.

    ``control``: where its daemon listens. ``root``: the folder that holds proc, run and etc.
    """
    cards = _cards()
    is_networkd_up = any(_text(path).strip() == NETWORKD for path in (root / "proc").glob("[0-9]*/comm"))
    return Machine(
        cards=cards,
        sysctls=_sysctls(interfaces_of(node), root),
        scripts=_scripts(node.configuration),
        ruleset=_ruleset(),
        legacy_filter=bool(_text(root / "proc/net/ip_tables_names").split()),
        networkd=dict(_networkd(cards, root)) if is_networkd_up else {},
        networkd_conf=_networkd_conf(root),
        network_manager=frozenset(
            name for name, card in cards.items() if (root / f"run/NetworkManager/devices/{card.index}").is_file()
        ),
        status=_status(control),
        modes=dict(_modes(files)),
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _cards() -> dict[str, Card]:
    from pyroute2 import IPRoute  # late: only who looks at the machine needs netlink

    with IPRoute() as kernel:
        addresses = [one for family in (AF_INET, AF_INET6) for one in kernel.get_addr(family=family)]
        links = Picture(list(kernel.get_links()), addresses).by_name()
    return {name: Card(link.index, link.is_up, link.addresses) for name, link in links.items()}


def _sysctls(interfaces: Iterable[str], root: Path) -> dict[str, str]:
    settings = Settings(root / "proc/sys/net")
    paths = [*SETTINGS]
    for name in interfaces:
        paths += [f"ipv4/conf/{name}/rp_filter", f"ipv6/conf/{name}/disable_ipv6"]
    return {path: value for path in paths if (value := settings.read(path)) is not None}


def _scripts(configuration: Configuration) -> dict[Command, ScriptFile]:
    told = [one.notify for one in configuration.instances] + [one.notify for one in configuration.groups]
    wanted: list[Script | None] = [one.script for one in configuration.scripts]
    for notify in told:
        wanted += [notify.master, notify.backup, notify.fault, notify.stop, notify.any, notify.deleted]
    security = configuration.settings.script_security
    found = {(one.words, one.user): one for one in wanted if one is not None}
    return {key: script_file(script, security=security) for key, script in found.items()}


def script_file(script: Script, *, security: bool) -> ScriptFile:
    """Return what stands behind the words of a script. ``security``: whether it would be refused if it is not safe."""
    refused = insecurity_of(script.words, script.user)
    if refused is not None and not security and not _is_unusable(script):
        refused = None
    program = script.words[0] if "/" in script.words[0] else shutil.which(script.words[0], path=SEARCH_PATH)
    text = _beginning(Path(program)) if program is not None else ""
    words = script_text.interpreter(text)
    lacks = words[0] if words and not _is_there(words[0]) else None
    shell = (words[0] if words else script.words[0]).rpartition("/")[2]
    if shell not in script_text.SHELLS:
        return ScriptFile(refused, lacks)
    line = script.words[2] if not words and script.words[1:2] == ("-c",) and len(script.words) > 2 else text
    missing = tuple(name for name in script_text.programs(line) if not _is_there(name))
    return ScriptFile(refused, lacks, missing)


def _is_unusable(script: Script) -> bool:
    """Return whether a script cannot be run at all, safe or not."""
    program = script.words[0] if "/" in script.words[0] else shutil.which(script.words[0], path=SEARCH_PATH)
    return program is None or shutil.which(program) is None


def _is_there(program: str) -> bool:
    return shutil.which(program, path=SEARCH_PATH) is not None


def _beginning(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(LONGEST_SCRIPT).decode(errors="replace")
    except OSError:
        return ""


def _ruleset() -> Sequence[Mapping[str, Any]] | None:
    program = shutil.which("nft", path=SEARCH_PATH)
    if program is None:
        return None
    try:
        told = subprocess.run([program, "-j", "list", "ruleset"], capture_output=True, timeout=PATIENCE, check=True)
        found = json.loads(told.stdout)["nftables"]
    except (OSError, subprocess.SubprocessError, ValueError, KeyError):
        return None
    return found if isinstance(found, list) else None


def _networkd(cards: Mapping[str, Card], root: Path) -> Iterator[tuple[str, Managed]]:
    """Yield the interfaces that systemd-networkd has a file for, and that file with its drop-ins."""
    for name, card in cards.items():
        state = _variables(_text(root / f"run/systemd/netif/links/{card.index}"))
        path = state.get("NETWORK_FILE", "")
        if not path or state.get("ADMIN_STATE") == "unmanaged":
            continue
        texts = [_text(root / path.lstrip("/"))]
        for folder in UNIT_FOLDERS[::-1]:
            drop_ins = root / folder / "systemd/network" / f"{Path(path).name}.d"
            texts += [_text(one) for one in sorted(drop_ins.glob("*.conf"))]
        yield name, Managed(path, "\n".join(texts))


def _networkd_conf(root: Path) -> str:
    mains = (root / folder / "systemd/networkd.conf" for folder in UNIT_FOLDERS)
    texts = [_text(next((one for one in mains if one.is_file()), root / "none"))]
    for folder in UNIT_FOLDERS[::-1]:
        texts += [_text(one) for one in sorted((root / folder / "systemd/networkd.conf.d").glob("*.conf"))]
    return "\n".join(texts)


def _variables(text: str) -> dict[str, str]:
    found = {}
    for line in text.splitlines():
        name, _, value = line.partition("=")
        with suppress(ValueError):
            found[name] = " ".join(shlex.split(value))
    return found


def _status(control: Path) -> Mapping[str, Value] | None:
    try:
        told = request(control, "status", timeout=PATIENCE)
    except (OSError, ValueError):
        return None
    return told if isinstance(told, dict) and "instances" in told else None


def _modes(files: Iterable[str]) -> Iterator[tuple[str, int]]:
    for name in files:
        with suppress(OSError):
            yield name, Path(name).stat().st_mode & 0o7777
