"""No password of a configuration is seen in anything that the running program shows, logs or answers."""

from __future__ import annotations

import base64
import http.client
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from balancer_process import TCPBALANCER, BalancerProcess, until
from family import family
from runtime_api import ask
from tcp_peers import ScriptedServer, echo, free_port

from hakit.control import request
from tcpbalancer.control import commands
from tcpbalancer.control.cli_commands import COMMANDS

assert commands.SUBJECTS  # whose import has filled COMMANDS

PAGE, LISTED, SENT = "pAgE-s3cret", "l1sted-s3cret", "s3nt-s3cret"


def configuration(port: int, stats: int, server: int, operator: Path, log: Path) -> str:
    return (
        f"global\n stats socket {operator} mode 600 level admin\n log {log} local0\n"
        "defaults\n timeout client 1h\n timeout server 1h\n timeout connect 1s\n log global\n option tcplog\n"
        f"userlist people\n user ann insecure-password {LISTED}\n"
        f"listen stats\n mode http\n option httplog\n bind 127.0.0.1:{stats}\n"
        f" stats uri /stats\n stats auth admin:{PAGE}\n"
        " http-request use-service prometheus-exporter if { path /metrics }\n"
        f"listen l\n bind 127.0.0.1:{port}\n"
        f" option tcp-check\n tcp-check send {SENT}\\r\\n\n tcp-check expect string hi\n"
        f" server a 127.0.0.1:{server} check inter 100ms agent-check agent-port {server} agent-send {SENT}\n"
    )


def page(port: int, path: str, password: str) -> str:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    credentials = base64.b64encode(f"admin:{password}".encode()).decode()
    client.request("GET", path, headers={"Authorization": f"Basic {credentials}"})
    answer = client.getresponse()
    text = f"{answer.status} {answer.headers} {answer.read().decode()}"
    client.close()
    return text


def titles(pid: int) -> Iterator[str]:
    """Yield command line and name of a process and of those that it has started."""
    for each in family(pid):
        yield Path(f"/proc/{each}/cmdline").read_text() + Path(f"/proc/{each}/comm").read_text()


def test_a_running_balancer_shows_no_password_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_PASSWORD", SENT)
    port, stats, control, operator = free_port(), free_port(), tmp_path / "c", tmp_path / "s"
    shows = [name for name in COMMANDS if name.startswith("show")]
    with ScriptedServer(echo(b"hi")) as server, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.bind(str(tmp_path / "log"))
        text = configuration(port, stats, server.port, operator, tmp_path / "log")
        command = [*TCPBALANCER, "-db", "-V", "--control", str(control)]
        with BalancerProcess(command, text, tmp_path, stats) as running:
            until(lambda: "l,a" in ask(operator, "show stat"), "it answers")
            seen = {name: ask(operator, name) for name in shows}
            seen |= {path: page(stats, path, PAGE) for path in ("/stats", "/stats;csv", "/stats;json", "/metrics")}
            seen["a wrong password"] = page(stats, "/stats", "wr0ng-s3cret")
            seen["status"] = str(request(control, "status"))
            seen["events"] = ask(control, "events recent")
            seen["titles"] = "".join(titles(running.process.pid))
            running.process.send_signal(signal.SIGHUP)
            until(lambda: "Server l/a" in running.output.read_text(), "it tells its states")
        seen["output"] = running.output.read_text()
        log.setblocking(False)
        lines = []
        while True:
            try:
                lines.append(log.recv(65536).decode())
            except BlockingIOError:
                break
        seen["log"] = "".join(lines)
    assert "200 " in seen["/stats"]
    assert "haproxy_process_uptime" in seen["/metrics"]
    assert "401 " in seen["a wrong password"]
    assert "DB_PASSWORD=***" in seen["show env"]
    assert '"event"' in seen["events"]
    assert "Server l/a" in seen["output"]
    assert "stats" in seen["log"]
    assert {name for name, what in seen.items() if "s3cret" in what.lower()} == set()
