"""Beside the real ``keepalived -t``: what it says of our files, and that we say the same of other people's."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from hakit.diagnostics import ConfigError
from pyvrrp.config.load import read

pytestmark = pytest.mark.interop

CONFIGS = Path(__file__).parents[2] / "configs"
# In namespaces of its own: an eth0, and the scripts where the files name them. Nothing outlives the command.
INSIDE = """
set -e
ip link add eth0 type veth peer name eth0peer
ip address add 192.168.50.11/24 dev eth0
ip link set eth0 up
mount -t tmpfs tmpfs /usr/local/bin
cp "$2"/reference/*.sh /usr/local/bin
exec "$4" -t -f "$1" -p "$3/a.pid" -r "$3/b.pid"
"""
OURS = Path(sys.executable).parent / "pyvrrp"
REST = " interface eth0\n virtual_router_id 51\n virtual_ipaddress {\n  10.9.0.100\n }\n"
SECURE = "global_defs {\n script_user root\n enable_script_security\n}\n"


def keepalived_says(file: Path, scratch: Path, program: Path = Path("keepalived")) -> tuple[int, list[str]]:
    """Return the exit status of ``keepalived -t`` and its lines, without the name of the file."""
    answer = subprocess.run(
        ["unshare", "--net", "--mount", "sh", "-c", INSIDE, "sh", file, CONFIGS, scratch, program],
        capture_output=True,
        text=True,
        check=False,
    )
    lines = (answer.stdout + answer.stderr).splitlines()
    return answer.returncode, [line.replace(f"({file}: Line ", "(Line ") for line in lines]


@pytest.mark.parametrize("number", [1, 2])
def test_of_the_reference_files_it_says_that_the_password_is_too_long_and_nothing_else(
    number: int, tmp_path: Path
) -> None:
    file = CONFIGS / f"reference/keepalived.haproxy{number}.conf"
    assert keepalived_says(file, tmp_path) == (5, ["(Line 22) Truncating auth_pass to 8 characters"])


@pytest.mark.parametrize("number", [1, 2])
def test_of_the_files_of_the_lab_it_says_nothing(number: int, tmp_path: Path) -> None:
    assert keepalived_says(CONFIGS / f"lab/keepalived.haproxy{number}.conf", tmp_path) == (0, [])


@pytest.mark.parametrize(
    "lines",
    [
        "",
        " priority 0\n",
        " priority 256\n",
        " priority x\n",
        " bogus 1\n",
        " state FAULT\n",
        " advert_int 1.5\n",
        " advert_int 1,5\n",
        " state MASTER\n priority 100\n nopreempt\n",
        " state MASTER\n nopreempt\n",
        " state MASTER\n priority 100\n preempt_delay 5\n",
        " preempt_delay 1001\n",
        " nopreempt\n preempt_delay 3\n",
        " priority 255\n preempt_delay 3\n",
        " priority \\\n",
        " down_timer_adverts 0\n",
        " garp_master_repeat x\n",
        " garp_master_delay -1\n",
        " garp_master_delay 0.5\n",
        " garp_master_repeat 0\n",
        " authentication {\n  auth_type PASS\n }\n",
        " authentication {\n  auth_type X\n }\n",
        " authentication {\n  auth_pass x\n }\n",
        " virtual_ipaddress {\n  10.9.0.101 foo\n }\n",
        " track_interface {\n  eth0 wait 5\n }\n",
        " track_script {\n  chk weight 254\n }\n",
        " track_script {\n  chk\n  chk\n }\n",
        " priority 255\n track_script {\n  chk weight 3\n }\n",
        " track_script {\n  missing\n }\n",
        " track_script {\n  chk wieght 5\n }\n",
        " track_script {\n  chk weight -300\n }\n",
        " authentication {\n  auth_type PASS\n  auth_pass 123456789\n }\n",
    ],
)
def test_both_say_the_same_of_an_instance(lines: str, tmp_path: Path) -> None:
    text = f'{SECURE}vrrp_script chk {{\n script "/usr/bin/true"\n}}\nvrrp_instance VI_1 {{\n{lines}{REST}}}\n'
    file = tmp_path / "k.conf"
    file.write_text(text)
    status, theirs = keepalived_says(file, tmp_path)
    assert keepalived_says(file, tmp_path, OURS)[0] == status
    try:
        found = read(text.encode(), str(file)).warnings
    except ConfigError as refused:
        found = refused.diagnostics
    ours = [one.message.partition("; did you mean")[0] for one in found if not one.advice]
    assert ours == [re.sub(r"^\(Line \d+\) ", "", line) for line in theirs]
    numbered = [int(number) for line in theirs for number in re.findall(r"^\(Line (\d+)\)", line)]
    assert [one.location.line for one in found if not one.advice][: len(numbered)] == numbered
