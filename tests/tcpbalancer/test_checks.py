"""The probes, against servers that answer well, badly, late, or not at all."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from tcp_peers import PATIENCE, Script, ScriptedServer, free_port, full_backlog, read_exactly, reset

from hakit.schedule import Intervals
from tcpbalancer.check_status import CheckResult, CheckStatus
from tcpbalancer.checks import Limits, ask
from tcpbalancer.dialogue.protocols import plain_http
from tcpbalancer.model import PLAIN_CONNECT, Check, Probe, Timeouts

OPTIONS = b"OPTIONS / HTTP/1.0\r\n\r\n"
REFUSED = "ECONNREFUSED returned by OS (Connection refused)"


def asked(port: int, probe: Probe, *, limits: Limits = Limits(2.0, None)) -> CheckResult:  # noqa: B008 - frozen
    return asyncio.run(ask(probe, Check("127.0.0.1", port), limits))


HTTP = plain_http()


def answered(script: Script, probe: Probe = HTTP, **options: Limits) -> CheckResult:
    with ScriptedServer(script) as server:
        return asked(server.port, probe, **options)


def answer(text: bytes) -> Script:
    def script(peer: socket.socket) -> None:
        read_exactly(peer, len(OPTIONS))
        peer.sendall(text)

    return script


def test_a_plain_check_passes_and_is_never_accepted() -> None:
    with ScriptedServer(lambda peer: None) as server:
        for _ in range(20):
            assert asked(server.port, PLAIN_CONNECT).status is CheckStatus.L4OK
        with socket.create_connection(("127.0.0.1", server.port)):  # a real connection, queued behind them, is
            assert server.accepted.acquire(timeout=PATIENCE)
        assert server.connections == 1


@pytest.mark.parametrize("probe", [PLAIN_CONNECT, HTTP])
def test_a_refused_connection_is_told_in_haproxys_words(probe: Probe) -> None:
    result = asked(free_port(), probe)
    assert (result.status, result.info, result.code) == (CheckStatus.L4CON, REFUSED, None)


@pytest.mark.parametrize("probe", [PLAIN_CONNECT, HTTP])
def test_a_connect_without_answer_ends_in_time(probe: Probe) -> None:
    with full_backlog() as port:
        result = asked(port, probe, limits=Limits(0.2, 5.0))
        assert (result.status, result.info, result.limit) == (CheckStatus.L4TOUT, "", "inter 0.2s")
        assert result.duration == pytest.approx(0.2, abs=0.1)


def test_no_descriptor_left_is_no_fault_of_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object) -> socket.socket:
        raise OSError(24, "Too many open files")

    async def once() -> CheckResult:
        monkeypatch.setattr("tcpbalancer.checks.connection.socket.socket", refuse)
        try:
            return await ask(PLAIN_CONNECT, Check("127.0.0.1", 1), Limits(1.0, None))
        finally:
            monkeypatch.undo()

    result = asyncio.run(once())
    assert (result.status, result.is_ours) == (CheckStatus.SOCKERR, True)


@pytest.mark.parametrize(
    "text",
    [
        b"HTTP/1.0 200 OK\r\n",  # Patroni answers OPTIONS like this: no header, no empty line
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 302 Found\n",
        b"HTTP/1.0 200\r\n\r\n" + b"x" * 300_000,
    ],
)
def test_a_status_line_is_enough(text: bytes) -> None:
    result = answered(answer(text))
    assert (result.status, result.info) == (CheckStatus.L7OK, "")
    assert result.code in {200, 302}


def test_a_wrong_status_is_told_with_its_reason_phrase() -> None:
    result = answered(answer(b"HTTP/1.0 503 Service Unavailable\r\n\r\n"))
    assert (result.status, result.code, result.info) == (CheckStatus.L7STS, 503, "Service Unavailable")


@pytest.mark.parametrize("text", [b"SSH-2.0-OpenSSH_9.2\r\n", b"\n", b"x" * 70_000])
def test_what_is_not_http_is_an_invalid_response(text: bytes) -> None:
    assert answered(answer(text)).status is CheckStatus.L7RSP


def test_an_end_without_a_status_line_is_an_invalid_response() -> None:
    result = answered(answer(b""))
    assert (result.status, result.info) == (CheckStatus.L7RSP, "TCPCHK got an empty response at step 2")


def test_a_reset_instead_of_an_answer_is_a_socket_error_of_the_servers() -> None:
    def script(peer: socket.socket) -> None:
        read_exactly(peer, len(OPTIONS))
        reset(peer)

    result = answered(script)
    assert (result.status, result.info) == (CheckStatus.SOCKERR, "ECONNRESET returned by OS (Connection reset by peer)")
    assert not result.is_ours


def silent_until(over: threading.Event, first: bytes = b"") -> Script:
    def script(peer: socket.socket) -> None:
        peer.sendall(first)
        over.wait(PATIENCE)

    return script


@pytest.mark.parametrize(
    ("limits", "limit"), [(Limits(0.3, None), "inter 0.3s"), (Limits(5.0, 0.3), "timeout check 0.3s")]
)
def test_a_server_that_accepts_and_does_not_answer_is_timed_out(limits: Limits, limit: str) -> None:
    over = threading.Event()
    with ScriptedServer(silent_until(over)) as server:
        result = asked(server.port, HTTP, limits=limits)
        over.set()
    assert (result.status, result.info, result.limit) == (CheckStatus.L7TOUT, "", limit)


def test_a_server_that_keeps_the_connection_open_behind_its_status_line_passes() -> None:
    over = threading.Event()
    with ScriptedServer(silent_until(over, b"HTTP/1.1 200 OK\r\n")) as server:
        result = asked(server.port, HTTP, limits=Limits(0.1, None))
        over.set()
    assert result.status is CheckStatus.L7OK
    assert result.duration < 0.1


def test_the_server_sees_fin_and_no_reset() -> None:
    saw: list[bytes] = []
    done = threading.Event()

    def script(peer: socket.socket) -> None:
        saw.append(read_exactly(peer, len(OPTIONS)))
        peer.sendall(b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * 1000)
        peer.shutdown(socket.SHUT_WR)
        saw.append(peer.recv(1))
        done.set()

    with ScriptedServer(script) as server:
        asked(server.port, HTTP)
        assert done.wait(PATIENCE)
    assert saw == [OPTIONS, b""]


def test_the_limits_are_haproxys() -> None:
    check = replace(Check("127.0.0.1", 1), intervals=Intervals(inter=3.0))
    assert Limits.of(check, Timeouts()) == Limits(3.0, None)
    assert Limits.of(check, Timeouts(connect=1.0)) == Limits(3.0, None)
    assert Limits.of(check, Timeouts(check=5.0)) == Limits(3.0, 5.0)
    assert Limits.of(check, Timeouts(connect=1.0, check=5.0)) == Limits(1.0, 5.0, "timeout connect")


def test_a_check_comes_from_the_address_of_source() -> None:
    peers: list[str] = []

    def script(peer: socket.socket) -> None:
        peers.append(peer.getpeername()[0])
        answer(b"HTTP/1.0 200 OK\r\n")(peer)

    with ScriptedServer(script) as server:
        check = Check("127.0.0.1", server.port, source="127.0.0.7")
        assert asyncio.run(ask(HTTP, check, Limits(2.0, None))).status is CheckStatus.L7OK
        check = replace(check, source="192.0.2.77")
        assert asyncio.run(ask(HTTP, check, Limits(2.0, None))).status is CheckStatus.L4CON
    assert peers == ["127.0.0.7"]


@pytest.mark.parametrize("probe", [PLAIN_CONNECT, HTTP])
def test_a_server_on_a_unix_socket_is_checked_like_any_other(probe: Probe, tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    missing = asyncio.run(ask(probe, Check(path, 1), Limits(2.0, None)))
    assert (missing.status, missing.info) == (CheckStatus.L4CON, "ENOENT returned by OS (No such file or directory)")

    def serve() -> None:
        with contextlib.suppress(OSError):
            peer, _ = listening.accept()
            with peer:
                if peer.recv(4096):
                    peer.sendall(b"HTTP/1.0 200 OK\r\n")

    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        listening.settimeout(PATIENCE)
        thread = threading.Thread(target=serve)
        thread.start()
        assert asyncio.run(ask(probe, Check(path, 1), Limits(2.0, None))).status.passed
        thread.join(PATIENCE)
