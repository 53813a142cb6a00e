"""One attempt to reach a server: a socket of the right family, its options, the address it speaks from, the connect.

Laws: nothing waits. The socket that comes back is connecting, or is connected already; what is wrong with it is told by
the number that ``connect(2)`` gives. Nothing is left open if it fails.

Source: HAProxy's configuration manual, section 5.2 "Server and default-server options"; ``proto_tcp.c``.
"""

from __future__ import annotations

import errno
import itertools
import socket
from collections.abc import Iterable
from typing import Final

from tcpbalancer.model import Server
from tcpbalancer.model.reach import Source
from tcpbalancer.namespaces import within
from tcpbalancer.opening import abstract
from tcpbalancer.pool import Target
from tcpbalancer.proxy_protocol import Endpoint, make_proxy_header
from tcpbalancer.rules.samples import parse_ip

BIND_ADDRESS_NO_PORT: Final = 24
"""IP_BIND_ADDRESS_NO_PORT (ip(7)): the port is chosen at the connect, so the same one serves several servers."""
STREAM: Final = socket.SOCK_STREAM | socket.SOCK_NONBLOCK
WAITS: Final = frozenset({errno.EALREADY, errno.EINPROGRESS})
"""What connect(2) says of a connection that may come to stand."""
UNDER_WAY: Final = WAITS | {0, errno.EISCONN}
"""What it says of one that has not failed."""
_turns = itertools.count()


def open_connection(
    target: Target, client: socket.SocketType, *, has_words: bool = False, at_once: bool = True
) -> tuple[socket.SocketType, bool]:
    """Return a socket that connects to a server, and whether it is connected already.

    ``client``: whose called port it may be that the server is to be reached at. ``has_words``: there is something to
    send as soon as the connection stands, so the last part of the handshake waits for it and leaves together with it
    (TCP_QUICKACK, tcp(7)): a segment less, and a server that is woken once. If it does not stand at once, nothing
    waits; if it does, ``acknowledge_at_once`` when that was sent. ``at_once`` False: whether it stands is not looked
    at yet, so that our own address is known even if it never does. Raises OSError (EMFILE and its like: no descriptor
    was left).
    """
    if not target.is_plain:
        connection = _open(target, client)
        return connection, target.family is socket.AF_UNIX
    connection = socket.SocketType(target.family, STREAM)
    try:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if has_words:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)
        problem = connection.connect_ex(target.address)
        if problem == errno.EINPROGRESS and at_once:
            problem = connection.connect_ex(target.address)  # on the same machine it stands by now
        if has_words and problem in WAITS:
            acknowledge_at_once(connection)
    except BaseException:
        connection.close()
        raise
    if problem not in UNDER_WAY:
        connection.close()
        raise OSError(problem, "connect")
    return connection, problem not in WAITS


def acknowledge_at_once(connection: socket.SocketType) -> None:
    """Let what comes be acknowledged as on every new connection.

    Else a server that answers in two parts waits for 40 ms between them: Nagle's algorithm holds the second one back
    until the first one is acknowledged, and the kernel would wait for words of ours to go with the acknowledgement.
    """
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)


def _open(target: Target, client: socket.SocketType) -> socket.SocketType:
    """Do the same where something has to be known first: a namespace, an address to speak from, a port, a path."""
    server, reach = target.server, target.server.reach
    with within(reach.namespace):
        connection = socket.SocketType(target.family, STREAM)
    try:
        if target.family is socket.AF_UNIX:
            where = abstract(server.address) if server.address.startswith("abns@") else server.address
            problem = connection.connect_ex(where)
        else:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if reach.tcp_user_timeout is not None:
                patience = int(reach.tcp_user_timeout * 1000)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, patience)
            address = (server.address, _port(server, client))
            if reach.source is None:
                problem = connection.connect_ex(address)
            else:
                problem = _connect_from(reach.source, connection, address)
    except BaseException:
        connection.close()
        raise
    if problem not in {0, errno.EINPROGRESS}:
        connection.close()
        raise OSError(problem, "connect")
    return connection


def _port(server: Server, client: socket.SocketType) -> int:
    if not server.reach.called_port or client.family == socket.AF_UNIX:
        return server.port
    port = int(client.getsockname()[1]) + server.reach.port_offset
    if not 1 <= port <= 65535:
        raise OSError(errno.EADDRNOTAVAIL, "there is no such port")
    return port


def _connect_from(source: Source, connection: socket.SocketType, address: tuple[str, int]) -> int:
    """Bind to the address, and to each of the ports if need be, and connect; returns the number of the error."""
    if source.interface is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, source.interface.encode())
    if not source.first_port:
        if source.address:
            connection.setsockopt(socket.IPPROTO_IP, BIND_ADDRESS_NO_PORT, 1)
            connection.bind((source.address, 0))
        return connection.connect_ex(address)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return _bind_to_one_of(_ports(source), source.address, connection) or connection.connect_ex(address)


def _ports(source: Source) -> Iterable[int]:
    """Return the ports, beginning with another one each time."""
    count = source.last_port - source.first_port + 1
    first = next(_turns) % count
    return (source.first_port + (first + step) % count for step in range(count))


def _bind_to_one_of(ports: Iterable[int], address: str, connection: socket.SocketType) -> int:
    for port in ports:
        try:
            connection.bind((address, port))
        except OSError as problem:
            if problem.errno != errno.EADDRINUSE:
                raise
        else:
            return 0
    return errno.EADDRINUSE


def greeting(server: Server, source: Endpoint | None, destination: Endpoint | None) -> bytes:
    """Return the PROXY header that a server wants to hear first, if it wants one."""
    reach = server.reach
    if not reach.proxy_version:
        return b""
    return make_proxy_header(reach.proxy_version, source, destination, reach.proxy_options)


def endpoint(address: tuple[str, int] | None) -> Endpoint | None:
    """Return an address of IP with its port; None for one that is none."""
    ip = None if address is None else parse_ip(address[0])
    return None if ip is None or address is None else Endpoint(ip, address[1])


def own_end(peer: socket.SocketType) -> tuple[str, int] | None:
    """Return our own address of a connection, None if it has no port or is gone."""
    try:
        name = peer.getsockname()
    except OSError:
        return None
    return (str(name[0]), int(name[1])) if isinstance(name, tuple) else None
