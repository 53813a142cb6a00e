"""What is being measured, for who watches: one line at a terminal, and nothing into a file."""

from __future__ import annotations

import sys


def told(words: str) -> None:
    """Say what is being done now; nothing clears the line."""
    if sys.stderr.isatty():
        print(f"\r\33[K{words}", end="", file=sys.stderr, flush=True)
