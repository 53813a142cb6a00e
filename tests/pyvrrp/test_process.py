"""The process: what it is set to, what it has used, and what is refused is told and no more."""

from __future__ import annotations

import os
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
