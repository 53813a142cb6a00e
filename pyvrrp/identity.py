"""How the running daemon looks to those who look for ``keepalived``: ps, pgrep, pidof, killall, monitoring agents.

Laws: two names are looked at, and both have to be right: the kernel's name of the process (``comm``), and the basename
of the first word of its command line. A Python program can only get the second by starting itself anew, so that is
done once, at once, with every other word left as it is (Neutron looks for its router's id in them). The program's own
path stays the second word: ``pgrep -f pyvrrp`` finds it, too. Whatever fails here costs a name and nothing else.
"""

from __future__ import annotations

import os
import sys

NAME = "keepalived"


def become_keepalived() -> None:
    """Start this program anew with ``keepalived`` in the first word of its command line, unless it is there already."""
    words = getattr(sys, "orig_argv", [])
    if not words or not sys.executable:
        return
    # With a directory in front, Python still finds its environment (pyvenv.cfg) beside that path.
    named = os.path.join(os.path.dirname(sys.executable), NAME)  # noqa: PTH118, PTH120 - pathlib is not imported yet
    if os.path.basename(words[0]) != NAME:  # noqa: PTH119
        try:
            os.execv("/proc/self/exe", [named, *words[1:]])
        except OSError:
            return
    sys.executable = os.path.realpath("/proc/self/exe")
