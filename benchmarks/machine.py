"""What a benchmark ran on: the shape of the machine, the versions of all who took part, and who else was at work.

Laws: says nothing that would tell one machine from another of its shape: no host name, no address.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from halab.programs import first_line

_NUMBER = re.compile(r"\d+(?:\.\d+)+\S*")


def shape() -> dict[str, object]:
    """Return cores, kernel, memory in GiB, and the load that the machine had before anything was measured."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "cores": os.cpu_count(),
        "kernel": platform.release().partition("-")[0],
        "memory": round(pages / 2**30),
        "python": platform.python_version(),
        "load before": round(os.getloadavg()[0], 1),
    }


def version(argv: Sequence[str]) -> str:
    """Return the number in the first line with which a program tells its version."""
    line = first_line(list(argv))
    found = _NUMBER.search(line)
    return found[0] if found else line


def version_of_ours() -> str:
    """Return the commit that is measured, with a mark if the working copy differs from it."""
    argv = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--exclude", "*"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def foreign_share(before: Mapping[str, int], after: Mapping[str, int]) -> float:
    """Return which share of the machine processes of low priority took between two readings of ``ticks``."""
    everything = sum(after.values()) - sum(before.values())
    return (after["nice"] - before["nice"]) / everything if everything else 0.0


def ticks() -> dict[str, int]:
    """Return how the processors have spent their time so far (proc(5), /proc/stat), in ticks."""
    names = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
    line = Path("/proc/stat").read_text(encoding="ascii").partition("\n")[0]
    return dict(zip(names, map(int, line.split()[1:9]), strict=True))
