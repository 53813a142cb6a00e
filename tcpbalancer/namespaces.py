"""Sockets in other network namespaces: a thread steps in, makes its socket, and steps back.

Laws: a socket stays in the namespace in which it was made, so nothing but its making happens inside. A namespace is one
of ``ip netns``: a file below ``/run/netns`` (ip-netns(8)). Its descriptor is opened once and kept. Stepping takes
CAP_SYS_ADMIN (setns(2)).
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Final

FOLDERS: Final = ("/run/netns", "/var/run/netns")
OWN: Final = "/proc/thread-self/ns/net"
CLONE_NEWNET: Final = 0x40000000
"""linux/sched.h"""


@contextmanager
def within(name: str | None) -> Iterator[None]:
    """Be in a network namespace; None: in our own. Raises OSError if it is not there, or not ours to enter."""
    if name is None:
        yield
        return
    theirs, ours = descriptor_of(name), os.open(OWN, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _set(theirs)
        try:
            yield
        finally:
            _set(ours)
    finally:
        os.close(ours)


def exists(name: str) -> bool:
    """Return whether there is such a namespace, and we may look at it."""
    try:
        descriptor_of(name)
    except OSError:
        return False
    return True


@cache
def descriptor_of(name: str) -> int:
    """Return the descriptor of a namespace, the same one each time; raises OSError."""
    if "/" in name or name in {".", ".."}:
        raise FileNotFoundError(2, os.strerror(2), name)
    for folder in FOLDERS[:-1]:
        try:
            return os.open(f"{folder}/{name}", os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
    return os.open(f"{FOLDERS[-1]}/{name}", os.O_RDONLY | os.O_CLOEXEC)


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _set(descriptor: int) -> None:
    if _libc().setns(descriptor, CLONE_NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
