"""tcpbalancer beside a real HAProxy on the same configuration: the same answers, states, columns and exit statuses."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from balancer_process import TCPBALANCER, BalancerProcess, CheckTarget, LabConfiguration, haproxy, until
from tcp_peers import PATIENCE, ScriptedServer, echo, read_exactly, read_to_end

pytestmark = pytest.mark.interop
ROOT = Path(__file__).parents[2]
COMMON = 103
"""Columns 0 to 102 are the same in every version."""


@dataclass
class Pair:
    """Both programs, each on ports of its own, on the same servers and the same checks."""

    ours: BalancerProcess
    real: BalancerProcess
    our_ports: LabConfiguration
    real_ports: LabConfiguration
    checks: list[CheckTarget]

    def both(self) -> list[tuple[BalancerProcess, LabConfiguration]]:
        return [(self.ours, self.our_ports), (self.real, self.real_ports)]


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(ScriptedServer(echo(f"pg{number}\n".encode()))) for number in (1, 2, 3)]
        checks = [stack.enter_context(CheckTarget()) for _ in servers]
        ports = [server.port for server in servers]
        folders = [tmp_path / "ours", tmp_path / "real"]
        for folder in folders:
            folder.mkdir()
        texts = [LabConfiguration(ports, [check.port for check in checks]) for _ in folders]
        control = str(tmp_path / "control.sock")
        commands = [[*TCPBALANCER, "-db", "--control", control], [haproxy(), "-db"]]
        ours, real = (
            stack.enter_context(BalancerProcess(command, text.text, folder, text.stats_port))
            for command, text, folder in zip(commands, texts, folders, strict=True)
        )
        for program in (ours, real):
            for name in ("postgresql_backend/pg1", "postgresql_backend/pg2", "postgresql_backend/pg3"):
                program.wait_for_status(name, "UP", "L7OK")
            for name in ("swarm/m1", "swarm/m2", "swarm/m3"):
                program.wait_for_status(name, "UP", "L4OK")
            program.wait_for_status("swarm/spare", "DOWN", "L4CON")
        yield Pair(ours, real, texts[0], texts[1], checks)


def ask(port: int, data: bytes) -> bytes:
    """Send data, then the end; return everything that comes back."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        return read_to_end(client)


def answers(port: int, count: int) -> list[str]:
    """Return the banners of as many connections, one after the other."""
    seen = []
    for _ in range(count):
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
            seen.append(read_exactly(client, len(b"pg1\n")).decode().strip())
    return seen


def test_connections_reach_the_servers_in_the_same_order(pair: Pair) -> None:
    seen = [[answers(ports.postgres_port, 10), answers(ports.swarm_port, 10)] for _, ports in pair.both()]
    assert seen[0] == seen[1]
    assert seen[0][0] == ["pg1", "pg2", "pg3"] * 3 + ["pg1"]


FIXED = [
    "pxname",
    "svname",
    "status",
    "weight",
    "act",
    "bck",
    "sid",
    "type",
    "mode",
    "algo",
    "slim",
    "pid",
    "check_status",
    "check_code",
    "check_desc",
    "check_rise",
    "check_fall",
    "check_health",
    "addr",
    "uweight",
    "chkdown",
    "qlimit",
    "tracked",
    "throttle",
]


def between_checks(program: BalancerProcess) -> tuple[list[str], dict[str, dict[str, str]]]:
    """Return the statistics at a moment when no check is on its way: that would show in its columns."""
    seen: list[tuple[list[str], dict[str, dict[str, str]]]] = []

    def is_quiet() -> bool:
        seen.append(program.csv())
        return not any(row["check_status"].startswith("*") for row in seen[-1][1].values())

    until(is_quiet, "no check is on its way")
    return seen[-1]


def test_the_statistics_have_the_same_columns_and_fill_the_same_ones(pair: Pair) -> None:
    (ours, our_rows), (real, real_rows) = (between_checks(program) for program, _ in pair.both())
    assert ours[:COMMON] == real[:COMMON]
    assert list(our_rows) == list(real_rows)
    for name, row in our_rows.items():
        filled = [{column for column in real[:COMMON] if rows[name][column]} for rows in (our_rows, real_rows)]
        # HAProxy tells the info of a check in some cases where we tell none, and the other way round.
        assert filled[0] ^ filled[1] <= {"last_chk"}, name
        same = [column for column in FIXED if (name, column) != ("stats/BACKEND", "slim")]  # no session ever gets there
        assert {column: row[column] for column in same} == {column: real_rows[name][column] for column in same}, name


COUNTED = ["stot", "bin", "bout", "lbtot", "econ", "eresp", "wretr", "wredis", "dreq", "ereq", "conn_tot"]


def has_ended(program: BalancerProcess, sessions: int) -> bool:
    rows = program.csv()[1]
    backend, frontend = rows["postgresql_backend/BACKEND"], rows["postgresql_frontend/FRONTEND"]
    return backend["stot"] == str(sessions) and (backend["scur"], frontend["scur"]) == ("0", "0")


def test_the_same_traffic_is_counted_in_the_same_way(pair: Pair) -> None:
    counted = []
    for program, ports in pair.both():
        for number in range(7):
            assert ask(ports.postgres_port, b"x" * (100 + number)).endswith(b"x" * (100 + number))
        until(partial(has_ended, program, 7), "all seven sessions are counted")
        rows = program.csv()[1]
        names = [name for name in rows if name.startswith("postgresql")]
        counted.append({name: {column: rows[name][column] for column in COUNTED} for name in names})
    assert counted[0] == counted[1]


def test_a_server_goes_down_and_comes_back_in_the_same_states(pair: Pair) -> None:
    sessions = []
    for _, ports in pair.both():
        held = [socket.create_connection(("127.0.0.1", ports.postgres_port), PATIENCE) for _ in range(3)]
        sessions.append({client.recv(10): client for client in held})
    pair.checks[1].status = 503
    rows = [program.wait_for_status("postgresql_backend/pg2", "DOWN", "L7STS") for program, _ in pair.both()]
    columns = ("status", "act", "weight", "chkfail", "chkdown", "check_code", "check_desc", "check_health", "last_chk")
    assert {column: rows[0][column] for column in columns} == {column: rows[1][column] for column in columns}
    for held in sessions:
        assert held[b"pg2\n"].recv(10) == b""  # on-marked-down shutdown-sessions
        assert held[b"pg1\n"].send(b"x") == 1
        assert held[b"pg1\n"].recv(10) == b"x"
    seen = [set(answers(ports.postgres_port, 6)) for _, ports in pair.both()]
    assert seen == [{"pg1", "pg3"}] * 2
    pair.checks[1].status = 200
    rows = [program.wait_for_status("postgresql_backend/pg2", "UP", "L7OK") for program, _ in pair.both()]
    assert {column: rows[0][column] for column in columns[:-1]} == {column: rows[1][column] for column in columns[:-1]}
    seen = [set(answers(ports.postgres_port, 6)) for _, ports in pair.both()]
    assert seen == [{"pg1", "pg2", "pg3"}] * 2
    for held in sessions:
        for client in held.values():
            client.close()


def test_both_ask_the_same_of_a_check_target(pair: Pair) -> None:
    assert set(pair.checks[0].requests) == {b"GET /primary HTTP/1.0\r\n\r\n"}


def test_the_statistics_page_answers_alike(pair: Pair) -> None:
    seen = []
    for program, _ in pair.both():
        one = [program.get(path) for path in ("/stats", "/stats;csv", "/")]
        asked = program.get("/stats", None)
        wrong = program.get("/stats", "admin:wrong")
        kinds = [answer.getheader("content-type", "").split(";")[0] for answer in one]
        seen.append(
            ([answer.status for answer in (*one, asked, wrong)], kinds, asked.getheader("www-authenticate"),
             [answer.getheader("cache-control") for answer in (*one, asked)])
        )  # fmt: skip
    assert seen[0] == seen[1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_foreground_dies_by_the_signal_itself(pair: Pair, number: signal.Signals) -> None:
    assert [program.stop(number) for program, _ in pair.both()] == [-number, -number]


def dumped(program: BalancerProcess) -> list[str]:
    """Return what a program says of its states at SIGHUP, without HAProxy's own HTTP client."""
    program.process.send_signal(signal.SIGHUP)
    until(lambda: "SIGHUP: Proxy swarm" in program.output.read_text(), "the states are told")
    lines = [line.partition(" : ")[2] for line in program.output.read_text().splitlines()]
    return [line for line in lines if line.startswith("SIGHUP") and "<HTTPCLIENT>" not in line and "stats" not in line]


def test_sighup_tells_the_same_states(pair: Pair) -> None:
    ours, real = (dumped(program) for program, _ in pair.both())
    assert ours == real
    assert len(ours) == 1 + 1 + 3 + 1 + 5 + 1


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR2])
def test_these_signals_end_neither(pair: Pair, number: signal.Signals) -> None:
    for program, ports in pair.both():
        program.process.send_signal(number)
        assert answers(ports.postgres_port, 1)[0].startswith("pg")
        assert program.csv()[1]
        assert program.process.poll() is None


GOOD = "defaults\n timeout connect 1s\n timeout client 1s\n timeout server 1s\n"
FILES = {
    "empty but for comments": ("# nothing\n\n", 2),  # 2.6 refuses to start without a listener, 3.x says it is valid
    "good": (f"{GOOD}listen a\n bind :1\n server s 127.0.0.1:1 check inter 3s fall 3 rise 3\n", 0),
    "no timeouts": ("listen a\n bind :1\n server s 127.0.0.1:1\n", 0),
    "httplog in tcp mode": (f"{GOOD} option httplog\nlisten a\n bind :1\n server s 127.0.0.1:1\n", 0),
    "named defaults": ("defaults x\n timeout client 1s\nlisten a from x\n bind :1\n", 0),
    "quotes and escapes": (f"{GOOD}listen 'a'\n bind ':1' # x\n option httpchk GET /\\ x\n", 0),
    "http keywords": (f"{GOOD}listen a\n mode http\n bind :1\n option forwardfor\n cookie S insert indirect\n", 0),
    "stats": (f"{GOOD}listen s\n mode http\n bind :1\n stats uri /x\n stats auth a:b\n stats refresh 5s\n", 0),
    "unknown keyword": (f"{GOOD}listen a\n bind :1\n bogus\n", 1),
    "unknown section": ("bogus\n", 1),
    "unknown server option": (f"{GOOD}listen a\n bind :1\n server s 127.0.0.1:1 chekc\n", 1),
    "bad port": (f"{GOOD}listen a\n bind :99999\n", 1),
    "bad time": (f"{GOOD}listen a\n bind :1\n timeout client 3zz\n", 1),
    "bad weight": (f"{GOOD}listen a\n bind :1\n server s 127.0.0.1:1 weight 300\n", 1),
    "bad balance": (f"{GOOD}listen a\n bind :1\n balance foo\n", 1),
    "bad mode": (f"{GOOD}listen a\n bind :1\n mode foo\n", 1),
    "bad option": (f"{GOOD}listen a\n bind :1\n option foo\n", 1),
    "fall 0": (f"{GOOD}listen a\n bind :1\n server s 127.0.0.1:1 check fall 0\n", 1),
    "inter 0": (f"{GOOD}listen a\n bind :1\n server s 127.0.0.1:1 check inter 0\n", 1),
    "no name": (f"{GOOD}listen\n bind :1\n", 1),
    "bad name": (f"{GOOD}listen a$\n bind :1\n", 1),
    "twice the same name": (f"{GOOD}listen a\n bind :1\nlisten a\n bind :2\n", 1),
    "twice the same server": (f"{GOOD}listen a\n bind :1\n server s 127.0.0.1:1\n server s 127.0.0.1:1\n", 1),
    "missing backend": (f"{GOOD}frontend a\n bind :1\n default_backend nope\n", 1),
    "server in a frontend": (f"{GOOD}frontend a\n bind :1\n server s 127.0.0.1:1\n", 1),
    "no defaults of that name": (f"{GOOD}listen a from nope\n bind :1\n", 1),
    "unmatched quote": (f"{GOOD}listen a\n bind ':1\n", 1),
    "missing LF": (f"{GOOD}listen a\n bind :1", 1),
    "name that does not resolve": (f"{GOOD}listen a\n bind :1\n server s no.such.host.invalid:1\n", 1),
    "check without a port": (f"{GOOD}listen a\n bind :1\n server s 127.0.0.1 check\n", 1),
    "check of an offset port": (f"{GOOD}listen a\n bind :1\n server s 127.0.0.1:+1 check\n", 1),
    "check port given": (f"{GOOD}listen a\n bind :1\n server s 127.0.0.1 check port 1\n", 0),
    "http to tcp": (f"{GOOD}frontend a\n mode http\n bind :1\n default_backend b\nbackend b\n mode tcp\n", 1),
    "tcp to http": (f"{GOOD}frontend a\n mode tcp\n bind :1\n default_backend b\nbackend b\n mode http\n", 0),
    "retries below 0": (f"{GOOD}listen a\n bind :1\n retries -1\n", 0),
    "disabled proxy with mistakes": (f"{GOOD}listen a\n bind :1\nlisten b\n disabled\n default_backend no\n", 0),
    "disabled with a word": (f"{GOOD}listen a\n bind :1\n disabled now\n", 1),
    "no bind": (f"{GOOD}listen a\n bind :1\nfrontend f\n default_backend a\n", 0),
    "v6only": (f"{GOOD}listen a\n bind *:1\n bind :::1 v6only\n", 0),
    "servers never used": (f"{GOOD}listen a\n bind :1\n server s 127.0.0.1:1\n default_backend b\nbackend b\n", 0),
    "a loop": (f"{GOOD}listen a\n bind :1\n default_backend a\n", 1),
    "log facility": ("global\n log /dev/log nope\n" + f"{GOOD}listen a\n bind :1\n", 1),
}  # fmt: skip


@pytest.mark.parametrize(("text", "status"), FILES.values(), ids=FILES.keys())
def test_check_mode_ends_with_the_same_status(text: str, status: int, tmp_path: Path) -> None:
    (tmp_path / "f.cfg").write_text(text)
    run = [
        subprocess.run([*command, "-c", "-f", "f.cfg"], cwd=tmp_path, capture_output=True, text=True, check=False)
        for command in (TCPBALANCER, [haproxy()])
    ]
    assert run[1].returncode == status, run[1].stderr
    assert run[0].returncode == (0 if status == 2 else status), run[0].stderr


@pytest.mark.parametrize("name", ["reference", "lab"])
def test_haproxy_takes_the_labs_own_files(name: str) -> None:
    file = ROOT / "configs" / name / "haproxy.cfg"
    run = subprocess.run([haproxy(), "-c", "-f", str(file)], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
