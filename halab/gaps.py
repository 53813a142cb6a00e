"""A client that asks through the VIP again and again, and knows the longest time in which nobody answered.

Laws: an answer counts only if it is the database's own, to a query on a new connection. An attempt is given up after
a third of a second, so a lost packet does not count for more than the time it was lost for.
"""

from __future__ import annotations

import struct
import threading
import time
from concurrent.futures import Future
from typing import Self

from halab.namespace import Host
from halab.parts.client import simple_query

ATTEMPT = 0.33
"""Seconds until an attempt is given up."""
PAUSE = 0.02
"""Seconds between two attempts: the resolution of the measurement."""


class GapMeter:
    """Runs from entry to exit of its context; ``longest`` is in seconds, between two answers or since the last one."""

    def __init__(self, host: Host, address: str, port: int) -> None:
        self.answers = 0
        self.failures = 0
        self.longest = 0.0
        self._host, self._address, self._port = host, address, port
        self._stop = threading.Event()
        self._running: Future[None] | None = None

    def __enter__(self) -> Self:
        self._running = self._host.inside(self._ask_on)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        assert self._running is not None
        self._running.result()

    def _ask_on(self) -> None:
        last = time.monotonic()
        while not self._stop.wait(PAUSE):
            try:
                simple_query(self._address, self._port, "SELECT inet_server_addr()", ATTEMPT)
            except (OSError, struct.error):
                self.failures += 1
            else:
                self.answers += 1
                now = time.monotonic()
                self.longest = max(self.longest, now - last)
                last = now
        self.longest = max(self.longest, time.monotonic() - last)

    def told(self) -> str:
        """Return the measurement as a phrase."""
        return f"longest gap {self.longest * 1e3:,.0f} ms (answered {self.answers}, failed {self.failures})"
