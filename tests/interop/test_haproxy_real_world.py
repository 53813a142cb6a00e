"""Files as people have them get the same verdict from the real HAProxy 2.6 and from ours.

They are written after what Patroni, roles of Ansible, charts of Kubernetes, OpenStack, OpenShift, CockroachDB, and
guides to RabbitMQ, MySQL, mail and directories make. What ours refuses, it refuses by name.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from balancer_process import haproxy

from hakit.diagnostics import ConfigError, Severity
from tcpbalancer.config.load import load

pytestmark = pytest.mark.interop
FOLDER = Path(__file__).parent / "haproxy_real_world"
FILES = sorted(FOLDER.glob("*.cfg"))
REFUSED = re.compile(r"'ssl' is not carried out by tcpbalancer, and without it other bytes would flow")
NOT_COMPARED = {"tls_to_server.cfg": "refused"}
ENVIRONMENT = {"STATS_PORT": "8404"}


def verdict(file: Path) -> list[str]:
    """Return the errors that ours finds."""
    try:
        load([file], ENVIRONMENT)
    except ConfigError as wrong:
        return [
            found.message for found in wrong.diagnostics if found.severity is Severity.ERROR and found.location.line
        ]
    return []


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_no_file_is_refused_that_haproxy_takes(file: Path) -> None:
    done = subprocess.run(
        [haproxy(), "-c", "-f", str(file)], env=ENVIRONMENT, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
    assert [message for message in verdict(file) if not REFUSED.search(message)] == []


@pytest.mark.parametrize("file", [file for file in FILES if file.name not in NOT_COMPARED], ids=lambda file: file.name)
def test_haproxys_own_warnings_are_warned_of(file: Path) -> None:
    """With -dW they decide whether it starts; what ours adds does not count there."""
    done = subprocess.run(
        [haproxy(), "-c", "-dW", "-f", str(file)], env=ENVIRONMENT, capture_output=True, text=True, timeout=30,
        check=False,
    )  # fmt: skip
    mine = [found.message for found in load([file], ENVIRONMENT).warnings if not found.advice]
    assert bool(mine) == bool(done.returncode), (mine, done.stderr)


def test_what_would_change_the_bytes_is_refused_by_name() -> None:
    assert verdict(FOLDER / "tls_to_server.cfg")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_mistake_in_such_a_file_is_told_by_both(file: Path, tmp_path: Path) -> None:
    broken = tmp_path / "f.cfg"
    text = file.read_text().replace("    quiet\n", "")  # which also takes HAProxy's word about mistakes
    broken.write_text(f"{text}\nlisten broken\n  bind :65000\n  blance roundrobin\n")
    done = subprocess.run(
        [haproxy(), "-c", "-f", str(broken)], env=ENVIRONMENT, capture_output=True, text=True, timeout=30, check=False
    )
    said = "unknown keyword 'blance' in 'listen' section; did you mean 'balance' maybe ?"
    assert (done.returncode, said in done.stderr) == (1, True)
    assert said in verdict(broken)
