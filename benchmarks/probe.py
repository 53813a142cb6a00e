"""Asks a virtual address without a pause, and says when a machine other than the first one answers.

Run on a client's host: probe.py ADDRESS SECONDS. Writes "answered" when somebody does, then, within SECONDS, the time
of day (seconds) of the first answer by another MAC address; or "nobody".

Laws: an echo request leaves every half millisecond, whatever has become of those before. Answers are read below IP,
with the kernel's own time of arrival, so that it matters little when this process gets its turn. Stands on the standard
library alone.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import sys
import time
from collections.abc import Iterator

PAUSE = 0.0005
_ETH_P_IP = 0x0800
_SO_TIMESTAMPNS = 35  # asm-generic/socket.h
_ECHO, _ECHO_REPLY, _ICMP, _OURS = 8, 0, 1, 0x7072


def echo_request() -> bytes:
    """Return one echo request; all are the same, since only the time of the answers counts."""
    head = struct.pack(">BBHHH", _ECHO, 0, 0, _OURS, 1)
    total = sum(struct.unpack(">4H", head))
    return head[:2] + struct.pack(">H", ~(total + (total >> 16)) & 0xFFFF) + head[4:]


def answers(heard: socket.socket, address: bytes) -> Iterator[tuple[bytes, float]]:
    """Yield MAC address and time of arrival of every answer that waits."""
    while True:
        try:
            frame, beside, _, _ = heard.recvmsg(256, 64)
        except BlockingIOError:
            return
        if frame[23] == _ICMP and frame[26:30] == address and frame[34] == _ECHO_REPLY:
            seconds, nanoseconds = struct.unpack("qq", beside[0][2])
            yield frame[6:12], seconds + nanoseconds / 1e9


def main() -> None:
    """Ask until another machine answers, or until the time is over."""
    address, limit = sys.argv[1], time.monotonic() + float(sys.argv[2])
    asks = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    heard = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.htons(_ETH_P_IP))
    heard.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    request, packed, first = echo_request(), socket.inet_aton(address), b""
    due = time.monotonic()
    while due < limit:
        with contextlib.suppress(OSError):  # nobody knows the address for a moment
            asks.sendto(request, (address, 0))
        due = max(due + PAUSE, time.monotonic())
        while (left := due - time.monotonic()) > 0:
            if not select.select([heard], [], [], left)[0]:
                break
            for mac, at in answers(heard, packed):
                if not first:
                    first = mac
                    print("answered", flush=True)
                elif mac != first:
                    print(f"{at:.6f}", flush=True)
                    return
    print("nobody", flush=True)


if __name__ == "__main__":
    main()
