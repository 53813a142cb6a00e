"""The process: what it is set to, what it has used, and what is refused is told and no more."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pyvrrp import process
from pyvrrp.model import ProcessSettings
from pyvrrp.system.errors import SystemRefusalError


def told(settings: str, look: str) -> str:
    """What a process of its own finds after it was set: settings of a process stay with it."""
    program = f"""
import os
from pyvrrp.process import apply
from pyvrrp.model import ProcessSettings
refusals = apply(ProcessSettings({settings}), None)
print(refusals, {look})
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=20)
    return done.stdout.strip()


@pytest.mark.skipif(os.geteuid() != 0, reason="priorities need root")
@pytest.mark.parametrize(
    ("settings", "look", "expected"),
    [
        ("", "os.nice(0)", "[] 0"),
        ("nice=-3", "os.nice(0)", "[] -3"),
        ("umask=0o27", "oct(os.umask(0))", "[] 0o27"),
        ("cpu_affinity=frozenset({0})", "os.sched_getaffinity(0)", "[] {0}"),
        ("rt_priority=7", "os.sched_getparam(0).sched_priority", "[] 7"),
        ("no_swap=True", "'locked'", "[] locked"),
    ],
)
def test_settings_of_the_process_are_carried_out(settings: str, look: str, expected: str) -> None:
    assert told(settings, look) == expected


TURN = """
import ctypes, os, platform
from pyvrrp import process
{before}
process.take_short_turns()
SCHED_GETATTR = {{"x86_64": 315, "aarch64": 275, "riscv64": 275}}[platform.machine()]
def tell():
    attributes = ctypes.create_string_buffer(56)
    assert not ctypes.CDLL(None).syscall(SCHED_GETATTR, 0, attributes, 56, 0)
    policy, _, nice, _, turn = process._SCHED_ATTR.unpack(attributes.raw)[1:6]
    print(policy, nice, turn, flush=True)
tell()
if os.fork():
    os.wait()
else:
    tell()
"""


def turns(before: str = "pass") -> list[str]:
    """Policy, niceness, and turn in nanoseconds, of a process that has asked for short ones, and of a child of it."""
    argv = [sys.executable, "-c", TURN.format(before=before)]
    return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=20).stdout.splitlines()


def test_turns_are_as_short_as_they_can_be_and_scripts_do_not_inherit_that() -> None:
    own, script = turns("os.nice(3)")
    knows = tuple(int(part) for part in platform.release().split(".")[:2]) >= (6, 12)  # of turns
    assert own == f"0 3 {100_000 if knows else 0}"
    assert script.startswith("0 3 ")
    assert not knows or script != own


@pytest.mark.skipif(os.geteuid() != 0, reason="priorities need root")
def test_whoever_runs_in_real_time_already_goes_on_so() -> None:
    assert turns("os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(3))")[0].startswith("2 ")


LATE = """
import os
from hakit.events import EventHub
from pyvrrp.model import ProcessSettings
from pyvrrp.urgency import Urgency
hub = EventHub("pyvrrp")
hub.listen(lambda event: print(event.event, event.reason, sep=": "))
urgency = Urgency(hub)
urgency.settings = ProcessSettings({settings})
{before}
for seconds in (0.019, 0.021, 0.022, 0.023):
    urgency.late(seconds)
    print(os.sched_getparam(0).sched_priority)
"""


def told_of_lateness(settings: str, before: str = "pass") -> list[str]:
    program = LATE.format(settings=settings, before=before)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=20)
    return done.stdout.splitlines()


@pytest.mark.skipif(os.geteuid() != 0, reason="priorities need root")
def test_each_late_timer_raises_the_realtime_priority_up_to_max_auto_priority() -> None:
    assert told_of_lateness("max_auto_priority=2, min_auto_priority_delay=20_000") == [
        "0",
        "notice: Now at realtime priority 1, for a timer was 0.021000 s late", "1",
        "notice: Now at realtime priority 2, for a timer was 0.022000 s late", "2",
        "2",
    ]  # fmt: skip


@pytest.mark.parametrize("settings", ["", "max_auto_priority=-1, min_auto_priority_delay=1", "max_auto_priority=9"])
def test_without_max_auto_priority_or_before_its_delay_nothing_is_raised(settings: str) -> None:
    assert told_of_lateness(settings) == ["0"] * 4


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_realtime_priority_that_is_refused_is_told_once_and_not_tried_again() -> None:
    lines = told_of_lateness("max_auto_priority=2, min_auto_priority_delay=20_000", "os.setuid(65534)")
    refused = "warning: Warning - cannot set realtime priority 1, for a timer was 0.021000 s late: "
    assert lines == ["0", f"{refused}Operation not permitted", "0", "0", "0"]


@pytest.mark.skipif(os.geteuid() != 0, reason="priorities need root")
def test_scripts_do_not_inherit_the_realtime_priority() -> None:
    inherited = "__import__('subprocess').run(['sh', '-c', 'chrt -p $$'], capture_output=True, text=True).stdout"
    assert "SCHED_OTHER" in told("rt_priority=7", inherited)


def test_what_the_system_refuses_is_one_sentence_each() -> None:
    assert process.apply(ProcessSettings(cpu_affinity=frozenset({4095})), None) == [
        "Warning - cannot set processors: Invalid argument"
    ]


def test_the_umask_of_the_command_line_comes_before_the_configuration_s() -> None:
    before = os.umask(0o22)
    try:
        assert process.apply(ProcessSettings(umask=0o77), 0o27) == []
        assert os.umask(0o22) == 0o27
    finally:
        os.umask(before)


def test_a_namespace_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(process, "NAMESPACES", tmp_path)
    with pytest.raises(SystemRefusalError, match=r"cannot enter network namespace blue: .*/blue: No such file"):
        process.enter_namespace("blue")
    (tmp_path / "red").touch()
    with pytest.raises(SystemRefusalError, match="cannot enter network namespace red: Invalid argument"):
        process.enter_namespace("red")


def test_what_was_used_is_told_as_keepalived_tells_it() -> None:
    stopped, usage = process.used()
    number = r"\d+\.\d{6}"
    assert re.fullmatch(
        rf"Stopped - used (\(self/children\) )?{number}(/{number})? user time, {number}(/{number})? system time",
        stopped,
    )
    assert re.fullmatch(rf"CPU usage \(self/children\) user: {number}/{number} system: {number}/{number}", usage)
