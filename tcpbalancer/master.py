"""What HAProxy's master says of its workers, in its words.

Laws: pure: an event of the hub gives at most one line. Our master is the supervisor itself, and its workers are the
processes that carry connections; with ``nbthread`` above 1 there are several, and a line for each.

Source: outputs of HAProxy 3.5 and 2.6 with ``-W``.
"""

from __future__ import annotations

import signal

from hakit.transcript import Event

Line = tuple[str, str]
"""ALERT, WARNING or NOTICE, and the text."""

RELOADING: Line = ("NOTICE", "Reloading HAProxy")
LOADED: Line = ("NOTICE", "Loading success.")
FAILED: Line = ("WARNING", "Loading failure!")
EXITING: Line = ("WARNING", "Exiting Master process...")


def worker_line(event: Event) -> Line | None:
    """Return what is said of a worker that has started or ended."""
    if event.event != "worker":
        return None
    pid, action = event.get("pid"), event.get("action")
    if action == "started":
        return "NOTICE", f"Initializing new worker ({pid})"
    status = event.get("status")
    if not isinstance(status, int):
        return None
    if event.get("former"):
        return "WARNING", f"Former worker ({pid}) exited with {_words(status)}"
    return "ALERT" if status else "WARNING", f"Current worker ({pid}) exited with {_words(status)}"


def all_exited(status: int) -> Line:
    """Return the last line; ``status`` is the master's exit status."""
    return "WARNING", f"All workers exited. Exiting... ({status})"


def _words(status: int) -> str:
    """Return a status (negative: a signal) as ``code 143 (Terminated)``."""
    if status < 0:
        return f"code {128 - status} ({signal.strsignal(-status)})"
    return f"code {status} (Exit)"
