"""One pcap file per LAN, of everything that crosses its switch.

Laws: writes packet by packet (tcpdump -U), so the file is whole whenever it is read; decodes nothing: tshark reads it
afterwards. Ends with the lab.
"""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

from halab.namespace import LabError
from halab.programs import program
from halab.topology import SWITCH, Lab
from halab.wait import poll


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
        try:
            self._process = lab[SWITCH].spawn(argv, streams=(quiet, target, quiet))
        finally:
            os.close(target)
            os.close(quiet)
        poll(lambda: file.stat().st_size >= 24, 10, f"tcpdump's file header in {file}")  # it writes it when it listens

    def stop(self) -> Path:
        """End the capture; returns the file, complete."""
        self._process.signal(signal.SIGTERM)
        with contextlib.suppress(LabError):
            self._process.wait(10)
        return self.file
