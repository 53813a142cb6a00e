"""``agent-check`` and ``option external-check`` beside the real HAProxy: the same words lead to the same state."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from balancer_process import TCPBALANCER, BalancerProcess, haproxy, until
from tcp_peers import ScriptedServer, free_port

pytestmark = pytest.mark.interop

HEAD = """\
global
    external-check
    insecure-fork-wanted
defaults
    mode tcp
    timeout connect 5s
    timeout client 5s
    timeout server 5s
listen stats
    mode http
    bind 127.0.0.1:{stats}
    stats enable
    stats uri /stats
    stats auth admin:secret
"""


class Agent:
    """Says a line that a test may change, to whoever connects; ``asked`` counts those who were told it."""

    def __init__(self) -> None:
        self.line = b"up\n"
        self.asked = 0
        self.sent: list[bytes] = []

    def __call__(self, peer: socket.socket) -> None:
        peer.settimeout(0.5)
        with contextlib.suppress(OSError):
            self.sent.append(peer.recv(100))
        peer.sendall(self.line)
        self.asked += 1


@dataclass
class Pair:
    """Both programs, ours first, each with an agent of its own."""

    programs: list[BalancerProcess]
    agents: list[Agent]

    def say(self, line: bytes) -> None:
        """Let both agents say another line, and wait until it was heard."""
        for agent in self.agents:
            agent.line, before = line, agent.asked
            until(lambda agent=agent, before=before: agent.asked >= before + 2, "the agent was asked anew")  # type: ignore[misc]

    def rows(self, name: str) -> list[dict[str, str]]:
        found = []
        for program in self.programs:
            rows: list[dict[str, str]] = []

            def quiet(program: BalancerProcess = program, rows: list[dict[str, str]] = rows) -> bool:
                rows.append(program.csv()[1][name])
                return "*" not in rows[-1]["agent_status"] + rows[-1]["check_status"]

            until(quiet, "no check is on its way")
            found.append(rows[-1])
        return found


@contextlib.contextmanager
def both(folder: Path, sections: list[str]) -> Iterator[list[BalancerProcess]]:
    with contextlib.ExitStack() as stack:
        programs = []
        commands = ([*TCPBALANCER, "-db", "--control", str(folder / "c")], [haproxy(), "-db"])
        for number, (command, text) in enumerate(zip(commands, sections, strict=True)):
            home = folder / str(number)
            home.mkdir()
            stats = free_port()
            whole = HEAD.format(stats=stats) + text
            programs.append(stack.enter_context(BalancerProcess(command, whole, home, stats)))
        yield programs


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with contextlib.ExitStack() as stack:
        agents = [Agent(), Agent()]
        ports = [stack.enter_context(ScriptedServer(agent)).port for agent in agents]
        server = stack.enter_context(ScriptedServer(lambda peer: None))
        sections = [
            f"backend b\n    server s 127.0.0.1:{server.port} weight 40 agent-check agent-port {port} "
            r"agent-inter 200ms agent-send hello\n" + "\n"
            f"    server c 127.0.0.1:{server.port} weight 40 check inter 200ms\n"
            for port in ports
        ]
        yield Pair(stack.enter_context(both(tmp_path_factory.mktemp("agents"), sections)), agents)


COLUMNS = ("status", "weight", "act", "agent_status", "agent_code", "agent_desc", "last_agt", "agent_health", "slim")
"""What an agent can change, and what is told of it."""


LINES = [
    b"up\n", b"75%\n", b"100%\n", b"down\n", b"up\n", b"drain\n", b"ready\n", b"maint\n", b"up ready\n",
    b"fail # disk full\n", b"stopped\n", b"ready up 50%\n", b"hello\n", b"100% maxconn:7\n", b"maxconn:0\n",
    b"no end of line", b"up # fine\r\nmore", b"DOWN\n", b"up hello\n", b"ready,up\t100%\n",
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(LINES)), ids=[repr(line) for line in LINES])
def test_an_agents_word_has_the_same_effect(pair: Pair, number: int) -> None:
    pair.say(LINES[number])
    ours, real = pair.rows("b/s")
    assert {column: ours[column] for column in COLUMNS} == {column: real[column] for column in COLUMNS}


def test_weight_as_a_word_is_for_3_x_alone(pair: Pair) -> None:
    pair.say(b"weight:20\n")
    assert [row["weight"] for row in pair.rows("b/s")] == ["20", "40"]
    pair.say(b"weight:100% up ready\n")
    assert [row["weight"] for row in pair.rows("b/s")] == ["40", "40"]


def test_both_send_what_the_file_says(pair: Pair) -> None:
    assert {agent.sent[0] for agent in pair.agents} == {b"hello\n"}


SCRIPTS = {
    "passes": ("exit 0", "", ("UP", "PROCOK", "0")),
    "fails": ("exit 3", "", ("DOWN", "PROCERR", "3")),
    "takes too long": ("sleep 30", "inter 300ms", ("DOWN", "PROCTOUT", "0")),
    "is killed": ("kill -9 $$", "", ("DOWN", "PROCERR", "-1")),
}


def test_an_external_check_ends_as_haproxys_does(tmp_path: Path) -> None:
    sections = ["", ""]
    for number, (body, options, _) in enumerate(SCRIPTS.values()):
        for program in (0, 1):
            path = tmp_path / f"check{number}.{program}"
            path.write_text(f'#!/bin/sh\n[ -e {path}.out ] || echo "$@" "$HAPROXY_SERVER_NAME" > {path}.out\n{body}\n')
            path.chmod(0o755)
            sections[program] += (
                f"backend e{number}\n    option external-check\n    external-check path /usr/bin:/bin\n"
                f"    external-check command {path}\n    server s 127.0.0.1:81 check inter 5s {options}\n"
            )
    with both(tmp_path, sections) as programs:
        for number, (title, (_, _, expected)) in enumerate(SCRIPTS.items()):
            for program in programs:
                row = program.wait_for_status(f"e{number}/s", expected[0], expected[1])
                code = row["check_code"].replace("4294967295", "-1")  # HAProxy's statistics know no sign
                assert (row["status"], row["check_status"].removeprefix("* "), code) == expected, title
    told = [[(tmp_path / f"check{number}.{program}.out").read_text() for number in range(4)] for program in (0, 1)]
    assert told[0] == told[1] == ["NOT_USED NOT_USED 127.0.0.1 81 s\n"] * 4
