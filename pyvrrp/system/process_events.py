"""The kernel's own news of processes: the process connector (connector.rst, ``linux/cn_proc.h``).

Laws: only in the first network, user and process namespaces does the kernel tell anything; elsewhere it refuses or says
nothing at all, so a subscription counts only once the kernel has answered. News may be lost (ENOBUFS): the reader looks
at everything then. No process is ever stopped or slowed by us.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator

_NETLINK_CONNECTOR = 11
_CN_IDX_PROC, _CN_VAL_PROC = 1, 1
_LISTEN, _IGNORE = 1, 2
_NETLINK_HEADER = struct.Struct("=IHHII")
_CONNECTOR_HEADER = struct.Struct("=IIIIHH")
_EVENT_HEADER = struct.Struct("=IIQ")
_NOTHING, _FORK, _EXEC, _COMM, _EXIT = 0x0, 0x1, 0x2, 0x200, 0x80000000
_NLMSG_DONE = 3
_SIZE = 65536


class NewsLostError(Exception):
    """Messages were lost: everything has to be looked at."""


class ProcessEvents:
    """A subscription to the kernel's news of processes. Raises OSError where the kernel gives none."""

    def __init__(self) -> None:
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, _NETLINK_CONNECTOR
        )
        self.confirmed = False
        try:
            self._socket.bind((0, _CN_IDX_PROC))
            self._say(_LISTEN)
        except OSError:
            self._socket.close()
            raise

    def fileno(self) -> int:
        """Return the descriptor, for the loop to watch."""
        return self._socket.fileno()

    def changed(self) -> Iterator[int]:
        """Yield the process ids of which something was heard; raises NewsLostError if something was missed."""
        while True:
            try:
                data = self._socket.recv(_SIZE)
            except BlockingIOError:
                return
            except OSError:
                raise NewsLostError from None
            yield from self._decode(data)

    def close(self) -> None:
        """End the subscription; processes that ask only then still see it end, so an error says nothing."""
        try:
            self._say(_IGNORE)
        except OSError:
            pass
        finally:
            self._socket.close()

    def _say(self, operation: int) -> None:
        body = struct.pack("=I", operation)
        message = _CONNECTOR_HEADER.pack(_CN_IDX_PROC, _CN_VAL_PROC, 0, 0, len(body), 0) + body
        header = _NETLINK_HEADER.pack(_NETLINK_HEADER.size + len(message), _NLMSG_DONE, 0, 0, os.getpid())
        self._socket.send(header + message)

    def _decode(self, data: bytes) -> Iterator[int]:
        at = 0
        while at + _NETLINK_HEADER.size <= len(data):
            length = _NETLINK_HEADER.unpack_from(data, at)[0]
            found = _event(data[at + _NETLINK_HEADER.size : at + length])
            if found is not None:
                self.confirmed = True
                what, process = found
                if process and what in {_FORK, _EXEC, _COMM, _EXIT}:
                    yield process
            if length < _NETLINK_HEADER.size:
                return
            at += (length + 3) & ~3


def _event(message: bytes) -> tuple[int, int] | None:
    """Return what happened, and the id of the process that it happened to; None for what is no event of processes.

    The id is 0 for what happened to a thread that is not its process's first, and for the kernel's answer.
    """
    if len(message) < _CONNECTOR_HEADER.size + _EVENT_HEADER.size + 8:
        return None
    index, value, *_ = _CONNECTOR_HEADER.unpack_from(message)
    if (index, value) != (_CN_IDX_PROC, _CN_VAL_PROC):
        return None
    at = _CONNECTOR_HEADER.size
    what, _, _ = _EVENT_HEADER.unpack_from(message, at)
    at += _EVENT_HEADER.size
    if what == _NOTHING:
        return what, 0
    if what == _FORK:  # parent's id and thread group first, then the child's
        if len(message) < at + 16:
            return None
        at += 8
    thread, process = struct.unpack_from("=II", message, at)
    return what, process if thread == process else 0
