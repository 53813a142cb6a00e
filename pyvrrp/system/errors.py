"""What the system refuses, in one line that says what to do."""

from __future__ import annotations


class SystemRefusalError(Exception):
    """The daemon cannot do its work on this system; the message names the cause and the remedy."""


def needs_capability(capability: str, act: str) -> SystemRefusalError:
    """Return the error for an act that wants ``capability`` (CAP_NET_RAW, CAP_NET_ADMIN)."""
    return SystemRefusalError(f"no permission {act}: run as root, or give the process {capability}")
