"""The scripts of the reference, run as they are, in a network of their own beside a small systemctl."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.netns

REFERENCE = Path(__file__).parents[2] / "configs/reference"
LISTEN_AND_RUN = """
import socket, subprocess, sys
listening = [socket.create_server(("", int(port))) for port in sys.argv[2:]]
sys.exit(subprocess.run([sys.argv[1]]).returncode)
"""
INSIDE = """
set -e
mount -t tmpfs tmpfs /usr/local/bin
printf '#!/bin/sh\\n[ "$*" = "is-active --quiet haproxy" ] && exit %s\\nexit 9\\n' "$1" >/usr/local/bin/systemctl
chmod 755 /usr/local/bin/systemctl
export PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
shift
exec "$@"
"""


def check(active: int, *ports: int) -> int:
    """Return the exit status of check_haproxy.sh; ``active``: what systemctl says, 0 or 3."""
    words = [sys.executable, "-c", LISTEN_AND_RUN, REFERENCE / "check_haproxy.sh", *map(str, ports)]
    return subprocess.run(
        ["unshare", "--net", "--mount", "sh", "-c", INSIDE, "sh", str(active), *words], check=False
    ).returncode


def test_the_check_passes_when_the_service_is_active_and_both_ports_are_listened_on() -> None:
    assert check(0, 8404, 5432) == 0


@pytest.mark.parametrize(
    ("active", "ports"),
    [(3, (8404, 5432)), (0, (8404,)), (0, (5432,)), (0, ()), (0, (18404, 5432)), (0, (8404, 54321))],
)
def test_the_check_fails_when_anything_of_it_is_missing(active: int, ports: tuple[int, ...]) -> None:
    assert check(active, *ports) == 1


def test_the_state_is_logged_with_the_time(tmp_path: Path) -> None:
    script = """
    mount -t tmpfs tmpfs /var/log
    "$1" master; "$1" backup; "$1" 2>/dev/null; echo $?
    cat /var/log/keepalived_notify.log
    """
    answer = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh", REFERENCE / "keepalived_notify.sh"],
        capture_output=True,
        text=True,
        check=True,
    )
    refused, *lines = answer.stdout.splitlines()
    assert refused != "0"
    logged = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \S+: VRRP state (master|backup)")
    assert [found[1] for line in lines if (found := logged.fullmatch(line))] == ["master", "backup"]
