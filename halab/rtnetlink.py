"""What the kernel of a host says about its links and addresses: asked, and listened to.

Laws: reads only. A socket belongs to the host's network for good, wherever it is read. Times are on the monotonic
clock, taken when the message is read. Source: rtnetlink(7), Linux' include/uapi/linux/rtnetlink.h and if_link.h.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass

from halab.namespace import Host

RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK = 16, 17, 18
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
RTMGRP_LINK, RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR = 0x1, 0x10, 0x100
NLM_F_REQUEST, NLM_F_DUMP = 0x1, 0x300
NLMSG_ERROR, NLMSG_DONE = 2, 3
IFLA_IFNAME, IFLA_OPERSTATE, IFA_ADDRESS, IFA_LOCAL = 3, 16, 1, 2
IF_OPER_UP = 6


@dataclass(frozen=True, slots=True)
class AddressSeen:
    """An address of a host as of a message: ``present`` is False when the message says that it was removed."""

    at: float
    address: str
    index: int
    present: bool


@dataclass(frozen=True, slots=True)
class LinkSeen:
    """A link of a host as of a message; ``up`` means that it has carrier and carries traffic (operstate)."""

    at: float
    name: str
    index: int
    up: bool
    present: bool


Seen = AddressSeen | LinkSeen


class RouteSocket:
    """A routing socket of one host: tells what is (``addresses``, ``links``) and what changes (``read``)."""

    def __init__(self, host: Host, groups: int = 0) -> None:
        def make() -> socket.socket:
            made = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            made.bind((0, groups))
            return made

        self.host = host
        self.socket = host.inside(make).result()

    def fileno(self) -> int:
        """Return the descriptor, for select()."""
        return self.socket.fileno()

    def close(self) -> None:
        """Close the socket."""
        self.socket.close()

    def read(self, timeout: float | None = None) -> list[Seen]:
        """Wait for one message of the kernel and return what it says; an empty list when ``timeout`` has passed."""
        self.socket.settimeout(timeout)
        try:
            datagram = self.socket.recv(1 << 16)
        except TimeoutError:
            return []
        except OSError as problem:
            if problem.errno == errno.ENOBUFS:  # the kernel dropped messages: ask for everything anew
                return [*self._dump(RTM_GETADDR), *self._dump(RTM_GETLINK)]
            raise
        return [seen for kind, body in _messages(datagram) if (seen := _decode(kind, body, time.monotonic()))]

    def _dump(self, kind: int) -> list[Seen]:
        def ask() -> list[Seen]:
            with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as asking:
                asking.settimeout(5.0)
                asking.send(struct.pack("=IHHII", 32, kind, NLM_F_REQUEST | NLM_F_DUMP, 1, 0) + bytes(16))
                return list(_read_dump(asking))

        return self.host.inside(ask).result()

    def addresses(self) -> list[AddressSeen]:
        """Return all addresses of the host, now."""
        return [seen for seen in self._dump(RTM_GETADDR) if isinstance(seen, AddressSeen)]

    def links(self) -> list[LinkSeen]:
        """Return all links of the host, now."""
        return [seen for seen in self._dump(RTM_GETLINK) if isinstance(seen, LinkSeen)]


def _read_dump(asking: socket.socket) -> Iterator[Seen]:
    while True:
        for kind, body in _messages(asking.recv(1 << 16)):
            if kind == NLMSG_DONE:
                return
            if kind == NLMSG_ERROR:
                (code,) = struct.unpack_from("=i", body)
                raise OSError(-code, os.strerror(-code))
            seen = _decode(kind, body, time.monotonic())
            if seen is not None:
                yield seen


def _messages(datagram: bytes) -> Iterator[tuple[int, bytes]]:
    while len(datagram) >= 16:
        length, kind = struct.unpack_from("=IH", datagram)
        yield kind, datagram[16:length]
        datagram = datagram[(length + 3) & ~3 :]


def _attributes(body: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    while len(body) >= 4:
        length, kind = struct.unpack_from("=HH", body)
        if length < 4:
            break
        found[kind & 0x3FFF] = body[4:length]
        body = body[(length + 3) & ~3 :]
    return found


def _decode(kind: int, body: bytes, at: float) -> Seen | None:
    if kind in {RTM_NEWADDR, RTM_DELADDR}:
        _, _, _, _, index = struct.unpack_from("=BBBBI", body)
        attributes = _attributes(body[8:])
        raw = attributes.get(IFA_LOCAL) or attributes[IFA_ADDRESS]
        return AddressSeen(at, str(ipaddress.ip_address(raw)), index, kind == RTM_NEWADDR)
    if kind in {RTM_NEWLINK, RTM_DELLINK}:
        _, _, index, _, _ = struct.unpack_from("=BxHiII", body)
        attributes = _attributes(body[16:])
        name = attributes.get(IFLA_IFNAME, b"").rstrip(b"\0").decode()
        up = attributes.get(IFLA_OPERSTATE, b"\0")[0] == IF_OPER_UP
        return LinkSeen(at, name, index, up, kind == RTM_NEWLINK)
    return None
