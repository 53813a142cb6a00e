"""What cannot be done is said in one line, with what to do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from halab.cli import main
from halab.console import Door
from halab.namespace import LabError
from halab.programs import program
from halab.reference import Options

NAME = f"test-cli-{os.getpid()}"


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
