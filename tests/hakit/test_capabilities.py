"""What a process gives up is gone for good, and what it lends goes to one program."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hakit.capabilities import NUMBERS

pytestmark = pytest.mark.netns  # they need root

ROOT = Path(__file__).parents[2]
SHOW = "grep -E '^(Uid|Groups|CapEff|CapPrm|CapAmb|NoNewPrivs)' /proc/self/status"


def facts(program: str) -> dict[str, str]:
    """Run a program of Python as root and return the facts about itself, or about its child, that it prints."""
    whole = f"import subprocess\nfrom hakit import capabilities\n{program}"
    done = subprocess.run(
        [sys.executable, "-c", whole], cwd=ROOT, capture_output=True, text=True, check=True, timeout=20
    )
    return {
        name: " ".join(value.split()) for name, _, value in (line.partition(":") for line in done.stdout.splitlines())
    }


def test_only_what_is_named_is_kept_and_no_group_but_one() -> None:
    known = facts(
        "capabilities.become(65534, 65533, ['cap_net_raw'])\nprint(open('/proc/self/status').read(), end='')\n"
    )
    assert known["CapEff"] == known["CapPrm"] == f"{1 << NUMBERS['cap_net_raw']:016x}"
    assert (known["Uid"], known["Gid"]) == (" ".join(["65534"] * 4), " ".join(["65533"] * 4))
    assert known["Groups"] == ""


def test_root_cannot_be_had_again() -> None:
    known = facts(
        "import os\ncapabilities.become(65534, 65534)\n"
        "try:\n    os.setuid(0)\nexcept PermissionError:\n    print('Uid: refused')\n"
    )
    assert known["Uid"] == "refused"


def test_a_child_has_nothing_of_it_unless_it_is_lent() -> None:
    begin = "capabilities.become(65534, 65534, ['cap_net_admin', 'cap_net_raw'])\n"
    assert facts(f"{begin}subprocess.run({SHOW!r}, shell=True)")["CapEff"] == "0" * 16
    lent = facts(f"{begin}subprocess.run({SHOW!r}, shell=True, preexec_fn=capabilities.lend('cap_net_admin'))")
    assert lent["CapEff"] == lent["CapAmb"] == f"{1 << NUMBERS['cap_net_admin']:016x}"


def test_what_is_started_can_gain_nothing_once_that_is_forbidden() -> None:
    known = facts(f"capabilities.forbid_gain()\nsubprocess.run({SHOW!r}, shell=True)")
    assert known["NoNewPrivs"] == "1"


def test_what_one_has_not_cannot_be_kept() -> None:
    known = facts(
        "capabilities.become(65534, 65534)\n"
        "try:\n    capabilities.keep(['cap_net_raw'])\nexcept PermissionError:\n    print('CapEff: refused')\n"
    )
    assert known["CapEff"] == "refused"
