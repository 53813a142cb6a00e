"""Who this process is and what it may do, given up for good; and a right that is lent to one program.

Laws: what is given up cannot be had again: after ``become`` no capability is left but those that are named, and after
``forbid_gain`` no program that is started can gain any. Threads that live already are not spoken of: capset(2) is for
the thread that calls it. Nothing is imported for this before somebody needs it.

Sources: capabilities(7), capget(2), prctl(2); linux/capability.h, linux/prctl.h.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from types import MappingProxyType

NUMBERS = MappingProxyType({
    "cap_kill": 5,
    "cap_setgid": 6,
    "cap_setuid": 7,
    "cap_net_bind_service": 10,
    "cap_net_admin": 12,
    "cap_net_raw": 13,
    "cap_sys_admin": 21,
    "cap_sys_nice": 23,
})  # fmt: skip
SET_DUMPABLE, _SET_KEEPCAPS, _SET_NO_NEW_PRIVS, _CAP_AMBIENT = 4, 8, 38, 47
_AMBIENT_RAISE = 2
_VERSION_3 = 0x20080522


def become(uid: int, gid: int, kept: Collection[str] = ()) -> None:
    """Be this user, this group alone, and have these capabilities, permitted and effective, and no other.

    Raises OSError, and then the process may be half way: end it.
    """
    outlive_the_user()
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
    keep(kept)


def outlive_the_user() -> None:
    """Let capabilities outlive the next change of user: ``keep`` says which; raises OSError."""
    prctl(_SET_KEEPCAPS, 1)


def keep(names: Collection[str], inheritable: Collection[str] = ()) -> None:
    """Have these capabilities and no other; raises OSError."""
    import ctypes

    bits, handed_on = _bits(names), _bits(inheritable)
    header = (ctypes.c_uint32 * 2)(_VERSION_3, 0)
    data = (ctypes.c_uint32 * 6)(bits, bits, handed_on, 0, 0, 0)
    if ctypes.CDLL(None, use_errno=True).capset(header, data) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def forbid_gain() -> None:
    """See to it that no program which is started can gain a right (PR_SET_NO_NEW_PRIVS); raises OSError."""
    prctl(_SET_NO_NEW_PRIVS, 1)


def lend(name: str) -> Callable[[], None]:
    """Return what a child has to do between fork and exec to keep this capability, although its user has none.

    For a child of a process that has it, and where nothing else than the right itself is handed on (ambient).
    """
    import ctypes  # noqa: F401 - nothing is loaded between fork and exec

    def take() -> None:
        keep([name], inheritable=[name])
        prctl(_CAP_AMBIENT, _AMBIENT_RAISE, NUMBERS[name])

    return take


def prctl(option: int, *arguments: int) -> None:
    """Call prctl(2); raises OSError."""
    import ctypes

    padded = (*arguments, 0, 0, 0, 0)[:4]
    if ctypes.CDLL(None, use_errno=True).prctl(option, *map(ctypes.c_ulong, padded)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _bits(names: Collection[str]) -> int:
    return sum(1 << NUMBERS[name] for name in names)
