"""``tcpbalancer doctor --live`` before real sockets: who listens, who answers, whom a running balancer passes over."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from balancer_process import TCPBALANCER, BalancerProcess
from runtime_api import ask
from tcp_peers import ScriptedServer, echo, free_port

from tcpbalancer.cli import main
from tcpbalancer.doctor.machine import listeners

DEFAULTS = "defaults\n timeout client 1h\n timeout server 1h\n timeout connect 1s\n option redispatch\n"


def told(file: Path, capsys: pytest.CaptureFixture[str], control: Path) -> tuple[int, str]:
    status = main(["doctor", "--live", "--control", str(control), str(file)])
    return status, capsys.readouterr().out


def test_a_port_of_others_an_address_of_nobody_and_a_server_that_is_not_there_are_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, nobody = tmp_path / "f.cfg", free_port()
    with socket.create_server(("127.0.0.1", 0)) as taken, ScriptedServer(echo(b"hi")) as server:
        port = taken.getsockname()[1]
        file.write_text(
            f"{DEFAULTS}listen l\n bind 127.0.0.1:{port}\n bind 192.0.2.77:{free_port()}\n"
            f" server there 127.0.0.1:{server.port} check\n server gone 127.0.0.1:{nobody} check\n"
        )
        status, text = told(file, capsys, tmp_path / "none")
    assert status == 2
    program = Path("/proc/self/comm").read_text().strip()
    assert f"error: {program} listens at 127.0.0.1:{port} already [taken-port]" in text
    assert "no interface of this machine has 192.0.2.77: 'l' cannot start [foreign-address]" in text
    assert f"warning: l/gone at 127.0.0.1:{nobody}: Layer4 connection problem" in text
    assert "l/there" not in text


def test_who_listens_is_known_with_address_port_and_program() -> None:
    with socket.create_server(("127.0.0.1", 0)) as four, socket.create_server(("::", 0), family=socket.AF_INET6) as six:
        seen = listeners()
        own = Path(f"/proc/{os.getpid()}/comm").read_text().strip()
        assert seen["127.0.0.1", four.getsockname()[1]] == own
        assert seen["", six.getsockname()[1]] == own


def test_a_server_that_an_operator_has_taken_out_is_told_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    port, stats, control, operator = free_port(), free_port(), tmp_path / "c", tmp_path / "s"
    with ScriptedServer(echo(b"hi")) as server:
        text = (
            f"global\n stats socket {operator} mode 600 level admin\n{DEFAULTS}"
            f"listen stats\n mode http\n bind 127.0.0.1:{stats}\n stats uri /stats\n stats auth admin:GdW8s1xZ\n"
            f"listen l\n bind 127.0.0.1:{port}\n server a 127.0.0.1:{server.port}\n"
        )
        command = [*TCPBALANCER, "-db", "--control", str(control)]
        with BalancerProcess(command, text, tmp_path, stats) as running:
            running.file.chmod(0o644)
            assert "every user of this machine can read the passwords" in told(running.file, capsys, control)[1]
            running.file.chmod(0o640)
            assert told(running.file, capsys, control) == (0, "nothing to complain of\n")
            ask(operator, "set server l/a state maint")
            status, words = told(running.file, capsys, control)
    assert status == 1
    assert "the running balancer has l/a as MAINT [taken-out]" in words
    assert "set server l/a state ready" in words
