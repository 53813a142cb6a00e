"""The file system of a lab host: the machine's own, with private parts laid over it.

Laws: runs in a fresh mount namespace with private propagation, as process 1 of a fresh pid namespace, and changes
nothing outside of them. Stands on the standard library alone. What lies below a covered folder and is still needed
(the checkout, the virtual environment) is bound back to its place. Source: mount_namespaces(7), Linux'
Documentation/filesystems/overlayfs.rst.
"""

# Process 1 imports no more than it must, so paths are texts here.
# ruff: noqa: PTH101, PTH103, PTH105, PTH110, PTH112, PTH120

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Sequence
from typing import Any

MS_REC, MS_PRIVATE, MS_BIND = 0x4000, 0x40000, 0x1000
MS_NOSUID, MS_NODEV, MS_NOEXEC = 0x2, 0x4, 0x8
CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x20000, 0x4000000, 0x8000000
CLONE_NEWPID, CLONE_NEWNET = 0x20000000, 0x40000000
PR_SET_PDEATHSIG = 1

FRESH = {"/run": "0755", "/tmp": "1777", "/dev/shm": "1777"}  # noqa: S108 - the very folders that become private
"""Folders that start empty, with the mode of each."""
OVERLAID = ("/etc", "/var", "/usr/local")
"""Folders that start as the machine's and take private changes."""
ENVIRONMENT = "/run/halab/venv"
"""Where the project's virtual environment stands in every host, within reach of every user."""

_libc = ctypes.CDLL(None, use_errno=True)


def _call(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def unshare(flags: int) -> None:
    """Leave the namespaces named by ``flags`` (unshare(2)); raises OSError."""
    _call(_libc.unshare(flags), "unshare")


def setns(descriptor: int, kind: int) -> None:
    """Enter the namespace behind ``descriptor`` (setns(2)), the calling thread only; raises OSError."""
    _call(_libc.setns(descriptor, kind), "setns")


def die_with_parent() -> None:
    """Have the kernel send SIGKILL to this process when the thread that made it ends (prctl(2))."""
    _call(_libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0), "prctl(PR_SET_PDEATHSIG)")


def mount(source: str, target: str, kind: str | None = None, flags: int = 0, options: str = "") -> None:
    """Mount (mount(2)); raises OSError with the target in its text."""
    done = _libc.mount(
        source.encode(),
        target.encode(),
        kind.encode() if kind else None,
        ctypes.c_ulong(flags),
        options.encode() or None,
    )
    _call(done, f"mount {kind or source} on {target}")


def prepare(environment: str, keep: Sequence[str]) -> None:
    """Build the host's file system: /proc, /sys, private /run, /tmp and /dev/shm, overlays, the environment.

    ``environment`` is the folder that appears as ENVIRONMENT; each path of ``keep`` stays visible at its own place.
    """
    mount("none", "/", None, MS_REC | MS_PRIVATE)
    covered = (*FRESH, *OVERLAID)
    kept = [path for path in keep if any(path.startswith(folder + "/") for folder in covered)]
    anchors = {path: os.open(path, os.O_PATH | os.O_CLOEXEC) for path in kept}
    anchors[ENVIRONMENT] = os.open(environment, os.O_PATH | os.O_CLOEXEC)
    if os.path.isdir("/sys/fs/cgroup"):
        anchors["/sys/fs/cgroup"] = os.open("/sys/fs/cgroup", os.O_PATH | os.O_CLOEXEC)
    careful = MS_NOSUID | MS_NODEV | MS_NOEXEC
    mount("proc", "/proc", "proc", careful)
    mount("sysfs", "/sys", "sysfs", careful)
    for folder, mode in FRESH.items():
        os.makedirs(folder, exist_ok=True)
        mount("tmpfs", folder, "tmpfs", MS_NOSUID | MS_NODEV, f"mode={mode}")
    for folder in OVERLAID:
        _overlay(folder)
    os.makedirs("/run/lock", exist_ok=True)
    for path, descriptor in anchors.items():
        _bind_back(descriptor, path)


def _overlay(folder: str) -> None:
    private = "/run/halab/private/" + folder.strip("/").replace("/", "-")
    os.makedirs(private + "/upper", 0o755)
    os.makedirs(private + "/work", 0o700)
    options = f"lowerdir={folder},upperdir={private}/upper,workdir={private}/work"
    mount("overlay", folder, "overlay", MS_NODEV, options)


def _bind_back(descriptor: int, path: str) -> None:
    held = f"/proc/self/fd/{descriptor}"
    if not os.path.exists(path):
        if os.path.isdir(held):
            os.makedirs(path)
        else:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))
    mount(held, path, None, MS_BIND | MS_REC)
    os.close(descriptor)


def write_file(path: str, text: str, mode: int = 0o644) -> dict[str, Any]:
    """Put a file into the host, in one step as its readers see it; a link in its place is replaced, not followed.

    Returns the empty answer of a request that went well.
    """
    os.makedirs(os.path.dirname(path), exist_ok=True)
    fresh = path + ".new"
    descriptor = os.open(fresh, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(fresh, mode)
    os.replace(fresh, path)
    return {}
