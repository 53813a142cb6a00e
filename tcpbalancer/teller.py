"""How the program speaks to whoever has started it: HAProxy's prefixes on stderr, plain lines on stdout.

Laws: two notices that say which program this is stand before the first warning or alert, and nowhere else. While the
program starts, it waits until its words are read; once it runs, it waits for nobody. A full disk behind stderr, or a
reader that has gone, is no reason not to start.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Sequence
from typing import TextIO

from hakit.diagnostics import Diagnostic
from hakit.logtarget import Console
from tcpbalancer.config.messages import is_notice, line, messages, preamble
from tcpbalancer.version import REPORTED


class Teller:
    """Says things as HAProxy does: with its prefixes on stderr, without on stdout, or not at all when ``quiet``."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.program = os.path.realpath(sys.argv[0])
        self._quiet = quiet
        self._introduced = False
        self.said: list[str] = []
        self.recorded: list[str] | None = None  # what is said while the program runs, if somebody wants to know

    def hush(self) -> None:
        """Say nothing any more, as with ``-q``."""
        self._quiet = True

    def findings(self, found: Sequence[Diagnostic]) -> None:
        """Print what was found in the configuration."""
        for each in found:
            self._print(messages([each], os.getpid()), introduced=not is_notice(each))

    def alert(self, text: str) -> None:
        """Print a reason why the program ends."""
        self._print([line("ALERT", os.getpid(), text)])

    def warning(self, text: str) -> None:
        """Print something that may not be as it should."""
        self._print([line("WARNING", os.getpid(), text)])

    def tell(self, level: str, text: str) -> None:
        """Print a message of a level (ALERT, WARNING, NOTICE) while the program runs; never waits, never raises."""
        written = [line(level, os.getpid(), text)]
        self._write(written if level == "NOTICE" else self._introduce(written))

    def tell_findings(self, found: Sequence[Diagnostic]) -> None:
        """Print what was found in a configuration that is read while the program runs."""
        for each in found:
            written = messages([each], os.getpid())
            self._write(written if is_notice(each) else self._introduce(written))

    def say(self, text: str) -> None:
        """Print a line on stdout."""
        if not self._quiet:
            _put(sys.stdout, text)

    def _print(self, lines: Sequence[str], *, introduced: bool = True) -> None:
        self.said += lines
        if not self._quiet:
            _put(sys.stderr, "\n".join(self._introduce(lines) if introduced else lines))

    def _write(self, lines: Sequence[str]) -> None:
        """Write if whoever reads takes it: who reads slowly, or not at all, must not hold us up."""
        if self.recorded is not None:
            self.recorded += lines
        if not self._quiet and sys.stderr is not None:  # None: it was closed when the program started
            Console(sys.stderr.fileno()).write("\n".join(lines).encode("utf-8", "replace"))

    def _introduce(self, lines: Sequence[str]) -> Sequence[str]:
        if self._introduced:
            return lines
        self._introduced = True
        return [*preamble(os.getpid(), REPORTED, self.program), *lines]


def _put(stream: TextIO | None, text: str) -> None:
    """Write a line if it can be written; what a buffer kept of it would fail again at the end, and be our status."""
    raw = getattr(getattr(stream, "buffer", None), "raw", None)
    with contextlib.suppress(OSError):
        if isinstance(raw, io.RawIOBase):
            left = f"{text}\n".encode("utf-8", "surrogateescape")
            while left and (taken := raw.write(left)):
                left = left[taken:]
        elif stream is not None:  # None: it was closed when the program started
            print(text, file=stream, flush=True)
