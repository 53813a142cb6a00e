"""Opening one listening socket, whatever its address is: TCP, a path, an abstract name, an inherited descriptor.

Laws: nothing is left open, and no file left behind, if it fails. A Unix socket takes the place of one of the same path
in one step, and its rights are right before anybody can see it; what is no socket is not taken away. An inherited
descriptor is duplicated, so it may be named twice, and clients that wait in its queue are served.

Source: HAProxy's configuration manual, sections 5.1 "Bind options" and 11 "Address formats"; ``proto_tcp.c``,
``proto_uxst.c``.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from pathlib import Path
from typing import Final

from tcpbalancer.model import Bind
from tcpbalancer.namespaces import within

BACKLOG: Final = 4096
"""Connections that may wait for ``accept``; the kernel caps it at net.core.somaxconn."""
LONGEST_NAME: Final = 107
"""Bytes of an abstract name; HAProxy's are filled up with zeros (unix(7), sun_path)."""
IP_TRANSPARENT: Final = 19
IPV6_TRANSPARENT: Final = 75
FAST_OPEN_QUEUE: Final = 4096
IP_FREEBIND: Final = 15
IPV6_FREEBIND: Final = 78


def open_listening(bind: Bind, *, shares_ports: bool = False) -> socket.socket:
    """Return a socket that listens; ``shares_ports``: others may listen there, too (SO_REUSEPORT). Raises OSError."""
    if bind.host.startswith("fd@"):
        return _inherited(int(bind.host.removeprefix("fd@")))
    if bind.host.startswith("/"):
        return _path(bind)
    if bind.host.startswith("abns@"):
        return _listening(bind, socket.AF_UNIX, abstract(bind.host))
    family = socket.AF_INET6 if ":" in bind.host else socket.AF_INET
    if bind.held:
        return _held(bind, family, shares_ports=shares_ports)
    return _listening(bind, family, (bind.host, bind.port), shares_ports=shares_ports)


def abstract(address: str) -> bytes:
    """Return the address of ``abns@NAME``."""
    return b"\0" + os.fsencode(address.removeprefix("abns@")).ljust(LONGEST_NAME, b"\0")


def _inherited(number: int) -> socket.socket:
    listening = socket.socket(fileno=os.dup(number))
    try:
        listening.setblocking(False)
        if not listening.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            listening.listen(BACKLOG)
    except BaseException:
        listening.close()
        raise
    return listening


def _listening(
    bind: Bind,
    family: socket.AddressFamily,
    address: bytes | str | tuple[str, int],
    *,
    shares_ports: bool = False,
) -> socket.socket:
    with within(bind.namespace):
        listening = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        if family is not socket.AF_UNIX:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, shares_ports)
            _set_options(listening, bind, family)
        listening.bind(address)
        listening.listen(bind.backlog or BACKLOG)
    except BaseException:
        listening.close()
        raise
    return listening


def _held(bind: Bind, family: socket.AddressFamily, *, shares_ports: bool) -> socket.socket:
    """Return a socket that has the port and does not listen: nobody else can, and what nobody relays is refused.

    The address need not be there (ip(7), IP_FREEBIND). SO_REUSEADDR is for connections of before that still linger; it
    is taken back, since with it another socket could listen on the port.
    """
    holding = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        if family is socket.AF_INET6:
            holding.setsockopt(socket.IPPROTO_IPV6, IPV6_FREEBIND, 1)
            if bind.only_v6 is not None:
                holding.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, bind.only_v6)
        else:
            holding.setsockopt(socket.IPPROTO_IP, IP_FREEBIND, 1)
        holding.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holding.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, shares_ports)
        holding.bind((bind.host, bind.port))
        holding.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    except BaseException:
        holding.close()
        raise
    return holding


def _set_options(listening: socket.socket, bind: Bind, family: socket.AddressFamily) -> None:
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # all that it accepts inherit it
    if family is socket.AF_INET6 and bind.only_v6 is not None:
        listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, bind.only_v6)
    if bind.interface is not None:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, bind.interface.encode())
    if bind.transparent:
        level, option = (
            (socket.IPPROTO_IPV6, IPV6_TRANSPARENT)
            if family is socket.AF_INET6
            else (socket.IPPROTO_IP, IP_TRANSPARENT)
        )
        listening.setsockopt(level, option, 1)
    if bind.mss:
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, abs(bind.mss))
    if bind.tcp_user_timeout is not None:
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(bind.tcp_user_timeout * 1000))
    if bind.defer_accept:
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 1)
    if bind.fast_open:
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_FASTOPEN, bind.backlog or FAST_OPEN_QUEUE)


def _path(bind: Bind) -> socket.socket:
    target = Path(bind.host)
    if target.exists() and not target.is_socket():
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))  # nobody's file or folder is taken away
    making = f"{bind.host}.{os.getpid()}.tmp"
    with contextlib.suppress(FileNotFoundError):
        Path(making).unlink()
    listening = _listening(bind, socket.AF_UNIX, making)
    try:
        if bind.uid is not None or bind.gid is not None:
            os.chown(making, -1 if bind.uid is None else bind.uid, -1 if bind.gid is None else bind.gid)
        if bind.file_mode is not None:
            Path(making).chmod(bind.file_mode)
        os.rename(making, target)  # noqa: PTH104 - one system call, as meant
    except BaseException:
        listening.close()
        Path(making).unlink(missing_ok=True)
        raise
    return listening
