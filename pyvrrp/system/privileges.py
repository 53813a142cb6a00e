"""Which privileges this process has, asked before anything is changed. capabilities(7), proc(5)."""

from __future__ import annotations

from pathlib import Path

from pyvrrp.system.errors import NoPermissionError

_NEEDED = {"CAP_NET_ADMIN": (12, "to change addresses"), "CAP_NET_RAW": (13, "to open raw sockets for VRRP")}


def require_privileges(status: Path = Path("/proc/self/status")) -> None:
    """Raise SystemRefusalError, naming the first capability that is missing, unless all are there."""
    lines = dict(line.split(":\t", 1) for line in status.read_text().splitlines() if ":\t" in line)
    effective = int(lines["CapEff"], 16)
    for name, (bit, act) in _NEEDED.items():
        if not effective >> bit & 1:
            raise NoPermissionError(name, act)
