"""Pipes for those who move pages instead of bytes: made once, enlarged once, lent for as long as bytes are in them.

Laws: a pipe in the pool is empty, always: one that comes back with something in it is closed, so no byte can end up in
another connection. There are at most ``most`` of them; whoever gets none copies. How large the kernel let a pipe become
is asked, not assumed: past the soft limit of a user's pipe pages it is too small to be of use (pipe(7), "/proc files"),
and then none is asked for, for a while.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from dataclasses import dataclass

WANTED = 1 << 20
"""Bytes that a pipe should hold: fs.pipe-max-size, as it usually is."""
USEFUL = 1 << 16
"""Bytes below which a pipe moves less in a turn than a copy."""
DENIALS = 1024
"""How many go without before a kernel that made a pipe too small is asked for another one."""
MOST = 256
"""Pipes of one worker: each is two descriptors, and memory only while something is in it."""


@dataclass(slots=True)
class Pipe:
    """Two ends and what fits between them."""

    outlet: int
    inlet: int
    size: int

    def close(self) -> None:
        """Give both descriptors back, and lose what is inside."""
        os.close(self.outlet)
        os.close(self.inlet)


class PipePool:
    """Lends empty pipes."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._made = 0
        self._denials = 0
        self._free: list[Pipe] = []

    @property
    def lent(self) -> int:
        """How many pipes are with somebody."""
        return self._made - len(self._free)

    def take(self) -> Pipe | None:
        """Return an empty pipe, or None if there is none to be had."""
        if self._free:
            return self._free.pop()
        if self._made >= self._most or self._denials:
            self._denials = max(self._denials - 1, 0)
            return None
        try:
            outlet, inlet = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return None  # no descriptor is left: there are other ways
        with contextlib.suppress(OSError):  # else it stays as large as it is
            fcntl.fcntl(inlet, fcntl.F_SETPIPE_SZ, WANTED)
        pipe = Pipe(outlet, inlet, fcntl.fcntl(inlet, fcntl.F_GETPIPE_SZ))
        if pipe.size < USEFUL:
            pipe.close()
            self._denials = DENIALS
            return None
        self._made += 1
        return pipe

    def give(self, pipe: Pipe) -> None:
        """Take a pipe back that is empty."""
        self._free.append(pipe)

    def lose(self, pipe: Pipe) -> None:
        """Take a pipe back that is not."""
        pipe.close()
        self._made -= 1

    def close(self) -> None:
        """Close all pipes that are not lent."""
        for pipe in self._free:
            pipe.close()
        self._made -= len(self._free)
        self._free.clear()
