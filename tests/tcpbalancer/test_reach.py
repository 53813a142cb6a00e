"""How servers are reached: what a file says of it, and what they see and hear."""

from __future__ import annotations

import errno
import os
import socket
from dataclasses import replace
from pathlib import Path

import pytest
from running_balancer import RunningBalancer, one_way, server
from tcp_peers import PATIENCE, ScriptedServer, free_port, read_to_end

from hakit.diagnostics import ConfigError
from tcpbalancer import namespaces
from tcpbalancer.config.load import read_texts
from tcpbalancer.model import Bind, Server
from tcpbalancer.model.reach import Reach, Source

TIMED = "defaults\n mode tcp\n timeout connect 1s\n timeout client 1s\n timeout server 1s\n"


def servers(*lines: str) -> dict[str, Server]:
    text = f"{TIMED}listen l\n bind 127.0.0.1:1\n" + "".join(f" {line}\n" for line in lines)
    found = read_texts([("f.cfg", text)], {}).configuration.backends["l"].servers
    return {one.name: one for one in found}


def said(*lines: str) -> str:
    with pytest.raises(ConfigError) as wrong:
        servers(*lines)
    return "\n".join(found.message for found in wrong.value.diagnostics)


@pytest.mark.parametrize(
    ("options", "version", "extra"),
    [
        ("", 0, ()),
        ("send-proxy", 1, ()),
        ("send-proxy no-send-proxy", 0, ()),
        ("send-proxy-v2", 2, ()),
        ("send-proxy send-proxy-v2", 2, ()),
        ("send-proxy-v2 proxy-v2-options crc32c,authority,unique-id", 2, ("crc32c",)),
        ("proxy-v2-options crc32c", 0, ()),
        ("send-proxy-v2-ssl", 2, ("ssl",)),
        ("send-proxy-v2-ssl-cn proxy-v2-options crc32c", 2, ("crc32c", "ssl")),
    ],
)
def test_send_proxy_in_all_its_forms(options: str, version: int, extra: tuple[str, ...]) -> None:
    reach = servers(f"server s 127.0.0.1:2 {options}")["s"].reach
    assert (reach.proxy_version, reach.proxy_options) == (version, extra)


@pytest.mark.parametrize(
    ("line", "source"),
    [
        ("source 10.0.0.1", Source("10.0.0.1")),
        ("source 10.0.0.1:80", Source("10.0.0.1", 80, 80)),
        ("source 10.0.0.1:1000-2000", Source("10.0.0.1", 1000, 2000)),
        ("source 10.0.0.1 interface eth0", Source("10.0.0.1", interface="eth0")),
        ("source * interface eth0", Source("", interface="eth0")),
        ("source [::1]", Source("::1")),
    ],
)
def test_source_of_a_server(line: str, source: Source) -> None:
    found = servers(f"server s 127.0.0.1:2 {line} weight 7")["s"]
    assert (found.reach.source, found.weight) == (source, 7)


def test_source_of_a_proxy_holds_for_servers_that_have_none() -> None:
    found = servers("source 10.0.0.1 interface lo", "server s 127.0.0.1:2", "server t 127.0.0.1:2 source 10.0.0.2")
    assert found["s"].reach.source == Source("10.0.0.1", interface="lo")
    assert found["t"].reach.source == Source("10.0.0.2")


def test_a_check_comes_from_the_same_source_and_namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(namespaces, "exists", lambda _: True)
    check = servers("server s 127.0.0.1:2 check source 10.0.0.1 namespace blue tcp-ut 5s")["s"].check
    assert check is not None
    assert (check.source, check.namespace) == ("10.0.0.1", "blue")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("source", "'source' expects <addr>[:<port>], and optionally 'usesrc' <addr>, and 'interface' <name>."),
        ("source 10.0.0.1 foo", "'source' only supports optional keywords 'interface' and 'usesrc'."),
        ("source x", "'source x' : invalid address: 'x' in 'x'"),
        ("source 10.0.0.1:1-2", "'source 10.0.0.1:1-2' : port range not permitted here in '10.0.0.1:1-2'"),
        ("source 10.0.0.1 usesrc clientip", "'usesrc' is not supported by tcpbalancer"),
        ("server s 127.0.0.1:2 source", "'source' expects <addr>[:<port>[-<port>]], and optionally 'usesrc' <addr>"),
        ("server s 127.0.0.1:2 source 10.0.0.1 interface", "missing interface name"),
        ("server s 127.0.0.1:2 source 10.0.0.1 usesrc client", "'usesrc' is not supported by tcpbalancer"),
        ("server s 127.0.0.1:2 proxy-v2-options foo", "'foo' : proxy v2 option not implemented"),
        ("server s 127.0.0.1:2 tcp-ut x", "'tcp-ut' : expects a positive delay in milliseconds"),
        ("server s 127.0.0.1:2 namespace *", "'namespace *' is not supported by tcpbalancer"),
        ("server s 127.0.0.1:2 namespace nope", "'server l/s' : Cannot open namespace 'nope'."),
        ("server s fd@5", "a file descriptor is not acceptable here in 'fd@5'"),
        ("server s 127.0.0.1:1-5", "port range not permitted here in '127.0.0.1:1-5'"),
    ],
)
def test_what_is_wrong_is_said_in_haproxy_s_words(line: str, message: str) -> None:
    assert message in said(line)


def hears(peer: socket.socket) -> None:
    peer.sendall(str(peer.getpeername()[1]).encode() + b" " + read_to_end(peer))


def reaching(port: int, reach: Reach) -> RunningBalancer:
    return RunningBalancer(one_way([replace(server(port), reach=reach)], retries=0))


def test_the_ports_of_a_source_are_used_in_turn() -> None:
    first = free_port()
    reach = Reach(source=Source("127.0.0.7", first, first + 19))
    with ScriptedServer(hears) as peer, reaching(peer.port, reach) as balancer:
        seen = []
        for _ in range(2):
            with balancer.connect() as client:
                client.sendall(b"x")
                client.shutdown(socket.SHUT_WR)
                seen.append(int(read_to_end(client).split()[0]))
        assert len(set(seen)) == 2
        assert set(seen) <= set(range(first, first + 20))


def test_a_client_on_a_unix_socket_called_no_port_so_the_servers_own_is_taken(tmp_path: Path) -> None:
    with ScriptedServer(lambda peer: peer.sendall(b"here")) as peer:
        configuration = one_way([replace(server(peer.port), reach=Reach(called_port=True))])
        door = str(tmp_path / "door")
        at_the_door = replace(configuration.frontends["f"], binds=(Bind(door, 0),))
        configuration = replace(configuration, frontends={"f": at_the_door})
        with RunningBalancer(configuration), socket.socket(socket.AF_UNIX) as client:
            client.settimeout(PATIENCE)
            client.connect(door)
            assert read_to_end(client) == b"here"


def test_a_path_that_is_too_long_for_a_socket_is_no_want_of_descriptors() -> None:
    configuration = one_way([Server("s1", "/" + "x" * 200, 0)], retries=0)
    with RunningBalancer(configuration) as balancer, balancer.connect() as client:
        assert read_to_end(client) == b""
        assert balancer.wait_for("session").reason == f"b/s1: {os.strerror(errno.EINVAL)}"
        assert not [line for _, line in balancer.lines if "limit" in line]


def test_without_a_free_port_the_attempt_fails_and_says_why() -> None:
    with socket.create_server(("127.0.0.7", 0)) as taken:
        port = taken.getsockname()[1]
        reach = Reach(source=Source("127.0.0.7", port, port))
        with ScriptedServer(hears) as peer, reaching(peer.port, reach) as balancer, balancer.connect() as client:
            assert read_to_end(client) == b""
            event = balancer.wait_for("session")
            assert event["flags"] == "SC"
            assert event.reason == f"b/s1: {os.strerror(errno.EADDRINUSE)}"


def test_a_source_that_is_not_ours_and_a_namespace_that_is_not_there_are_failures_of_the_attempt() -> None:
    for reach in (Reach(source=Source("192.0.2.1")), Reach(namespace="no-such-namespace")):
        with ScriptedServer(hears) as peer, reaching(peer.port, reach) as balancer, balancer.connect() as client:
            assert read_to_end(client) == b""
            assert balancer.wait_for("session")["flags"] == "SC"
            assert not [line for _, line in balancer.lines if "internal error" in line]


def test_a_header_is_sent_before_everything_else_and_counts_as_nothing() -> None:
    with ScriptedServer(hears) as peer, reaching(peer.port, Reach(proxy_version=1)) as balancer:
        with balancer.connect() as client:
            name = client.getsockname()
            client.sendall(b"data")
            client.shutdown(socket.SHUT_WR)
            heard = read_to_end(client).partition(b" ")[2].decode()
        assert heard == f"PROXY TCP4 127.0.0.1 127.0.0.1 {name[1]} {balancer.port}\r\ndata"
        assert balancer.wait_for("session")["bytes_from_client"] == 4
