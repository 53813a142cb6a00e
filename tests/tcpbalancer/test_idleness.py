"""How idle the workers are is measured, not said."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tcpbalancer.snapshot import Idleness


def test_a_process_that_computes_is_busy_and_one_that_waits_is_idle() -> None:
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    waiting = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        one, other = Idleness(), Idleness()
        one.sample([busy.pid])
        other.sample([waiting.pid])
        with pytest.raises(subprocess.TimeoutExpired):
            busy.wait(0.5)
        one.sample([busy.pid])
        other.sample([waiting.pid])
        assert one.percent < 80
        assert other.percent > 60  # it may have been starting still
    finally:
        for process in (busy, waiting):
            process.kill()
            process.communicate()


def test_a_process_that_has_ended_does_not_count() -> None:
    idleness = Idleness()
    idleness.sample([2**22 + 1])
    assert idleness.percent == 100
