"""Which daemon of this machine this is: the first number that nobody has.

Laws: a number is claimed by an abstract Unix socket. Such names live in a network namespace, as tables and connections
do, and end with the last process that holds the socket, however it ends (unix(7), "Abstract"). So whatever bears a
number that can be claimed belongs to nobody who lives.
"""

from __future__ import annotations

import errno
import os
import socket
from typing import Final

MOST: Final = 255
"""Daemons that can relay at a time: 8 bits of a mark."""


def claim(number: int) -> socket.socket | None:
    """Return the claim to a number, None if somebody has it."""
    claimed = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        claimed.bind(f"\0tcpbalancer/kernel/{number}")
    except OSError as problem:
        claimed.close()
        if problem.errno == errno.EADDRINUSE:
            return None
        raise
    return claimed


def claim_any() -> tuple[int, socket.socket]:
    """Return the first number that nobody has, and the claim to it; raises OSError if there is none."""
    for number in range(1, MOST + 1):
        if (claimed := claim(number)) is not None:
            return number, claimed
    raise OSError(errno.EUSERS, os.strerror(errno.EUSERS))
