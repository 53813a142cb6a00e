"""One pcap file per LAN, of everything that crosses its switch.

Laws: writes packet by packet (tcpdump -U), so the file is whole whenever it is read; decodes nothing: tshark reads it
afterwards. What crossed the switch before ``stop`` is in the file after it. Ends with the lab.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
from pathlib import Path

from halab.namespace import LabError
from halab.programs import program
from halab.topology import SWITCH, Lab
from halab.wait import poll

PATIENCE = 10
"""Seconds that tcpdump has for what is asked of it."""
_COUNTS = re.compile(rb"(\d+) packets? captured, (\d+) packets? received by filter, (\d+) packets? dropped by kernel")


class Capture:
    """A running capture of one LAN into a file of this machine.

    ``longest``: bytes that are kept of a frame. What is captured waits in slots of that size, 64 KiB for whole frames
    (TCP may make them so long), so a burst of many small packets is only caught without a gap if this is small, too.
    """

    def __init__(self, lab: Lab, lan: str, file: Path, expression: str = "", *, longest: int = 0) -> None:
        self.file = file
        argv = [
            program("tcpdump", "tcpdump"),
            "-U",
            "--immediate-mode",
            "-n",
            "-i",
            lan,
            "-B",
            "8192",
            "-s",
            str(longest),
            "-w",
            "-",
            *expression.split(),
        ]
        target = os.open(file, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_CLOEXEC, 0o644)
        quiet = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        self._told, telling = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            self._process = lab[SWITCH].spawn(argv, streams=(quiet, target, telling))
        finally:
            for descriptor in (target, quiet, telling):
                os.close(descriptor)
        self._awaited = 0  # packets
        # It writes the file's header when it listens.
        poll(lambda: file.stat().st_size >= 24, PATIENCE, f"tcpdump's file header in {file}")

    def stop(self) -> Path:
        """End the capture; returns the file, complete. Raises NotSeenError if tcpdump does not come to an end."""
        # What tcpdump has not read yet when it is ended is lost: on a busy machine that is all of a short exchange.
        poll(self._has_caught_up, PATIENCE, f"all that was captured is in {self.file}")
        self._process.signal(signal.SIGTERM)
        with contextlib.suppress(LabError):
            self._process.wait(PATIENCE)
        os.close(self._told)
        return self.file

    def _has_caught_up(self) -> bool:
        """Ask tcpdump how far it is (tcpdump(8), SIGUSR1); the first answer says how much there was to come."""
        told = b""
        with contextlib.suppress(BlockingIOError):
            told = os.read(self._told, 65536)
        self._process.signal(signal.SIGUSR1)
        for captured, received, dropped in (map(int, counts) for counts in _COUNTS.findall(told)):
            self._awaited = self._awaited or received
            if captured + dropped >= self._awaited:
                return True
        return self._process.ended.done()
