"""What ``--version`` says, in the form that clients of keepalived read.

Laws: to stderr, as keepalived; the first line begins with ``Keepalived vX.Y.Z`` (exporters take the second word less
its first letter), and one line has the options of a build that writes JSON.
"""

from __future__ import annotations

import os

from hakit import VERSION

REPORTED = "2.2.7"
"""The version of keepalived whose configuration, dumps and log lines these are; clients read it as a number."""
KEEPALIVED = f"Keepalived v{REPORTED} (01/16,2022)"
"""As keepalived calls itself in its log."""


def version_text() -> str:
    """Return the lines of ``--version``."""
    system = os.uname()
    return "\n".join(
        (
            f"{KEEPALIVED} - as reported by pyvrrp",
            "",
            f"This is pyvrrp {VERSION}, a VRRP daemon that reads keepalived.conf.",
            "",
            f"Running on {system.sysname} {system.release} {system.version}",
            "",
            "configure options: --disable-lvs --disable-bfd --enable-json",
            "",
            "Config options:  NFTABLES VRRP VRRP_AUTH VRRP_VMAC JSON OLD_CHKSUM_COMPAT INIT=systemd SYSTEMD_NOTIFY",
            "",
        )
    )
