"""The stand-ins speak enough of PostgreSQL's protocol and of Patroni's REST API, and say that they are stand-ins."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from halab.parts import client
from halab.parts.client import get, simple_query
from halab.parts.patroni import status_of
from halab.parts.standins import GSS_REQUEST, SSL_REQUEST, Postgres, Rest


@contextmanager
def served(serve: Callable[[socket.socket], None], at: tuple[str, int] = ("127.0.0.1", 0)) -> Iterator[int]:
    """Serve one connection, on a free port of the loopback if none is given."""
    with socket.create_server(at) as listening:
        listening.settimeout(5)

        def one() -> None:
            client, _ = listening.accept()
            with suppress(ConnectionError):  # a client that leaves early, as the one that only wants a greeting
                serve(client)

        thread = threading.Thread(target=one)
        thread.start()
        yield listening.getsockname()[1]
        thread.join(5)
        assert not thread.is_alive()


def test_the_server_answers_with_the_address_that_it_was_reached_at() -> None:
    with served(Postgres(primary=True).serve) as port:
        assert simple_query("127.0.0.1", port, "SELECT inet_server_addr()") == "127.0.0.1"


@pytest.mark.parametrize(("primary", "told"), [(True, "f"), (False, "t")])
def test_only_a_replica_is_in_recovery(primary: bool, told: str) -> None:
    with served(Postgres(primary).serve) as port:
        assert simple_query("127.0.0.1", port, "select pg_is_in_recovery();") == told


def test_a_replica_refuses_a_write_as_postgresql_does() -> None:
    with served(Postgres(primary=False).serve) as port, pytest.raises(OSError, match="in a read-only transaction"):
        simple_query("127.0.0.1", port, "CREATE TABLE t (i int)")


def test_a_question_it_cannot_answer_is_refused_by_a_self_declared_stand_in() -> None:
    with served(Postgres(primary=True).serve) as port, pytest.raises(OSError, match="stand-in"):
        simple_query("127.0.0.1", port, "SELECT 1")


def test_who_asks_is_told_with_which_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "SEARCH", "/nowhere")
    assert [line.partition(" (")[0] for line in client.versions()] == ["no psql here", "no curl here"]
    assert (client.sql_client(), client.web_client()) == ("query", "request")


@pytest.mark.parametrize("code", [SSL_REQUEST, GSS_REQUEST])
def test_encryption_is_declined_with_n_and_the_start_up_goes_on(code: int) -> None:
    with served(Postgres(primary=True).serve) as port, socket.create_connection(("127.0.0.1", port), 5) as client:
        client.sendall(struct.pack("!II", 8, code))
        assert client.recv(1) == b"N"
        client.sendall(struct.pack("!II", 8 + 11, 196608) + b"user\0anyone"[:11])
        assert client.recv(1) == b"R"


def test_a_proxy_in_the_environment_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # nobody is there
    with served(Rest(primary=True).serve) as port:
        assert "stand-in" in get(f"http://127.0.0.1:{port}/primary")
    with served(Rest(primary=False).serve, ("127.0.83.8", 8008)):
        assert status_of("127.0.83.8", "/primary") == 503


STATUSES = [
    ("/patroni", 200, 200), ("/health", 200, 200), ("/primary", 200, 503), ("/leader", 200, 503), ("/", 200, 503),
    ("/replica", 503, 200), ("/replica?lag=1MB", 503, 200), ("/nothing", 404, 404),
]  # fmt: skip


@pytest.mark.parametrize(("path", "leader", "replica"), STATUSES)
def test_patroni_statuses_are_those_of_its_manual(path: str, leader: int, replica: int) -> None:
    assert Rest(primary=True).status(path) == leader
    assert Rest(primary=False).status(path) == replica


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_every_method_gets_the_same_status_and_only_get_a_body(method: str) -> None:
    with served(Rest(primary=False).serve) as port, socket.create_connection(("127.0.0.1", port), 5) as client:
        client.sendall(f"{method} /primary HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        with client.makefile("rb") as stream:
            head, _, body = stream.read().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.0 503 ")
    assert bool(body) == (method == "GET")
