"""The pytest plugin gives labs to anybody's tests, and shows the logs of a test that fails."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.netns

THEIRS = """
from halab.namespace import ServiceDefinition

def test_that_fails(netns_lab):
    lab = netns_lab({"a": "10.0.0.1/24"})
    lab["a"].define(ServiceDefinition("talker", ("bash", "-c", "echo words of the service; sleep 600")))
    lab["a"].start_service("talker")
    lab["a"].run(["bash", "-c", "until grep -q words /var/log/halab/talker.log; do :; done"]).check()
    assert False, "on purpose"

def test_that_passes(netns_lab):
    assert netns_lab({"a": "10.0.0.1/24"})["a"].run(["hostname"]).output == "a\\n"
"""


def test_a_test_that_fails_shows_what_the_services_wrote(tmp_path: Path) -> None:
    (tmp_path / "test_theirs.py").write_text(THEIRS)
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "1 failed, 1 passed" in done.stdout
    assert "a: talker is active" in done.stdout
    assert "words of the service" in done.stdout
