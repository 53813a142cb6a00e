"""What every part of the lab has in common.

Laws: a part fails with one line that names the program and Debian's package if the program is missing; it never
installs anything. Its files stand at the standard paths of its host.
"""

from __future__ import annotations

import shutil
import subprocess
from typing import Protocol

from halab.namespace import Host, LabError

SEARCH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Part(Protocol):
    """Something that runs on a host."""

    host: Host

    def start(self) -> None:
        """Start it; returns when its process runs (when it says so, if it is the kind that does)."""

    def ready(self) -> bool:
        """Return whether it does its work now; an OSError of the network means that it does not."""

    def stop(self) -> None:
        """Stop it; returns when nothing of it is left."""


def program(name: str, package: str, where: str = "") -> str:
    """Return the path of a program; raises LabError that names the Debian package if it is missing."""
    found = shutil.which(name, path=f"{where}:{SEARCH}" if where else SEARCH)
    if found is None:
        raise LabError(f"{name} is missing: apt-get install {package}")
    return found


def first_line(argv: list[str]) -> str:
    """Return the first line that a program prints about its version."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    lines = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    return lines[0] if lines else f"{argv[0]}: no version told"
