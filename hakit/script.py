"""Run a check or notify script from an asyncio program, and say whether a script may be trusted.

Laws: never a shell line, always a vector of words. A script gets no descriptor of ours, no input, no output, a session
of its own, and the environment that this program was started in (people's scripts find their tokens and addresses
there), without what would make a program load or run other code, or speak for this one. Only exit status 0 is success;
whatever else happens, a script that cannot be started included, is an outcome and never an exception. The deadline is
the failure: nobody waits for a script that does not want to die, but its process group is ended, unless the caller
wants it left alone. No thread, no signal handler: the kernel tells of the end through a pidfd (pidfd_open(2)).

What is checked by its path is run by its path. That is sound: of a script that runs as root every component has to
belong to root and be writable by nobody else, so only root can put another in its place in between. (To run an open
descriptor instead, execveat(2), would hand an interpreter /dev/fd/N in the place of the script's own name.)

Stands on keepalived.conf(5), ``enable_script_security`` and ``script_user``. Where keepalived counts a failed fork,
exec or change of user as success, or stops tracking such a script, here it has failed.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import grp
import os
import pwd
import shlex
import shutil
import signal
import stat
import subprocess
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""The PATH that scripts get, and in which a bare name is looked up."""
ENVIRONMENT: Mapping[str, str] = {"PATH": SEARCH_PATH, "LANG": "C.UTF-8"}
"""What a script finds in its environment if this program was started without it."""
_KEPT_BACK = frozenset({"IFS", "ENV", "BASH_ENV", "NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"})
_KEPT_BACK_PREFIXES = ("LD_", "PYTHON", "BASH_FUNC_", "LISTEN_")
GRACE = 2.0
"""Seconds from SIGTERM to SIGKILL, as in keepalived."""
_LAST_WAIT = 1.0
_MAX_LINKS = 40  # as the kernel's own limit, path_resolution(7)


class Ending(Enum):
    """How a run came to its end."""

    EXITED = "exited"
    SIGNALLED = "signalled"
    TIMED_OUT = "timed out"
    STOPPED = "stopped"
    NOT_STARTED = "not started"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a run; ``words`` says it for the log, made to stand behind the name of the script."""

    ending: Ending
    words: str
    status: int | None = None
    signal: int | None = None
    gone: asyncio.Future[None] | None = field(default=None, compare=False, repr=False)
    """After a timeout or a stop: done when the process has ended as well: who must not overlap awaits it first."""

    @property
    def succeeded(self) -> bool:
        """Whether the script ended by itself, in time, with exit status 0."""
        return self.ending is Ending.EXITED and self.status == 0


async def run(
    words: Sequence[str],
    *,
    timeout: float | None,  # noqa: ASYNC109 - the deadline is an outcome here, not an exception
    stop: asyncio.Future[None] | None = None,
    user: str | None = None,
    group: str | None = None,
    environment: Mapping[str, str] | None = None,
    end_late: bool = True,
    inherit: bool = True,
) -> Outcome:
    """Run ``words`` for at most ``timeout`` seconds (None: for ever), as ``user``, ``group`` (None: as this program).

    ``stop``: once it is done, the script is asked to end as after a timeout. ``end_late`` False: who is late is left
    alone after ``timeout``, and nobody waits for it any longer.

    ``group`` None with a ``user``: the user's own group; there are no supplementary groups, as in keepalived.
    ``environment`` is added to what a script inherits; ``inherit`` False: it is all
    that the script gets. If the caller is cancelled the script's process group is killed.
    """
    try:
        child = _Child(_start(words, user, group, {**(_inherited() if inherit else {}), **(environment or {})}))
    except (OSError, subprocess.SubprocessError, LookupError, ValueError) as wrong:
        return Outcome(Ending.NOT_STARTED, f"could not be started: {_sentence(wrong)}")
    try:
        ends = {child.gone} if stop is None else {child.gone, stop}
        await asyncio.wait(ends, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    except asyncio.CancelledError:
        child.kill()
        await asyncio.wait({child.gone}, timeout=_LAST_WAIT)
        raise
    if not child.gone.done():
        stopped = stop is not None and stop.done()
        if end_late or stopped:
            child.terminate()
        if stopped:
            return Outcome(Ending.STOPPED, "was told to end", gone=child.gone)
        return Outcome(Ending.TIMED_OUT, f"timed out after {timeout or 0:g} s", gone=child.gone)
    return _outcome(child.returncode)


def _inherited() -> dict[str, str]:
    """Return ENVIRONMENT and, over it, our own variables but those that are kept back."""
    own = {
        name: value
        for name, value in os.environ.items()
        if name not in _KEPT_BACK and not name.startswith(_KEPT_BACK_PREFIXES)
    }
    return {**ENVIRONMENT, **own}


def _outcome(returncode: int) -> Outcome:
    if returncode >= 0:
        return Outcome(Ending.EXITED, f"exited with status {returncode}", status=returncode)
    number = -returncode
    names = {known.value: known.name for known in signal.Signals}
    return Outcome(Ending.SIGNALLED, f"was ended by {names.get(number, f'signal {number}')}", signal=number)


def _sentence(wrong: Exception) -> str:
    if isinstance(wrong, OSError) and wrong.strerror:
        return f"{wrong.strerror}: {wrong.filename}" if wrong.filename else wrong.strerror
    return str(wrong.args[0]) if wrong.args else str(wrong)


def _start(
    words: Sequence[str], user: str | None, group: str | None, environment: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    if not words:
        raise ValueError("there is no command")
    uid, gid = identity(user, group)
    other = (uid, gid) != (os.geteuid(), os.getegid())
    # A bare name is looked up where insecurity() has looked, not in a PATH that was inherited.
    program = words[0] if "/" in words[0] else shutil.which(words[0], path=SEARCH_PATH)
    if program is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), words[0])
    return subprocess.Popen(
        list(words),
        executable=program,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        close_fds=True,
        cwd="/",
        env=environment,
        start_new_session=True,
        user=uid if other else None,
        group=gid if other else None,
        extra_groups=[] if other else None,
    )


def identity(user: str | None, group: str | None = None) -> tuple[int, int]:
    """Return uid and gid of a user and group given by name or number; None stands for this program's own.

    Raises LookupError, with a sentence, if there is no such user or group.
    """
    if user is None:
        uid, gid = os.geteuid(), os.getegid()
    else:
        try:
            entry = pwd.getpwuid(int(user)) if user.isdecimal() else pwd.getpwnam(user)
        except (KeyError, OverflowError) as missing:
            raise LookupError(f"there is no user '{user}'") from missing
        uid, gid = entry.pw_uid, entry.pw_gid
    if group is not None:
        try:
            gid = (grp.getgrgid(int(group)) if group.isdecimal() else grp.getgrnam(group)).gr_gid
        except (KeyError, OverflowError) as missing:
            raise LookupError(f"there is no group '{group}'") from missing
    return uid, gid


class _Child:
    """A process that was started: told of its end by a pidfd, reaped then, and only then.

    Until it is reaped its number cannot be given to another process, so that a signal to its group never goes astray.
    """

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._loop = asyncio.get_running_loop()
        self._killer: asyncio.TimerHandle | None = None
        self.gone: asyncio.Future[None] = self._loop.create_future()
        try:
            self._pidfd = os.pidfd_open(process.pid)
        except OSError:  # no descriptor left: nobody would ever learn of its end
            self._signal_group(signal.SIGKILL)
            process.wait()
            raise
        self._loop.add_reader(self._pidfd, self._ended)

    @property
    def returncode(self) -> int:
        """The exit status, or minus the signal's number; for a process that is gone."""
        assert self._process.returncode is not None
        return self._process.returncode

    def terminate(self) -> None:
        """Ask the process group to end, and kill it after GRACE seconds."""
        self._signal_group(signal.SIGTERM)
        self._killer = self._loop.call_later(GRACE, self.kill)

    def kill(self) -> None:
        """Kill the process group."""
        self._signal_group(signal.SIGKILL)

    def _ended(self) -> None:
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        if self._killer is not None:  # the rest of the group had its chance as well
            self._killer.cancel()
            self.kill()
        self._process.wait()  # it has ended: this does not wait
        if not self.gone.done():
            self.gone.set_result(None)

    def _signal_group(self, number: signal.Signals) -> None:
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)


def insecurity_of(words: Sequence[str], user: str | None) -> str | None:
    """Return why the script ``words`` must not be run as ``user`` (None: as this program), or None if it may.

    As ``insecurity``; a user that does not exist is a reason, too.
    """
    if not words:
        return "there is no command"
    try:
        uid, _ = identity(user)
    except LookupError as missing:
        return str(missing.args[0])
    return insecurity(words[0], uid)


def insecurity(path: str, uid: int) -> str | None:
    """Return why the script at ``path`` must not be run as ``uid``, or None if it may: one sentence with the repair.

    Missing and not executable are reasons for every user. For root (and for what is set-uid root) every component of
    the path, each symbolic link on the way followed, has to belong to root and be writable by nobody else; a sticky
    directory may be (keepalived.conf(5), enable_script_security). A bare name is looked up in SEARCH_PATH.
    """
    found = path if "/" in path else shutil.which(path, path=SEARCH_PATH)
    if found is None:
        return f"'{path}' was not found in {SEARCH_PATH}"
    if not found.startswith("/"):
        return f"'{path}' is not an absolute path: write where it begins, at /"
    try:
        components = list(_components(found))
        last = Path(found).stat()
    except OSError as wrong:
        return f"{wrong.filename or found} cannot be used: {wrong.strerror}"
    if not stat.S_ISREG(last.st_mode):
        return f"{found} is not a file"
    if not _executable(last, uid):
        return f"{found} is not executable (mode {_mode(last)}): chmod +x {shlex.quote(found)}"
    if uid == 0 or (last.st_mode & stat.S_ISUID and last.st_uid == 0):
        return next(filter(None, (_weakness(*component) for component in components)), None)
    return None


def _components(path: str) -> Iterator[tuple[str, os.stat_result]]:
    """Yield each component on the way to ``path`` as the kernel walks it, links and what they point at included."""
    ahead = deque(part for part in path.split("/") if part)
    here, links = "/", 0
    yield here, os.lstat(here)
    while ahead:
        part = ahead.popleft()
        if part == "..":
            here = str(Path(here).parent)
            continue
        step = str(Path(here) / part)
        status = os.lstat(step)
        yield step, status
        if not stat.S_ISLNK(status.st_mode):
            here = step
            continue
        links += 1
        if links > _MAX_LINKS:
            raise OSError(0, "too many symbolic links", path)
        target = str(Path(step).readlink())
        here = "/" if target.startswith("/") else here
        ahead.extendleft(reversed([piece for piece in target.split("/") if piece not in {"", "."}]))


def _weakness(path: str, status: os.stat_result) -> str | None:
    quoted = shlex.quote(path)
    mode = status.st_mode
    if status.st_uid != 0:
        return f"{path} belongs to uid {status.st_uid}, not to root (mode {_mode(status)}): chown -h root:root {quoted}"
    if stat.S_ISLNK(mode) or (stat.S_ISDIR(mode) and mode & stat.S_ISVTX):
        return None
    if mode & stat.S_IWOTH:
        return f"{path} is writable by everybody (mode {_mode(status)}): chmod o-w {quoted}"
    if mode & stat.S_IWGRP and status.st_gid != 0:
        return f"{path} is writable by group {status.st_gid} (mode {_mode(status)}): chmod g-w {quoted}"
    return None


def _executable(status: os.stat_result, uid: int) -> bool:
    if uid == 0:
        return bool(status.st_mode & (stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH))
    if status.st_uid == uid:
        return bool(status.st_mode & stat.S_IXUSR)
    with contextlib.suppress(LookupError):
        if identity(str(uid))[1] == status.st_gid:
            return bool(status.st_mode & stat.S_IXGRP)
    return bool(status.st_mode & stat.S_IXOTH)


def _mode(status: os.stat_result) -> str:
    return f"{stat.S_IMODE(status.st_mode):04o}"
