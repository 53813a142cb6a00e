"""Realtime priority that grows while the machine lets timers wait (max_auto_priority, min_auto_priority_delay).

Laws: nothing happens unless it is asked for. A timer that is later than the delay raises the priority of the process by
one: from ordinary scheduling to the lowest realtime priority first, up to the limit, and never down again, as
keepalived does. What the system refuses is told once and not tried again. Sources: keepalived.conf(5), sched(7).
"""

from __future__ import annotations

import os

from hakit.events import EventHub
from pyvrrp import process
from pyvrrp.model import ProcessSettings


class Urgency:
    """Raises the priority of this process when it is told that a timer was late."""

    def __init__(self, hub: EventHub) -> None:
        self.settings = ProcessSettings()
        self._hub = hub
        self._refused = False

    def late(self, seconds: float) -> None:
        """A timer was late by ``seconds``."""
        settings = self.settings
        if self._refused or settings.max_auto_priority <= 0 or seconds * 1e6 <= settings.min_auto_priority_delay:
            return
        priority = os.sched_getparam(0).sched_priority + 1  # 0 unless it runs in real time already
        if priority > settings.max_auto_priority:
            return
        what = f"realtime priority {priority}, for a timer was {seconds:.6f} s late"
        try:
            process.run_in_real_time(priority, settings.rlimit_rttime)
        except OSError as wrong:
            self._refused = True
            self._hub.publish("warning", f"Warning - cannot set {what}: {wrong.strerror}")
        else:
            self._hub.publish("notice", f"Now at {what}")
