"""The prompt of a lab that stays up, at a terminal."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import struct
import sys
import termios
import time
from collections.abc import Iterator

import pytest

from halab.console import HELP, ask

pytestmark = pytest.mark.netns

LAB = """
import sys
from halab.cli import _stay
from halab.console import Door
from halab.interrupt import hear_ctrl_c
from halab.reference import Options, ReferenceLab
from halab.report import Report
hear_ctrl_c()
with ReferenceLab(Options(light=True)) as lab:
    lab.start(print, lambda: None)
    door = Door(sys.argv[1])
    door.open(lab)
    _stay(lab, Report(sys.stdout), door)
"""
NAME = f"test-prompt-{os.getpid()}"
PROMPT = "halab> "


class Terminal:
    """A lab at a terminal of its own."""

    def __init__(self) -> None:
        self.pid, self._descriptor = pty.fork()
        if self.pid == 0:
            os.execv(sys.executable, [sys.executable, "-c", LAB, NAME])
        fcntl.ioctl(self._descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 140, 0, 0))
        self._read = ""

    def type(self, text: str) -> None:
        os.write(self._descriptor, text.encode())

    def until(self, text: str) -> str:
        """Return what was written up to ``text``."""
        deadline = time.monotonic() + 20
        while text not in self._read:
            ready, _, _ = select.select([self._descriptor], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"no '{text}' in {self._read}"
            self._read += os.read(self._descriptor, 65536).decode(errors="replace")
        before, _, self._read = self._read.partition(text)
        return before

    def says(self, line: str) -> str:
        """Type a line at the prompt and return the answer."""
        self.type(line + "\n")
        return self.until(PROMPT)

    def left(self) -> int:
        """Return the exit status, once the terminal is closed at the other end."""
        with contextlib.suppress(OSError):  # EIO: nobody has the other end open any more
            while select.select([self._descriptor], [], [], 20)[0]:
                os.read(self._descriptor, 65536)
        os.close(self._descriptor)  # hangs up on whoever is still there
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    opened = Terminal()
    assert f".venv/bin/halab --name {NAME} exec client curl" in opened.until(PROMPT)
    yield opened
    assert opened.left() == 0


def test_verbs_are_carried_out_and_mistakes_are_told(terminal: Terminal) -> None:
    assert "haproxy1     192.168.50.11    haproxy active, keepalived active" in terminal.says("status")
    assert "did you mean 'status'" in terminal.says("stauts")
    assert "usage: cut HOST" in terminal.says("cut")
    assert "No closing quotation" in terminal.says("exec client 'x")
    assert "haproxy on haproxy1 has stopped" in terminal.says("stop haproxy1 tcpbalancer")
    told = terminal.says("events")
    assert "service haproxy inactive" in told
    assert " advertised " not in told
    assert " notice " not in told
    assert re.search(r"transition rule=.* from=\w+ to=\w+ ", told), "with their names"
    assert "did you mean 'haproxy'" in terminal.says("logs haproxy1 haproxi")
    assert "no host switch with a card 0" in terminal.says("heal switch")
    assert "haproxy on haproxy1 runs" in terminal.says("start haproxy1 haproxy")
    terminal.type("quit\n")
    terminal.until("Taking the lab down.")


def test_ctrl_c_ends_a_command_and_not_the_lab_and_then_the_lab(terminal: Terminal) -> None:
    terminal.type("exec client bash -c 'echo begun; sleep 600'\n")
    terminal.until("begun\r\n")
    terminal.type("\x03")
    terminal.until(PROMPT)
    terminal.type("\x03")
    terminal.until("Taking the lab down.")


def test_a_shell_on_a_host_gives_the_terminal_back(terminal: Terminal) -> None:
    terminal.type("shell haproxy1\n")
    terminal.until("root@haproxy1")
    terminal.type("echo $((6 * 7)); exit\n")
    terminal.until("42\r\n")
    terminal.until(PROMPT)
    assert terminal.says("exec client hostname").endswith("client\r\n")
    terminal.type("\x04")
    terminal.until("Taking the lab down.")


def test_quit_from_a_second_shell_ends_a_shell_in_front_and_the_lab(terminal: Terminal) -> None:
    terminal.type("shell client\n")
    terminal.until("root@client")
    assert ask(NAME, ["help"]).text == HELP
    assert ask(NAME, ["quit"]).text == "the lab is being taken down"
    terminal.until("Taking the lab down.")
