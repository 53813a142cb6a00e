"""What the kernel is told of the sockets of connections: keep-alive, and how they end.

Laws: a plain connection costs nothing here. What a kind of socket does not know (a Unix one: keep-alive) is left out.

Sources: tcp(7), socket(7) SO_LINGER; HAProxy's configuration manual, ``option tcpka``, ``clitcpka-idle``, ``nolinger``.
"""

from __future__ import annotations

import contextlib
import socket

from tcpbalancer.closing import RESET_ON_CLOSE
from tcpbalancer.model import SocketOptions


def tune(peer: socket.SocketType, options: SocketOptions) -> None:
    """Set what is to be set on a socket."""
    if options.nolinger:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    if options.keep_alive is None:
        return
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    wanted = (
        (socket.TCP_KEEPIDLE, options.keep_alive.idle),
        (socket.TCP_KEEPINTVL, options.keep_alive.interval),
        (socket.TCP_KEEPCNT, options.keep_alive.count),
    )
    for name, value in wanted:
        if value is not None:
            with contextlib.suppress(OSError):
                peer.setsockopt(socket.IPPROTO_TCP, name, value)
