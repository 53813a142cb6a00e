"""What cannot be done is said in one line, with what to do."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from halab.cli import main
from halab.console import Console, Door, Reply, ask
from halab.namespace import LabError
from halab.programs import program
from halab.reference import Options, ReferenceLab

NAME = f"test-cli-{os.getpid()}"
STRANGER = """
import json, os, socket, sys
name, order = sys.argv[1:]
os.setuid(65534)
listening = socket.socket(socket.AF_UNIX)
listening.bind("\\0halab/" + name)
listening.listen()
print(os.getpid(), flush=True)
while True:
    client, _ = listening.accept()
    client.sendall(json.dumps({"text": "", "status": 0, "argv": ["touch", order]}).encode() + b"\\n")
"""


@pytest.fixture
def stranger(tmp_path: Path) -> Iterator[int]:
    """Somebody without rights who holds a lab's name and answers with a command; yields his pid."""
    argv = [sys.executable, "-c", STRANGER, NAME, str(tmp_path / "ordered")]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        yield int(holder.stdout.readline())
        holder.kill()


def test_a_verb_without_a_running_lab_is_one_line_that_says_how_to_start_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--name", NAME, "status"]) == 1
    assert capsys.readouterr().err == "halab: no lab is running: start one with ./run lab (or 'halab run')\n"


def test_a_second_lab_of_the_same_name_is_refused_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    door = Door(NAME)
    try:
        assert main(["--name", NAME, "run", "--light"]) == 1
    finally:
        door.close()
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "is running already" in error


@pytest.mark.parametrize("verb", ["status", "exec", "shell"])
def test_a_stranger_on_the_labs_name_is_named_and_never_obeyed(stranger: int, tmp_path: Path, verb: str) -> None:
    argv = [sys.executable, "-m", "halab.cli", "--name", NAME, verb, "client", "true"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)  # it could be replaced by his command
    told = f"halab: the name '{NAME}' is held by pid {stranger} of uid 65534, not by a lab: nothing was asked\n"
    assert (done.returncode, done.stderr) == (1, told)
    assert not (tmp_path / "ordered").exists()


def test_a_lab_whose_name_a_stranger_holds_says_who(stranger: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--name", NAME, "run", "--light"]) == 1
    assert f"is held by pid {stranger} of uid 65534, not by a lab" in capsys.readouterr().err


def test_a_name_that_is_too_long_is_not_a_lab_that_is_running(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--name", "x" * 200, "run", "--light"]) == 1
    assert "cannot be named" in capsys.readouterr().err


def test_only_exec_and_shell_may_be_answered_with_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Console, "carry_out", lambda *_: Reply("told", 0, ("touch", "/nowhere")))
    door = Door(NAME)
    try:
        door.open(cast("ReferenceLab", None))
        assert ask(NAME, ["status"]) == Reply("told")
        assert ask(NAME, ["exec", "client", "true"]).argv == ("touch", "/nowhere")
    finally:
        door.close()


def test_a_verb_that_meets_a_bug_of_ours_is_a_reply_and_not_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> Reply:
        raise StopIteration

    monkeypatch.setattr(Console, "_carry_out", broken)
    reply = Console(cast("ReferenceLab", None)).carry_out(["heal", "switch"])
    assert (reply.status, reply.text) == (1, "heal switch failed inside the lab: StopIteration: ")


def test_a_lab_that_is_being_built_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    door = Door(NAME)
    try:
        assert main(["--name", NAME, "status"]) == 1
    finally:
        door.close()
    assert capsys.readouterr().err == "the lab is still being built\n"


def test_an_unknown_verb_is_a_usage_error() -> None:
    with pytest.raises(SystemExit) as left:
        main(["stauts"])
    assert left.value.code == 2


def test_a_missing_configuration_is_named() -> None:
    with pytest.raises(LabError, match=r"nowhere/lab/haproxy.cfg cannot be read"):
        Options(folder=Path("/nowhere")).text("haproxy.cfg")


def test_without_root_one_line_says_what_to_do() -> None:
    code = "import os; os.setuid(65534); from halab.cli import main; raise SystemExit(main(['run', '--light']))"
    done = subprocess.run(
        [sys.executable, "-c", f"import halab.cli; {code}"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr == "halab: the lab builds network namespaces and needs root: sudo ./run lab\n"


@pytest.mark.netns
def test_without_namespaces_one_line_says_what_is_needed() -> None:
    argv = ["setpriv", "--bounding-set=-sys_admin", sys.executable, "-m", "halab.cli", "--name", NAME, "run", "--light"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "no namespaces here" in done.stderr


def test_the_plugin_costs_nothing_until_a_test_asks_for_a_lab() -> None:
    code = "import sys, halab.pytest_plugin; print([n for n in sys.modules if n.startswith('halab')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['halab', 'halab.pytest_plugin']"


def test_a_missing_program_is_named_with_its_package() -> None:
    with pytest.raises(LabError, match=r"^no-such-program is missing: apt-get install no-such-package$"):
        program("no-such-program", "no-such-package")


@pytest.mark.netns
@pytest.mark.parametrize("limit", [12, 16, 24])
def test_too_few_descriptors_are_one_line_that_says_how_to_have_more(limit: int) -> None:
    argv = [sys.executable, "-m", "halab.cli", "--name", NAME, "run", "--light", "--once"]
    few = ["prlimit", f"--nofile={limit}:{limit}", *argv]
    done = subprocess.run(few, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1, done.stderr
    assert "Too many open files" in done.stderr
