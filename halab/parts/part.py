"""What every part of the lab has in common.

Laws: a part fails with one line that names the program and Debian's package if the program is missing, before anything
of it is started. Its files stand at the standard paths of its host.
"""

from __future__ import annotations

from typing import Protocol

from halab.namespace import Host


class Part(Protocol):
    """Something that runs on a host."""

    host: Host

    def start(self) -> None:
        """Start it; returns when its process runs (when it says so, if it is the kind that does)."""

    def ready(self) -> bool:
        """Return whether it does its work now; an OSError of the network means that it does not."""

    def stop(self) -> None:
        """Stop it; returns when nothing of it is left."""
