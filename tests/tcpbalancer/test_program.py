"""The program as a process: start, page, control socket, signals, background, and how it refuses to start."""

from __future__ import annotations

import contextlib
import logging
import os
import resource
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from balancer_process import TCPBALANCER, BalancerProcess, CheckTarget, LabConfiguration, until
from tcp_peers import PATIENCE, ScriptedServer, echo, free_port, read_exactly, read_to_end

from hakit.control import request
from hakit.transcript import Event
from tcpbalancer.launch import run as run_program
from tcpbalancer.model import Configuration
from tcpbalancer.options import Options
from tcpbalancer.program import Program, Troubles
from tcpbalancer.teller import Teller


@pytest.fixture
def configuration() -> Iterator[LabConfiguration]:
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(ScriptedServer(echo(f"pg{number}\n".encode()))) for number in (1, 2)]
        checks = [stack.enter_context(CheckTarget()) for _ in servers]
        yield LabConfiguration([server.port for server in servers], [check.port for check in checks])


def program(configuration: LabConfiguration, folder: Path, *flags: str) -> BalancerProcess:
    command = [*TCPBALANCER, "--control", str(folder / "control.sock"), *(flags or ("-db",))]
    return BalancerProcess(command, configuration.text, folder, configuration.stats_port)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*TCPBALANCER, *arguments], capture_output=True, text=True, check=False, timeout=PATIENCE)


def test_a_running_program_serves_connections_page_status_and_says_ready(
    configuration: LabConfiguration, tmp_path: Path
) -> None:
    with program(configuration, tmp_path) as running:
        assert running.readiness == f"READY=1\nMAINPID={running.process.pid}\nSTATUS=Ready."
        with socket.create_connection(("127.0.0.1", configuration.postgres_port), PATIENCE) as client:
            assert read_exactly(client, 3) == b"pg1"
        answer = request(tmp_path / "control.sock", "status")
        assert isinstance(answer, dict)
        assert answer["pid"] == running.process.pid
        assert request(tmp_path / "control.sock", "status", "x") == {"error": "status takes no arguments"}
        assert Path(f"/proc/{running.process.pid}/comm").read_text() == "haproxy\n"


def test_the_page_asks_for_a_password_and_knows_csv_and_json(configuration: LabConfiguration, tmp_path: Path) -> None:
    with program(configuration, tmp_path) as running:
        paths = ["/stats", "/stats;csv", "/stats/;csv;norefresh", "/stats;json", "/stats;norefresh", "/", "/stat"]
        answers = [running.get(path) for path in paths]
        assert [answer.status for answer in answers] == [200, 200, 200, 200, 200, 503, 503]
        kinds = [answer.getheader("content-type", "").split(";")[0] for answer in answers[:5]]
        assert kinds == ["text/html", "text/plain", "text/plain", "application/json", "text/html"]
        assert {answer.getheader("cache-control") for answer in answers} == {"no-cache"}
        assert {answer.getheader("server") for answer in answers} == {None}
        assert running.get("/stats", None).status == 401
        assert running.get("/stats;csv", "admin:wrong").getheader("www-authenticate") == 'Basic realm="Lab"'


def test_without_stats_admin_nothing_can_be_changed(configuration: LabConfiguration, tmp_path: Path) -> None:
    with program(configuration, tmp_path), socket.create_connection(("127.0.0.1", configuration.stats_port)) as client:
        client.sendall(b"POST /stats HTTP/1.0\r\nAuthorization: Basic YWRtaW46c2VjcmV0\r\nContent-Length: 0\r\n\r\n")
        assert b"/stats;st=DENY\r\n" in read_to_end(client)


def test_whoever_listens_hears_the_end(configuration: LabConfiguration, tmp_path: Path) -> None:
    heard: list[str] = []

    def listen(asking: socket.socket) -> None:
        with asking.makefile() as lines:
            heard.extend(Event.from_line(line).event for line in lines)

    with program(configuration, tmp_path) as running, socket.socket(socket.AF_UNIX) as asking:
        asking.settimeout(PATIENCE)
        asking.connect(str(tmp_path / "control.sock"))
        asking.sendall(b"events\n")
        listening = threading.Thread(target=listen, args=(asking,))
        listening.start()
        running.wait_for_status("postgresql_backend/pg2", "UP", "L7OK")
        assert running.stop(signal.SIGTERM) == -signal.SIGTERM
        listening.join(PATIENCE)
    assert heard.count("ready") == 1
    assert heard[-1] == "stopped"
    assert not (tmp_path / "control.sock").exists()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_with_w_the_end_is_an_exit_code(
    configuration: LabConfiguration, tmp_path: Path, number: signal.Signals, status: int
) -> None:
    with program(configuration, tmp_path, "-W") as running:
        assert running.stop(number) == status


def test_sigusr1_lets_connections_end_and_refuses_new_ones(configuration: LabConfiguration, tmp_path: Path) -> None:
    with program(configuration, tmp_path) as running, contextlib.ExitStack() as stack:
        held = stack.enter_context(socket.create_connection(("127.0.0.1", configuration.postgres_port), PATIENCE))
        assert read_exactly(held, 3) == b"pg1"
        running.process.send_signal(signal.SIGUSR1)

        def is_refused() -> bool:
            try:
                socket.create_connection(("127.0.0.1", configuration.postgres_port), PATIENCE).close()
            except ConnectionRefusedError:
                return True
            return False

        until(is_refused, "new connections are refused")
        held.sendall(b"still")
        assert read_exactly(held, 6) == b"\nstill"
        held.close()
        assert running.process.wait(PATIENCE) == 0


def test_a_second_signal_ends_a_soft_stop(configuration: LabConfiguration, tmp_path: Path) -> None:
    with program(configuration, tmp_path) as running, contextlib.ExitStack() as stack:
        held = stack.enter_context(socket.create_connection(("127.0.0.1", configuration.postgres_port), PATIENCE))
        read_exactly(held, 4)
        running.process.send_signal(signal.SIGUSR1)
        until(lambda: "stopped" in running.output.read_text(), "the soft stop has begun")
        assert running.stop(signal.SIGTERM) == -signal.SIGTERM
        assert held.recv(10) == b""


def test_in_the_background_the_parent_ends_once_the_child_serves(
    configuration: LabConfiguration, tmp_path: Path
) -> None:
    file, pid_file = tmp_path / "f.cfg", tmp_path / "x.pid"
    file.write_text(configuration.text)
    control = str(tmp_path / "control.sock")
    arguments = ("-D", "-p", str(pid_file), "--control", control, "-f", str(file))
    assert run(*arguments).returncode == 0
    pid = int(pid_file.read_text())
    try:
        socket.create_connection(("127.0.0.1", configuration.postgres_port), PATIENCE).close()
        again = run(*arguments)
        assert again.returncode == 1
        assert f"another instance is running (pid {pid})" in again.stderr
    finally:
        os.kill(pid, signal.SIGTERM)
    until(lambda: not Path(f"/proc/{pid}").exists(), "the daemon has ended")
    assert pid_file.exists()  # HAProxy leaves it, too


def test_a_port_that_is_taken_is_told_in_haproxys_words(configuration: LabConfiguration, tmp_path: Path) -> None:
    file = tmp_path / "f.cfg"
    file.write_text(configuration.text)
    for port in (configuration.postgres_port, configuration.stats_port):
        with socket.create_server(("127.0.0.1", port)):
            failed = run("-db", "--control", str(tmp_path / "c"), "-f", str(file))
        assert failed.returncode == 1
        assert f"cannot bind socket (Address already in use) for [127.0.0.1:{port}]." in failed.stderr
        assert "Some protocols failed to start their listeners! Exiting." in failed.stderr
        assert not (tmp_path / "c").exists()


def test_a_second_instance_on_the_same_control_socket_is_refused(
    configuration: LabConfiguration, tmp_path: Path
) -> None:
    file = tmp_path / "f.cfg"
    file.write_text(configuration.text)
    with program(configuration, tmp_path):
        again = run("-db", "--control", str(tmp_path / "control.sock"), "-f", str(file))
    assert again.returncode == 1
    assert "another instance is running" in again.stderr


def test_a_pid_file_that_cannot_be_written_is_named(configuration: LabConfiguration, tmp_path: Path) -> None:
    file = tmp_path / "f.cfg"
    file.write_text(configuration.text)
    failed = run("-W", "-p", "/nonexistent/x.pid", "-f", str(file))
    assert failed.returncode == 1
    assert "Cannot create pidfile /nonexistent/x.pid : No such file or directory" in failed.stderr


def test_state_changes_are_logged_and_told_on_stderr(configuration: LabConfiguration, tmp_path: Path) -> None:
    configuration.text = configuration.text.replace(
        "global\n", "global\n log stdout format raw local0\n log nowhere.invalid local0\n"
    ).replace("defaults\n", "defaults\n log global\n")
    with program(configuration, tmp_path) as running:
        running.wait_for_status("swarm/spare", "DOWN", "L4CON")
        running.stop(signal.SIGTERM)
        output = running.output.read_text()
    assert "\nBackup Server swarm/spare is DOWN, reason: Layer4 connection problem" in output
    assert f"[WARNING]  ({running.process.pid}) : Backup Server swarm/spare is DOWN" in output
    assert "log target nowhere.invalid:514 cannot be used" in output


def test_without_a_server_left_stderr_has_an_alert_with_quotes(tmp_path: Path) -> None:
    stats, port = free_port(), free_port()
    text = (
        "defaults\n timeout client 1s\n timeout server 1s\n timeout connect 1s\n"
        f"listen stats\n mode http\n bind 127.0.0.1:{stats}\n stats uri /stats\n stats auth admin:secret\n"
        f"listen l1\n bind 127.0.0.1:{port}\n server s 127.0.0.1:1 check inter 100ms\n"
    )
    command = [*TCPBALANCER, "-db", "--control", str(tmp_path / "c")]
    with BalancerProcess(command, text, tmp_path, stats) as running:
        running.wait_for_status("l1/s", "DOWN", "L4CON")
        assert f"[ALERT]    ({running.process.pid}) : proxy 'l1' has no server available!" in running.output.read_text()


def one_server(port: int, stats: int) -> str:
    return (
        "defaults\n timeout client 30s\n timeout server 30s\n timeout connect 1s\n"
        f"listen stats\n mode http\n bind 127.0.0.1:{stats}\n stats uri /stats\n stats auth admin:secret\n"
        f"listen l1\n bind 127.0.0.1:{free_port()}\n server s 127.0.0.1:{port} check fall 1 rise 1 inter 100ms\n"
    )


def fill(pipe: int) -> None:
    os.set_blocking(pipe, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(pipe, b"x" * 4096)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(pipe, b"x")
    os.set_blocking(pipe, True)


@pytest.mark.parametrize("stderr", ["nobody reads any more", "nobody reads for now"])
def test_a_stderr_that_takes_nothing_holds_nothing_up(stderr: str, tmp_path: Path) -> None:
    reading, writing = os.pipe()
    stats = free_port()
    command = [*TCPBALANCER, "-db", "--control", str(tmp_path / "c")]
    with (
        ScriptedServer(echo()) as peer,
        BalancerProcess(command, one_server(peer.port, stats), tmp_path, stats, writing) as running,
    ):
        if stderr == "nobody reads any more":
            os.close(reading)
        else:
            fill(writing)
        os.close(writing)
        running.wait_for_status("l1/s", "UP", "L4OK")
        peer.close()
        running.wait_for_status("l1/s", "DOWN", "L4CON")
        with socket.create_server(("127.0.0.1", peer.port)):
            running.wait_for_status("l1/s", "UP", "L4OK")
        answer = request(tmp_path / "c", "status")
        assert isinstance(answer, dict)
        pid = answer["workers"][0]["pid"]  # type: ignore[call-overload, index] # as the status has it
        os.kill(pid, signal.SIGKILL)

        def is_replaced() -> bool:
            workers = request(tmp_path / "c", "status")["workers"]  # type: ignore[call-overload, index]
            return bool(workers[0]["alive"] and workers[0]["pid"] != pid)  # type: ignore[call-overload, index]

        until(is_replaced, "the worker is replaced")
        assert running.stop(signal.SIGTERM) == -signal.SIGTERM
    if stderr != "nobody reads any more":
        os.close(reading)


def test_without_any_stderr_nothing_is_told_and_nothing_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", None)
    Teller().tell("WARNING", "a server is DOWN")


def test_whoever_holds_the_page_takes_no_server_down(tmp_path: Path) -> None:
    stats = free_port()
    command = [*TCPBALANCER, "-db", "--control", str(tmp_path / "c")]
    with CheckTarget() as target, contextlib.ExitStack() as stack:
        text = one_server(target.port, stats).replace("listen l1\n", "listen l1\n option httpchk\n")
        running = stack.enter_context(BalancerProcess(command, text, tmp_path, stats))
        running.wait_for_status("l1/s", "UP", "L7OK")
        resource.prlimit(running.process.pid, resource.RLIMIT_NOFILE, (100, 100))
        for _ in range(200):
            half_open = stack.enter_context(socket.create_connection(("127.0.0.1", stats), PATIENCE))
            half_open.sendall(b"GET /stats HTTP/1.1\r\n")
        asked = len(target.requests)
        until(lambda: len(target.requests) > asked + 5, "checks go on")
        answer = request(tmp_path / "c", "status")
        assert isinstance(answer, dict)
        check = answer["proxies"][1]["servers"][0]["check"]  # type: ignore[call-overload, index] # as the status has it
        assert (check["status"], check["failed"]) == ("L7OK", 0)  # type: ignore[call-overload, index]
        assert "DOWN" not in running.output.read_text()
        assert running.stop(signal.SIGTERM) == -signal.SIGTERM


def test_the_limit_on_descriptors_is_raised_as_far_as_it_may_be(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    stats = free_port()
    command = [*TCPBALANCER, "-db", "--control", str(tmp_path / "c")]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 512), hard))
    try:
        with BalancerProcess(command, one_server(1, stats), tmp_path, stats) as running:
            assert resource.prlimit(running.process.pid, resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_signals_that_haproxy_survives_are_survived_and_told(configuration: LabConfiguration, tmp_path: Path) -> None:
    with program(configuration, tmp_path) as running:
        for number, told in [
            (signal.SIGHUP, "SIGHUP: Proxy stats has no servers. Conn: act(FE+BE): 0+0, 0 pend (0 unass), tot"),
            (signal.SIGUSR2, "SIGUSR2 reloads only with -W or -Ws, as in HAProxy"),
            (signal.SIGQUIT, "SIGQUIT is accepted but not carried out by tcpbalancer"),
        ]:
            running.process.send_signal(number)
            until(lambda told=told: told in running.output.read_text(), told)  # type: ignore[misc]
        assert running.get("/stats").status == 200
        assert running.stop(signal.SIGTERM) == -signal.SIGTERM


def test_a_soft_stop_gives_the_port_of_the_page_back(configuration: LabConfiguration, tmp_path: Path) -> None:
    with program(configuration, tmp_path) as running, contextlib.ExitStack() as stack:
        held = stack.enter_context(socket.create_connection(("127.0.0.1", configuration.postgres_port), PATIENCE))
        assert read_exactly(held, 3) == b"pg1"
        running.process.send_signal(signal.SIGUSR1)

        def is_free() -> bool:
            with contextlib.suppress(OSError):
                socket.create_server(("127.0.0.1", configuration.stats_port)).close()
                return True
            return False

        until(is_free, "a successor can listen there")
        assert isinstance(request(tmp_path / "control.sock", "status"), dict)
        assert running.process.poll() is None
        held.close()
        assert running.process.wait(PATIENCE) == 0


def test_only_a_pid_file_that_cannot_be_written_is_told_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(_program: Program, _ready: object, _started: object) -> signal.Signals:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tcpbalancer.program.Program.run", fails)
    monkeypatch.setattr("tcpbalancer.launch.set_process_name", lambda _name: None)
    options = Options()
    with pytest.raises(OSError, match="No space left"):
        run_program(Configuration({}, {}, ()), options, Teller())


def test_what_asyncio_and_aiohttp_complain_of_is_told_in_one_line() -> None:
    told: list[tuple[str, str]] = []
    handler = Troubles(lambda level, line: told.append((level, line)))
    complaining = logging.getLogger("complaining")
    complaining.propagate = False
    complaining.addHandler(handler)
    try:
        raise ZeroDivisionError("x")
    except ZeroDivisionError:
        complaining.exception("Exception in callback %s", "f")
    complaining.error("only words")
    assert told[0][1].startswith("complaining: Exception in callback f: ZeroDivisionError('x') at ")
    assert told[1] == ("err", "complaining: only words")
    complaining.removeHandler(handler)


def test_a_full_disk_behind_stderr_keeps_nobody_from_starting_and_is_no_reason_to_call_a_file_wrong(
    tmp_path: Path,
) -> None:
    """A warning that cannot be written, at the start and with -c: HAProxy goes on as well."""
    stats = free_port()
    with ScriptedServer(echo()) as peer, Path("/dev/full").open("w") as full:
        text = f"global\n    ssl-default-bind-ciphers X\n{one_server(peer.port, stats)}"
        command = [*TCPBALANCER, "-db", "--control", str(tmp_path / "c")]
        with BalancerProcess(command, text, tmp_path, stats, full.fileno()) as running:
            running.wait_for_status("l1/s", "UP", "L4OK")
            checked = subprocess.run(
                [*TCPBALANCER, "-c", "-V", "-f", running.file], stdout=full, stderr=full, check=False
            )
            assert checked.returncode == 0
