"""The programs of this machine that the lab runs.

Laws: a missing program is one line that names it and Debian's package; nothing is ever installed here.
"""

from __future__ import annotations

import shutil
import subprocess

from halab.namespace import LabError

SEARCH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where programs are looked for, whatever PATH the lab was started with: the hosts have this one."""


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
