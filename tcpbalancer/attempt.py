"""One attempt to reach a server: a socket of the right family, its options, the address it speaks from, the connect.

Laws: nothing waits. The socket that comes back is connecting, or is connected already; what is wrong with it is told by
the number that ``connect(2)`` gives. Nothing is left open if it fails.
"""

from __future__ import annotations

import errno
import socket

from tcpbalancer.pool import Target


def open_connection(target: Target) -> socket.socket:
    """Return a socket that connects to a server; raises OSError (EMFILE and its like: no descriptor was left)."""
    server = socket.socket(target.family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        problem = server.connect_ex((target.server.address, target.server.port))
    except OSError:
        server.close()
        raise
    if problem not in {0, errno.EINPROGRESS}:
        server.close()
        raise OSError(problem, "connect")
    return server


def own_end(peer: socket.socket) -> tuple[str, int] | None:
    """Return our own address of a connection, None if it has no port or is gone."""
    try:
        name = peer.getsockname()
    except OSError:
        return None
    return (str(name[0]), int(name[1])) if isinstance(name, tuple) else None
