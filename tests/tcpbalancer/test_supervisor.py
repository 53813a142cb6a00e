"""What the supervisor tells and shows, and that it always comes to an end."""

from __future__ import annotations

import errno
import os
import re
import signal
import socket
from dataclasses import replace
from pathlib import Path

import pytest
from balancer_process import until
from running_balancer import TCPLOG_LINE, RunningBalancer, one_way, server
from tcp_peers import ScriptedServer, echo, free_port, read_exactly, read_to_end

from hakit.schedule import Intervals
from tcpbalancer.check_status import CheckResult, CheckStatus
from tcpbalancer.counters import TOTAL
from tcpbalancer.dialogue.protocols import plain_http
from tcpbalancer.model import Bind, Check, Configuration, Frontend, Mode
from tcpbalancer.model.dialogue import HttpRequest
from tcpbalancer.route import make_memory
from tcpbalancer.statistics import ServerStatistics
from tcpbalancer.supervisor import Supervisor
from tcpbalancer.tally import Tally


def checked(port: int) -> Check:
    return Check("127.0.0.1", port, Intervals(0.1), rise=1, fall=1)


def row(balancer: RunningBalancer, name: str) -> ServerStatistics:
    return balancer.snapshot().proxy("b").server(name)


def test_before_the_first_check_a_server_is_up_and_gets_connections() -> None:
    with ScriptedServer(echo()) as peer:
        servers = [server(peer.port), server(peer.port, "s2", check=Check("127.0.0.1", peer.port, Intervals(30.0)))]
        late = server(peer.port, "s3", check=Check("127.0.0.1", peer.port, Intervals(30.0)))
        with RunningBalancer(one_way([*servers, late])) as balancer:
            assert row(balancer, "s1").status == "no check"
            shown = row(balancer, "s3")
            assert (shown.status, shown.usable) == ("UP 1/3", True)
            assert shown.check is not None
            assert (shown.check.status, shown.check.age, shown.check.health) == ("INI", None, 2)


def test_log_health_checks_logs_each_change_and_then_the_state_without_reason() -> None:
    with ScriptedServer(echo()) as peer:
        told = server(peer.port, check=checked(peer.port), backup=True)
        with RunningBalancer(one_way([told], log_health_checks=True)) as balancer:
            assert balancer.line("Health check for backup server b/s1 succeeded, reason: Layer4 check passed")
            peer.close()
            line = balancer.line("Health check for backup server b/s1 failed")[1]
            assert line.endswith(", status: 0/1 DOWN.")
            assert balancer.line("Backup Server b/s1 is DOWN. 0 active and 0 backup servers left.")[0] == "alert"


def test_an_http_check_shows_its_status_code() -> None:
    def unavailable(peer: socket.socket) -> None:
        peer.recv(4096)
        peer.sendall(b"HTTP/1.0 503 Service Unavailable\r\n")

    with ScriptedServer(unavailable) as peer:
        told = server(peer.port, check=checked(peer.port))
        probe = plain_http(HttpRequest(method="GET", uri=("/primary",), number=1))
        with RunningBalancer(one_way([told], probe=probe)) as balancer:
            event = balancer.wait_for("server", status="DOWN", check_status="L7STS")
            assert (event["code"], event["info"], event["shown"]) == (503, "Service Unavailable", "DOWN")
            check = row(balancer, "s1").check
            assert check is not None
            assert (check.code, check.description) == (503, "Layer7 wrong status")
            assert 'code: 503, info: "Service Unavailable"' in balancer.line("is DOWN")[1]
            backend = balancer.snapshot().proxy("b").backend
            assert backend is not None
            assert (backend.status, backend.weight, backend.active) == ("DOWN", 0, 0)


def test_a_disabled_server_is_in_maintenance_and_is_not_checked() -> None:
    with ScriptedServer(echo()) as peer:
        idle = server(peer.port, check=checked(peer.port), disabled=True)
        other = server(peer.port, "s2", check=checked(peer.port))
        with RunningBalancer(one_way([idle, other])) as balancer:
            balancer.wait_for("server", server="s2", check_status="L4OK")
            shown = row(balancer, "s1")
            assert (shown.status, shown.usable) == ("MAINT", False)
            with balancer.connect() as client:
                assert read_exactly(client, 6) == b"hello\n"
            assert balancer.wait_for("session")["server"] == "s2"


def test_a_backup_is_used_once_the_last_active_server_is_down() -> None:
    with ScriptedServer(echo(b"main")) as main, ScriptedServer(echo(b"back")) as spare:
        servers = [server(main.port, check=checked(main.port)), server(spare.port, "s2", backup=True)]
        with RunningBalancer(one_way(servers)) as balancer:
            with balancer.connect() as client:
                assert client.recv(4) == b"main"
            main.close()
            assert "Running on backup." in balancer.line("is DOWN")[1]
            with balancer.connect() as client:
                assert client.recv(4) == b"back"


def test_dontlognull_keeps_quiet_about_clients_that_send_nothing() -> None:
    with ScriptedServer(echo()) as peer:
        configuration = one_way([server(peer.port)])
        quiet = replace(configuration.frontends["f"], connection_log=replace(TCPLOG_LINE, without_null=True))
        with RunningBalancer(replace(configuration, frontends={"f": quiet})) as balancer:
            with balancer.connect() as client:
                assert read_exactly(client, 6) == b"hello\n"
            balancer.wait_for("session")
            with balancer.connect() as client:
                client.sendall(b"x")
                assert read_exactly(client, 7) == b"hello\nx"
            balancer.wait_for("session", 2)
            assert len([line for _, line in balancer.lines if " f b/s1 " in line]) == 1


def test_dontlognull_tells_of_clients_that_spoke_to_nobody() -> None:
    configuration = one_way([server(free_port())], retries=0)
    quiet = replace(configuration.frontends["f"], connection_log=replace(TCPLOG_LINE, without_null=True))
    with RunningBalancer(replace(configuration, frontends={"f": quiet})) as balancer:
        with balancer.connect() as client:
            assert read_to_end(client) == b""
        balancer.wait_for("session")
        os.kill(pid := balancer.snapshot().workers[0].pid, signal.SIGSTOP)
        until(lambda: ") T " in Path(f"/proc/{pid}/stat").read_text(), "the worker is frozen")
        with balancer.connect() as client:
            client.sendall(b"x")  # it is there before the connection is accepted
            os.kill(pid, signal.SIGCONT)
            assert read_to_end(client) == b""
        balancer.wait_for("session", 2)
        (line,) = [line.rsplit(" f ")[1] for _, line in balancer.lines]
        assert re.fullmatch(r"b/s1 \d+/-1/\d+ 0 SC 1/1/0/0/0 0/0", line)


def test_the_snapshot_has_the_proxies_in_the_order_of_the_file_and_those_of_the_control_room_too() -> None:
    configuration = one_way([server(free_port())])
    page = Frontend("page", (Bind("127.0.0.1", free_port()),), mode=Mode.HTTP)
    whole = Configuration(
        {"page": page, **configuration.frontends}, configuration.backends, ("page", "f", "b"), node="lb1"
    )
    with RunningBalancer(whole) as balancer:
        snapshot = balancer.snapshot()
        assert [(proxy.name, proxy.identity, proxy.mode.value) for proxy in snapshot.proxies] == [
            ("page", 2, "http"), ("f", 3, "tcp"), ("b", 4, "tcp"),
        ]  # fmt: skip
        assert (snapshot.node, snapshot.pid, snapshot.workers[0].alive) == ("lb1", os.getpid(), True)
        assert [(proxy.name, one.name) for proxy, one in snapshot.servers()] == [("b", "s1")]
        with pytest.raises(KeyError):
            snapshot.proxy("nope")
        with pytest.raises(KeyError):
            snapshot.proxy("b").server("nope")


def test_a_worker_that_does_not_react_is_killed_at_the_end() -> None:
    with ScriptedServer(echo()) as peer:
        balancer = RunningBalancer(one_way([server(peer.port)]))
        with balancer:
            pid = balancer.snapshot().workers[0].pid
            os.kill(pid, signal.SIGSTOP)
        balancer.wait_for("stopped")
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_worker_that_does_not_come_up_is_an_error_and_nothing_stays_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tcpbalancer.nursery_process.sys.executable", "/bin/false")
    balancer = RunningBalancer(one_way([]))
    with (
        pytest.raises(
            OSError, match="no worker can be started: the process from which they come has ended: exit status 1"
        ),
        balancer,
    ):
        pass
    with pytest.raises(ConnectionRefusedError):
        balancer.connect()


def test_a_stop_overtakes_a_soft_stop() -> None:
    with ScriptedServer(echo()) as peer, RunningBalancer(one_way([server(peer.port)])) as balancer:
        with balancer.connect() as client:
            assert read_exactly(client, 6) == b"hello\n"
            stopping = balancer.begin(balancer.supervisor.soft_stop)
            balancer.line("Proxy b stopped")
            balancer.ask(balancer.supervisor.stop)
            assert read_to_end(client) == b""
            stopping.result(1)
        assert len([event for event in balancer.events if event.event == "stopped"]) == 1


class Mute(RunningBalancer):
    """A balancer whose log fails at certain lines: what has to be done is done all the same."""

    def __init__(self, configuration: Configuration, fails_at: str) -> None:
        super().__init__(configuration)
        self._fails_at = fails_at

    def _logged(self, level: str, line: str, proxy: str | None = None) -> None:
        if self._fails_at in line:
            raise BrokenPipeError
        super()._logged(level, line, proxy)


def test_sessions_are_cut_and_checks_go_on_whatever_becomes_of_the_log() -> None:
    peer = ScriptedServer(echo())
    told = server(peer.port, check=checked(peer.port), shutdown_sessions_when_down=True)
    with peer, Mute(one_way([told]), " is DOWN, ") as balancer, balancer.connect() as client:
        assert read_exactly(client, 6) == b"hello\n"
        balancer.wait_for("server", status="UP", check_status="L4OK")
        peer.close()
        assert read_to_end(client) == b""
        assert "met an error of ours and goes on: BrokenPipeError()" in balancer.line("The check of Server b/s1")[1]
        with socket.create_server(("127.0.0.1", peer.port)):
            balancer.wait_for("server", count=2, status="UP", check_status="L4OK")


def test_a_worker_is_replaced_whatever_becomes_of_the_log() -> None:
    with ScriptedServer(echo()) as peer, Mute(one_way([server(peer.port)]), " died: ") as balancer:
        os.kill(balancer.snapshot().workers[0].pid, signal.SIGKILL)
        balancer.wait_for("worker", count=2, action="started")
        with balancer.connect() as client:
            assert read_exactly(client, 6) == b"hello\n"


def test_a_check_without_a_descriptor_changes_nothing_and_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    results = [CheckResult(CheckStatus.SOCKERR, info="EMFILE returned by OS (Too many open files)", is_ours=True)] * 5
    results += [CheckResult(CheckStatus.L4OK)]

    async def asked(*_arguments: object) -> CheckResult:
        return results.pop(0) if len(results) > 1 else results[0]

    monkeypatch.setattr("tcpbalancer.check_loop.ask", asked)
    with RunningBalancer(one_way([server(1, check=Check("127.0.0.1", 1, Intervals(0.05), fall=1))])) as balancer:
        balancer.wait_for("server", check_status="L4OK")
        shown = row(balancer, "s1").check
        assert shown is not None
        assert (shown.failed, shown.down_transitions) == (0, 0)
        assert [line for _, line in balancer.lines] == [
            "Server b/s1 cannot be checked, its state stays as it is: EMFILE returned by OS (Too many open files)."
        ]


def test_an_error_of_ours_in_a_check_is_told_and_the_check_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    errors: list[Exception] = [ZeroDivisionError("x")]

    async def asked(*_arguments: object) -> CheckResult:
        if errors:
            raise errors.pop()
        return CheckResult(CheckStatus.L4OK)

    monkeypatch.setattr("tcpbalancer.check_loop.ask", asked)
    with RunningBalancer(one_way([server(1, check=Check("127.0.0.1", 1, Intervals(0.05)))])) as balancer:
        assert balancer.line("met an error of ours")[0] == "err"
        balancer.wait_for("server", check_status="L4OK")


def test_a_supervisor_that_never_started_can_be_stopped() -> None:
    balancer = RunningBalancer(one_way([]))
    with balancer:
        other: Supervisor = balancer.ask(lambda: Supervisor(one_way([]), balancer.supervisor._premises.hub))
        balancer.ask(other.stop)


def test_a_reload_for_which_no_memory_can_be_had_closes_the_sockets_that_it_has_opened(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(_configuration: Configuration) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with RunningBalancer(one_way([server(1)])) as balancer:
        other = one_way([server(1)])
        with monkeypatch.context() as patched:
            patched.setattr("tcpbalancer.generation.make_memory", fails)
            with pytest.raises(OSError, match="open files"):
                balancer.ask(lambda: balancer.supervisor.reload(other))
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", other.frontends["f"].binds[0].port))
        balancer.ask(lambda: balancer.supervisor.reload(other))


def test_what_a_generation_counted_that_ends_while_a_reload_is_under_way_stays() -> None:
    configuration = one_way([server(1)])
    memories = [make_memory(configuration) for _ in range(4)]
    same = {block: block for block in range(memories[0].layout.blocks)}
    memories[0].words[memories[0].layout.block(0, 0).start + TOTAL] = 5
    second, third, fourth = (Tally(memory) for memory in memories[1:])
    second.stand_on(memories[0], same)
    for memory in memories[:2]:  # the third is being prepared
        third.stand_on(memory, same)
    second.settle(memories[0])  # the first ends
    third.settle_all_but([memories[1]])
    fourth.take_over(third, same)
    for memory in memories[1:3]:
        fourth.stand_on(memory, same)
    assert [tally.sum(0, TOTAL) for tally in (second, third, fourth)] == [5, 5, 5]
    for memory in memories:
        memory.close()
