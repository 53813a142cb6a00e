"""Giving up what a process may do, once it has what it needs.

Laws: what is given up cannot be had again: after the change of user no capability is left but those that are named, and
no program that is started can gain any (PR_SET_NO_NEW_PRIVS). The sentence of a failure is HAProxy's first, then why,
and what is missing.

Sources: capabilities(7), prctl(2), capget(2); HAProxy's management guide, chapter 13 "Security considerations".
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable
from pathlib import Path

from hakit import capabilities
from tcpbalancer.model.process import Identity


class PrivilegeError(Exception):
    """Something that could not be given up."""


def give_up(identity: Identity) -> None:
    """Become this identity for good; raises PrivilegeError."""
    import ctypes  # noqa: F401 - in a chroot nothing can be loaded any more

    if identity.chroot is not None:
        _chroot(identity.chroot)
    if identity.gid is not None:
        _act(lambda: _set_group(identity.gid or 0), f"Cannot set gid {identity.gid}.", "CAP_SETGID")
    if identity.uid is not None:
        if identity.capabilities:
            _act(capabilities.outlive_the_user, "Cannot keep capabilities.")
        _act(lambda: os.setuid(identity.uid or 0), f"Cannot set uid {identity.uid}.", "CAP_SETUID")
        if identity.capabilities:
            names = ", ".join(sorted(identity.capabilities))
            _act(lambda: capabilities.keep(identity.capabilities), f"Cannot keep {names}.", names.upper())
    if identity.changes:
        _act(capabilities.forbid_gain, "Cannot forbid to gain rights.")


def allow_dumps() -> None:
    """Let the kernel write a core file although the user has changed."""
    _act(lambda: capabilities.prctl(capabilities.SET_DUMPABLE, 1), "Cannot allow core files.")


def who_am_i() -> str:
    """Return the user of this process in words."""
    try:
        return f"user {pwd.getpwuid(os.geteuid()).pw_name}"
    except KeyError:
        return f"user {os.geteuid()}"


def whose(path: str) -> str:
    """Return whose a path is and who may do what with it: ``/run/x belongs to user root, mode 0755``."""
    try:
        known = Path(path).stat()
    except OSError as problem:
        return f"{path}: {problem.strerror}"
    try:
        owner = pwd.getpwuid(known.st_uid).pw_name
    except KeyError:
        owner = str(known.st_uid)
    return f"{path} belongs to user {owner}, mode {known.st_mode & 0o7777:04o}"


def _set_group(gid: int) -> None:
    if os.geteuid() == 0:
        os.setgroups([])
    os.setgid(gid)


def _chroot(path: str) -> None:
    def act() -> None:
        os.chroot(path)
        os.chdir("/")

    _act(act, f"Cannot chroot({path}).", "CAP_SYS_CHROOT", path)


def _act(act: Callable[[], None], failure: str, capability: str = "", path: str | None = None) -> None:
    try:
        act()
    except OSError as problem:
        if not capability or not isinstance(problem, PermissionError):
            raise PrivilegeError(f"{failure} {problem.strerror}.") from None
        place = "" if path is None else f"; {whose(path)}"
        raise PrivilegeError(f"{failure} This is {who_am_i()}, and {capability} is missing{place}.") from None
