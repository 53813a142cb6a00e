"""What the kernel tells of links, addresses, routes and rules, unasked.

Laws: a netlink socket of its own that only listens and never blocks. Only what the kernel itself has sent counts
(sender 0, netlink(7)): no process can tell us a story. When the kernel had to drop messages (ENOBUFS), that is said,
and whoever listens reads everything anew. pyroute2 takes the messages apart; its own asynchronous socket would have to
be made anew after an overrun, ours goes on. An address of which only the lifetimes are new is no news: our own leases
are renewed with the advertisements, and routers advertise lifetimes all the time.
"""

from __future__ import annotations

import errno
import socket
import struct
import sys
from typing import Any

from pyroute2.netlink.rtnl.marshal import MarshalRtnl

LINK, ADDRESS4, ROUTE4, RULE4, ADDRESS6, ROUTE6, RULE6 = 1, 5, 7, 8, 9, 11, 19
"""Groups, by the numbers of enum rtnetlink_groups (linux/rtnetlink.h)."""
BUFFER = 4 << 20
"""Bytes: some thousand notifications, should the loop be late."""
MOST_AT_ONCE = 512
"""Messages read in one go, so that a storm of them cannot keep the loop from its timers."""
_LARGEST = 1 << 16
_NEWADDR = 20
_GONE = frozenset({17, 21})
"""RTM_DELLINK, RTM_DELADDR."""
_ADDRESS_ATTRIBUTES, _IFA_CACHEINFO, _IFA_IDENTITY = 24, 6, (1, 2)
"""Where the attributes begin (behind nlmsghdr and ifaddrmsg), and IFA_CACHEINFO, IFA_ADDRESS, IFA_LOCAL."""
_ATTRIBUTE = struct.Struct("=HH")
_UNHEARD = frozenset({24, 32})
"""RTM_NEWROUTE, RTM_NEWRULE: a new one takes nothing away, and a routing daemon brings a million of them."""
_SOL_NETLINK, _NETLINK_ADD_MEMBERSHIP, _SO_RCVBUFFORCE = 270, 1, 33


class _Repetitions:
    """Knows an address that is told again with nothing new but its lifetimes."""

    def __init__(self) -> None:
        self._known: dict[bytes, bytes] = {}

    def is_one(self, data: bytes) -> bool:
        """Return whether ``data``, one message, says nothing but new lifetimes; whatever else it says is remembered."""
        kind = int.from_bytes(data[4:6], sys.byteorder)
        if kind in _GONE:
            self._known.clear()
        if kind != _NEWADDR or int.from_bytes(data[:4], sys.byteorder) != len(data):
            return False
        identity, rest = data[16:18] + data[20:24], data[16:]  # family and prefix length, index
        at = _ADDRESS_ATTRIBUTES
        while at + _ATTRIBUTE.size <= len(data):
            length, name = _ATTRIBUTE.unpack_from(data, at)
            if length < _ATTRIBUTE.size:
                return False
            if name == _IFA_CACHEINFO:
                rest = data[16:at] + data[at + length :]
            elif name in _IFA_IDENTITY:
                identity += data[at : at + length]
            at += (length + 3) & ~3
        if self._known.get(identity) == rest:
            return True
        self._known[identity] = rest
        return False

    def forget(self) -> None:
        """Take everything for news from now on."""
        self._known.clear()


class Monitor:
    """Listens to the kernel's notifications."""

    def __init__(self, *groups: int, buffer: int = BUFFER) -> None:
        kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        self._socket = socket.socket(socket.AF_NETLINK, kind, socket.NETLINK_ROUTE)
        self._marshal: Any = MarshalRtnl()
        self._repetitions = _Repetitions()
        self._groups: set[int] = set()
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, buffer)
        except PermissionError:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self._socket.bind((0, 0))
        for group in groups:
            self.join(group)

    def join(self, group: int) -> None:
        """Listen to one more group; a second time is no error."""
        if group not in self._groups:
            self._socket.setsockopt(_SOL_NETLINK, _NETLINK_ADD_MEMBERSHIP, group)
            self._groups.add(group)

    def fileno(self) -> int:
        """Return the descriptor, for the loop to watch."""
        return self._socket.fileno()

    def read(self) -> tuple[list[Any], bool]:
        """Return what has been told since, and whether something of it was lost (or could not be understood)."""
        messages: list[Any] = []
        lost = False
        for _ in range(MOST_AT_ONCE):
            try:
                data, (sender, _) = self._socket.recvfrom(_LARGEST)
            except BlockingIOError:
                break
            except OSError as refused:
                if refused.errno != errno.ENOBUFS:
                    raise
                lost = True
                self._repetitions.forget()
                continue
            if sender != 0 or self._repetitions.is_one(data) or int.from_bytes(data[4:6], sys.byteorder) in _UNHEARD:
                continue
            try:
                messages.extend(self._marshal.parse(data))
            except Exception:  # noqa: BLE001 - a message that pyroute2 cannot take apart: read everything instead
                lost = True
        return messages, lost

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
