"""``stats socket``, ``stats timeout`` and ``stats maxconn`` of ``global``: what is read, and what it listens on."""

from __future__ import annotations

import asyncio
import os
import pwd
import select
import socket
import stat
from pathlib import Path
from unittest.mock import Mock

import pytest
from tcp_peers import PATIENCE, reset, tcp_pair

from hakit.diagnostics import ConfigError
from tcpbalancer.config.load import read_texts
from tcpbalancer.control.cli_listening import StatsSocketError, open_all
from tcpbalancer.control.cli_room import Room
from tcpbalancer.control.cli_server import CliServer
from tcpbalancer.model import Configuration, Level, StatsSocket
from tcpbalancer.model.stats_socket import Place


def read(*lines: str, name: str = "a.cfg") -> Configuration:
    text = "global\n" + "".join(f"    {line}\n" for line in lines)
    return read_texts([(name, text)], {"FD": "7"}).configuration


@pytest.mark.parametrize(
    ("line", "title"),
    [
        ("stats socket /run/haproxy/admin.sock", "unix@/run/haproxy/admin.sock"),
        ("stats socket unix@/run/x", "unix@/run/x"),
        ("stats socket abns@haproxy", "abns@haproxy"),
        ("stats socket ipv4@127.0.0.1:9999", "ipv4@127.0.0.1:9999"),
        ("stats socket 127.0.0.1:9999", "ipv4@127.0.0.1:9999"),
        ("stats socket *:9999", "ipv4@0.0.0.0:9999"),
        ("stats socket ipv6@::1:9999", "ipv6@::1:9999"),
        ("stats socket ipv6@:::9999", "ipv6@:::9999"),
        ("stats socket fd@3", "fd@3"),
        ("stats socket fd@${FD}", "fd@7"),
    ],
)
def test_stats_socket_takes_every_kind_of_address(line: str, title: str) -> None:
    [found] = read(line).stats_sockets
    assert (found.title, found.level, found.exposes_listeners) == (title, Level.OPERATOR, False)


def test_stats_socket_may_stand_several_times_with_options_of_its_own() -> None:
    user = pwd.getpwuid(os.getuid()).pw_name
    configuration = read(
        f"stats socket /run/a mode 660 user {user} gid 5 level admin expose-fd listeners",
        "stats socket /run/b level user severity-output number",
    )
    first, second = configuration.stats_sockets
    assert (first.mode, first.uid, first.gid) == (0o660, os.getuid(), 5)
    assert (first.level, first.exposes_listeners) == (Level.ADMIN, True)
    assert (second.mode, second.uid, second.level, second.severity) == (None, None, Level.USER, "number")


def test_stats_timeout_and_stats_maxconn_have_haproxys_defaults() -> None:
    assert (read("maxconn 5").stats_timeout, read("maxconn 5").stats_maxconn) == (10.0, 10)
    configuration = read("stats timeout 30s", "stats maxconn 3")
    assert (configuration.stats_timeout, configuration.stats_maxconn) == (30.0, 3)


def test_a_stats_socket_alone_is_a_listener() -> None:
    assert read("stats socket /run/x").has_listeners
    assert not read("maxconn 5").has_listeners


def test_the_same_in_yaml() -> None:
    text = "global: {stats: {socket: '/run/x level admin mode 600', timeout: 5s, maxconn: 7}}\n"
    configuration = read_texts([("a.yaml", text)], {}).configuration
    assert [each.title for each in configuration.stats_sockets] == ["unix@/run/x"]
    assert configuration.stats_sockets[0].level is Level.ADMIN
    assert (configuration.stats_timeout, configuration.stats_maxconn) == (5.0, 7)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("stats socket", "'stats socket' in global section expects an address or a path to a UNIX socket"),
        ("stats socket /x level foo", "''level' only supports 'user', 'operator', and 'admin' (got 'foo')"),
        ("stats socket /x level", "'level' : missing"),
        ("stats socket /x mode 9z", "'mode' : missing or invalid mode '9z' (octal integer expected)"),
        ("stats socket /x user no-such-user", "'user' : unknown user name 'no-such-user'"),
        ("stats socket /x group no-such-group", "'group' : unknown group name 'no-such-group'"),
        ("stats socket /x expose-fd foo", "'expose-fd' only supports 'listeners' (got 'foo')"),
        (
            "stats socket /x severity-output x",
            "'severity-output' only supports 'none', 'number', and 'string' (got 'x')",
        ),
        ("stats socket /x levle admin", "unknown keyword 'levle'"),
        ("stats socket tmp", "missing port specification in 'tmp'"),
        ("stats socket 127.0.0.1:99999", "invalid port '99999'"),
        ("stats socket ipv4@*:0", "invalid port '0'"),
        ("stats socket fd@x", "invalid address 'fd@x'"),
        ("stats timeout x", "'stats timeout' : unexpected character 'x'"),
        ("stats timeout 0", "'stats timeout' expects a positive value"),
        ("stats maxconn x", "'stats maxconn' expects a positive value"),
        ("stats maxconn 0", "'stats maxconn' expects a positive value"),
        ("stats foo", "'stats' only supports 'socket', 'maxconn', 'bind-process' and 'timeout' (got 'foo')"),
    ],
)
def test_a_mistake_is_told_in_haproxys_words(line: str, message: str) -> None:
    with pytest.raises(ConfigError) as wrong:
        read(line)
    assert any(message.lstrip("'") in found.message for found in wrong.value.diagnostics), wrong.value.diagnostics


# -- listening --------------------------------------------------------------------------------------------------------


def test_the_file_of_a_unix_socket_has_its_rights_before_anybody_sees_it(tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    for _ in range(2):  # the second takes the place of the first
        [listening] = open_all([StatsSocket(Place.UNIX, str(path), mode=0o640, uid=os.getuid(), gid=os.getgid())])
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        assert [each.name for each in tmp_path.iterdir()] == ["admin.sock"]
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
        listening.close()


@pytest.mark.parametrize("umask", [0o000, 0o022])
def test_without_mode_the_file_is_its_owners_alone_whatever_the_umask_is(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        [listening] = open_all([StatsSocket(Place.UNIX, str(tmp_path / "s"))])
        listening.close()
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == 0o600


def test_what_is_no_socket_is_never_taken_away(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("mine")
    with pytest.raises(StatsSocketError) as failed:
        open_all([StatsSocket(Place.UNIX, str(precious))])
    assert "cannot bind UNIX socket (Operation not permitted)" in failed.value.lines[0]
    assert precious.read_text() == "mine"


def test_all_sockets_that_cannot_be_had_are_told_and_none_stays_open(tmp_path: Path) -> None:
    path = tmp_path / "good"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(StatsSocketError) as failed:
            open_all([
                StatsSocket(Place.UNIX, str(path)),
                StatsSocket(Place.UNIX, str(tmp_path / "no/such/folder")),
                StatsSocket(Place.IPV4, "127.0.0.1", port),
                StatsSocket(Place.DESCRIPTOR, "999"),
            ])  # fmt: skip
    assert [line.split("cannot bind ")[1] for line in failed.value.lines] == [
        f"UNIX socket (No such file or directory) [{tmp_path}/no/such/folder].",
        f"socket (Address already in use) for [127.0.0.1:{port}].",
        "socket (Bad file descriptor) for [999].",
    ]
    with socket.socket(socket.AF_UNIX) as client, pytest.raises(ConnectionRefusedError):
        client.connect(str(path))


def test_addresses_abstract_names_and_inherited_descriptors_are_listened_on() -> None:
    with socket.create_server(("127.0.0.1", 0)) as inherited, socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
        free.close()
        opened = open_all([
            StatsSocket(Place.IPV4, "127.0.0.1", port),
            StatsSocket(Place.ABSTRACT, f"tcpbalancer-test-{os.getpid()}"),
            StatsSocket(Place.DESCRIPTOR, str(inherited.fileno())),
        ])  # fmt: skip
        assert opened[0].getsockname() == ("127.0.0.1", port)
        name = opened[1].getsockname()
        assert name.startswith(f"\0tcpbalancer-test-{os.getpid()}".encode())
        assert len(name) == 108, "HAProxy fills abstract names up with zeros"
        assert opened[2].getsockname() == inherited.getsockname()
        assert opened[2].fileno() != inherited.fileno(), "one descriptor may be named twice"
        for each in opened:
            each.close()


def test_a_client_that_has_reset_its_connection_before_it_is_looked_at_is_no_error_of_ours() -> None:
    near, far = tcp_pair()
    address = near.getpeername()
    reset(far)
    assert select.select([near], [], [], PATIENCE)[0], "the reset has come"
    server = CliServer(Room(Mock()))
    asyncio.run(server._serve(StatsSocket(Place.IPV4, "127.0.0.1", 1), near, address))
    assert near.fileno() == -1, "it is closed"
