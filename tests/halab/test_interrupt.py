"""Ctrl-C is heard wherever it comes."""

from __future__ import annotations

import subprocess
import sys

import pytest

WAITS = ["threading.Event().wait(60)", "held.acquire(timeout=60)", "os.read(os.pipe()[0], 1)"]
PROGRAM = """
import os, signal, threading
from halab.interrupt import hear_ctrl_c
signal.signal(signal.SIGINT, signal.SIG_IGN)  # as in a job that a shell has put into the background
hear_ctrl_c()

held = threading.Lock()
held.acquire()

def elsewhere():
    # Taken by another thread, it ends no wait of the main one: as if it had come just before.
    signal.pthread_kill(threading.get_ident(), signal.SIGINT)

try:
    threading.Timer(0.2, elsewhere).start()
    {wait}
except KeyboardInterrupt:
    print("heard")
"""


@pytest.mark.parametrize("wait", WAITS)
def test_a_ctrl_c_that_ends_no_wait_by_itself_is_heard_at_once(wait: str) -> None:
    argv = [sys.executable, "-c", PROGRAM.format(wait=wait)]
    assert subprocess.run(argv, capture_output=True, text=True, timeout=20, check=True).stdout == "heard\n"
