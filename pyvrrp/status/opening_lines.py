"""What keepalived logs of itself around a start: who it is, how it was called, what it has opened.

Laws: the words and their order are those of 2.2.7; what it writes only with ``-D`` is marked as detail.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pyvrrp.model import AuthType, Configuration, Unicast
from pyvrrp.status.data_instances import speaking_device
from pyvrrp.status.log_lines import Line
from pyvrrp.status.picture import Picture, RouterPicture
from pyvrrp.version import KEEPALIVED

if TYPE_CHECKING:
    from pyvrrp.system.link import Link

WIDTH = 100
"""Characters of a line with the command line, before it is folded."""
_CALLED = "Command line:"
_VRRP, _AH = 112, 51


def starting(file: Path, words: Sequence[str], files: Sequence[str]) -> Iterator[Line]:
    """Yield the lines of a start, up to the configuration; ``words``: the command line; ``files``: what was read."""
    system = os.uname()
    yield Line(f"Starting {KEEPALIVED}")
    yield Line(f"Running on {system.sysname} {system.release} {system.version} (built for Linux 5.19.11)")
    yield from (Line(text) for text in _folded(words))
    yield from reading(file, files)
    yield Line(f"Starting VRRP child process, pid={os.getpid()}")
    yield Line("Registering Kernel netlink reflector", detail=True)
    yield Line("Registering Kernel netlink command channel", detail=True)


def reading(file: Path, files: Sequence[str]) -> Iterator[Line]:
    """Yield the lines about the files of the configuration."""
    yield Line(f"Opening file '{file}'.", detail=True)
    yield Line(f"Configuration file {file}")
    yield from (Line(f"Opening file '{other}'.", detail=True) for other in files if str(other) != str(file))


def _folded(words: Sequence[str]) -> Iterator[str]:
    line = _CALLED
    for word in words:
        if len(line) + len(word) + 3 > WIDTH:
            yield line
            line = " " * len(_CALLED)
        line += f" '{word}'"
    yield line


def sockets(picture: Picture) -> Iterator[Line]:
    """Yield one line for each socket through which instances speak."""
    indexes = {link.name: link.index for link in picture.links}
    told = set()
    for router in picture.routers:
        text = _socket(router, indexes.get(speaking_device(router.instance), 0))
        if text not in told:
            told.add(text)
            yield Line(f"VRRP sockpool: [{text}]", detail=True)


def _socket(router: RouterPicture, index: int) -> str:
    instance = router.instance
    receiving, sending = router.descriptors
    protocol = _AH if instance.authentication.type is AuthType.AH else _VRRP
    begin = f"ifindex({index:3}), family(IPv{instance.family}), proto({protocol}), fd({receiving},{sending})"
    if isinstance(instance.transport, Unicast):
        return f"{begin} , unicast, address({router.source})"
    return f"{begin} multicast, address({instance.transport.group})"


def channels(configuration: Configuration, links: Mapping[str, Link]) -> Iterator[Line]:
    """Yield the lines about the addresses of the interfaces, and about the sockets that announce."""
    for name in dict.fromkeys(instance.interface for instance in configuration.instances):
        link = links.get(name)
        for address in (link.source(), link.source((), 6)) if link is not None else ():
            if address is not None:
                yield Line(f"Assigned address {address} for interface {name}", detail=True)
    families = {
        one.interface.version
        for instance in configuration.instances
        for one in (*instance.addresses, *instance.excluded)
    }
    if 4 in families:
        yield Line("Registering gratuitous ARP shared channel", detail=True)
    if 6 in families:
        yield Line("Registering gratuitous NDISC shared channel", detail=True)
