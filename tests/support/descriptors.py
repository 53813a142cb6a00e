"""How many descriptors another process may have: prlimit(2) as that process's own user, for workers are not root."""

from __future__ import annotations

import subprocess
from pathlib import Path


def descriptor_limit(pid: int) -> tuple[int, int]:
    """Return the soft and the hard limit of a process."""
    lines = Path(f"/proc/{pid}/limits").read_text().splitlines()
    soft, hard = next(line.split()[3:5] for line in lines if line.startswith("Max open files"))
    return int(soft), int(hard)


def limit_descriptors(pid: int, limits: tuple[int, int]) -> None:
    """Set the soft and the hard limit of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    user, group = (line.split()[1] for line in lines if line.startswith(("Uid:", "Gid:")))
    as_it = ["setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups"]
    subprocess.run([*as_it, "prlimit", f"--pid={pid}", f"--nofile={limits[0]}:{limits[1]}"], check=True)
