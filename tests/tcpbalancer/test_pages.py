"""A page in a running balancer: who is dropped without harm, what is never told, what stays over a reload."""

from __future__ import annotations

import contextlib
import signal
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from balancer_process import TCPBALANCER, BalancerProcess, until
from tcp_peers import PATIENCE, ScriptedServer, echo, free_port, read_exactly, read_to_end

LOG = "log stdout format raw local0"


@dataclass
class Lab:
    """A balancer with a page on ``stats``, also on the Unix socket ``place``, and an echo behind ``entry``."""

    running: BalancerProcess
    stats: int
    entry: int
    place: Path

    def ask(self, request: bytes, address: int | Path | None = None, *, says_more: bool = True) -> bytes:
        with contextlib.ExitStack() as stack:
            if isinstance(address, Path):
                client = stack.enter_context(socket.socket(socket.AF_UNIX))
                client.settimeout(PATIENCE)
                client.connect(str(address))
            else:
                client = stack.enter_context(socket.create_connection(("127.0.0.1", self.stats), PATIENCE))
            client.sendall(request)
            if not says_more:
                client.shutdown(socket.SHUT_WR)
            return read_to_end(client)

    def get(self, target: str, address: Path | None = None) -> bytes:
        return self.ask(f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode(), address)

    def rows(self) -> dict[str, dict[str, str]]:
        return self.running.csv()[1]

    @property
    def said(self) -> str:
        return self.running.output.read_text()


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("pages")
    stats, entry, place = free_port(), free_port(), folder / "page.sock"
    with ScriptedServer(echo(b"hi\n")) as server:
        text = f"""\
global
    {LOG}
defaults
    log global
    option httplog
    timeout connect 1s
    timeout client 60s
    timeout server 60s
    timeout http-request 500ms
listen page
    mode http
    bind 127.0.0.1:{stats}
    bind {place} mode 600
    http-request reject if {{ path /reject }}
    stats uri /stats
    stats admin if TRUE
listen entry
    mode tcp
    bind 127.0.0.1:{entry}
    server s1 127.0.0.1:{server.port} check inter 100ms
"""
        command = [*TCPBALANCER, "-W", "--control", str(folder / "c")]
        with BalancerProcess(command, text, folder, stats) as running:
            yield Lab(running, stats, entry, place)
            assert "Traceback" not in running.output.read_text()


def test_a_page_answers_on_a_unix_socket_too(lab: Lab) -> None:
    assert lab.get("/stats;csv", lab.place).startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize(
    "request_",
    [
        b"GARBAGE\r\n\r\n", b"\x16\x03\x01\x00\xa5\x01\x00\r\n\r\n", b"GET /stats\r\n\r\n",
        b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\n\r\n",
        b"GET /stats HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /stats HTTP/1.1\r\nHost x\r\n\r\n",
    ],
    ids=["garbage", "tls", "0.9", "long", "chunks", "header"],
)  # fmt: skip
def test_what_is_no_request_is_answered_with_400_and_the_end(lab: Lab, request_: bytes) -> None:
    assert lab.ask(request_).startswith(b"HTTP/1.1 400 Bad request\r\n")


def test_who_says_no_more_is_answered_all_the_same_and_then_it_ends(lab: Lab) -> None:
    """As HAProxy does; ``nc -N`` and ``socat`` say at once that they have nothing more to say."""
    request = b"GET /stats;csv HTTP/1.1\r\nHost: x\r\n\r\n"
    for count in (0, 1, 2):
        answers = lab.ask(request * count, says_more=False)
        assert answers.count(b"HTTP/1.1 200 OK\r\n") == answers.count(b"\r\n0\r\n\r\n") == count
    assert not lab.ask(request[:-4], says_more=False)


def test_a_request_that_asks_for_no_path_is_nobody_s(lab: Lab) -> None:
    assert lab.ask(b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").startswith(b"HTTP/1.1 503 ")
    assert lab.ask(b"OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").startswith(b"HTTP/1.1 503 ")


def test_who_is_rejected_or_leaves_costs_no_line_of_complaint(lab: Lab) -> None:
    with contextlib.suppress(ConnectionResetError):
        assert not lab.get("/reject")
    for request in (b"GET /stats HTTP/1.1\r\nHost: x\r\n\r\n", b"POST /stats HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc"):
        with socket.create_connection(("127.0.0.1", lab.stats), PATIENCE) as client:
            client.sendall(request)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    lab.get("/the-last-one")
    until(lambda: "/the-last-one" in lab.said, "it is logged")
    assert "aiohttp" not in lab.said


def test_many_silent_clients_do_no_harm(lab: Lab) -> None:
    with contextlib.ExitStack() as stack:
        silent = [stack.enter_context(socket.create_connection(("127.0.0.1", lab.stats), PATIENCE)) for _ in range(200)]
        for client in silent[::2]:
            client.sendall(b"GET /stats HTTP/1.1\r\nHos")
        with socket.create_connection(("127.0.0.1", lab.entry), PATIENCE) as client:
            assert read_exactly(client, 3) == b"hi\n"
        assert lab.get("/stats;csv").startswith(b"HTTP/1.1 200 ")
        assert silent[0].recv(100).startswith(b"HTTP/1.1 408 Request Time-out\r\n")
    assert "entry/s1 is DOWN" not in lab.said


def test_who_does_not_take_the_answer_is_ended(lab: Lab) -> None:
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        slow.settimeout(PATIENCE)
        slow.connect(("127.0.0.1", lab.stats))
        slow.sendall(b"GET /stats HTTP/1.1\r\nHost: x\r\n\r\n" * 200)
        until(lambda: int(lab.rows()["page/FRONTEND"]["scur"]) == 1, "it is gone")


def test_the_page_counts_on_over_a_reload_and_changes_what_is_there_then(lab: Lab) -> None:
    before = int(lab.rows()["page/FRONTEND"]["stot"])
    assert before
    told = lab.said.count("Loading success.")
    lab.running.process.send_signal(signal.SIGUSR2)
    until(lambda: lab.said.count("Loading success.") > told, "it is reloaded")
    assert int(lab.rows()["page/FRONTEND"]["stot"]) > before
    body = b"s=s1&action=maint&b=entry"
    form = b"POST /stats HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    assert b"location: /stats;st=DONE\r\n" in lab.ask(form)
    assert lab.rows()["entry/s1"]["status"] == "MAINT"
