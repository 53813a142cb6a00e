"""The reference lab, end to end: every row of its table must hold."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from halab.wait import poll

HALAB = Path(sys.executable).with_name("halab")
ROW = re.compile(r"^ +(\d+)  (\S.*?) +(yes|NO) +(\d+)  ", re.MULTILINE)
STEPS = 15


def command(*words: str) -> list[str]:
    return [str(HALAB), "--name", f"test-{os.getpid()}", *words]


def rows_that_held(show: Callable[[str], None], *options: str) -> tuple[str, dict[str, str]]:
    """Run the scenario; return what it printed, and its rows: title to yes or NO."""
    done = subprocess.run(command("run", "--once", *options), capture_output=True, text=True, timeout=170, check=False)
    show(done.stdout[done.stdout.find("  #  step") :])
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    return done.stdout, {title: held for _, title, held, _ in ROW.findall(done.stdout)}


@pytest.fixture
def show(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    def write(text: str) -> None:
        with capsys.disabled():
            print(f"\n{text}", end="")

    return write


@pytest.mark.real
@pytest.mark.timeout(180)
def test_the_whole_scenario_holds_on_real_postgresql_patroni_etcd_and_dockerd(show: Callable[[str], None]) -> None:
    printed, rows = rows_that_held(show)
    assert len(rows) == STEPS
    assert set(rows.values()) == {"yes"}
    assert "docker swarm join" in rows
    assert "docker_mgr2 Reachable" in printed
    up = re.search(r"([\d.]+) s until the VIP is held and every server has been checked", printed)
    assert up is not None
    assert float(up[1]) < 15


@pytest.mark.netns
@pytest.mark.timeout(180)
def test_the_reference_configuration_keeps_the_vip_on_a_master_without_a_balancer(show: Callable[[str], None]) -> None:
    printed, rows = rows_that_held(show, "--light", "--config", "reference")
    assert len(rows) == STEPS
    assert set(rows.values()) == {"yes"}
    assert "the VIP stayed on haproxy1 for 10 s with priority 98" in printed
    assert "2 of 3 refused" in printed
    assert "without a password 401, with a wrong one 401" in " ".join(printed.split())
    up = re.search(r"([\d.]+) s until everything runs and answers", printed)
    assert up is not None
    assert float(up[1]) < 2


@pytest.mark.interop
@pytest.mark.timeout(180)
def test_the_light_scenario_holds_with_the_real_keepalived_and_haproxy_in_our_place(
    show: Callable[[str], None],
) -> None:
    _, rows = rows_that_held(show, "--light", "--vrrp", "keepalived", "--balancer", "haproxy")
    assert len(rows) == STEPS
    assert set(rows.values()) == {"yes"}


@pytest.mark.netns
def test_the_verbs_of_a_second_shell_reach_the_lab_and_quit_ends_it() -> None:
    lab = subprocess.Popen(
        command("run", "--light", "--once"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )

    def ask(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command(*words), capture_output=True, text=True, timeout=30, check=False)

    try:
        poll(
            lambda: "haproxy1 " in (told := ask("status").stdout) and "haproxy active" in told, 20, "a lab that stands"
        )
        assert ask("exec", "client", "hostname").stdout == "client\n"
        assert "192.168.50.10 has lost" not in ask("events").stdout
        assert ask("kill", "client", "nothing").returncode == 1
        assert "no host nobody" in ask("cut", "nobody").stderr
        assert "usage: cut HOST" in ask("cut").stderr
        second = ask("run", "--light")
        assert (second.returncode, second.stderr.count("\n")) == (1, 1)
        assert "is running already" in second.stderr
        assert ask("quit").returncode == 0
        _, errors = lab.communicate(timeout=20)
        assert lab.returncode == 130
        assert errors.strip() == "halab: interrupted; nothing is left of the lab"
    finally:
        lab.kill()
        lab.communicate()


@pytest.mark.netns
@pytest.mark.parametrize(
    "after",
    [
        "The reference lab", "hosts and their switch stand", "both VRRP speakers (pyvrrp) run", " 1  All healthy",
        " 7  Stop the",
    ],
)  # fmt: skip
def test_ctrl_c_ends_the_lab_at_once_and_in_one_line_wherever_it_comes(after: str) -> None:
    lab = subprocess.Popen(
        command("run", "--light", "--once"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert lab.stdout is not None
    assert any(after in line for line in iter(lab.stdout.readline, ""))
    lab.send_signal(signal.SIGINT)
    begun = time.monotonic()
    _, errors = lab.communicate(timeout=20)
    assert time.monotonic() - begun < 2
    assert lab.returncode == 130
    assert errors.strip() == "halab: interrupted; nothing is left of the lab"
