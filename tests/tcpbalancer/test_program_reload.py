"""A reload of the running program: nobody is refused, what is known is kept, a broken file changes nothing."""

from __future__ import annotations

import contextlib
import re
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from again import again_and_again
from balancer_process import TCPBALANCER, BalancerProcess, CheckTarget, LabConfiguration, until
from tcp_peers import PATIENCE, ScriptedServer, echo, read_exactly

from hakit.control import request


@pytest.fixture
def configuration() -> Iterator[LabConfiguration]:
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(ScriptedServer(echo(f"pg{number}\n".encode()))) for number in (1, 2)]
        checks = [stack.enter_context(CheckTarget()) for _ in servers]
        whole = LabConfiguration([server.port for server in servers], [check.port for check in checks])
        whole.checks = checks  # type: ignore[attr-defined] # for the tests that change them
        yield whole


def master(configuration: LabConfiguration, folder: Path, *flags: str) -> BalancerProcess:
    command = [*TCPBALANCER, "--control", str(folder / "control.sock"), "-W", *flags]
    return BalancerProcess(command, configuration.text, folder, configuration.stats_port)


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), PATIENCE)


def told(running: BalancerProcess, text: str, count: int = 1) -> None:
    until(lambda: running.output.read_text().count(text) >= count, f"{text} is told {count} times")


def workers(folder: Path) -> list[int]:
    status = request(folder / "control.sock", "status")
    return [worker["pid"] for worker in status["workers"]]  # type: ignore[call-overload, index, union-attr]


@pytest.mark.parametrize("number", [signal.SIGUSR2, signal.SIGHUP])
def test_a_reload_with_w_keeps_the_pid_and_the_connections(
    configuration: LabConfiguration, tmp_path: Path, number: signal.Signals
) -> None:
    pid_file = tmp_path / "x.pid"
    with master(configuration, tmp_path, "-p", str(pid_file)) as running:
        assert pid_file.read_text() == f"{running.process.pid}\n"
        before = workers(tmp_path)
        with connect(configuration.postgres_port) as held:
            assert read_exactly(held, 4) == b"pg1\n"
            running.process.send_signal(number)
            told(running, "Loading success.", 2)
            assert workers(tmp_path) != before
            with connect(configuration.postgres_port) as newer:
                assert read_exactly(newer, 4) == b"pg2\n"  # the turns go on where they were
            held.sendall(b"still here")
            assert read_exactly(held, 10) == b"still here"
        told(running, f"Former worker ({before[0]}) exited with code 0 (Exit)")
        assert pid_file.read_text() == f"{running.process.pid}\n"
        output = running.output.read_text()
        assert output.index("Reloading HAProxy") < output.index("Proxy swarm stopped (cumulated conns: FE: 0, BE: 0).")
        assert running.stop(signal.SIGTERM) == 0


def test_fast_reloads_refuse_no_connection(configuration: LabConfiguration, tmp_path: Path) -> None:
    def knock() -> None:
        with connect(configuration.postgres_port) as client:
            assert read_exactly(client, 2) == b"pg"
            client.sendall(b"x")
            assert read_exactly(client, 3)[2:] == b"x"

    with master(configuration, tmp_path) as running:
        with again_and_again(*[knock] * 8) as knocked:
            for count in range(10):
                running.process.send_signal(signal.SIGUSR2)
                told(running, "Loading success.", count + 2)
        assert not knocked.failures
        assert knocked.done > 10
        told(running, "Former worker (", 10 * len(workers(tmp_path)))


def test_a_broken_file_is_told_and_the_old_configuration_goes_on(
    configuration: LabConfiguration, tmp_path: Path
) -> None:
    with master(configuration, tmp_path) as running:
        before = workers(tmp_path)
        running.file.write_text(configuration.text + "\n    bogus\n")
        running.process.send_signal(signal.SIGUSR2)
        told(running, "Loading failure!")
        output = running.output.read_text()
        assert re.search(
            r"\[ALERT\] .* : config : parsing \[.*:\d+\] : unknown keyword 'bogus' in 'listen' section", output
        )
        assert "Fatal errors found in configuration." in output
        assert workers(tmp_path) == before
        connect(configuration.postgres_port).close()
        running.file.write_text(configuration.text)
        running.process.send_signal(signal.SIGUSR2)
        told(running, "Loading success.", 2)
        assert running.stop(signal.SIGTERM) == 0


def test_a_reload_that_cannot_have_a_port_changes_nothing(configuration: LabConfiguration, tmp_path: Path) -> None:
    with master(configuration, tmp_path) as running, socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        running.file.write_text(
            f"{configuration.text}\nlisten more\n    bind 127.0.0.1:{port}\n    server s 127.0.0.1:1\n"
        )
        running.process.send_signal(signal.SIGUSR2)
        told(running, "Loading failure!")
        assert f"cannot bind socket (Address already in use) for [127.0.0.1:{port}]." in running.output.read_text()
        assert running.get("/stats").status == 200
        connect(configuration.postgres_port).close()


def test_over_a_reload_a_server_stays_down_and_counters_go_on(configuration: LabConfiguration, tmp_path: Path) -> None:
    configuration.text = configuration.text.replace(
        "inter 200ms fall 2 rise 2", "inter 30s fastinter 50ms fall 1 rise 2"
    )
    configuration.checks[0].status = 503  # type: ignore[attr-defined] # see the fixture
    with master(configuration, tmp_path) as running:
        with connect(configuration.swarm_port) as client:
            read_exactly(client, 4)
        row = running.wait_for_status("postgresql_backend/pg1", "DOWN", "L7STS")
        before = running.csv()[1]
        running.process.send_signal(signal.SIGUSR2)
        told(running, "Loading success.", 2)
        after = running.csv()[1]
        assert after["postgresql_backend/pg1"]["status"] == "DOWN"
        for column in ("chkdown", "chkfail", "check_code"):
            assert after["postgresql_backend/pg1"][column] == row[column]
        assert (before["swarm/FRONTEND"]["stot"], after["swarm/FRONTEND"]["stot"]) == ("1", "1")
        assert after["swarm/off"]["status"] == "MAINT"
        with connect(configuration.postgres_port) as client:
            assert read_exactly(client, 4) == b"pg2\n"


def test_connections_of_an_old_worker_are_cut_when_their_server_goes_down(
    configuration: LabConfiguration, tmp_path: Path
) -> None:
    with master(configuration, tmp_path) as running:
        running.wait_for_status("postgresql_backend/pg1", "UP", "L7OK")
        with connect(configuration.postgres_port) as held:
            assert read_exactly(held, 4) == b"pg1\n"
            running.process.send_signal(signal.SIGUSR2)
            told(running, "Loading success.", 2)
            configuration.checks[0].status = 503  # type: ignore[attr-defined] # see the fixture
            assert held.recv(1) == b""
        told(running, "Former worker (")


def test_a_removed_server_is_still_checked_for_those_who_use_it(
    configuration: LabConfiguration, tmp_path: Path
) -> None:
    with master(configuration, tmp_path) as running:
        running.wait_for_status("postgresql_backend/pg1", "UP", "L7OK")
        with connect(configuration.postgres_port) as held:
            assert read_exactly(held, 4) == b"pg1\n"
            running.file.write_text(re.sub(r"\n    server pg1 .*", "", configuration.text))
            running.process.send_signal(signal.SIGUSR2)
            told(running, "Loading success.", 2)
            assert "postgresql_backend/pg1" not in running.csv()[1]
            configuration.checks[0].status = 503  # type: ignore[attr-defined] # see the fixture
            assert held.recv(1) == b""


def test_an_address_that_is_gone_from_the_file_is_given_back(configuration: LabConfiguration, tmp_path: Path) -> None:
    with master(configuration, tmp_path) as running:
        port = configuration.swarm_port
        running.file.write_text(configuration.text.split("listen swarm", maxsplit=1)[0])
        running.process.send_signal(signal.SIGUSR2)
        told(running, "Former worker (")
        with socket.create_server(("127.0.0.1", port)):
            pass


def test_a_file_that_is_away_is_told_and_the_next_reload_succeeds(
    configuration: LabConfiguration, tmp_path: Path
) -> None:
    with master(configuration, tmp_path) as running:
        running.file.chmod(0o644)
        running.file.rename(tmp_path / "away.cfg")
        running.process.send_signal(signal.SIGUSR2)
        told(running, "Loading failure!")
        assert f"Cannot open configuration file/directory {running.file} : No such file" in running.output.read_text()
        (tmp_path / "away.cfg").rename(running.file)
        running.process.send_signal(signal.SIGUSR2)
        told(running, "Loading success.", 2)


def test_log_lines_of_a_proxy_that_is_gone_reach_the_log_as_long_as_it_has_connections(
    configuration: LabConfiguration, tmp_path: Path
) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as log:
        log.bind(("127.0.0.1", 0))
        log.settimeout(PATIENCE)
        whole = configuration.text.replace("global\n", f"global\n    log 127.0.0.1:{log.getsockname()[1]} local0\n")
        configuration.text = whole.replace("defaults\n", "defaults\n    log global\n    option tcplog\n")
        with master(configuration, tmp_path) as running:
            with connect(configuration.swarm_port) as held:
                assert read_exactly(held, 4) == b"pg1\n"
                running.file.write_text(configuration.text.split("listen swarm", maxsplit=1)[0])
                running.process.send_signal(signal.SIGUSR2)
                told(running, "Loading success.", 2)
            while b" swarm swarm/m1 " not in log.recv(4096):
                pass


def test_what_a_generation_counted_stays_and_its_memory_goes_though_it_ends_during_a_reload(
    configuration: LabConfiguration, tmp_path: Path
) -> None:
    with master(configuration, tmp_path) as running:
        for count in range(6):
            with connect(configuration.postgres_port) as held:
                assert read_exactly(held, 2) == b"pg"
                running.process.send_signal(signal.SIGUSR2)
                told(running, "Loading success.", 2 * count + 2)
                running.process.send_signal(signal.SIGUSR2)
            told(running, "Loading success.", 2 * count + 3)
        told(running, "Former worker (", 12 * len(workers(tmp_path)))
        assert running.csv()[1]["postgresql_frontend/FRONTEND"]["stot"] == "6"
        maps = Path(f"/proc/{running.process.pid}/maps")
        until(lambda: maps.read_text().count("memfd:tcpbalancer-counters") == 1, "the older memories are given back")
