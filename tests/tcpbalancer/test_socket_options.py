"""What the kernel is told of connections: option tcpka and its relatives, nolinger, independent-streams."""

from __future__ import annotations

import socket
import struct
import threading
from dataclasses import replace

import pytest
from running_balancer import RunningBalancer, one_way, server
from tcp_peers import PATIENCE, ScriptedServer, echo, read_exactly, read_to_end

from hakit.diagnostics import ConfigError
from tcpbalancer.config.load import Loaded, read_texts
from tcpbalancer.model import KeepAlive, SocketOptions, Timeouts
from tcpbalancer.socket_options import tune

TIMED = "defaults\n timeout client 1s\n timeout connect 1s\n timeout server 1s\n"


def loaded(words: str, kind: str = "listen l\n bind :1\n server s 192.0.2.1:1\n") -> Loaded:
    return read_texts([("f.cfg", f"{TIMED}{kind}{words}")], {})


@pytest.mark.parametrize(
    ("words", "client", "to_server"),
    [
        ("", SocketOptions(), SocketOptions()),
        (" option tcpka\n", SocketOptions(KeepAlive()), SocketOptions(KeepAlive())),
        (" option clitcpka\n", SocketOptions(KeepAlive()), SocketOptions()),
        (" option srvtcpka\n", SocketOptions(), SocketOptions(KeepAlive())),
        (" option tcpka\n no option tcpka\n", SocketOptions(), SocketOptions()),
        (
            " option clitcpka\n clitcpka-idle 10m\n clitcpka-intvl 7\n clitcpka-cnt 3\n",
            SocketOptions(KeepAlive(600, 7, 3)),
            SocketOptions(),
        ),
        (
            " option srvtcpka\n srvtcpka-idle 1d\n srvtcpka-intvl 500us\n srvtcpka-cnt 500\n",
            SocketOptions(),
            SocketOptions(KeepAlive(32767, None, 127)),
        ),
        (" option nolinger\n", SocketOptions(nolinger=True), SocketOptions(nolinger=True)),
        (
            " option tcp-smart-accept\n option tcp-smart-connect\n option splice-auto\n",
            SocketOptions(),
            SocketOptions(),
        ),
    ],
)
def test_options_of_keep_alive_and_linger_reach_the_model(
    words: str, client: SocketOptions, to_server: SocketOptions
) -> None:
    seen = loaded(words)
    assert (seen.configuration.frontends["l"].sockets, seen.configuration.backends["l"].sockets) == (client, to_server)
    assert not seen.warnings


def test_option_independent_streams_reaches_both_sides_and_option_socket_stats_is_named_as_not_carried_out() -> None:
    seen = loaded(" option independent-streams\n").configuration
    assert seen.frontends["l"].independent_streams
    assert seen.backends["l"].independent_streams
    (warning,) = loaded(" option socket-stats\n").warnings
    assert warning.message.startswith("'option socket-stats' is accepted but not carried out")


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ("clitcpka-cnt", "'clitcpka-cnt' expects an integer value"),
        ("clitcpka-cnt abc", "'clitcpka-cnt' : unexpected character 'a' in integer value 'abc'"),
        ("srvtcpka-cnt 5 6", "'srvtcpka-cnt' cannot handle unexpected argument '6'."),
        ("clitcpka-idle", "'clitcpka-idle' expects an integer value"),
        ("clitcpka-idle 10x", "unexpected character 'x' in argument to <clitcpka-idle>."),
        ("srvtcpka-intvl 5 6", "'srvtcpka-intvl' cannot handle unexpected argument '6'."),
        ("option clitcpka foo", "'option clitcpka' cannot handle unexpected argument 'foo'."),
    ],
)
def test_what_is_wrong_with_them_is_told_in_haproxy_s_words(words: str, problem: str) -> None:
    with pytest.raises(ConfigError) as told:
        loaded(f" {words}\n")
    assert told.value.diagnostics[0].message == problem


def test_an_option_of_the_other_side_is_ignored_with_a_warning() -> None:
    backend = "backend b\n server s 192.0.2.1:1\n"
    assert [found.message for found in loaded(" option clitcpka\n", backend).warnings] == [
        "'clitcpka' ignored because backend 'b' has no frontend capability."
    ]


def test_the_kernel_is_told_of_keep_alive() -> None:
    with socket.socket() as peer:
        tune(peer, SocketOptions())
        assert peer.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 0
        tune(peer, SocketOptions(KeepAlive(600, 7, 3)))
        assert peer.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        names = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
        assert [peer.getsockopt(socket.IPPROTO_TCP, name) for name in names] == [600, 7, 3]
    with socket.socket(socket.AF_UNIX) as peer:
        tune(peer, SocketOptions(KeepAlive(600, 7, 3)))  # it has no such thing, and needs none


def test_nolinger_ends_a_connection_with_a_reset() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.socket() as client:
        client.connect(listening.getsockname())
        accepted, _ = listening.accept()
        tune(accepted, SocketOptions(nolinger=True))
        assert struct.unpack("ii", accepted.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8)) == (1, 0)
        accepted.close()
        client.settimeout(PATIENCE)
        with pytest.raises(ConnectionResetError):
            client.recv(1)


@pytest.mark.parametrize("kind", ["front", "back"])
def test_what_comes_with_the_last_end_of_file_is_delivered_though_nolinger_closes_with_a_reset(kind: str) -> None:
    def answers_the_end(peer: socket.socket) -> None:
        assert read_to_end(peer) == b"question"
        peer.sendall(b"the last words")

    configuration = one_way([])
    with ScriptedServer(answers_the_end) as peer:
        options = SocketOptions(nolinger=True)
        frontend, backend = configuration.frontends["f"], configuration.backends["b"]
        frontend = replace(frontend, sockets=options if kind == "front" else frontend.sockets)
        backend = replace(backend, servers=(server(peer.port),), sockets=options if kind == "back" else backend.sockets)
        whole = replace(configuration, frontends={"f": frontend}, backends={"b": backend})
        with RunningBalancer(whole) as balancer, balancer.connect() as client:
            client.sendall(b"question")
            client.shutdown(socket.SHUT_WR)
            assert balancer.wait_for("session")["flags"] == "--"
            assert client.recv(100) == b"the last words"


@pytest.mark.parametrize("independent", [False, True])
def test_with_independent_streams_only_what_a_client_sends_is_its_activity(independent: bool) -> None:
    """A server that goes on sending keeps a silent client alive, unless the streams are independent."""
    stop = threading.Event()

    def talks(peer: socket.socket) -> None:
        for _ in range(8):
            peer.sendall(b"x")
            if stop.wait(0.1):
                return

    configuration = one_way([], front=Timeouts(client=0.4))
    with ScriptedServer(talks) as peer:
        frontend = replace(configuration.frontends["f"], independent_streams=independent)
        backend = replace(configuration.backends["b"], servers=(server(peer.port),))
        whole = replace(configuration, frontends={"f": frontend}, backends={"b": backend})
        with RunningBalancer(whole) as balancer:
            with balancer.connect() as client:
                heard = read_to_end(client)
            stop.set()
            assert balancer.wait_for("session")["flags"] == ("cD" if independent else "--")
            assert (heard == b"x" * 8) is not independent


def test_connections_work_as_before_with_all_of_them() -> None:
    options = SocketOptions(KeepAlive(600, 7, 3))
    with ScriptedServer(echo()) as peer:
        configuration = one_way([server(peer.port)], sockets=options)
        frontend = replace(configuration.frontends["f"], sockets=options)
        with RunningBalancer(replace(configuration, frontends={"f": frontend})) as balancer:
            with balancer.connect() as client:
                assert read_exactly(client, 6) == b"hello\n"
            assert balancer.wait_for("session")["flags"] == "--"
