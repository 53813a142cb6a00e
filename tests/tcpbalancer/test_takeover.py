"""Listening sockets go from one generation to the next."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tcpbalancer import takeover
from tcpbalancer.takeover import PER_MESSAGE, REQUEST, TakeoverError, receive, send

Serve = Callable[[Callable[[socket.socket], None]], str]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Answer one connection on a unix socket, in a thread."""
    threads: list[threading.Thread] = []
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(tmp_path / "admin.sock"))
    listening.listen()

    def serve(answer: Callable[[socket.socket], None]) -> str:
        def run() -> None:
            connection, _ = listening.accept()
            with connection:
                assert connection.recv(100) == REQUEST
                answer(connection)

        threads.append(threading.Thread(target=run))
        threads[0].start()
        return str(tmp_path / "admin.sock")

    yield serve
    for thread in threads:
        thread.join()
    listening.close()


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize("count", [0, 1, PER_MESSAGE, 2 * PER_MESSAGE + 1])
def test_the_successor_has_the_same_listening_sockets_under_the_same_names(serve: Serve, count: int) -> None:
    listening = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    named = [(f"place {number}", each) for number, each in enumerate(listening)]
    received = receive(serve(lambda connection: send(connection, named)))
    assert [(name, each.getsockname()) for name, each in received] == [
        (name, each.getsockname()) for name, each in named
    ]
    for each in (*listening, *(each for _, each in received)):
        each.close()


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (b"Permission denied\n", "Permission denied"),
        (b"", "closed the connection"),
        (b"\xff{[]\n", "gives no sockets"),
        (b'["a place"]\n[]\n', "1 names for 0 sockets"),
    ],
)
def test_who_gives_no_sockets_is_told_by_a_sentence(serve: Serve, answer: bytes, sentence: str) -> None:
    with pytest.raises(TakeoverError, match=sentence):
        receive(serve(lambda connection: connection.sendall(answer)))


def test_sockets_that_come_with_a_broken_answer_are_closed(serve: Serve) -> None:
    before = open_descriptors()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer(connection: socket.socket) -> None:
            takeover.send_message(connection, b'["one", "two"]\n[]\n', [listening])

        with pytest.raises(TakeoverError):
            receive(serve(answer))
    assert open_descriptors() <= before + 1  # the accepted end, which the thread closes


def test_nobody_there_is_a_takeover_error_too(tmp_path: Path) -> None:
    with pytest.raises(TakeoverError, match="No such file"):
        receive(str(tmp_path / "nobody.sock"))
