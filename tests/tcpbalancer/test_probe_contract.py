"""One contract for all probes: whatever a server does, a check ends in time, with a result, and politely."""

from __future__ import annotations

import asyncio
import random
import socket
import threading
from pathlib import Path

import pytest
from tcp_peers import PATIENCE, Script, ScriptedServer, free_port, full_backlog, reset

from tcpbalancer.check_status import CheckResult, CheckStatus
from tcpbalancer.checks import PROBES, Limits, ask, consult
from tcpbalancer.dialogue import protocols
from tcpbalancer.model import PLAIN_CONNECT, AgentCheck, Check, Dialogue, ExternalCheck, Probe
from tcpbalancer.model.dialogue import IMPLICIT_CONNECT, Content, Expect, Kind, Send

REDIS_CHART = Dialogue(
    Kind.TCP,
    (
        IMPLICIT_CONNECT,
        Send(number=1, data=b"PING\r\n"),
        Expect(number=2, pattern=Content(b"+PONG")),
        Send(number=3, data=b"info replication\r\n"),
        Expect(number=4, pattern=Content(b"role:master")),
    ),
)
DIALOGUES = {
    "connect": PLAIN_CONNECT,
    "httpchk": protocols.plain_http(),
    "tcp-check": REDIS_CHART,
    "redis": protocols.redis(),
    "pgsql": protocols.pgsql("postgres"),
    "mysql": protocols.mysql(None),
    "mysql with a user": protocols.mysql("haproxy"),
    "ldap": protocols.ldap(),
    "smtp": protocols.smtp("HELO localhost"),
    "ssl-hello": protocols.ssl_hello(),
    "spop": protocols.spop(),
}
SPEAKING = {name: probe for name, probe in DIALOGUES.items() if name != "connect"}
SHORT = Limits(0.2, None)
LONG = Limits(PATIENCE, None)


def asked(port: int, probe: Probe, limits: Limits = LONG) -> CheckResult:
    return asyncio.run(ask(probe, Check("127.0.0.1", port), limits))


def test_every_kind_of_probe_is_under_contract() -> None:
    assert set(PROBES) == {Dialogue, ExternalCheck}
    assert {probe.kind for probe in DIALOGUES.values()} == set(Kind)


@pytest.mark.parametrize("probe", DIALOGUES.values(), ids=DIALOGUES)
def test_a_refused_connection_is_a_connection_problem(probe: Dialogue) -> None:
    result = asked(free_port(), probe)
    where = " at initial connection step of tcp-check" if probe.kind is Kind.TCP else ""
    assert (result.status, result.info) == (
        CheckStatus.L4CON,
        f"ECONNREFUSED returned by OS (Connection refused){where}",
    )


@pytest.mark.parametrize("probe", DIALOGUES.values(), ids=DIALOGUES)
def test_a_connection_that_nobody_answers_times_out_in_layer_4(probe: Dialogue) -> None:
    with full_backlog() as port:
        result = asked(port, probe, SHORT)
    assert (result.status, result.limit) == (CheckStatus.L4TOUT, "inter 0.2s")
    assert result.duration < 1


@pytest.mark.parametrize("probe", SPEAKING.values(), ids=SPEAKING)
def test_a_server_that_accepts_and_is_silent_times_out(probe: Dialogue) -> None:
    over = threading.Event()
    with ScriptedServer(lambda _: over.wait(PATIENCE) and None) as server:
        result = asked(server.port, probe, SHORT)
        over.set()
    assert result.status is (CheckStatus.L6TOUT if probe == protocols.ssl_hello() else CheckStatus.L7TOUT)
    assert result.limit == "inter 0.2s"
    assert 0.15 < result.duration < 1


@pytest.mark.parametrize("probe", SPEAKING.values(), ids=SPEAKING)
def test_a_server_that_closes_at_once_has_failed(probe: Dialogue) -> None:
    with ScriptedServer(lambda peer: peer.shutdown(socket.SHUT_WR)) as server:
        result = asked(server.port, probe)
    assert not result.status.passed
    assert result.status in {CheckStatus.L7RSP, CheckStatus.L7STS, CheckStatus.L6RSP, CheckStatus.SOCKERR}


@pytest.mark.parametrize("probe", SPEAKING.values(), ids=SPEAKING)
def test_a_server_that_resets_has_failed_by_a_fault_of_its_own(probe: Dialogue) -> None:
    waits = not isinstance(probe.steps[1], Expect)

    def script(peer: socket.socket) -> None:
        if waits:
            peer.recv(1)
        reset(peer)

    with ScriptedServer(script) as server:
        result = asked(server.port, probe)
    # Who resets at once may do so before we know that the connection stood.
    assert result.status in {CheckStatus.SOCKERR, CheckStatus.SOCKERR if waits else CheckStatus.L4CON}
    assert result.info.startswith("ECONNRESET returned by OS (Connection reset by peer)")
    assert not result.is_ours


@pytest.mark.parametrize("probe", SPEAKING.values(), ids=SPEAKING)
def test_whatever_bytes_come_a_check_ends_with_a_result(probe: Dialogue) -> None:
    seed = random.randrange(2**32)  # noqa: S311 - no secret
    print("seed", seed)
    draw = random.Random(seed)  # noqa: S311 - no secret

    def script(peer: socket.socket) -> None:
        first = draw.choice(
            [b"", b"HTTP/1.1 200 OK\r\n", b"220 ", b"+PONG\r\n", b"R\0\0\0\x08", b"\x30\x0c", b"\x16\3"]
        )
        peer.sendall(first + draw.randbytes(draw.randrange(1, 400)))
        peer.shutdown(socket.SHUT_WR)
        peer.recv(4096)

    with ScriptedServer(script) as server:
        for _ in range(6):
            result = asked(server.port, probe, Limits(0.5, None))
            assert isinstance(result, CheckResult)
            assert result.info.isprintable()


@pytest.mark.parametrize("probe", SPEAKING.values(), ids=SPEAKING)
def test_a_server_that_never_stops_talking_is_cut_off(probe: Dialogue) -> None:
    def script(peer: socket.socket) -> None:
        while True:
            peer.sendall(b"5" * 65536)

    with ScriptedServer(script) as server:
        result = asked(server.port, probe, Limits(2.0, None))
    assert not result.status.passed
    assert len(result.info) < 400


GOOD = {
    "httpchk": [b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"],
    "tcp-check": [b"+PONG\r\n", b"$12\r\nrole:master\r\n"],
    "redis": [b"+PONG\r\n"],
    "pgsql": [b"R\0\0\0\x08\0\0\0\0"],
    "mysql": [b"\x02\0\0\0\x0a5"],
    "mysql with a user": [b"\x02\0\0\0\x0a5\x03\0\0\2\0\0\0"],
    "ldap": [bytes.fromhex("300c02010161070a010004000400")],
    "smtp": [b"220 hi\r\n", b"250 ok\r\n", b"221 bye\r\n"],
    "ssl-hello": [b"\x16\x03\0\0\x10"],
    "spop": [
        b"\0\0\0\x36e\0\0\0\1\0\0\x07version\x08\x032.0\x0emax-frame-size\x03\xfc\xf0\x06\x0ccapabilities\x08\0",
    ],
}


def byte_by_byte(name: str, saw: list[bytes], done: threading.Event) -> Script:
    def script(peer: socket.socket) -> None:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        speaks_first = isinstance(SPEAKING[name].steps[1], Expect)
        for number, text in enumerate(GOOD[name]):
            if number or not speaks_first:
                saw.append(peer.recv(4096))
            for position in range(len(text)):
                peer.sendall(text[position : position + 1])
        while more := peer.recv(4096):
            saw.append(more)
        saw.append(b"")
        done.set()

    return script


@pytest.mark.parametrize("name", GOOD)
def test_a_good_answer_may_come_byte_by_byte_and_the_server_sees_fin(name: str) -> None:
    saw: list[bytes] = []
    done = threading.Event()
    with ScriptedServer(byte_by_byte(name, saw, done)) as server:
        result = asked(server.port, SPEAKING[name])
        assert done.wait(PATIENCE), "the server sees an end, and no reset"
    assert result.status is (CheckStatus.L6OK if name == "ssl-hello" else CheckStatus.L7OK), result
    assert saw[-1] == b""
    goodbyes = {"pgsql": b"X\0\0\0\4", "ldap": bytes.fromhex("30050201024200")}
    if name in goodbyes:
        assert saw[-2] == goodbyes[name]


def test_a_check_that_is_called_off_leaves_nothing_open() -> None:
    over = threading.Event()

    async def called_off(port: int) -> None:
        task = asyncio.create_task(ask(protocols.redis(), Check("127.0.0.1", port), LONG))
        await asyncio.to_thread(server.accepted.acquire, timeout=PATIENCE)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with ScriptedServer(lambda _: over.wait(PATIENCE) and None) as server:
        before = len(list(Path("/proc/self/fd").iterdir()))
        asyncio.run(called_off(server.port))
        assert len(list(Path("/proc/self/fd").iterdir())) <= before + 1  # the server's own end
        over.set()


# -- agents ---------------------------------------------------------------------------------------------------------


def agent_says(script: Script, send: str = "", limits: Limits = LONG) -> tuple[CheckStatus, str | None, str | None]:
    with ScriptedServer(script) as server:
        reply = asyncio.run(consult(AgentCheck("127.0.0.1", server.port, send=send), limits))
    return reply.result.status, reply.health, reply.admin


def line(text: bytes) -> Script:
    return lambda peer: peer.sendall(text)


def test_an_agents_line_ends_at_cr_or_lf() -> None:
    assert agent_says(line(b"up ready\n")) == (CheckStatus.L7OK, "up", "ready")
    assert agent_says(line(b"down\rmaint\n")) == (CheckStatus.L7STS, "down", None)
    assert agent_says(line(b"75%")) == (CheckStatus.CHECKED, None, None)  # without an end it is not a line


def test_an_agent_gets_what_the_file_says_first() -> None:
    def script(peer: socket.socket) -> None:
        assert peer.recv(10) == b"b/s\n"
        peer.sendall(b"drain\n")

    assert agent_says(script, "b/s\n") == (CheckStatus.CHECKED, None, "drain")


def test_an_agent_that_cannot_be_reached_says_nothing_of_its_server() -> None:
    reply = asyncio.run(consult(AgentCheck("127.0.0.1", free_port()), LONG))
    assert (reply.result.status, reply.health, reply.admin) == (CheckStatus.L4CON, None, None)
    over = threading.Event()
    assert agent_says(lambda _: over.wait(1.0) and None, limits=SHORT) == (CheckStatus.L7TOUT, None, None)
    assert agent_says(reset)[0] in {CheckStatus.SOCKERR, CheckStatus.L4CON}
    with full_backlog() as port:
        reply = asyncio.run(consult(AgentCheck("127.0.0.1", port), SHORT))
        assert reply.result.status is CheckStatus.L4TOUT
