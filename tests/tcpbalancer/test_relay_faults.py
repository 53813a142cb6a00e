"""Every call that a relay makes of the kernel fails once, in every way that it can: nothing is lost in silence.

The sockets under the relay, and ``os.splice``, are made to fail from outside; what must follow is said in terms of what
the far ends see. Unix sockets and one thread: each case happens in the same way every time.
"""

from __future__ import annotations

import contextlib
import errno
import os
import random
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from relay_bench import Bench

from tcpbalancer.relay import CLIENT, RELAYS, SERVER, other

PASSING = (errno.EINTR, errno.EAGAIN)
"""Whoever asks again is served."""
LASTING = (errno.ENOMEM, errno.ENOBUFS, errno.EPIPE, errno.ECONNRESET, errno.ETIMEDOUT)
"""What a side does not survive, in HAProxy as here (``raw_sock.c``): everything that does not pass."""
DATA = random.Random(20261126).randbytes(1_500_000)  # noqa: S311 - test data
ANSWER = b"answer"
ROUNDS = 2000
"""More than any case takes: beyond, it waits for something that never comes, or spins."""

COPIES = [
    (f"{call} {side}", at) for call in ("receive from", "send to") for side in ("client", "server") for at in (1,)
]
CALLS = {
    "copy": [*COPIES, ("receive from client", 3), ("send to server", 3)],
    "adaptive": [*COPIES, ("receive from client", 3), ("send to server", 3), ("splice in", 2), ("splice out", 2)],
    "splice": [("receive from client", 1), ("splice in", 1), ("splice in", 4), ("splice out", 1), ("splice out", 4)],
}
"""What each relay calls, and the time at which it fails."""


@dataclass
class Faults:
    """Which call fails, at which time, and how."""

    call: str
    at: int
    number: int
    calls: Counter[str] = field(default_factory=Counter)

    def before(self, call: str) -> None:
        """Fail if it is this call's turn."""
        self.calls[call] += 1
        if call == self.call and self.calls[call] == self.at:
            raise OSError(self.number, os.strerror(self.number))

    @property
    def have_struck(self) -> bool:
        return self.calls[self.call] >= self.at


class FaultySocket(socket.socket):
    """A socket whose calls pass the faults first."""

    faults: Faults
    side: str

    def recv(self, *arguments: object) -> bytes:  # type: ignore[override] # whatever it is, it goes on
        self.faults.before(f"receive from {self.side}")
        return super().recv(*arguments)  # type: ignore[arg-type]

    def recv_into(self, *arguments: object) -> int:  # type: ignore[override] # as above
        self.faults.before(f"receive from {self.side}")
        return super().recv_into(*arguments)  # type: ignore[arg-type]

    def send(self, *arguments: object) -> int:  # type: ignore[override] # as above
        self.faults.before(f"send to {self.side}")
        return super().send(*arguments)  # type: ignore[arg-type]

    def shutdown(self, how: int) -> None:
        self.faults.before(f"shut down {self.side}")
        super().shutdown(how)


Faulty = Callable[[str, Faults], Bench]


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> Iterator[Faulty]:
    """Make a bench whose relay meets some faults."""
    with contextlib.ExitStack() as stack:

        def make(name: str, faults: Faults) -> Bench:
            sides = iter(("client", "server"))

            def around(inner: socket.socket) -> socket.socket:
                wrapped = FaultySocket(fileno=inner.detach())
                wrapped.faults, wrapped.side = faults, next(sides)
                return wrapped

            bench = Bench(name, pair=socket.socketpair, around=around)
            stack.callback(bench.close)
            inner, real = {each.fileno() for each in bench.inner}, os.splice

            def splice(source: int, sink: int, count: int, *, flags: int) -> int:
                faults.before("splice in" if source in inner else "splice out")
                return real(source, sink, count, flags=flags)

            monkeypatch.setattr(os, "splice", splice)
            return bench

        yield make


def carry(bench: Bench, words: tuple[bytes, bytes] = (DATA, ANSWER)) -> tuple[bytes, bytes]:
    """Let client and server say something, each with its end; returns what arrived at server and client."""
    far, left, got = (bench.client, bench.server), list(words), [bytearray(), bytearray()]
    for each in far:
        each.setblocking(False)
    for _ in range(ROUNDS):
        for side in (CLIENT, SERVER):
            with contextlib.suppress(BlockingIOError, BrokenPipeError):
                if left[side]:
                    left[side] = left[side][far[side].send(left[side]) :]
                    if not left[side]:
                        far[side].shutdown(socket.SHUT_WR)
        bench.turn(0)
        for side in (CLIENT, SERVER):
            with contextlib.suppress(BlockingIOError):
                got[side] += far[side].recv(1 << 20)
        if bench.relay.is_over:
            for side in (CLIENT, SERVER):
                with contextlib.suppress(BlockingIOError):
                    got[side] += far[side].recv(1 << 22)
            return bytes(got[SERVER]), bytes(got[CLIENT])
    raise AssertionError(f"not over after {ROUNDS} rounds and {bench.wake_ups} wake-ups")


EACH_CALL = [(name, call, at) for name in sorted(RELAYS) for call, at in CALLS[name]]


@pytest.mark.parametrize("number", PASSING, ids=errno.errorcode.get)
@pytest.mark.parametrize(("name", "call", "at"), EACH_CALL)
def test_what_passes_by_is_not_noticed_at_either_end(
    faulty: Faulty, name: str, call: str, at: int, number: int
) -> None:
    faults = Faults(call, at, number)
    bench = faulty(name, faults)
    assert carry(bench) == (DATA, ANSWER)
    assert faults.have_struck
    assert bench.relay.failed is None
    assert (bench.relay.bytes_from_client, bench.relay.bytes_to_client) == (len(DATA), len(ANSWER))


@pytest.mark.parametrize("number", LASTING, ids=errno.errorcode.get)
@pytest.mark.parametrize(("name", "call", "at"), [each for each in EACH_CALL if each[1] != "splice in"])
def test_what_lasts_is_the_end_of_that_side_and_all_before_it_is_delivered(
    faulty: Faulty, name: str, call: str, at: int, number: int
) -> None:
    faults = Faults(call, at, number)
    bench = faulty(name, faults)
    at_server, at_client = carry(bench)
    assert faults.have_struck
    assert bench.relay.failed == (CLIENT if call.endswith("client") else SERVER)
    assert at_server == DATA[: bench.relay.bytes_from_client]
    assert at_client == ANSWER[: bench.relay.bytes_to_client]
    assert not (bench.relay.passed_end_to(SERVER) and len(at_server) < len(DATA)), "an end of file after a loss"
    bench.relay.close()
    assert bench.pipes.lent == 0


@pytest.mark.parametrize("number", LASTING, ids=errno.errorcode.get)
@pytest.mark.parametrize("name", ["adaptive", "splice"])
def test_what_cannot_be_spliced_is_copied(faulty: Faulty, name: str, number: int) -> None:
    faults = Faults("splice in", 2, number)
    assert carry(faulty(name, faults)) == (DATA, ANSWER)
    assert faults.have_struck


@pytest.mark.parametrize("words", [(DATA, ANSWER), (ANSWER, DATA)], ids=["client", "server"])
@pytest.mark.parametrize("name", sorted(RELAYS))
def test_a_side_that_is_gone_before_the_first_end_of_file_could_be_told_to_it_has_failed(
    faulty: Faulty, name: str, words: tuple[bytes, bytes]
) -> None:
    side = CLIENT if words[SERVER] == ANSWER else SERVER  # who says more hears the other one's end
    faults = Faults(f"shut down {('client', 'server')[side]}", 1, errno.ENOTCONN)
    bench = faulty(name, faults)
    assert carry(bench, words)[other(side)] == ANSWER
    assert faults.have_struck
    assert bench.relay.failed == side


@pytest.mark.parametrize("words", [(DATA, ANSWER), (ANSWER, DATA)], ids=["client", "server"])
@pytest.mark.parametrize("name", sorted(RELAYS))
def test_an_end_of_file_is_passed_on_once(faulty: Faulty, name: str, words: tuple[bytes, bytes]) -> None:
    """The last one may be left to the close."""
    faults = Faults("none", 1, 0)
    bench = faulty(name, faults)
    assert carry(bench, words) == words
    assert {faults.calls["shut down client"], faults.calls["shut down server"]} <= {0, 1}
    bench.finish()
    assert (bench.client.recv(1), bench.server.recv(1)) == (b"", b"")
