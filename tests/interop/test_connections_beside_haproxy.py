"""The same connections through a real HAProxy and through ours: the same bytes, the same ends, the same log fields."""

from __future__ import annotations

import contextlib
import re
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from running_balancer import RunningBalancer, one_way, server
from tcp_peers import PATIENCE, Script, ScriptedServer, echo, free_port, full_backlog, read_exactly, read_to_end, reset

from tcpbalancer.model import Timeouts

pytestmark = pytest.mark.interop

CONFIGURATION = """
global
    log 127.0.0.1:{log} local0
    nbthread 1
defaults
    log global
    mode tcp
    option tcplog
    balance roundrobin
    retries {retries}
    timeout client {client}ms
    timeout connect {connect}ms
    timeout server {server}ms
    {extra}
frontend f
    bind 127.0.0.1:{port}
    default_backend b
backend b
    {redispatch}
    {servers}
"""
# What a connection's line says apart from addresses and times: server, bytes, flags, connections, retries.
LINE = re.compile(r"\] f (?P<server>\S+) (?P<times>\S+) (?P<rest>\d+ .*)$")


USUAL = {"client": 5000, "connect": 200, "server": 5000}


@dataclass(frozen=True)
class Case:
    """What servers do (None: refuse), what the client does, and the settings; milliseconds."""

    client: Callable[[socket.socket], bytes]
    scripts: tuple[Script | None, ...] = (echo(),)
    retries: int = 1
    redispatch: bool = False
    times: dict[str, int] = field(default_factory=dict)  # timeouts that differ from USUAL


def greets_and_leaves(peer: socket.socket) -> bytes:
    return read_exactly(peer, 6)


def asks_half_closes_and_reads(peer: socket.socket) -> bytes:
    data = read_exactly(peer, 6)
    peer.sendall(b"question")
    peer.shutdown(socket.SHUT_WR)
    return data + read_to_end(peer)


def reads(peer: socket.socket) -> bytes:
    return read_to_end(peer)


def resets(peer: socket.socket) -> bytes:
    data = read_exactly(peer, 6)
    reset(peer)
    return data


def says_x_and_reads(peer: socket.socket) -> bytes:
    data = read_exactly(peer, 6)
    peer.sendall(b"x")
    return data + read_to_end(peer)


def bye(peer: socket.socket) -> None:
    peer.sendall(b"bye\n")


def hello_then_reset(peer: socket.socket) -> None:
    peer.sendall(b"hello\n")
    read_exactly(peer, 1)
    reset(peer)


def hello_then_silence(peer: socket.socket) -> None:
    peer.sendall(b"hello\n")
    read_to_end(peer)
    threading.Event().wait(1.0)


CASES = {
    "the client closes": Case(greets_and_leaves),
    "the client half-closes and reads": Case(asks_half_closes_and_reads),
    "the server closes": Case(reads, (bye,)),
    "the client resets": Case(resets),
    "the server resets": Case(says_x_and_reads, (hello_then_reset,)),
    "refused": Case(reads, (None,)),
    "refused, no retry": Case(reads, (None,), retries=0),
    "refused by the first of two": Case(reads, (None, bye), redispatch=True),
    "refused by both": Case(reads, (None, None), retries=3, redispatch=True),
    "timeout client": Case(reads, times={"client": 300}),
    "timeout server": Case(reads, times={"server": 300}),
    "timeout tunnel": Case(reads, times={"client": 200, "server": 200, "tunnel": 400}),
    "timeout server-fin": Case(asks_half_closes_and_reads, (hello_then_silence,), times={"server-fin": 300}),
    "timeout client-fin": Case(reads, (bye,), times={"client-fin": 300}),
}


@contextmanager
def haproxy(case: Case, ports: list[int], folder: Path) -> Iterator[tuple[int, Callable[[], str]]]:
    times = USUAL | case.times
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as log:
        log.bind(("127.0.0.1", 0))
        log.settimeout(PATIENCE)
        port = free_port()
        extra = [f"timeout {name} {value}ms" for name, value in times.items() if name not in USUAL]
        text = CONFIGURATION.format(
            log=log.getsockname()[1],
            port=port,
            retries=case.retries,
            extra="\n    ".join(extra),
            redispatch="option redispatch" if case.redispatch else "",
            servers="\n    ".join(f"server s{index} 127.0.0.1:{each}" for index, each in enumerate(ports, 1)),
            **{name: times[name] for name in USUAL},
        )
        path = folder / "haproxy.cfg"
        path.write_text(text)
        program = shutil.which("haproxy")
        assert program is not None, "this test needs the package haproxy"
        with subprocess.Popen([program, "-db", "-q", "-f", str(path)]) as running:
            try:
                wait_until_it_listens(port, running)
                log_lines(log)  # of the connections that only tried whether it listens
                yield port, lambda: next_line(log)
            finally:
                running.terminate()


def wait_until_it_listens(port: int, running: subprocess.Popen[bytes]) -> None:
    while True:
        assert running.poll() is None, "haproxy has ended"
        with socket.socket() as probe:
            probe.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                reset(probe)  # never accepted: round robin must not move
                return


def log_lines(log: socket.socket) -> None:
    log.settimeout(0.2)
    try:
        while True:
            log.recv(65536)
    except TimeoutError:
        log.settimeout(PATIENCE)


def next_line(log: socket.socket) -> str:
    while " f b/" not in (line := log.recv(65536).decode()):
        pass
    return line.strip()


@contextmanager
def ours(case: Case, ports: list[int]) -> Iterator[tuple[int, Callable[[], str]]]:
    times = {name.replace("-", "_"): value / 1000 for name, value in (USUAL | case.times).items()}
    front = Timeouts(client=times["client"], client_fin=times.get("client_fin"))
    back = Timeouts(**{name: value for name, value in times.items() if not name.startswith("client")})
    servers = [server(port, f"s{index}") for index, port in enumerate(ports, 1)]
    configuration = one_way(servers, front=front, back=back, retries=case.retries, redispatch=case.redispatch)
    with RunningBalancer(configuration) as balancer:
        yield balancer.port, lambda: balancer.line(" f b/")[1]


def outcome(case: Case, port: int, line: Callable[[], str]) -> tuple[bytes, str, str]:
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as client:
        try:
            got = case.client(client)
        except ConnectionResetError:
            got = b"<RST>"
        if case.times or got == b"<RST>":
            told = line()  # the client holds on: it is the balancer who ends it
        else:
            client.close()
            told = line()
    found = LINE.search(told)
    assert found is not None, told
    reached = "/".join("-1" if part == "-1" else "n" for part in found["times"].split("/"))
    return got, found["server"], f"{reached} {found['rest']}"


@pytest.mark.parametrize("name", CASES)
def test_a_connection_ends_as_with_haproxy(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    results = []
    for run in (lambda ports: haproxy(case, ports, tmp_path), lambda ports: ours(case, ports)):
        with contextlib.ExitStack() as stack:
            ports = [
                stack.enter_context(ScriptedServer(script)).port if script else free_port() for script in case.scripts
            ]
            port, line = stack.enter_context(run(ports))
            results.append(outcome(case, port, line))
    assert results[1] == results[0]


def test_a_connect_timeout_ends_as_with_haproxy(tmp_path: Path) -> None:
    case = Case(reads, (None,))
    with full_backlog() as full:
        with haproxy(case, [full], tmp_path) as (port, line):
            theirs = outcome(case, port, line)
        with ours(case, [full]) as (port, line):
            assert outcome(case, port, line) == theirs
