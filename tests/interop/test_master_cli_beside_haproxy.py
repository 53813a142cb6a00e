"""The master's command line (``-W -S``) of tcpbalancer beside that of a real HAProxy."""

from __future__ import annotations

import contextlib
import re
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from balancer_process import TCPBALANCER, BalancerProcess, LabConfiguration, haproxy, until
from runtime_api import ask, connect
from tcp_peers import ScriptedServer, echo, read_to_end

pytestmark = pytest.mark.interop


@dataclass
class Mastered:
    """A program in master-worker mode."""

    program: BalancerProcess
    folder: Path

    def __call__(self, line: str) -> str:
        return ask(self.folder / "master", line, half_close=True)  # else 2.6 keeps the connection

    def answers(self) -> bool:
        """Whether it can be asked already."""
        try:
            return "worker" in self("show proc")
        except OSError:
            return False

    def masked(self, text: str) -> str:
        """Return a text without process numbers, versions and times; columns stay where they are."""
        text = re.sub(r"2\.6\.12\S*|3\.0\.0", "VERSION", text)
        text = re.sub(r"\d+d\d\dh\d\dm\d\ds", "UPTIME", text)
        text = re.sub(r"(?m) +$", "", text).rstrip("\n")
        return re.sub(r"(?m)^\d+ +(?=master|worker)|\b\d{3,}(?=> )", "PID ", text)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Mastered]]:
    with contextlib.ExitStack() as stack:
        target = stack.enter_context(ScriptedServer(echo()))
        found = []
        for name, command in (("ours", [*TCPBALANCER]), ("real", [haproxy()])):
            folder = tmp_path_factory.mktemp(name)
            ports = LabConfiguration([target.port], [target.port])
            text = ports.text.replace(
                "global\n", f"global\n    nbthread 1\n    stats socket {folder}/admin level admin\n", 1
            )
            control = ["--control", str(folder / "control")] if name == "ours" else []
            flags = ["-W", "-S", f"{folder}/master,mode,600", *control]
            program = stack.enter_context(BalancerProcess([*command, *flags], text, folder, ports.stats_port))
            found.append(Mastered(program, folder))
        for each in found:
            until(each.answers, "the master answers")
        yield found
        for each in found:
            assert each.program.stop(signal.SIGTERM) == 0


@pytest.mark.parametrize(
    "line",
    ["show proc", "show version", "show cli level", "show cli sockets", "@1 show version", "@master show version",
     "@1 get weight swarm/m1", "@1 get weight swarm/nope", "@1 show cli level", "@1", "@!99999999 show version",
     "@2 show version", "@@1 show version", "@ show version", "@1 show version;show version"],
)  # fmt: skip
def test_the_master_answers_the_same(both: list[Mastered], line: str) -> None:
    ours, real = (each.masked(each(line)) for each in both)
    assert ours == real


def conversation(each: Mastered) -> str:
    with connect(each.folder / "master") as client:
        client.sendall(b"prompt\n@1\nget weight swarm/m1\n@master\nshow proc\nquit\n")
        told, end, _ = read_to_end(client).decode().partition("# programs\n\n")  # 2.6 adds a prompt behind quit
        return each.masked(told + end)


def test_the_prompts_are_the_same(both: list[Mastered]) -> None:
    ours, real = (conversation(each) for each in both)
    assert ours == real


def test_reload_starts_new_workers_and_ends_the_former_ones(both: list[Mastered]) -> None:
    shown = []
    for each in both:
        before = re.findall(r"^(\d+) +worker", each("show proc"), re.MULTILINE)
        each("reload")
        new: list[str] = []

        def reloaded(each: Mastered = each, before: list[str] = before, new: list[str] = new) -> bool:
            try:
                text = each("show proc")
            except OSError:
                return False  # HAProxy's master executes itself anew
            new[:] = [each.masked(text)]
            pids = re.findall(r"^(\d+) +worker", text, re.MULTILINE)
            return bool(pids) and not set(pids) & set(before)

        until(reloaded, "new workers are there and the former ones have gone")
        shown.append(new)
    assert shown[0] == shown[1]
    assert " 1 [failed: 0]" in shown[0][0]
