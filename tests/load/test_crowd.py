"""After a crowd of connections of every kind, everything is as it was before: nothing leaks, nothing is miscounted.

``CROWD=100000`` in the environment makes it as many; without it, the same in small.
"""

from __future__ import annotations

import contextlib
import os
import random
import selectors
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

import pytest
from balancer_process import until
from relaying import Relaying, descriptors, processor_seconds, relaying, resident_bytes
from tcp_peers import PATIENCE, free_port, full_backlog, read_exactly, read_to_end, reset

CROWD = int(os.environ.get("CROWD", "20000"))
CLIENTS = 8
BULK = 3 << 20
KEPT = 3_000_000
"""Bytes that the allocators of three processes may have come to keep since the first half of the crowd."""
SEED = 20261126


Deed = Callable[[socket.socket], None]


class ManyServer:
    """One thread for all connections: the first byte of each says what becomes of it."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port = self._listening.getsockname()[1]
        self._over, over = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        self._selector.register(over, selectors.EVENT_READ, None)
        self._selector.register(self._listening, selectors.EVENT_READ, self._accept)
        self._thread = threading.Thread(target=self._run, args=(over,))
        self._thread.start()

    def _run(self, over: socket.socket) -> None:
        with over, self._selector:
            while True:
                for key, _ in self._selector.select():
                    if key.data is None:
                        for each in list(self._selector.get_map().values()):
                            if each.fileobj is not over:
                                each.fileobj.close()  # type: ignore[union-attr] # there are sockets in it, no numbers
                        return
                    key.data(key.fileobj)

    def _accept(self, listening: socket.socket) -> None:
        peer = listening.accept()[0]
        self._selector.register(peer, selectors.EVENT_READ, self._read)

    def _read(self, peer: socket.socket) -> None:
        try:
            said = peer.recv(4096)
            if said[:1] in {b"e", b"q"}:
                peer.sendall(said)
            if said[:1] in {b"e", b"s"}:
                return  # silent from now on, or until it hears more
        except OSError:
            said = b""
        self._selector.unregister(peer)
        if said[:1] == b"r":
            reset(peer)
        elif said[:1] == b"b":
            threading.Thread(target=_send_much, args=(peer,)).start()
        else:
            peer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._over.close()
        self._thread.join(PATIENCE)


def _send_much(peer: socket.socket) -> None:
    with peer, contextlib.suppress(OSError):
        peer.sendall(bytes(BULK))


@contextlib.contextmanager
def crowded(folder: Path) -> Iterator[Relaying]:
    with ManyServer() as server, full_backlog() as deaf:
        lines = {
            "l": f"server s 127.0.0.1:{server.port}",
            "impatient": f"timeout client 80ms\n    timeout server 80ms\n    server s 127.0.0.1:{server.port}",
            "refused": f"retries 0\n    server s 127.0.0.1:{free_port()}",
            "deaf": f"retries 0\n    timeout connect 80ms\n    server s 127.0.0.1:{deaf}",
            "narrow": f"timeout queue 80ms\n    server s 127.0.0.1:{server.port} maxconn 1",
        }
        with relaying(folder, lines, whole="nbthread 2\n    maxconn 4000") as running:
            yield running


def asks(client: socket.socket, word: bytes) -> bytes:
    client.sendall(word)
    return read_exactly(client, len(word))


# What a client does, and so what becomes of its connection.


def closes(client: socket.socket) -> None:
    assert asks(client, b"echo") == b"echo"


def half_closes(client: socket.socket) -> None:
    client.sendall(b"question")
    client.shutdown(socket.SHUT_WR)
    assert read_to_end(client) == b"question"


def resets(client: socket.socket) -> None:
    assert asks(client, b"echo") == b"echo"
    reset(client)


def is_reset(client: socket.socket) -> None:
    client.sendall(b"r")
    with contextlib.suppress(ConnectionResetError):
        assert read_to_end(client) == b""


def leaves_at_once(client: socket.socket) -> None:
    """Say nothing."""


def resets_at_once(client: socket.socket) -> None:
    reset(client)


def fetches(client: socket.socket) -> None:
    client.sendall(b"b")
    assert len(read_to_end(client)) == BULK


def breaks_off(client: socket.socket) -> None:
    client.sendall(b"b")
    assert len(read_exactly(client, BULK // 3)) == BULK // 3
    reset(client)


def waits_for_the_end(client: socket.socket) -> None:
    with contextlib.suppress(ConnectionResetError, BrokenPipeError):
        client.sendall(b"s")
        assert read_to_end(client) == b""


def waits_its_turn(client: socket.socket) -> None:
    with contextlib.suppress(ConnectionResetError, BrokenPipeError):  # it asks too late: timeout queue was faster
        assert asks(client, b"echo") in {b"echo", b""}


QUICK = (closes, half_closes, resets, is_reset, leaves_at_once, resets_at_once)
# To which proxy, and what for: as often as it is named, as far as chance allows.
KINDS: list[tuple[str, Deed]] = [
    *[("l", deed) for deed in QUICK] * 16,
    *[("l", fetches), ("l", breaks_off)],
    *[("refused", waits_for_the_end)] * 8,
    *[("impatient", waits_for_the_end), ("deaf", waits_for_the_end), ("deaf", leaves_at_once)],
    *[("narrow", waits_its_turn)] * 8,
    ("narrow", leaves_at_once),
]


def send_crowd(running: Relaying, number: int, count: int) -> Counter[str]:
    """Let a crowd come and go; returns how many have come to each proxy."""
    chance = random.Random(SEED + number)  # noqa: S311 - it has to come again
    came: Counter[str] = Counter()

    def comes(kind: tuple[str, Deed]) -> None:
        proxy, deed = kind
        with socket.create_connection(("127.0.0.1", running.ports[proxy]), PATIENCE) as client:
            deed(client)

    kinds = [*KINDS, *chance.choices(KINDS, k=count - len(KINDS))]
    with ThreadPoolExecutor(CLIENTS) as clients:
        list(clients.map(comes, kinds))
    came.update(proxy for proxy, _ in kinds)
    until(lambda: not any(int(row["scur"] or 0) for row in running_rows(running)), "all have gone")
    return came


def running_rows(running: Relaying) -> list[dict[str, str]]:
    rows = running.process.csv()[1]
    return [row for name, row in rows.items() if not name.startswith("stats/")]


def held(running: Relaying) -> list[int]:
    """Return the descriptors that workers hold but for their stock of pipes, and those of the supervisor."""
    pipes = sum(
        str(entry.readlink()).startswith("pipe:")
        for pid in running.workers
        for entry in Path(f"/proc/{pid}/fd").iterdir()
    )
    assert pipes <= 2 * 2 * CLIENTS * len(running.workers), "one for each direction that flows, with two ends"
    return [descriptors(running.workers) - pipes, descriptors([running.process.process.pid])]


@pytest.mark.timeout(600)
def test_after_a_crowd_of_every_kind_all_is_counted_and_nothing_is_left(tmp_path: Path) -> None:
    with crowded(tmp_path) as running:
        pids = [*running.workers, running.process.process.pid]
        came = send_crowd(running, 0, CROWD // 2)
        before, memory = held(running), resident_bytes(pids)
        came += send_crowd(running, 1, CROWD - CROWD // 2)
        assert [*running.workers, running.process.process.pid] == pids, "nobody died"
        until(lambda: held(running) == before, f"as many descriptors as before: {before}")
        assert resident_bytes(pids) - memory < KEPT, "an object left by each connection is more"
        rows = running.process.csv()[1]
        assert {proxy: int(rows[f"{proxy}/FRONTEND"]["stot"]) for proxy in came} == came
        assert all(int(row["qcur"] or 0) == 0 for row in running_rows(running))
        assert int(rows["narrow/s"]["smax"]) == 1
        start = processor_seconds(running.workers)
        threading.Event().wait(0.5)
        assert processor_seconds(running.workers) - start < 0.05, "no timer and no socket keeps anybody awake"
