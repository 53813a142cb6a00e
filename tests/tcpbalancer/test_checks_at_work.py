"""What a running balancer tells of its checks, and what it tells the servers."""

from __future__ import annotations

import socket
import threading

import pytest
from running_balancer import RunningBalancer
from tcp_peers import PATIENCE, ScriptedServer, full_backlog

from tcpbalancer.config.load import read_texts
from tcpbalancer.model import Configuration

HEAD = "defaults\n timeout connect 5s\n timeout client 5s\n timeout server 5s\n"


def configuration(lines: str, port: int, options: str = "inter 200ms fall 1", more: str = "") -> Configuration:
    text = f"{HEAD}{more}backend b\n{lines} server s 127.0.0.1:{port} check {options}\n"
    return read_texts([("f.cfg", text)], {}).configuration


def test_a_failed_step_is_told_with_its_line_and_with_expected_and_received_bytes() -> None:
    lines = " option tcp-check\n tcp-check send PING\\r\\n\n tcp-check expect string +PONG min-recv 3 comment why\n"
    with (
        ScriptedServer(lambda peer: peer.sendall(b"-ERR no\r\n")) as server,
        RunningBalancer(configuration(lines, server.port)) as balancer,
    ):
        event = balancer.wait_for("server", check_status="L7RSP")
    assert event.get("info") == "TCPCHK did not match content '+PONG' at step 2 comment: why"
    assert [event.get(name) for name in ("step", "line", "expected", "received")] == [2, 8, "+PONG", "-ERR no??"]


@pytest.mark.parametrize(("more", "limit"), [("", "inter 1s"), (" timeout check 500ms\n", "timeout check 0.5s")])
def test_an_answer_that_does_not_come_is_told_with_the_limit_that_was_reached(more: str, limit: str) -> None:
    over = threading.Event()
    with ScriptedServer(lambda _: over.wait(PATIENCE) and None) as server:
        config = configuration(" option httpchk\n", server.port, "inter 1s fall 1", more)
        with RunningBalancer(config) as balancer:
            assert balancer.wait_for("server", check_status="L7TOUT").get("limit") == limit
            over.set()


def test_a_connection_that_does_not_come_is_told_with_the_limit_that_was_reached() -> None:
    more = " timeout connect 200ms\n timeout check 5s\n"
    with full_backlog() as port, RunningBalancer(configuration("", port, "inter 2s fall 1", more)) as balancer:
        assert balancer.wait_for("server", check_status="L4TOUT").get("limit") == "timeout connect 0.2s"


def test_a_result_does_not_wait_for_a_goodbye() -> None:
    over, ended = threading.Event(), threading.Event()

    def script(peer: socket.socket) -> None:
        peer.recv(4096)
        peer.sendall(b"HTTP/1.1 200 OK\r\n")  # and keeps the connection open
        if peer.recv(1) == b"":
            ended.set()
        over.wait(PATIENCE)

    with ScriptedServer(script) as server:
        config = configuration(" option httpchk\n", server.port, "inter 2s")
        with RunningBalancer(config) as balancer:
            balancer.wait_for("server", check_status="L7OK")
            assert ended.wait(PATIENCE), "the server sees FIN"
            over.set()


def test_send_state_tells_the_server_how_it_stands() -> None:
    heard: list[bytes] = []

    def script(peer: socket.socket) -> None:
        heard.append(peer.recv(4096))
        peer.sendall(b"HTTP/1.0 200 OK\r\n\r\n")

    more = "global\n node lb1\n"
    with ScriptedServer(script) as server:
        text = f"{more}{HEAD}backend b\n option httpchk\n http-check send-state\n"
        text += f" server s 127.0.0.1:{server.port} check inter 200ms\n"
        with RunningBalancer(read_texts([("f.cfg", text)], {}).configuration) as balancer:
            balancer.wait_for("server", check_status="L7OK")
    state = "UP 1/3; address=127.0.0.1; port={}; name=b/s; node=lb1; weight=1/1; scur=0/0; qcur=0"
    assert f"x-haproxy-server-state: {state.format(server.port)}".encode() in heard[0].split(b"\r\n")


def test_checks_from_yaml_are_those_of_haproxy_cfg() -> None:
    yaml = """
defaults: {timeout: {connect: 1s, client: 1s, server: 1s}}
backends:
  b:
    option: [tcp-check]
    tcp-check:
      - connect
      - [send, "PING\\r\\n"]
      - [expect, string, +PONG]
      - [send, "info replication\\r\\n"]
      - [expect, string, "role:master", comment, "the master"]
    servers: {s: {address: "127.0.0.1:1", check: true, inter: 1s}}
"""
    cfg = """
defaults
 timeout connect 1s
 timeout client 1s
 timeout server 1s
backend b
 option tcp-check
 tcp-check connect
 tcp-check send PING\\r\\n
 tcp-check expect string +PONG
 tcp-check send info\\ replication\\r\\n
 tcp-check expect string role:master comment "the master"
 server s 127.0.0.1:1 check inter 1s
"""
    read = [
        read_texts([(name, text)], {}).configuration.backends["b"] for name, text in (("f.yaml", yaml), ("f.cfg", cfg))
    ]
    assert read[0].probe == read[1].probe
    assert read[0].servers[0].check == read[1].servers[0].check
