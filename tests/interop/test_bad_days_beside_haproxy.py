"""Days on which something has run out, or somebody does not play along, beside the real HAProxy.

Nothing spins, whoever is connected goes on, it recovers by itself, and a line in the log says what is missing.
"""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pytest
from balancer_process import TCPBALANCER, haproxy, until
from descriptors import descriptor_limit, limit_descriptors
from relaying import Relaying, processor_seconds, relaying
from tcp_peers import PATIENCE, ScriptedServer, echo, read_exactly, small_buffers

from halab.topology import Lab, simple

pytestmark = [pytest.mark.interop, pytest.mark.netns]

T = TypeVar("T")
QUIET = 0.5
"""Seconds over which a program is watched for doing nothing."""
FLAGS = re.compile(r" (\S+/\S+) [-\d]+/[-\d]+/\d+ \d+ (\S\S) ")
BOTH = pytest.mark.parametrize("command", [TCPBALANCER, (haproxy(),)], ids=["ours", "real"])


def in_a_network_of_its_own(scenario: Callable[[], T]) -> T:
    """Carry a scenario out in a network namespace, where it may change what it likes; returns what it returns."""
    with Lab(simple("lan", {"host": "10.0.0.1/24"})) as lab:
        return lab["host"].inside(scenario).result(60)


@dataclass
class Watched:
    """A program with the log of its proxy ``l``, at whose Unix socket one can knock, too."""

    running: Relaying
    log: socket.socket
    door: Path
    _open: contextlib.ExitStack

    def knock(self) -> socket.socket:
        client = self._open.enter_context(socket.socket(socket.AF_UNIX))
        client.settimeout(PATIENCE)
        client.connect(str(self.door))
        return client

    def lines(self, last: str) -> list[str]:
        """Return what is logged up to a line that contains ``last``."""
        found = [self.log.recv(4096).decode()]
        while last not in found[-1]:
            found.append(self.log.recv(4096).decode())
        return found

    def is_at_rest(self) -> bool:
        """Watch it for a while: whether it hardly uses the processor."""
        pids = self.running.workers
        before = processor_seconds(pids)
        threading.Event().wait(QUIET)
        return processor_seconds(pids) - before < 0.1 * QUIET


@contextmanager
def watched(command: Sequence[str], folder: Path, lines: str, **settings: str) -> Iterator[Watched]:
    with contextlib.ExitStack() as stack, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as log:
        log.bind(("127.0.0.1", 0))
        log.settimeout(PATIENCE)
        door = folder / "door"
        told = f"bind {door}\n    option tcplog\n    log 127.0.0.1:{log.getsockname()[1]} local0\n    {lines}"
        running = stack.enter_context(relaying(folder / "p", {"l": told}, command=command, **settings))
        running.row()  # HAProxy listens before it has all that it needs
        yield Watched(running, log, door, stack)


@BOTH
def test_who_finds_no_source_port_left_goes_to_another_server(command: Sequence[str], tmp_path: Path) -> None:
    def scenario() -> None:
        Path("/proc/sys/net/ipv4/ip_local_port_range").write_text("40000 40009")
        with ScriptedServer(echo(b"1")) as one, ScriptedServer(echo(b"2")) as two:
            judged = "check inter 60s observe layer4 error-limit 1 on-error mark-down"
            servers = f"server s1 127.0.0.1:{one.port} {judged}\n    server s2 127.0.0.1:{two.port}"
            lines = f"balance first\n    option redispatch\n    retries 2\n    {servers}"
            with watched(command, tmp_path, lines) as program:
                clients = [program.knock() for _ in range(12)]
                names = [client.recv(1) for client in clients]
                assert set(names) == {b"1", b"2"}, "it went over to the second one once the first had no port left"
                assert names == sorted(names)
                assert program.lines("no free ports")[-1].startswith("<131>")
                judgement = "UP" if command is TCPBALANCER else "DOWN"  # it is not the server's fault
                assert program.running.row("l", "s1")["status"].startswith(judgement)

    in_a_network_of_its_own(scenario)


@BOTH
def test_who_finds_no_source_port_left_anywhere_is_told_so_and_nothing_spins(
    command: Sequence[str], tmp_path: Path
) -> None:
    def scenario() -> None:
        Path("/proc/sys/net/ipv4/ip_local_port_range").write_text("40000 40009")
        with contextlib.ExitStack() as stack:
            peer = stack.enter_context(ScriptedServer(echo(b"1")))
            lines = f"retries 1\n    server s 127.0.0.1:{peer.port}"
            program = stack.enter_context(watched(command, tmp_path, lines))
            held = []
            while (client := program.knock()).recv(1) == b"1":
                held.append(client)
                assert len(held) <= 10
            assert program.lines("no free ports")[-1].startswith("<131>")
            last = program.lines(" l/s ")
            assert FLAGS.search(last[-1]) is not None
            assert FLAGS.search(last[-1])[2] == "SC"  # type: ignore[index] # see above
            waiting = [program.knock() for _ in range(20)]
            assert program.is_at_rest()
            for each in held[0], held[-1]:
                each.sendall(b"still")
                assert read_exactly(each, 5) == b"still"
            for each in waiting:
                each.close()

    in_a_network_of_its_own(scenario)


@BOTH
def test_a_unix_socket_with_a_full_backlog_is_told_of(command: Sequence[str], tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        full = stack.enter_context(socket.socket(socket.AF_UNIX))
        full.bind(str(tmp_path / "full"))
        full.listen(0)
        stack.enter_context(socket.socket(socket.AF_UNIX)).connect(str(tmp_path / "full"))
        program = stack.enter_context(watched(command, tmp_path, f"retries 0\n    server s {tmp_path}/full"))
        client = program.knock()
        line = program.lines("Connect() failed for backend l: ")[-1]
        assert "can't connect to destination unix socket, check backlog size on the server." in line
        assert client.recv(1) == b""


@BOTH
def test_without_descriptors_the_listener_pauses_nothing_spins_and_it_recovers_by_itself(
    command: Sequence[str], tmp_path: Path
) -> None:
    with ScriptedServer(echo(b"1")) as peer, watched(command, tmp_path, f"server s 127.0.0.1:{peer.port}") as program:
        program.knock().close()
        program.lines(" l/")  # HAProxy opens what it logs through when it logs for the first time
        (pid,) = program.running.workers
        before = descriptor_limit(pid)
        room = len(list(Path(f"/proc/{pid}/fd").iterdir())) + 2 * 10
        limit_descriptors(pid, (room, before[1]))
        clients = [program.running.connect() for _ in range(30)]
        served = [client for client in clients[:8] if read_exactly(client, 1) == b"1"]
        assert len(served) == 8
        assert program.lines("reached process FD limit")[-1].startswith("<128>")
        assert program.is_at_rest()
        for client in served:
            client.sendall(b"still")
            assert read_exactly(client, 5) == b"still"
            client.close()
        # Descriptors that came free serve those who wait: ours takes nobody in for whom it could not go to a server.
        waited = [first_byte(client) for client in clients[8:]]
        assert waited == [b"1"] * 22 if command is TCPBALANCER else b"1" in waited
        limit_descriptors(pid, before)
        for client in clients:
            client.close()
        late = program.running.connect()
        assert read_exactly(late, 1) == b"1"
        assert program.running.workers == [pid]


def first_byte(client: socket.socket) -> bytes:
    """Wait for what a client is told first, and close it; nothing: its connection was ended."""
    with client:
        try:
            return client.recv(1)
        except ConnectionResetError:
            return b""


@BOTH
@pytest.mark.parametrize(("side", "flags"), [("client", "cD"), ("server", "sD")])
def test_who_never_reads_is_given_up_when_nothing_has_moved_for_as_long_as_the_timeout(
    command: Sequence[str], tmp_path: Path, side: str, flags: str
) -> None:
    over = threading.Event()

    def sends_without_end(peer: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                peer.sendall(bytes(65536))

    def deaf(peer: socket.socket) -> None:
        small_buffers(peer)
        over.wait(PATIENCE)

    talker, listener = (sends_without_end, deaf) if side == "client" else (deaf, sends_without_end)
    timeouts = "timeout client 700ms\n    timeout server 60s" if side == "client" else "timeout server 700ms"
    with (
        ScriptedServer(talker) as peer,
        watched(command, tmp_path, f"server s 127.0.0.1:{peer.port}", defaults=timeouts) as program,
    ):
        client = program.running.connect()
        client.settimeout(PATIENCE)
        acting = threading.Thread(target=listener, args=(client,))
        acting.start()
        told = FLAGS.search(program.lines(" l/s ")[-1])
        over.set()
        acting.join(PATIENCE)
        assert told is not None
        assert told[2] == flags
        until(lambda: program.running.row()["scur"] == "0", "it is over")
