"""A file that is there as a whole or not at all.

Laws: it is written beside its place, under a name of its own that nobody can have made before, and moved there once all
of it is on the disk; what went wrong leaves nothing behind. Only its owner can read it.
"""

from __future__ import annotations

import os
from pathlib import Path


def write_whole(path: Path, text: str) -> None:
    """Write or replace a file; raises OSError, and then ``path`` is as it was."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        scratch.replace(path)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise
