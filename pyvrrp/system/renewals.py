"""Requests that renew lifetimes of addresses, and the kernel's answer: raw netlink, for it happens all the time.

Laws: a netlink socket of its own. The kernel carries a request out before the call that sends it returns, and speaks
only of those that it refuses (no NLM_F_ACK): nothing to read means that all were done. So a thousand renewals a second
cost some ten microseconds each, and whoever asks knows at once. netlink(7), rtnetlink(7).
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterator, Sequence

MOST_AT_ONCE = 256
"""Requests in one call: some 25 kB, well within what a netlink socket may send (net.core.wmem_default)."""
_LARGEST = 1 << 16
_NLMSG_ERROR = 2
_HEADER = struct.Struct("=IHHII")
_ERROR = struct.Struct("=i")


class Renewals:
    """Has the kernel carry out requests, now."""

    def __init__(self) -> None:
        kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        self._socket = socket.socket(socket.AF_NETLINK, kind, socket.NETLINK_ROUTE)
        self._socket.bind((0, 0))

    def carry_out(self, requests: Sequence[bytes]) -> list[tuple[int, bytes]]:
        """Have ``requests`` carried out; returns the refused ones, each with the errno of its refusal.

        Raises OSError if they did not even reach the kernel.
        """
        refused: list[tuple[int, bytes]] = []
        for begin in range(0, len(requests), MOST_AT_ONCE):
            self._socket.send(b"".join(requests[begin : begin + MOST_AT_ONCE]))
            refused += self._refusals()
        return refused

    def _refusals(self) -> Iterator[tuple[int, bytes]]:
        while True:
            try:
                answer = self._socket.recv(_LARGEST)
            except BlockingIOError:
                return
            except OSError as overrun:  # more refusals than fit: there were some, whichever
                yield overrun.errno or errno.ENOBUFS, b""
                continue
            _, kind, *_ = _HEADER.unpack_from(answer)
            number = -_ERROR.unpack_from(answer, _HEADER.size)[0] if kind == _NLMSG_ERROR else 0
            if number:  # behind it the kernel repeats the whole request
                yield number, answer[_HEADER.size + _ERROR.size :]

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
