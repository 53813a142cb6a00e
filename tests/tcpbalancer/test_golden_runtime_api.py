"""Every answer of the runtime API that was kept of HAProxy 3.5, beside ours, in the same order.

What ours says otherwise is said openly here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from runtime_api import RunningApi
from tcp_peers import ScriptedServer, echo, free_port

from tcpbalancer.config.load import read_texts

GOLDEN = Path(__file__).parent / "golden"
TIMED = "defaults\n  mode tcp\n  timeout connect 1s\n  timeout client 1s\n  timeout server 1s\n"
REFUSALS = (
    TIMED
    + """\
listen a
  bind 127.0.0.1:{0}
  balance static-rr
  server s 127.0.0.1:1
listen b
  bind 127.0.0.1:{1}
  balance roundrobin
  server s 127.0.0.1:1
  server t 127.0.0.1:1 check disabled
"""
)
LAB = (
    TIMED
    + """\
listen postgres
  bind 127.0.0.1:{0}
  balance roundrobin
  server pg1 127.0.0.1:15431 maxconn 100 check port {2} inter 1h
frontend swarm_fe
  bind 127.0.0.1:{1}
  default_backend postgres
"""
)


def sections(name: str) -> list[tuple[str, str]]:
    """Return the commands with their answers, without the empty lines at the end."""
    text = (GOLDEN / name).read_text()
    parts = (part.partition("\n") for part in re.split(r"(?m)^===== ", text)[1:])
    return [(command, answer.rstrip("\n")) for command, _, answer in parts]


def asked(api: RunningApi, command: str) -> str:
    level, line = (
        ("user", command.removeprefix("[level user] ")) if command.startswith("[level") else ("admin", command)
    )
    return api(line, level).rstrip("\n")


def without_ages(text: str) -> str:
    """Return ``show servers state`` without the time since the last change."""
    return re.sub(r"(?m)^(\d+ (?:\S+ ){8})\d+ ", r"\1AGE ", text)


@pytest.fixture
def checked() -> Iterator[int]:
    with ScriptedServer(echo()) as target:
        yield target.port


KEPT_FROM_2_6 = {
    # Automation reads these in the words of 2.6.
    "port changed from '15431' to '15432' by 'stats socket command'":
        "no need to change the addr, port changed from '15431' to '15432' by 'stats socket command'",
    "port changed from '15432' to '15431' by 'stats socket command'":
        "no need to change the addr, port changed from '15432' to '15431' by 'stats socket command'",
    "nothing changed":
        "no need to change the addr, no need to change the port by 'stats socket command'",
    "Invalid addr 'bogus!'": "Invalid addr 'bogus!' by 'stats socket command'",
}  # fmt: skip
OTHERWISE = {
    "set maxconn frontend b x": "Value out of range.",  # docs/differences.md
}


@pytest.mark.parametrize(("name", "text"), [("cli_refusals.3.5-dev5.txt", REFUSALS), ("cli_changes.3.5-dev5.txt", LAB)])
def test_the_answers_are_those_of_haproxy_3_5(tmp_path: Path, checked: int, name: str, text: str) -> None:
    configuration = read_texts([("a.cfg", text.format(free_port(), free_port(), checked))], {}).configuration
    wrong = {}
    with RunningApi(configuration, tmp_path) as api:
        for command, golden in sections(name):
            answer, expected = asked(api, command), KEPT_FROM_2_6.get(golden, OTHERWISE.get(command, golden))
            if command.startswith(("show info", "show stat")):
                continue  # held elsewhere: numbers differ
            if "show servers state" in command:
                answer, expected = without_ages(answer), without_ages(golden)
            if answer != expected:
                wrong[command] = (answer, expected)
    assert wrong == {}
