"""Every case of the golden messages, with ours: what HAProxy 3.5 says is said, with the same exit status.

What ours says besides is said openly here: lines that point at a place, a line for every mistake where HAProxy stops at
the first one, and a name for everything that is not carried out.
"""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parent / "golden" / "config_messages.3.5-dev5.txt"
NAMES = {"a": "a_notimeout.cfg", "c": "c_nobackend.cfg"}
"""What the golden file calls some of its configurations in short."""

NOT_COMPARED = {
    "haproxy -f k_inuse.cfg (port in use)": "starts; see the tests of starting",
    "haproxy -v": "ours says who it is",
    "haproxy -Z": "a wrong flag: the usage is ours",
    "haproxy (no args)": "the usage is ours",
}
ANOTHER_STATUS = {"haproxy -cc false": 2}
"""2.6.12, asked again, says that 'false' is no condition, and ends with 2."""
NOT_SAID = {"haproxy -D -f c (bad)": ["[ALERT]    Process PID exited with code 1 (Exit)"]}
"""Of 3.5's -D: its parent waits for the child; ours reads the configuration before it goes to the background."""
SAID_BESIDES = {
    "c_nobackend.cfg": ["'server b/s' : the port that the client called"],
    "haproxy -D -f c (bad)": ["'server b/s' : the port that the client called"],
    "f_env.cfg": ["the address that the client called"],
    "n_addr_env.cfg": ["the address that the client called"],
    "i_many.cfg": [
        "http-request deny", "'maxconn' : 'abc'", "'inter' argument of server s", "'port' : invalid port '0'",
        "'maxconn' : 'x'",
    ],
    "j_dup.cfg": ["Fatal errors found in configuration."],
    "haproxy -cc false": ["Failed to evaluate condition"],
}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A section of the golden file."""

    name: str
    arguments: list[str]
    environment: dict[str, str]
    lines: list[str]
    status: int


def configurations() -> dict[str, str]:
    texts: dict[str, str] = {"l_empty.cfg": ""}
    for section in sections():
        head, *lines = section.splitlines()
        found = re.search(r"\b([a-z]_\w+\.cfg)", head)
        quoted = [line[6:] for line in lines if line.startswith("    |")]
        if found and quoted:
            texts[found[1]] = "\n".join(quoted) + ("" if found[1] == "d_nolf.cfg" else "\n")
    return texts


def sections() -> list[str]:
    return GOLDEN.read_text().split("########## ")[1:]


def case(section: str) -> Case:
    head, *lines = section.splitlines()
    variables = dict(re.findall(r"\b([A-Z]+)=(\S+)", head))
    words = [NAMES.get(word, word) for word in head.partition("haproxy ")[2].partition(" (")[0].split()]
    if words[-1:] == ["a_notimeout.cfg"] and "-f" not in words:
        words.insert(-1, "-f")
    status = next(int(line.rpartition(" ")[2]) for line in lines if line.startswith("--> exit code"))
    kept = [line for line in lines if line and not line.startswith(("    |", "-->"))]
    name = re.search(r"([a-z]_\w+\.cfg)", head) if head.endswith(".cfg") and " -V" not in head else None
    return Case(name[1] if name else head, words, variables, [masked(line) for line in kept], status)


def masked(line: str) -> str:
    line = re.sub(r"\[/\S+main\(\)", "[main()", re.sub(r"\(\d+\) : ", "", line))
    return re.sub(r"Process \d+", "Process PID", re.sub(r"(haproxy version is|path to executable is) .*", r"\1", line))


CASES = [found for section in sections() if (found := case(section)).name not in NOT_COMPARED]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_what_haproxy_says_is_said(case: Case, tmp_path: Path) -> None:
    for name, text in configurations().items():
        (tmp_path / name).write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "tcpbalancer.cli", *case.arguments],
        cwd=tmp_path, env={"PYTHONPATH": str(Path(__file__).parents[2]), **case.environment},
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    said = [masked(line) for line in (done.stdout + done.stderr).splitlines()]
    assert [line for line in case.lines if line not in said] == NOT_SAID.get(case.name, [])
    besides = [line for line in said if line not in case.lines and not line.startswith("   | ")]
    allowed = [
        "haproxy version",
        "path to executable",
        "accepted but not carried out by tcpbalancer",
        "Warnings were found.",
        *SAID_BESIDES.get(case.name, []),
    ]
    assert [line for line in besides if not any(part in line for part in allowed)] == []
    assert done.returncode == ANOTHER_STATUS.get(case.name, case.status)
