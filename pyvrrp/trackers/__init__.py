"""What instances track: scripts, files, processes, URLs; each is a loop of its own with a reading."""

from __future__ import annotations

from pyvrrp.trackers.file import FileTracker
from pyvrrp.trackers.http import HttpTracker
from pyvrrp.trackers.process import ProcessTracker, ProcessWatch
from pyvrrp.trackers.script import ScriptTracker
from pyvrrp.trackers.tracker import Changed, Key, Reading, RunningTracker, Timing, key_of, looks_the_same, readings

__all__ = [
    "Changed", "FileTracker", "HttpTracker", "Key", "ProcessTracker", "ProcessWatch", "Reading", "RunningTracker",
    "ScriptTracker", "Timing", "key_of", "looks_the_same", "readings",
]  # fmt: skip
