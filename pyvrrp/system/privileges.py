"""Which rights this process has and needs, and how it gives up all others.

Laws: what is missing is asked before anything is changed. Root is given up when everything is open, for good: sockets
for VRRP and netlink need CAP_NET_RAW and CAP_NET_ADMIN, settings below /proc/sys/net the latter, and scripts of another
user CAP_SETUID, CAP_SETGID and CAP_KILL, which are kept only if there are such scripts. Where there are none, nothing
that is started can gain a right (PR_SET_NO_NEW_PRIVS).

Sources: capabilities(7), proc(5), net_ctl_permissions in the kernel's net/sysctl_net.c.
"""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path

from hakit import capabilities
from hakit.script import identity
from pyvrrp.model import Configuration, Script
from pyvrrp.system.errors import NoPermissionError, SystemRefusalError

DEFAULT_USER = "pyvrrp"
"""Whom a daemon that root has started becomes, if there is such a user and nobody says otherwise."""
ALWAYS = frozenset({"cap_net_admin", "cap_net_raw"})
FOR_OTHERS = frozenset({"cap_setuid", "cap_setgid", "cap_kill"})
"""What it takes to run a script as another user, and to end it."""
FOR_URGENCY = "cap_sys_nice"
"""What it takes to raise one's realtime priority later."""
_NEEDED = {"CAP_NET_ADMIN": (12, "to change addresses"), "CAP_NET_RAW": (13, "to open raw sockets for VRRP")}


@dataclass(frozen=True, slots=True)
class User:
    """Whom to become."""

    name: str
    uid: int
    gid: int


def require_privileges(status: Path = Path("/proc/self/status")) -> None:
    """Raise SystemRefusalError, naming the first capability that is missing, unless all are there."""
    lines = dict(line.split(":\t", 1) for line in status.read_text().splitlines() if ":\t" in line)
    effective = int(lines["CapEff"], 16)
    for name, (bit, act) in _NEEDED.items():
        if not effective >> bit & 1:
            raise NoPermissionError(name, act)


def user_to_be(asked: str | None) -> User | None:
    """Return whom to become: USER or USER:GROUP as ``asked``, else DEFAULT_USER; None: nobody else.

    Who is not root can become nobody. Raises SystemRefusalError for a user or group that does not exist.
    """
    if asked is None:
        if os.geteuid() != 0:
            return None
        try:
            found = pwd.getpwnam(DEFAULT_USER)
        except KeyError:
            return None
        return User(DEFAULT_USER, found.pw_uid, found.pw_gid)
    name, _, group = asked.partition(":")
    try:
        uid, gid = identity(name, group or None)
    except LookupError as missing:
        raise SystemRefusalError(f"--run-as {asked}: {missing.args[0]}") from None
    if uid == os.geteuid():
        return None
    if os.geteuid() != 0:
        raise SystemRefusalError(f"--run-as {asked}: only root can become somebody else")
    return User(name, uid, gid)


def needed_by(configuration: Configuration, uid: int, gid: int) -> frozenset[str]:
    """Return the capabilities that a daemon of this user and group needs to carry ``configuration`` out."""
    needed = set(ALWAYS)
    if any(_is_another_s(script, uid, gid) for script in scripts_in(configuration)):
        needed |= FOR_OTHERS
    if configuration.settings.process.max_auto_priority > 0:
        needed.add(FOR_URGENCY)
    return frozenset(needed)


def _is_another_s(script: Script, uid: int, gid: int) -> bool:
    if script.user is None and script.group is None:
        return False
    try:
        return identity(script.user, script.group) != (uid, gid)
    except LookupError:
        return False  # it will not be run at all


def scripts_in(value: object) -> Iterator[Script]:
    """Yield every script of a configuration, wherever it stands."""
    if isinstance(value, Script):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from scripts_in(item)
    elif is_dataclass(value):
        for one in fields(value):
            yield from scripts_in(getattr(value, one.name))


def hand_over(folder: Path, dumps: Iterable[Path], user: User) -> None:
    """Let a user remove sockets from our own ``folder`` at the end, and write dumps where root's own lie.

    In /tmp nobody can replace a file of root's: dumps of root are removed, links among them and not what they point at.
    """
    with suppress(OSError):
        os.chown(folder, user.uid, user.gid, follow_symlinks=False)
    for path in dumps:
        with suppress(OSError):
            if path.lstat().st_uid == 0 and not path.is_dir():
                path.unlink()


def become(user: User, kept: Collection[str]) -> None:
    """Be this user, with these capabilities and no other, for good. Raises SystemRefusalError."""
    try:
        capabilities.become(user.uid, user.gid, kept)
        if FOR_OTHERS.isdisjoint(kept):
            capabilities.forbid_gain()
    except OSError as refused:
        words = f"cannot become user {user.name}: {refused.strerror} (--run-as root keeps root)"
        raise SystemRefusalError(words) from refused


def in_words(user: User, kept: Collection[str]) -> str:
    """Return who the daemon is now, for the log."""
    try:
        group = grp.getgrgid(user.gid).gr_name
    except KeyError:
        group = str(user.gid)
    return f"Runs as user {user.name}, group {group}, with {', '.join(sorted(kept)).upper()}"
