"""Whatever ends a lab, nothing of it is left: no process, no namespace, no link, no mount."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from halab.wait import poll

pytestmark = pytest.mark.netns

HOLDER = """
import signal, sys, threading
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job's is ignored
from halab.namespace import ServiceDefinition
from halab.topology import Lab, simple
while True:
    with Lab(simple("lan", {"a": "10.0.0.1/24", "b": "10.0.0.2/24", "c": "10.0.0.3/24"})) as lab:
        for name in ("a", "b"):
            lab[name].define(ServiceDefinition("work", ("bash", "-c", "setsid sleep 700 & exec sleep 700")))
            lab[name].start_service("work")
            lab[name].spawn(["sleep", "700"])
        print("stands", flush=True)
        while sys.argv[1] == "stay":
            threading.Event().wait(0.1)  # in turns: a signal that comes just before pause(2) would not be seen
"""
KINDS = ("net", "mnt", "pid", "uts", "ipc")


def descendants(root: int) -> set[int]:
    """The process ``root`` and everything below it, in all pid namespaces."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    found = {root}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def identities(pids: set[int]) -> set[tuple[int, str]]:
    """Processes by pid and start time, so that a pid that is used again is not taken for the old one."""
    found = set()
    for pid in pids:
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            if fields[0] != "Z":
                found.add((pid, fields[19]))
    return found


def namespaces(pids: set[int]) -> set[str]:
    found = set()
    for pid in pids:
        for kind in KINDS:
            with contextlib.suppress(OSError):
                found.add(str(Path(f"/proc/{pid}/ns/{kind}").readlink()))
    return found


def everybody() -> set[int]:
    return {int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()}


def links() -> set[str]:
    return {entry.name for entry in Path("/sys/class/net").iterdir()}


def mounts() -> set[str]:
    """This namespace's mounts, but for those that other programs' named namespaces make."""
    return {line for line in Path("/proc/self/mounts").read_text().splitlines() if "/run/netns" not in line}


@contextlib.contextmanager
def held(mode: str) -> Iterator[subprocess.Popen[str]]:
    """A process that holds a lab (``stay``), or builds one and takes it down over and over (``again``)."""
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, mode], stdout=subprocess.PIPE, text=True)
    try:
        yield holder
    finally:
        holder.kill()
        holder.communicate()


def assert_nothing_is_left(holder: subprocess.Popen[str], before: tuple[set[str], set[str]], number: int) -> None:
    holder.send_signal(signal.SIGSTOP)  # it starts nothing more while we look
    found = descendants(holder.pid)
    alive, inside = identities(found), namespaces(found) - namespaces({os.getpid()})
    if number == signal.SIGKILL:
        holder.kill()
    else:
        holder.send_signal(signal.SIGCONT)  # only a process that runs takes a signal in its main thread
        holder.send_signal(number)
    holder.communicate(timeout=10)
    poll(lambda: not alive & identities(everybody()), 5, "the end of every process of the lab", every=0.005)
    poll(lambda: not inside & namespaces(everybody()), 5, "the end of every namespace of the lab", every=0.005)
    assert links() == before[0]
    assert mounts() == before[1]
    assert not {"a", "b", "c", "switch"} & {entry.name for entry in Path("/run/netns").glob("*")}


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_signal_to_the_process_that_holds_a_lab_takes_everything_with_it(number: signal.Signals) -> None:
    before = links(), mounts()
    with held("stay") as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "stands\n"
        whole = 1 + 1 + 4 + 2 * 3  # itself, the nursery, 4 hosts, and 3 programs on 2 of them
        poll(lambda: len(descendants(holder.pid)) == whole, 5, f"{whole} processes")
        assert_nothing_is_left(holder, before, number)


def test_kill_9_at_any_moment_leaves_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    seed = int(os.environ.get("HALAB_SEED", random.SystemRandom().randrange(1 << 32)))
    with capsys.disabled():
        print(f"\nHALAB_SEED={seed}", end=" ")
    chosen = random.Random(seed)  # noqa: S311 - moments, not secrets
    for _ in range(8):
        before = links(), mounts()
        with held("again") as holder:
            moment = time.monotonic() + chosen.uniform(0.0, 0.6)
            poll(lambda moment=moment: time.monotonic() >= moment, 5, "the moment", every=0.002)
            assert_nothing_is_left(holder, before, signal.SIGKILL)
