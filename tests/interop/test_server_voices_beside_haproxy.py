"""Whoever has a say about a server (its agent, a 404, a name server) is heard as by a real HAProxy."""

from __future__ import annotations

import contextlib
import select
import socket
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from balancer_process import CheckTarget
from dns_responder import DnsResponder
from tcp_peers import PATIENCE, ScriptedServer, echo
from two_balancers import Watched, both, seen

pytestmark = pytest.mark.interop
AGENT = "status weight slim agent_status agent_code agent_health agent_rise agent_fall agent_desc last_agt"


class Agent:
    """Says a line, which a test may change; ``heard`` counts how often it was asked."""

    def __init__(self) -> None:
        self.line = "ready up"
        self.heard = 0
        self._server = ScriptedServer(self._answer)
        self.port = self._server.port

    def _answer(self, peer: socket.socket) -> None:
        line = self.line
        peer.sendall(line.encode() + b"\n")
        self.heard += 1

    def say(self, line: str) -> None:
        """Say something else from now on; returns when it has been heard, and acted on."""
        self.line = line
        end, before = time.monotonic() + PATIENCE, self.heard
        while self.heard < before + 3:
            assert time.monotonic() < end, f"nobody asks who would be told {line!r}"
            select.select([], [], [], 0.01)

    def close(self) -> None:
        """Answer no more."""
        self._server.__exit__(None, None, None)


def agent_columns(program: Watched) -> list[str]:
    row = program.rows()["a/s1"]
    return [row[column].removeprefix("* ") for column in AGENT.split()]


def settled(programs: Sequence[Watched], line: str) -> None:
    """Return when both show the same; an agent's word may come just before or just behind a check of the server."""
    end = time.monotonic() + PATIENCE
    while (shown := [agent_columns(program) for program in programs])[0] != shown[1]:
        assert time.monotonic() < end, f"{line}: ours {shown[0]}, real {shown[1]}"
        select.select([], [], [], 0.05)


LINES = (
    "up",
    "50%",
    "drain",
    "up drain",
    "ready",
    "maint",
    "maint up",
    "ready up 100%",
    "down # going away",
    "up",
    "fail",
    "ready",
    "up # here again",
    "stopped",
    "up maxconn:7",
    "up,ready\t75%",
    "bogus",
    "up bogus",
    "300%",
    "",
    "ready up 100%",
)


def test_an_agents_words_have_the_same_consequences(tmp_path: Path) -> None:
    body = """
backend a
    server s1 127.0.0.1:1 weight 40 check port CHECK inter 500ms agent-check agent-port AGENT agent-inter 50ms
    server s2 127.0.0.1:1 backup
"""
    with contextlib.ExitStack() as stack:
        peer = stack.enter_context(ScriptedServer(echo()))
        agents = [Agent(), Agent()]
        for agent in agents:
            stack.callback(agent.close)
        texts = [body.replace("CHECK", str(peer.port)).replace("AGENT", str(agent.port)) for agent in agents]
        programs = stack.enter_context(both(tmp_path, texts))
        for program in programs:
            program.wait_for("a/s1", check_status="L4OK")
        for line in LINES:
            for agent in agents:
                agent.say(line)
            settled(programs, line)
        for program in programs:
            program.ask("disable server a/s2")
        assert seen(programs, lambda program: program.lines("Server a/s2 is going DOWN"))
        # The agent goes on to answer meanwhile: what an operator says holds until it is asked again.
        for command in ("set server a/s1 agent down", "disable agent a/s1", "set server a/s1 agent up"):
            ours, real = (program.ask(command).strip() for program in programs)
            assert ours == real, command


def test_the_agents_up_does_not_override_a_failed_check(tmp_path: Path) -> None:
    body = """
backend a
    option httpchk
    server s1 127.0.0.1:1 check port CHECK inter 300ms fall 1 rise 1 agent-check agent-port AGENT agent-inter 50ms
"""
    with contextlib.ExitStack() as stack:
        target = stack.enter_context(CheckTarget(503))
        agents = [Agent(), Agent()]
        for agent in agents:
            stack.callback(agent.close)
        texts = [body.replace("CHECK", str(target.port)).replace("AGENT", str(agent.port)) for agent in agents]
        programs = stack.enter_context(both(tmp_path, texts))
        for program in programs:
            program.wait_for("a/s1", status="DOWN", check_status="L7STS")
        for line, status in (("up", "DOWN"), ("ready up", "DOWN"), ("down", "DOWN (agent)"), ("up", "DOWN")):
            for agent in agents:
                agent.say(line)
            assert [program.rows()["a/s1"]["status"] for program in programs] == [status, status], line
        target.status = 200
        for program in programs:
            program.wait_for("a/s1", status="UP")
        for agent in agents:
            agent.close()
        for program in programs:
            program.wait_for("a/s1", agent_status="L4CON")
        assert [program.rows()["a/s1"]["status"] for program in programs] == ["UP", "UP"]


@pytest.mark.parametrize("logs", ["", "option log-health-checks"])
def test_a_404_lets_a_server_rest(tmp_path: Path, logs: str) -> None:
    body = f"""
backend a
    option httpchk
    http-check disable-on-404
    {logs}
    server s1 127.0.0.1:1 check port CHECK inter 300ms fall 2 rise 2
    server s2 127.0.0.1:1 track s1
"""
    steps: Sequence[tuple[int, str]] = ((404, "NOLB"), (200, "UP"), (404, "NOLB"), (503, "DOWN"), (404, "DOWN"))
    with CheckTarget() as target, both(tmp_path, body.replace("CHECK", str(target.port))) as programs:
        for program in programs:
            program.wait_for("a/s1", status="UP", check_status="L7OK")
        for status, word in steps:
            target.status = status
            for program in programs:
                program.wait_for("a/s1", status=word, check_code=str(status))
            seen(programs, lambda program: program.shown())
        for program in programs:
            program.ask("set server a/s1 state maint")
        assert seen(programs, lambda program: program.lines("Server a/s2 "))


def servers(program: Watched) -> dict[str, list[str]]:
    """Return what is shown of the servers; HAProxy counts it as the end of a backend if it begins without any."""
    return {name: row for name, row in program.shown().items() if name != "a/BACKEND"}


def test_names_put_servers_in_and_out_of_maintenance(tmp_path: Path) -> None:
    body = """
resolvers r
    nameserver ns1 127.0.0.1:DNS
    timeout resolve 100ms
    timeout retry 100ms
    hold nx 0s
    hold obsolete 0s
backend a
    server s1 db.test:7 resolvers r resolve-prefer ipv4 init-addr none
    server-template t 2 web.test:8 resolvers r resolve-prefer ipv4 init-addr none
    server last 127.0.0.1:1
"""
    with DnsResponder() as names, both(tmp_path, body.replace("DNS", str(names.port))) as programs:
        seen(programs, servers)
        names.table["db.test"] = ["127.0.0.5"]
        names.table["web.test"] = ["127.0.0.6"]
        for program in programs:
            program.wait_for("a/s1", status="no check", addr="127.0.0.5:7")
            program.wait_for("a/t1", status="no check", addr="127.0.0.6:8")
        seen(programs, servers)
        del names.table["db.test"]
        for program in programs:
            program.wait_for("a/s1", status="MAINT (resolution)")
            answer = program.ask("set server a/s1 fqdn web.test").strip()
            assert answer == "a/s1 changed its FQDN from db.test to web.test by 'stats socket command'"
            program.wait_for("a/t2", status="MAINT (resolution)")
        names.table["db.test"] = ["127.0.0.9"]
        for program in programs:
            program.ask("disable server a/last")
        told = [
            [
                line
                for line in program.lines("Server a/last ")
                if " changed its IP " not in line and ": IP changed" not in line
            ]
            for program in programs
        ]
        assert sorted(told[0]) == sorted(told[1])
