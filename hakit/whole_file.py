"""A file that is there as a whole or not at all.

Laws: it is written beside its place, under a name that nobody can guess, and moved there once all of it is on the disk;
what went wrong leaves nothing behind. Only its owner can read it, whatever the umask is. A link in its place is
replaced, never followed.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path


def write_whole(path: Path, text: str) -> None:
    """Write or replace a file; raises OSError, and then ``path`` is as it was."""
    scratch = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(scratch, flags, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(text.encode())
        scratch.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            scratch.unlink()
        raise
