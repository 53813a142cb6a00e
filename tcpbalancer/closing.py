"""Two ways to close a TCP connection: as someone who has said everything, and as someone who gives up.

Laws: neither waits. A plain ``close`` on input that was not read sends RST, and the peer may lose what was sent to it
before (RFC 1122, section 4.2.2.13; RFC 2525, section 2.17).
"""

from __future__ import annotations

import contextlib
import socket
import struct

RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # struct linger
TCP_REPAIR = 19  # linux/tcp.h
MOST_DRAINED = 16
"""Buffers of unread input that are taken in before a close."""


def close_gently(peer: socket.SocketType, buffer: memoryview) -> None:
    """Send FIN, take in (and lose) what has come unread, then close. ``buffer`` is scratch space."""
    try:
        peer.shutdown(socket.SHUT_WR)
        for _ in range(MOST_DRAINED):
            if not peer.recv_into(buffer):
                break
    except OSError:
        pass  # nothing more to read, or nobody there any more
    peer.close()


def close_with_reset(peer: socket.SocketType) -> None:
    """Close so that the peer sees RST; what was sent but not acknowledged is lost."""
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    peer.close()


def vanish(peer: socket.SocketType) -> None:
    """Close without a word: the peer waits for an answer that never comes (``silent-drop``).

    That takes CAP_NET_ADMIN (``TCP_REPAIR``, tcp(7)); without it a reset is sent that does not get farther than the
    next router, as HAProxy does it.
    """
    try:
        peer.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
    except OSError:
        with contextlib.suppress(OSError):
            if peer.family == socket.AF_INET6:
                peer.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, 1)
            else:
                peer.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 1)
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    peer.close()
