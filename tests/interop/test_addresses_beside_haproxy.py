"""Addresses of every kind beside the real HAProxy: where clients arrive, where servers are, what servers hear first."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from balancer_process import TCPBALANCER, haproxy, until
from tcp_peers import PATIENCE, free_port, read_exactly, read_to_end

from tcpbalancer.opening import abstract
from tcpbalancer.proxy_protocol import parse

pytestmark = pytest.mark.interop
NAMES = ["v1", "v2", "crc", "ssl", "unix_server", "abns_server", "called", "source", "ports", "inner", "check", "six"]


class Listening:
    """Tells each client what it heard and where the client comes from, then echoes."""

    def __init__(self, listening: socket.socket) -> None:
        self._listening = listening
        self.heard: list[tuple[str, bytes]] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                peer, name = self._listening.accept()
            except OSError:
                return
            with peer, contextlib.suppress(OSError):
                peer.settimeout(PATIENCE)
                data = read_to_end(peer)
                self.heard.append((str(name), data))
                peer.sendall(data)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(PATIENCE)


class Lab:
    """One program with the file of this test."""

    def __init__(self, command: list[str], folder: Path, servers: dict[str, int], inherited: socket.socket) -> None:
        self.ports = {name: free_port() for name in NAMES}
        self.folder = folder
        self.address = "127.0.0.2" if "ours" in folder.name else "127.0.0.3"
        self.called = servers["tcp"]
        self.name = f"tcpbalancer-{os.getpid()}-{folder.name}"
        self.inherited = inherited
        tcp, six = servers["tcp"], servers["six"]
        text = f"""\
defaults
    mode tcp
    timeout connect 5s
    timeout client 9s
    timeout server 9s
listen v1
    bind 127.0.0.1:{self.ports["v1"]}
    server s 127.0.0.1:{tcp} send-proxy
listen v2
    bind 127.0.0.1:{self.ports["v2"]}
    server s 127.0.0.1:{tcp} send-proxy-v2
listen crc
    bind 127.0.0.1:{self.ports["crc"]} accept-proxy
    server s 127.0.0.1:{tcp} send-proxy-v2 proxy-v2-options crc32c
listen ssl
    bind 127.0.0.1:{self.ports["ssl"]}
    server s 127.0.0.1:{tcp} send-proxy-v2-ssl
listen six
    bind 127.0.0.1:{self.ports["six"]}
    server s [::1]:{six} send-proxy-v2
listen unix_server
    bind 127.0.0.1:{self.ports["unix_server"]}
    server s {folder.parent}/server.sock
listen abns_server
    bind 127.0.0.1:{self.ports["abns_server"]}
    server s abns@tcpbalancer-server-{os.getpid()}
listen called
    bind 127.0.0.1:{self.ports["called"]}
    bind {self.address}:{tcp}
    server s 127.0.0.1
listen source
    bind 127.0.0.1:{self.ports["source"]}
    source 127.0.0.9
    server s 127.0.0.1:{tcp}
listen ports
    bind 127.0.0.1:{self.ports["ports"]}
    server s 127.0.0.1:{tcp} source 127.0.0.8:{29000 + (os.getpid() + len(folder.name)) % 500 * 2}-{
            29001 + (os.getpid() + len(folder.name)) % 500 * 2
        }
listen unix
    bind {folder}/door.sock mode 600
    server s 127.0.0.1:{tcp} send-proxy
listen unix2
    bind unix@{folder}/door2.sock,abns@{self.name}
    server s 127.0.0.1:{tcp} send-proxy-v2
listen accepts
    bind {folder}/proxy.sock accept-proxy
    server s 127.0.0.1:{tcp} send-proxy
listen inherited
    bind fd@${{DOOR}}
    server s 127.0.0.1:{tcp}
listen inherited_again
    bind fd@${{DOOR}}
    server s 127.0.0.1:{tcp}
listen check
    bind 127.0.0.1:{self.ports["check"]}
    server s 127.0.0.1:{tcp} check inter 100ms check-send-proxy
    server u {folder.parent}/server.sock check inter 100ms
"""
        (folder / "lab.cfg").write_text(text)
        environment = {**os.environ, "DOOR": str(inherited.fileno())}
        with (folder / "output").open("wb") as output:
            self.process = subprocess.Popen(
                [*command, "-f", str(folder / "lab.cfg")],
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=(inherited.fileno(),),
                env=environment,
            )

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(PATIENCE)

    def talk(self, client: socket.socket, data: bytes) -> bytes:
        with client:
            client.settimeout(PATIENCE)
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
            return read_to_end(client)

    def tcp(self, name: str, data: bytes = b"x") -> tuple[bytes, tuple[str, int], int]:
        client = socket.create_connection(("127.0.0.1", self.ports[name]), PATIENCE)
        own = client.getsockname()
        return self.talk(client, data), own, self.ports[name]

    def unix(self, address: str | bytes, data: bytes = b"x") -> bytes:
        client = socket.socket(socket.AF_UNIX)
        client.connect(address)
        return self.talk(client, data)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Listening]]:
    folder = tmp_path_factory.getbasetemp()
    unix = socket.socket(socket.AF_UNIX)
    unix.bind(str(folder / "server.sock"))
    named = socket.socket(socket.AF_UNIX)
    named.bind(abstract(f"abns@tcpbalancer-server-{os.getpid()}"))
    for each in (unix, named):
        each.listen()
    all_of_them = {
        "tcp": socket.create_server(("127.0.0.1", 0)),
        "six": socket.create_server(("::1", 0), family=socket.AF_INET6),
        "unix": unix,
        "abns": named,
    }
    serving = {name: Listening(listening) for name, listening in all_of_them.items()}
    serving["ports"] = {name: all_of_them[name].getsockname()[1] for name in ("tcp", "six")}  # type: ignore[assignment]
    yield serving
    for name in all_of_them:
        serving[name].close()


@pytest.fixture(scope="module")
def labs(tmp_path_factory: pytest.TempPathFactory, servers: dict[str, Listening]) -> Iterator[list[Lab]]:
    folders = [tmp_path_factory.mktemp("ours"), tmp_path_factory.mktemp("real")]
    with contextlib.ExitStack() as stack:
        commands = [[*TCPBALANCER, "-db", "--control", str(folders[0] / "control")], [haproxy(), "-db"]]
        pair = []
        for command, folder in zip(commands, folders, strict=True):
            inherited = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            pair.append(Lab(command, folder, servers["ports"], inherited))  # type: ignore[arg-type] # see there
            stack.callback(pair[-1].stop)
        for lab in pair:
            until((lab.folder / "proxy.sock").is_socket, (lab.folder / "output").read_text())
        yield pair


def headers(labs: list[Lab], name: str, data: bytes = b"x") -> list[bytes]:
    """What the server heard before the data, with the client's port replaced, if it is the same from both."""
    seen = []
    for lab in labs:
        answer, own, called = lab.tcp(name, data)
        heard = answer.removesuffix(b"x")
        heard = heard.replace(b"%d" % own[1], b"CLIENT").replace(b"%d" % called, b"CALLED")
        heard = heard.replace(own[1].to_bytes(2, "big"), b"CC").replace(called.to_bytes(2, "big"), b"DD")
        seen.append(heard)
    return seen


def test_send_proxy_tells_the_server_who_the_client_is(labs: list[Lab]) -> None:
    assert headers(labs, "v1") == [b"PROXY TCP4 127.0.0.1 127.0.0.1 CLIENT CALLED\r\n"] * 2


@pytest.mark.parametrize("name", ["v2", "ssl", "six"])
def test_send_proxy_v2_says_it_in_the_same_bytes(labs: list[Lab], name: str) -> None:
    seen = headers(labs, name)
    assert seen[0] == seen[1]
    assert seen[0].startswith(b"\r\n\r\n\0\r\nQUIT\n\x21")


def test_send_proxy_v2_with_crc32c_hands_on_what_accept_proxy_was_told(labs: list[Lab]) -> None:
    told = b"PROXY TCP4 192.0.2.7 198.51.100.1 4321 443\r\n"
    seen = headers(labs, "crc", told + b"x")
    assert seen[0] == seen[1]
    header = parse(seen[0])
    assert header is not None
    assert header.source is not None
    assert header.source.port == 4321


def test_clients_of_unix_sockets_have_no_address_to_tell(labs: list[Lab]) -> None:
    for path in ("door.sock", "door2.sock", "proxy.sock"):
        start = b"PROXY UNKNOWN\r\n" if path == "proxy.sock" else b""
        seen = [lab.unix(str(lab.folder / path), start + b"x") for lab in labs]
        assert seen[0] == seen[1]
        assert seen[0].endswith(b"x")
    seen = [lab.unix(abstract(f"abns@{lab.name}")) for lab in labs]
    assert seen[0] == seen[1]
    assert [(lab.folder / "door.sock").stat().st_mode & 0o777 for lab in labs] == [0o600, 0o600]


def test_accept_proxy_on_a_unix_socket_hands_on_what_it_was_told(labs: list[Lab]) -> None:
    told = b"PROXY TCP4 192.0.2.7 198.51.100.1 4321 443\r\n"
    assert [lab.unix(str(lab.folder / "proxy.sock"), told + b"x") for lab in labs] == [told + b"x"] * 2


def test_servers_on_unix_sockets_and_abstract_names(labs: list[Lab]) -> None:
    for name in ("unix_server", "abns_server"):
        assert [lab.tcp(name)[0] for lab in labs] == [b"x", b"x"]


def test_a_server_without_a_port_is_reached_at_the_one_that_was_called(labs: list[Lab]) -> None:
    for lab in labs:
        client = socket.create_connection((lab.address, lab.called), PATIENCE)
        assert lab.talk(client, b"x") == b"x"
        client = socket.create_connection(("127.0.0.1", lab.ports["called"]), PATIENCE)
        assert lab.talk(client, b"") == b""  # nobody is there at this one


def test_bind_fd_serves_who_waits_on_an_inherited_descriptor(labs: list[Lab]) -> None:
    for lab in labs:
        for _ in range(3):
            client = socket.create_connection(lab.inherited.getsockname(), PATIENCE)
            assert lab.talk(client, b"x") == b"x"


def test_source_is_where_connections_to_servers_come_from(labs: list[Lab], servers: dict[str, Listening]) -> None:
    for name, address in (("source", "127.0.0.9"), ("ports", "127.0.0.8")):
        servers["tcp"].heard.clear()
        assert [lab.tcp(name)[0] for lab in labs] == [b"x", b"x"]
        until(lambda: sum(one[1] == b"x" for one in servers["tcp"].heard) == 2, "both have come")
        assert {one[0].split("'")[1] for one in servers["tcp"].heard if one[1] == b"x"} == {address}


def test_checks_reach_unix_sockets_and_say_who_they_are(labs: list[Lab], servers: dict[str, Listening]) -> None:
    servers["tcp"].heard.clear()
    servers["unix"].heard.clear()
    until(lambda: sum(one[1].startswith(b"PROXY ") for one in servers["tcp"].heard) >= 2, "checks with a header")
    assert [lab.tcp("check")[0] for lab in labs] == [b"x", b"x"]


NAMESPACED = """\
import socket, sys
with socket.create_server(("127.0.0.1", 0)) as listening:
    print(listening.getsockname()[1], flush=True)
    while True:
        peer = listening.accept()[0]
        with peer:
            peer.sendall(b"inside")
"""


@pytest.fixture
def namespace() -> Iterator[str]:
    name = f"tcpbalancer{os.getpid()}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    subprocess.run(["ip", "-n", name, "link", "set", "lo", "up"], check=True)
    yield name
    subprocess.run(["ip", "netns", "del", name], check=True)


@pytest.mark.parametrize("which", [0, 1])
def test_namespace_of_a_server_and_of_a_listener(namespace: str, which: int, tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        inside = subprocess.Popen(
            ["ip", "netns", "exec", namespace, sys.executable, "-c", NAMESPACED], stdout=subprocess.PIPE, text=True
        )
        stack.callback(inside.wait)
        stack.callback(inside.terminate)
        assert inside.stdout is not None
        port, outer, inner = int(inside.stdout.readline()), free_port(), 15432
        inside.stdout.close()
        (tmp_path / "lab.cfg").write_text(f"""\
defaults
    mode tcp
    timeout connect 1s
    timeout client 5s
    timeout server 5s
listen outer
    bind 127.0.0.1:{outer}
    server s 127.0.0.1:{port} namespace {namespace} check inter 100ms
listen inner
    bind 127.0.0.1:{inner} namespace {namespace}
    server s 127.0.0.1:{port} namespace {namespace}
""")
        command = [[*TCPBALANCER, "-db", "--control", str(tmp_path / "control")], [haproxy(), "-db"]][which]
        program = subprocess.Popen([*command, "-f", str(tmp_path / "lab.cfg")], stderr=subprocess.DEVNULL)
        stack.callback(program.wait)
        stack.callback(program.terminate)

        def answers() -> bool:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", outer), 1) as client:
                return read_exactly(client, 6) == b"inside"
            return False

        until(answers, "the server in the namespace answers")
        asking = f"import socket; print(socket.create_connection(('127.0.0.1', {inner}), 5).recv(6))"
        asked = ["ip", "netns", "exec", namespace, sys.executable, "-c", asking]
        assert subprocess.run(asked, capture_output=True, text=True, check=True).stdout == "b'inside'\n"
