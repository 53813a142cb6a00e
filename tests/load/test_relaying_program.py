"""What the whole program promises of the bytes that it carries, seen from both far ends and in its statistics."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import random
import socket
import statistics
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from again import again_and_again
from balancer_process import until
from relaying import Relaying, processor_seconds, relaying, resident_bytes
from tcp_peers import PATIENCE, ScriptedServer, echo, free_port, read_exactly, read_to_end, reset, small_buffers, unsent

SEED = 20261126
MIB = 1 << 20
BULK = int(os.environ.get("BULK", "48"))
"""MiB of one connection in each direction; ``BULK=10240`` in the environment makes it 10 GiB."""


class Ledger:
    """Both ends of many connections: each side sends bytes of its own, and learns what the other one has received."""

    def __init__(self) -> None:
        self._chance = random.Random(SEED)  # noqa: S311 - test data, and it has to come again
        self._lock = threading.Lock()
        self.up = self.down = 0

    def _bytes(self) -> bytes:
        """Return bytes of any order of magnitude, from one to 2 MiB."""
        with self._lock:  # one at least: who says nothing and half-closes before a server is reached has left ("CC")
            return self._chance.randbytes(int(2 ** self._chance.uniform(0, 21)))

    def serve(self, peer: socket.socket) -> None:
        """Send bytes and their digest while those of the client come in; at last, the digest of these."""
        down = self._bytes()
        sender = threading.Thread(target=send_in_pieces, args=(peer, down + hashlib.sha256(down).digest()))
        sender.start()
        up = read_to_end(peer)
        sender.join()
        peer.sendall(hashlib.sha256(up).digest())
        with self._lock:
            self.up += len(up)
            self.down += len(down) + 64

    def use(self, peer: socket.socket) -> None:
        """Be the client of ``serve``; AssertionError if anything has not come as it was sent."""
        up = self._bytes()
        sender = threading.Thread(target=lambda: (send_in_pieces(peer, up), peer.shutdown(socket.SHUT_WR)))
        sender.start()
        answer = read_to_end(peer)
        sender.join()
        down, digest_of_down, digest_of_up = answer[:-64], answer[-64:-32], answer[-32:]
        assert digest_of_up == hashlib.sha256(up).digest()
        assert digest_of_down == hashlib.sha256(down).digest()


def send_in_pieces(peer: socket.socket, data: bytes) -> None:
    chance, at = random.Random(len(data)), 0  # noqa: S311 - as above
    while at < len(data):
        piece = chance.choice((1, 7, 1448, 4096, 65536, MIB))
        peer.sendall(data[at : at + piece])
        at += piece


def connect(address: str | tuple[str, int]) -> socket.socket:
    if isinstance(address, tuple):
        return socket.create_connection(address, PATIENCE)
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(PATIENCE)
    client.connect(address)
    return client


def listening_on_each_family(folder: Path) -> dict[str, socket.socket]:
    unix = socket.socket(socket.AF_UNIX)
    unix.bind(str(folder / "server.sock"))
    unix.listen()
    return {
        "ipv4": socket.create_server(("127.0.0.1", 0)),
        "ipv6": socket.create_server(("::1", 0), family=socket.AF_INET6),
        "unix": unix,
    }


def test_over_every_pair_of_families_every_byte_arrives_and_is_counted(tmp_path: Path) -> None:
    ledger, sections, doors = Ledger(), {}, []
    with contextlib.ExitStack() as stack:
        for family, listening in listening_on_each_family(tmp_path).items():
            stack.enter_context(ScriptedServer(ledger.serve, listening))
            where = listening.getsockname()
            server = where if family == "unix" else f"{'[::1]' if family == 'ipv6' else '127.0.0.1'}:{where[1]}"
            four, six, door = free_port(), free_port(), str(tmp_path / f"{family}.door")
            doors += [("127.0.0.1", four), ("::1", six), door]
            sections[family] = f"bind 127.0.0.1:{four}\n    bind [::1]:{six}\n    bind {door}\n    server s {server}"
        running = stack.enter_context(relaying(tmp_path / "p", sections, whole="nbthread 2"))

        def talk(address: str | tuple[str, int]) -> None:
            with connect(address) as client:
                ledger.use(client)

        with ThreadPoolExecutor(6) as clients:
            list(clients.map(talk, doors * 6))

        def counted(column: str) -> int:
            return sum(int(running.row(family)[column]) for family in sections)

        until(lambda: counted("scur") == 0, "all connections are over")
        assert counted("stot") == len(doors) * 6
        assert (counted("bin"), counted("bout")) == (ledger.up, ledger.down)
        for family in sections:
            for row in ("s", "BACKEND"):
                for column in ("stot", "bin", "bout"):
                    assert running.row(family, row)[column] == running.row(family)[column]


def stream(peer: socket.socket, count: int) -> None:
    """Send so many MiB, no two of which are the same, and the end."""
    block = bytearray(random.Random(SEED).randbytes(MIB))  # noqa: S311 - as above
    for number in range(count):
        block[:8] = number.to_bytes(8, "big")
        peer.sendall(block)
    peer.shutdown(socket.SHUT_WR)


def expected_digest(count: int) -> bytes:
    """Return the digest of what ``stream`` sends."""
    digest, block = hashlib.sha256(), bytearray(random.Random(SEED).randbytes(MIB))  # noqa: S311 - as above
    for number in range(count):
        block[:8] = number.to_bytes(8, "big")
        digest.update(block)
    return digest.digest()


def digest_of(peer: socket.socket) -> bytes:
    digest, buffer = hashlib.sha256(), memoryview(bytearray(MIB))
    while count := peer.recv_into(buffer):
        digest.update(buffer[:count])
    return digest.digest()


@pytest.mark.timeout(600)
def test_a_bulk_arrives_in_order_in_both_directions_at_once(tmp_path: Path) -> None:
    got: list[bytes] = []

    def script(peer: socket.socket) -> None:
        sender = threading.Thread(target=stream, args=(peer, BULK))
        sender.start()
        got.append(digest_of(peer))
        sender.join()

    with (
        ScriptedServer(script) as peer,
        relaying(tmp_path, {"l": f"server s 127.0.0.1:{peer.port}"}) as running,
        running.connect() as client,
    ):
        sender = threading.Thread(target=stream, args=(client, BULK))
        sender.start()
        down = digest_of(client)
        sender.join()
        until(lambda: len(got) == 1, "the server has it all")
        assert [down, *got] == [expected_digest(BULK)] * 2
        row = running.row()
        assert (int(row["bin"]), int(row["bout"])) == (BULK * MIB, BULK * MIB)


@pytest.mark.parametrize("version", ["send-proxy", "send-proxy-v2"])
def test_the_proxy_header_comes_once_before_all_data_however_much_follows(tmp_path: Path, version: str) -> None:
    data = random.Random(SEED).randbytes(12 * MIB)  # noqa: S311 - as above
    got: list[bytes] = []
    with (
        ScriptedServer(lambda peer: got.append(read_to_end(peer))) as peer,
        relaying(tmp_path, {"l": f"server s 127.0.0.1:{peer.port} {version}"}) as running,
        running.connect() as client,
    ):
        own = client.getsockname()[1]
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        assert read_to_end(client) == b""
    header = got[0].removesuffix(data)
    if version == "send-proxy":
        assert header == f"PROXY TCP4 127.0.0.1 127.0.0.1 {own} {running.ports['l']}\r\n".encode()
    else:
        ports = own.to_bytes(2, "big") + running.ports["l"].to_bytes(2, "big")
        assert header == b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes([127, 0, 0, 1] * 2) + ports


def test_connections_that_break_off_leave_no_byte_to_those_beside_them_and_after_them(tmp_path: Path) -> None:
    def repeats(peer: socket.socket) -> None:
        name = read_exactly(peer, 4)
        while True:
            peer.sendall(name * 65536)

    chance = random.Random(SEED)  # noqa: S311 - as above

    def fetches(number: int) -> None:
        name, amount = number.to_bytes(4, "big"), chance.randrange(1, 4 * MIB)
        with running.connect() as client:
            client.sendall(name)
            data = read_exactly(client, amount)
            assert data == (name * (amount // 4 + 1))[:amount]
            if number % 2:
                reset(client)

    with (
        ScriptedServer(repeats) as peer,
        relaying(tmp_path, {"l": f"server s 127.0.0.1:{peer.port}"}, whole="nbthread 2") as running,
        ThreadPoolExecutor(8) as clients,
    ):
        list(clients.map(fetches, range(200)))


def stopped(running: Relaying, count: int) -> list[socket.socket]:
    """Return clients that ask for everything and read nothing."""
    clients = []
    for _ in range(count):
        client = running.connect()
        small_buffers(client)
        client.sendall(b"x")
        clients.append(client)
    return clients


def test_readers_that_stop_cost_a_bounded_amount_of_memory_and_no_processor_time(tmp_path: Path) -> None:
    sent: dict[socket.socket, int] = {}

    def never_ends(peer: socket.socket) -> None:
        peer.recv(1)
        while True:
            sent[peer] = sent.get(peer, 0) + peer.send(bytes(MIB))

    with (
        ScriptedServer(never_ends) as peer,
        relaying(tmp_path, {"l": f"server s 127.0.0.1:{peer.port}"}) as running,
    ):
        stopped(running, 4)  # whatever is allocated once
        until_it_stands(running, sent, 4)
        before, pids = resident_bytes(running.workers), running.workers
        many = stopped(running, 40)
        until_it_stands(running, sent, 44)
        swallowed = sum(sent.values())
        assert resident_bytes(pids) - before < 40 * 128 * 1024, "a buffer for each direction, at the most"
        assert swallowed < 44 * 16 * MIB, "what the kernel's own buffers and a pipe take"
        start = processor_seconds(pids)
        assert read_exactly(many[0], MIB) == bytes(MIB), "who reads again is served"
        waits(0.5)
        assert sum(sent.values()) < swallowed + 16 * MIB
        assert processor_seconds(pids) - start < 0.05


def until_it_stands(running: Relaying, sent: dict[socket.socket, int], count: int) -> None:
    """Wait until ``count`` writers have come to a stand."""
    until(lambda: len(sent) == count, f"{count} writers write")
    before = -1
    while before != sum(sent.values()):
        before = sum(sent.values())
        waits(0.3)


def waits(seconds: float) -> None:
    """Let time go by, in which something may not happen."""
    threading.Event().wait(seconds)


def test_a_hundred_mice_do_not_wait_for_an_elephant(tmp_path: Path) -> None:
    def elephant(peer: socket.socket) -> None:
        peer.recv(1)
        block = memoryview(bytes(4 * MIB))
        while True:
            peer.sendall(block)

    with (
        ScriptedServer(echo(b"")) as small,
        ScriptedServer(elephant) as big,
        relaying(
            tmp_path, {"mice": f"server s 127.0.0.1:{small.port}", "elephant": f"server s 127.0.0.1:{big.port}"}
        ) as running,
    ):
        fed = [0]
        feeding = running.connect("elephant")
        feeding.sendall(b"x")
        buffer = bytearray(MIB)

        def feed() -> None:
            fed[0] += feeding.recv_into(buffer)

        mice = [running.connect("mice") for _ in range(100)]
        took = []
        with again_and_again(feed):
            for mouse in mice * 5:
                start = time.monotonic()
                mouse.sendall(b"x")
                assert mouse.recv(1) == b"x"
                took.append(time.monotonic() - start)
            grown = fed[0]
        assert grown > 8 * MIB, "it was an elephant"
        assert statistics.quantiles(took, n=100)[98] < 0.1
        assert statistics.median(took) < 0.02


def test_after_a_half_close_the_other_direction_lives_as_long_as_it_flows(tmp_path: Path) -> None:
    def trickles(peer: socket.socket) -> None:
        asked = read_to_end(peer)
        for _ in range(12):
            waits(0.2)
            peer.sendall(asked)

    with (
        ScriptedServer(trickles) as peer,
        relaying(
            tmp_path,
            {"l": f"server s 127.0.0.1:{peer.port}"},
            defaults="timeout client 1s\n    timeout server 1s\n    timeout client-fin 1s\n    timeout server-fin 1s",
        ) as running,
        running.connect() as client,
    ):
        client.sendall(b"question")
        client.shutdown(socket.SHUT_WR)
        start = time.monotonic()
        assert read_to_end(client) == b"question" * 12
        assert time.monotonic() - start > 2.4, "longer than any of the timeouts"


def test_all_that_a_server_has_sent_before_its_reset_reaches_a_client_that_is_slow(tmp_path: Path) -> None:
    data = random.Random(SEED).randbytes(2 * MIB)  # noqa: S311 - as above
    was_reset = threading.Event()

    def sends_and_resets(peer: socket.socket) -> None:
        peer.recv(1)
        peer.sendall(data)
        until(lambda: not unsent(peer), "the balancer's kernel has all of it")
        reset(peer)
        was_reset.set()

    with (
        ScriptedServer(sends_and_resets) as peer,
        relaying(tmp_path, {"l": f"server s 127.0.0.1:{peer.port}"}) as running,
        running.connect() as client,
    ):
        small_buffers(client)
        client.sendall(b"x")
        assert was_reset.wait(PATIENCE)
        waits(0.2)
        assert read_to_end(client) == data
        until(lambda: running.row("l", "BACKEND")["srv_abrt"] == "1", "it was the server who broke it off")


def test_who_scans_shouts_says_nothing_or_leaves_at_once_does_no_harm(tmp_path: Path) -> None:
    def knocks(number: int) -> None:
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            client = running.connect()
            match number % 5:
                case 0:
                    client.close()
                case 1:
                    reset(client)
                case 2:
                    client.send(b"!", socket.MSG_OOB)
                    client.close()
                case 3:
                    client.shutdown(socket.SHUT_WR)
                    read_to_end(client)
                case _:
                    client.sendall(b"a")
                    client.send(b"!", socket.MSG_OOB)
                    client.sendall(b"b")
                    client.shutdown(socket.SHUT_WR)
                    assert read_to_end(client).replace(b"!", b"") == b"ab"

    with (
        ScriptedServer(echo(b"")) as peer,
        relaying(tmp_path, {"l": f"server s 127.0.0.1:{peer.port}"}) as running,
        ThreadPoolExecutor(8) as clients,
    ):
        pids = running.workers
        with running.connect() as shouting:
            shouting.send(b"!", socket.MSG_OOB)  # and it stays like that
            list(clients.map(knocks, range(400)))
            until(lambda: running.row()["scur"] == "1", "all others have gone")
            start = processor_seconds(pids)
            waits(0.5)
            assert processor_seconds(pids) - start < 0.025
            shouting.sendall(b"x")
            assert read_exactly(shouting, 1) == b"x"
        assert running.workers == pids


def test_a_client_that_nobody_serves_sees_an_end_and_no_reset_though_its_words_were_not_read(tmp_path: Path) -> None:
    with (
        relaying(tmp_path, {"l": f"retries 0\n    server s 127.0.0.1:{free_port()}"}) as running,
        ThreadPoolExecutor(4) as clients,
    ):

        def asks(_: int) -> bytes:
            with running.connect() as client:
                with contextlib.suppress(BrokenPipeError):
                    client.sendall(bytes(65536))
                return read_to_end(client)

        assert set(clients.map(asks, range(40))) == {b""}


HOARD = """
import fcntl, os, resource
resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
kept = []
while True:
    kept.append(os.pipe())
    try:
        fcntl.fcntl(kept[-1][0], fcntl.F_SETPIPE_SZ, 1 << 20)
    except PermissionError:
        break
print("no more", flush=True)
input()
"""


@pytest.mark.netns  # it begins as root, to be somebody else
def test_the_bulk_of_a_user_whose_share_of_pipes_is_used_up_is_copied(tmp_path: Path) -> None:
    data = random.Random(SEED).randbytes(12 * MIB)  # noqa: S311 - as above

    def gives(peer: socket.socket) -> None:
        peer.recv(1)
        peer.sendall(data)

    tmp_path.chmod(0o755)
    with (
        subprocess.Popen(
            ["/usr/bin/python3", "-c", HOARD], user="nobody", stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as hoarder,
        ScriptedServer(gives) as peer,
        relaying(
            tmp_path / "p", {"l": f"server s 127.0.0.1:{peer.port}"}, whole="nbthread 1\n    user nobody"
        ) as running,
    ):
        assert hoarder.stdout is not None
        assert hoarder.stdout.readline() == b"no more\n"
        clients = stopped(running, 4)
        begun = [read_exactly(client, 2 * MIB) for client in clients]
        sizes = [size for pid in running.workers for size in sizes_of_pipes(pid)]
        for first, client in zip(begun, clients, strict=True):
            assert first + read_to_end(client) == data
        assert sizes == [], "what is too small is not kept"
        hoarder.communicate(b"\n")


def sizes_of_pipes(pid: int) -> list[int]:
    """Return the bytes that fit into the pipes of a process."""
    found = []
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        if str(entry.readlink()).startswith("pipe:"):
            with entry.open("rb", buffering=0) as pipe:
                found.append(fcntl.fcntl(pipe, fcntl.F_GETPIPE_SZ))
    return found
