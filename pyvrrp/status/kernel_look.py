"""A look at the addresses that the kernel holds, by a way of its own: the second opinion behind ``/health``.

Laws: it shares nothing with what puts addresses on and takes them off, so that an error there is seen here. It asks,
and changes nothing. It waits for the kernel, so the daemon's loop never calls it: a thread does.

Source: rtnetlink(7), RTM_GETADDR; netlink(7).
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from ipaddress import ip_address

from pyvrrp.model import Address

PATIENCE = 2.0
"""Seconds for the kernel's answer."""
NLM_F_REQUEST, NLM_F_DUMP = 0x1, 0x300
NLMSG_ERROR, NLMSG_DONE = 2, 3
RTM_NEWADDR, RTM_GETADDR = 20, 22
IFA_ADDRESS, IFA_LOCAL = 1, 2
NLMSG_HEADER = struct.Struct("=IHHII")
IFADDR_MESSAGE = struct.Struct("=BBBBI")
ATTRIBUTE = struct.Struct("=HH")


def addresses_held() -> frozenset[Address]:
    """Return every address of this network namespace, on whatever interface; raises OSError if the kernel refuses."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE) as asking:
        asking.settimeout(PATIENCE)
        asking.bind((0, 0))
        length = NLMSG_HEADER.size + IFADDR_MESSAGE.size
        header = NLMSG_HEADER.pack(length, RTM_GETADDR, NLM_F_REQUEST | NLM_F_DUMP, 1, 0)
        asking.send(header + IFADDR_MESSAGE.pack(socket.AF_UNSPEC, 0, 0, 0, 0))
        found: set[Address] = set()
        while True:
            for kind, body in _messages(asking.recv(65536)):
                if kind == NLMSG_DONE:
                    return frozenset(found)
                if kind == NLMSG_ERROR:
                    raise OSError(-struct.unpack_from("=i", body)[0], "the kernel does not tell its addresses")
                if kind == RTM_NEWADDR:
                    found.add(_address(body))


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + NLMSG_HEADER.size <= len(data):
        length, kind, *_ = NLMSG_HEADER.unpack_from(data, at)
        yield kind, data[at + NLMSG_HEADER.size : at + length]
        at += _aligned(length)


def _address(body: bytes) -> Address:
    """IFA_LOCAL is the address of the host; where there is none (IPv6), IFA_ADDRESS is."""
    values: dict[int, bytes] = {}
    at = IFADDR_MESSAGE.size
    while at + ATTRIBUTE.size <= len(body):
        length, kind = ATTRIBUTE.unpack_from(body, at)
        values[kind] = body[at + ATTRIBUTE.size : at + length]
        at += _aligned(length)
    return ip_address(values.get(IFA_LOCAL) or values[IFA_ADDRESS])


def _aligned(length: int) -> int:
    return (length + 3) & ~3
