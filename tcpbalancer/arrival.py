"""What happens to a connection between accept and the choice of a server.

Laws: nothing waits. Data that a client sends stays in the kernel until there is a server to give it to: whoever wants
to know it looks at it there (``MSG_PEEK``).
"""

from __future__ import annotations

import socket
from enum import Enum

from tcpbalancer.poller import ERROR


def receive(client: socket.socket) -> None:
    """Prepare the socket of a client that was just accepted."""
    client.setblocking(False)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class Leaving(Enum):
    """What the end of a client means that comes before a server is reached."""

    STAYS = "there is no end yet"
    ASKS = "it sent data before its FIN, and waits for an answer"
    LEFT = "it closed without a word"
    RESET = "it reset the connection"


def leaving(client: socket.socket, mask: int) -> Leaving:
    """Return what epoll's ``mask`` means for a client that has no server yet."""
    try:
        asks = bool(client.recv(1, socket.MSG_PEEK)) and not mask & ERROR
    except BlockingIOError:
        return Leaving.STAYS
    except OSError:
        return Leaving.RESET
    if mask & ERROR:
        return Leaving.RESET
    return Leaving.ASKS if asks else Leaving.LEFT
