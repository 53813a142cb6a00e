"""Which version this is, for people and for programs that compare versions of HAProxy.

Laws: REPORTED is a plain number of at least 3.0, because clients compare it as numbers and use what is offered from 3.0
on only if they see one.
"""

from __future__ import annotations

from hakit import VERSION

OWN = VERSION
REPORTED = "3.0.0"
RELEASED = "2026/11/22"


def banner() -> str:
    """Return the text of ``-v``; its first line is in the form that clients of HAProxy parse."""
    return (
        f"HAProxy version {REPORTED} {RELEASED} - as reported by tcpbalancer\n"
        f"This is tcpbalancer {OWN}, a stand-in for HAProxy in TCP mode: same files, same flags, other program.\n"
    )
