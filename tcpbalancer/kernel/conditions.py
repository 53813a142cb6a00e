"""What this machine must have before the kernel can relay: the programs, and leave to forward.

Laws: nothing is changed here. To forward makes a router of a machine, and IPv6 then hears no router advertisements any
more: that is for its administrator to decide (Documentation/networking/ip-sysctl of Linux).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from tcpbalancer.kernel.executor import PROGRAMS, search_path
from tcpbalancer.kernel.plan import families, relayed
from tcpbalancer.model import Configuration

_SETTINGS = Path("/proc/sys/net")


def missing(configuration: Configuration) -> Iterator[str]:
    """Yield what is missing, and what to do, in a sentence each."""
    for program, package in PROGRAMS.items():
        if shutil.which(program, path=search_path()) is None:
            yield f"the program {program} is not installed: apt-get install {package} (or your system's package of it)"
    wanted = {family for one in relayed(configuration) for bind in one.binds for family in families(bind)}
    servers = (
        one for front in relayed(configuration) for one in configuration.backends[front.default_backend or ""].servers
    )
    wanted &= {6 if ":" in server.address else 4 for server in servers if server.address}
    # Each interface may forward IPv4 or not; for IPv6 there is one switch for all (net/ipv6/ip6_output.c).
    if 4 in wanted and not any(map(_is_set, (_SETTINGS / "ipv4/conf").glob("*/forwarding"))):
        yield "this machine does not forward IPv4: sysctl -w net.ipv4.ip_forward=1"
    if 6 in wanted and not _is_set(_SETTINGS / "ipv6/conf/all/forwarding"):
        yield "this machine does not forward IPv6: sysctl -w net.ipv6.conf.all.forwarding=1"


def is_dual_stack() -> bool:
    """Whether ``::`` takes IPv4, too, as long as nobody says otherwise."""
    return not _is_set(_SETTINGS / "ipv6/bindv6only")


def _is_set(path: Path) -> bool:
    try:
        return path.read_text(encoding="ascii").strip() not in {"", "0"}
    except OSError:
        return False  # there is no such family
