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

from tcpbalancer.model.process import Identity

NUMBERS = {"cap_net_bind_service": 10, "cap_net_admin": 12, "cap_net_raw": 13, "cap_sys_admin": 21}
"""From linux/capability.h."""
_PR_SET_DUMPABLE, _PR_SET_KEEPCAPS, _PR_SET_NO_NEW_PRIVS = 4, 8, 38
_CAPABILITY_VERSION_3 = 0x20080522


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
            _prctl(_PR_SET_KEEPCAPS, 1)
        _act(lambda: os.setuid(identity.uid or 0), f"Cannot set uid {identity.uid}.", "CAP_SETUID")
        if identity.capabilities:
            _keep(identity.capabilities)
    if identity.changes:
        _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def allow_dumps() -> None:
    """Let the kernel write a core file although the user has changed."""
    _prctl(_PR_SET_DUMPABLE, 1)


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


def _act(act: Callable[[], None], failure: str, capability: str, path: str | None = None) -> None:
    try:
        act()
    except PermissionError:
        place = "" if path is None else f"; {whose(path)}"
        raise PrivilegeError(f"{failure} This is {who_am_i()}, and {capability} is missing{place}.") from None
    except OSError as problem:
        raise PrivilegeError(f"{failure} {problem.strerror}.") from None


def _prctl(option: int, value: int) -> None:
    import ctypes  # only for those who give something up

    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        raise PrivilegeError(f"prctl({option}) : {os.strerror(ctypes.get_errno())}")


def _keep(names: frozenset[str]) -> None:
    """Keep these capabilities, permitted and effective, and no other."""
    import ctypes

    bits = sum(1 << NUMBERS[name] for name in names)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    data = (ctypes.c_uint32 * 6)(bits, bits, 0, 0, 0, 0)
    if ctypes.CDLL(None, use_errno=True).capset(header, data) != 0:
        raise PrivilegeError(f"Cannot keep {', '.join(sorted(names))}: {os.strerror(ctypes.get_errno())}.")
