"""The process that the daemon is: its namespace, turns, priority, processors, memory, umask, names, what it has used.

Laws: each act stands for itself; what the system refuses is a sentence that is returned, since VRRP works without any
of them. Only a namespace that cannot be entered is an error: in another one VRRP would speak to the wrong network.

Sources: setns(2), sched(7) (SCHED_RESET_ON_FORK: scripts run at ordinary priority), sched_setattr(2), mlockall(2),
keepalived.conf(5).
"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

from pyvrrp.model import ProcessSettings
from pyvrrp.options import Options
from pyvrrp.system.errors import SystemRefusalError

Act = Callable[[], object]
NAMESPACES = Path("/run/netns")
RUN = Path("/run")
_CLONE_NEWNET = 0x40000000
_SCHED_SETATTR = {"x86_64": 314, "aarch64": 274, "riscv64": 274}
_SCHED_ATTR = struct.Struct("=IIQiIQQQII")  # linux/sched/types.h
_SCHED_FLAG_RESET_ON_FORK = 1
SHORTEST_TURN = 0.0001
"""Seconds: the shortest turn that Linux gives."""
_MCL_CURRENT, _MCL_FUTURE = 1, 2
_RTTIME = 10_000
"""Microseconds of a processor without a pause, after which the kernel ends a realtime process; keepalived's default."""


def enter_namespace(name: str) -> None:
    """Go on in the network namespace of this name; raises SystemRefusalError."""
    path = NAMESPACES / name
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as refused:
        raise SystemRefusalError(f"cannot enter network namespace {name}: {path}: {refused.strerror}") from None
    try:
        library = ctypes.CDLL(None, use_errno=True)  # os.setns comes with Python 3.12
        if library.setns(descriptor, _CLONE_NEWNET):
            words = os.strerror(ctypes.get_errno())
            raise SystemRefusalError(f"cannot enter network namespace {name}: {words}")
    finally:
        os.close(descriptor)


def take_short_turns() -> None:
    """Ask for turns of a tenth of a millisecond: who needs little at a time is let in at once when a timer comes.

    On a machine whose processors have too much to do, an ordinary process waits until others have had theirs, 3 ms and
    more each; with a hundred advertisements a second, that may be a takeover for nothing. This is no priority: over
    time we get no more than others do, and scripts are not given it. Linux 6.12 and newer; others pay no heed to it,
    and where it is refused it is done without.
    """
    number = _SCHED_SETATTR.get(platform.machine())
    if number is None or os.sched_getscheduler(0) != os.SCHED_OTHER:
        return
    nice, turn = os.getpriority(os.PRIO_PROCESS, 0), round(SHORTEST_TURN * 1e9)
    size, flags = _SCHED_ATTR.size, _SCHED_FLAG_RESET_ON_FORK
    attributes = _SCHED_ATTR.pack(size, os.SCHED_OTHER, flags, nice, 0, turn, 0, 0, 0, 0)
    ctypes.CDLL(None).syscall(number, 0, attributes, 0)


def apply(settings: ProcessSettings, umask: int | None) -> list[str]:
    """Carry out the settings of the process; returns a sentence for each that the system refuses."""
    refusals = []
    for what, act in _acts(settings, umask):
        try:
            act()
        except OSError as refused:
            refusals.append(f"Warning - cannot set {what}: {refused.strerror or refused}")
    return refusals


def _acts(settings: ProcessSettings, umask: int | None) -> Iterator[tuple[str, Act]]:
    mask = settings.umask if umask is None else umask
    if mask is not None:
        yield "umask", lambda: os.umask(mask)
    if settings.nice is not None:
        nice = settings.nice
        yield f"priority {nice}", lambda: os.setpriority(os.PRIO_PROCESS, 0, nice)
    if settings.cpu_affinity:
        yield "processors", lambda: os.sched_setaffinity(0, settings.cpu_affinity)
    if settings.no_swap:
        yield "no_swap", _lock_memory
    if settings.rt_priority:
        priority = settings.rt_priority
        yield f"realtime priority {priority}", lambda: run_in_real_time(priority, settings.rlimit_rttime)


def _lock_memory() -> None:
    if ctypes.CDLL(None, use_errno=True).mlockall(_MCL_CURRENT | _MCL_FUTURE):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def run_in_real_time(priority: int, limit: int | None) -> None:
    """Schedule this process, and nothing that it starts, in real time; ``limit``: RLIMIT_RTTIME. Raises OSError."""
    # Python computes longer without a pause than keepalived does: its default limit would end us.
    if limit is not None:
        resource.setrlimit(resource.RLIMIT_RTTIME, (max(limit, _RTTIME), max(limit, _RTTIME)))
    os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(priority))


def pid_paths(options: Options, instance: str | None, namespace: str | None, *, in_folder: bool) -> list[Path]:
    """Return the pid files of a daemon: the first one is the one that is asked; ``-r`` gets the same pid.

    An instance or a namespace has files of its own name in /run/keepalived; so has ``use_pid_dir``. With ``-p`` and
    without ``-r`` there is one file only.
    """
    name = instance or namespace
    folder = RUN / "keepalived" if name or in_folder else RUN
    suffix = f"_{name}" if name else ""
    paths = [options.pid_file or folder / f"keepalived{suffix}.pid"]
    if options.vrrp_pid_file is not None:
        paths.append(options.vrrp_pid_file)
    elif options.pid_file is None:
        paths.append(folder / f"vrrp{suffix}.pid")
    return paths


def used() -> list[str]:
    """Return keepalived's two lines about the processor time that was used, by us and by our scripts."""
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    user, system = f"{own.ru_utime:.6f}", f"{own.ru_stime:.6f}"
    both = bool(children.ru_utime or children.ru_stime)
    label, more_user, more_system = "", "", ""
    if both:
        label = "(self/children) "
        more_user, more_system = f"/{children.ru_utime:.6f}", f"/{children.ru_stime:.6f}"
    return [
        f"Stopped - used {label}{user}{more_user} user time, {system}{more_system} system time",
        f"CPU usage (self/children) user: {user}/{children.ru_utime:.6f} system: {system}/{children.ru_stime:.6f}",
    ]
