"""What the system refuses, in one line that says what to do."""

from __future__ import annotations


class SystemRefusalError(Exception):
    """The daemon cannot do its work on this system; the message names the cause and the remedy."""


class NoPermissionError(SystemRefusalError):
    """The process lacks a capability; the message names it (CAP_NET_RAW, CAP_NET_ADMIN)."""

    def __init__(self, capability: str, act: str) -> None:
        super().__init__(f"no permission {act}: run as root, or give the process {capability}")
