"""What both daemons stand on: health counters, schedules, durations, diagnostics, events, scripts, services."""

VERSION = "0.1.0"
"""The version of this project; what the daemons report to the originals' clients is another number."""
