"""Where clients arrive, and where servers are: TCP, Unix sockets, abstract names, inherited descriptors."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest
from running_balancer import RunningBalancer, one_way, server
from tcp_peers import PATIENCE, ScriptedServer, echo, free_port, read_exactly

from hakit.diagnostics import ConfigError
from tcpbalancer import namespaces
from tcpbalancer.config.load import read_texts
from tcpbalancer.listening import ListenError, ListeningSockets
from tcpbalancer.model import Bind, Frontend
from tcpbalancer.opening import abstract, open_listening

TIMED = "defaults\n mode tcp\n timeout connect 1s\n timeout client 1s\n timeout server 1s\n"


def binds(line: str, environment: dict[str, str] | None = None) -> tuple[Bind, ...]:
    text = f"{TIMED}listen l\n {line}\n server s 127.0.0.1:1\n"
    found = read_texts([("f.cfg", text)], environment or {}).configuration.frontends["l"].binds
    return tuple(found)


def said(line: str) -> str:
    with pytest.raises(ConfigError) as wrong:
        binds(line)
    return next(found.message for found in wrong.value.diagnostics if found.location.line == 7)


@pytest.mark.parametrize(
    ("line", "places"),
    [
        ("bind :80", ["0.0.0.0:80"]),
        ("bind *:80,[::1]:81", ["0.0.0.0:80", "::1:81"]),
        ("bind ipv4@127.0.0.1:80", ["127.0.0.1:80"]),
        ("bind ipv6@:80", [":::80"]),
        ("bind 127.0.0.1:80-82", ["127.0.0.1:80", "127.0.0.1:81", "127.0.0.1:82"]),
        ("bind /run/a.sock,unix@/run/b.sock", ["/run/a.sock", "/run/b.sock"]),
        ("bind abns@door", ["abns@door"]),
    ],
)
def test_bind_takes_addresses_of_every_kind(line: str, places: list[str]) -> None:
    found = binds(line, {"OTHER": "7"})
    assert [bind.title for bind in found] == places
    assert [bind.id for bind in found] == list(range(1, len(places) + 1))


def test_bind_takes_inherited_descriptors_by_number_and_by_variable() -> None:
    with socket.socket() as one, socket.socket() as other:
        found = binds(f"bind fd@{one.fileno()},fd@${{OTHER}}", {"OTHER": str(other.fileno())})
        assert [bind.title for bind in found] == [f"fd@{one.fileno()}", f"fd@{other.fileno()}"]


def test_bind_options_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(namespaces, "exists", lambda _: True)
    (found,) = binds(
        "bind 127.0.0.1:80 name n id 7 interface lo namespace blue transparent mss 1400 tcp-ut 30s tfo defer-accept "
        "backlog 17 v6only mode 660 uid 1 gid 2 accept-proxy"
    )
    assert (found.name, found.id, found.interface, found.namespace) == ("n", 7, "lo", "blue")
    assert (found.transparent, found.mss, found.tcp_user_timeout, found.fast_open) == (True, 1400, 30.0, True)
    assert (found.defer_accept, found.backlog, found.only_v6, found.accept_proxy) == (True, 17, True, True)
    assert (found.file_mode, found.uid, found.gid) == (0o660, 1, 2)


def test_an_id_that_is_taken_is_not_given_again() -> None:
    assert [bind.id for bind in binds("bind :80\n bind :81 id 1\n bind :82")] == [2, 1, 3]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("bind fd@", "'bind' : file descriptor '' is not a valid integer in 'fd@'"),
        ("bind fd@x", "'bind' : file descriptor 'x' is not a valid integer in 'fd@x'"),
        ("bind fd@999", "'bind' : cannot use file descriptor '999' : Bad file descriptor."),
        ("bind :1 namespace nope", "Cannot open namespace 'nope'."),
        ("bind :1 namespace nope", "'bind :1' in section 'listen' : error encountered while processing 'namespace'."),
        ("bind unix@", "'bind' : missing path or name in 'unix@'"),
        ("bind unix@x", "'bind' : a path from the root on is expected in 'unix@x'"),
        (f"bind /{'x' * 100}", f"'bind' : socket path '/{'x' * 100}' too long (max 97)"),
        ("bind 127.0.0.1", "'bind' : missing port specification in '127.0.0.1'"),
        ("bind 127.0.0.1:0", "'bind' : invalid port '0'"),
        ("bind 127.0.0.1:+1", "'bind' : port offset not permitted here in '127.0.0.1:+1'"),
        ("bind :1 mss x", "'mss' : expects an MSS with and absolute value between 1 and 65535"),
        ("bind :1 mss 99999", "'mss' : expects an MSS with and absolute value between 1 and 65535"),
        ("bind :1 tcp-ut x", "'tcp-ut' : expects a positive delay in milliseconds"),
        ("bind :1 id x", "'id' : expects an integer argument, found 'x'"),
        ("bind :1 id 0", "'id' : custom id has to be > 0"),
        ("bind :1 backlog x", "'backlog' : invalid value x, must be > 0"),
        ("bind :1 maxconn -1", "'maxconn' : invalid value -1, must be >= 0"),
        ("bind :1 maxconn x", "'maxconn' : expects a number, not 'x'"),
    ],
)
def test_what_is_wrong_with_a_bind_line_is_said_in_haproxy_s_words(line: str, message: str) -> None:
    with pytest.raises(ConfigError) as wrong:
        binds(line)
    assert any(message in found.message for found in wrong.value.diagnostics)


def talk(family: socket.AddressFamily, address: str | bytes | tuple[str, int]) -> bytes:
    with socket.socket(family, socket.SOCK_STREAM) as client:
        client.settimeout(PATIENCE)
        client.connect(address)
        client.sendall(b"x")
        return read_exactly(client, 7)


def arriving_at(*places: Bind, port: int) -> RunningBalancer:
    configuration = one_way([server(port)])
    frontend = Frontend("f", places, default_backend="b")
    configuration.frontends["f"] = frontend  # type: ignore[index] # a dict, as one_way makes it
    return RunningBalancer(configuration)


def test_clients_arrive_at_a_unix_socket_with_the_rights_that_it_was_given(tmp_path: Path) -> None:
    path = tmp_path / "door"
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(path))
    stale.close()  # its file stays behind, as after a crash
    with ScriptedServer(echo()) as peer, arriving_at(Bind(str(path), 0, file_mode=0o620), port=peer.port):
        assert talk(socket.AF_UNIX, str(path)) == b"hello\nx"
        assert stat.S_IMODE(path.stat().st_mode) == 0o620
        assert list(tmp_path.iterdir()) == [path]


def test_what_is_no_socket_is_not_taken_away(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    bind = Bind(str(tmp_path / "file"), 0)
    with pytest.raises(ListenError, match=r"protocol unix_stream: cannot bind UNIX socket \(Operation not permitted\)"):
        ListeningSockets([Frontend("f", (bind,))])
    assert (tmp_path / "file").read_text() == "mine"


def test_clients_arrive_at_an_abstract_name() -> None:
    name = f"abns@tcpbalancer-test-{os.getpid()}"
    with ScriptedServer(echo()) as peer, arriving_at(Bind(name, 0), port=peer.port):
        assert talk(socket.AF_UNIX, abstract(name)) == b"hello\nx"


def test_an_inherited_descriptor_may_be_named_twice_and_clients_may_wait_already() -> None:
    with socket.create_server(("127.0.0.1", 0)) as inherited:
        waiting = socket.create_connection(inherited.getsockname(), PATIENCE)
        binds = (Bind(f"fd@{inherited.fileno()}", 0), Bind(f"fd@{inherited.fileno()}", 0, id=2))
        places = [Bind(bind.host, 0, location=one.location, id=bind.id) for bind, one in zip(binds, binds, strict=True)]
        with ScriptedServer(echo()) as peer, arriving_at(*places, port=peer.port), waiting:
            waiting.sendall(b"x")
            assert read_exactly(waiting, 7) == b"hello\nx"
            assert talk(socket.AF_INET, inherited.getsockname()) == b"hello\nx"
        assert inherited.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)  # ours is still open


def test_a_descriptor_that_is_not_there_is_named() -> None:
    with pytest.raises(ListenError, match="cannot use file descriptor '999' : Bad file descriptor"):
        ListeningSockets([Frontend("f", (Bind("fd@999", 0),))])


def test_a_namespace_that_is_not_there_is_named() -> None:
    bind = Bind("127.0.0.1", free_port(), namespace="no-such-namespace")
    with pytest.raises(ListenError, match="Cannot open namespace 'no-such-namespace'"):
        ListeningSockets([Frontend("f", (bind,))])


def test_the_options_of_a_socket_are_set() -> None:
    bind = Bind("127.0.0.1", free_port(), mss=1000, tcp_user_timeout=2.5, defer_accept=True, fast_open=True, backlog=9)
    with open_listening(bind) as listening:
        assert listening.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 2500
        assert listening.getsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT) >= 1
        assert listening.getsockopt(socket.IPPROTO_TCP, socket.TCP_FASTOPEN) == 9


def test_maxconn_of_a_bind_line_lets_the_rest_wait() -> None:
    with ScriptedServer(echo()) as peer:
        bind = Bind("127.0.0.1", free_port(), maxconn=1)
        with arriving_at(bind, port=peer.port) as balancer:
            first, second = balancer.connect(), balancer.connect()
            first.sendall(b"x")
            assert read_exactly(first, 7) == b"hello\nx"
            second.settimeout(0.3)
            with pytest.raises(TimeoutError):
                second.recv(1)
            second.settimeout(PATIENCE)
            first.close()
            assert read_exactly(second, 6) == b"hello\n"
