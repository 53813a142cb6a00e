"""What both daemons stand on: health counters, schedules, durations, diagnostics, events, scripts, services."""
