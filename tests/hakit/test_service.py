"""Pid file, process name, stop signals, readiness and log targets, each against the real kernel."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hakit.logtarget import Layout, Log, LogTarget
from hakit.service import AlreadyRunning, PidFile, ServiceManager, StopSignals, sd_notify, set_process_name


def test_a_pid_file_holds_the_pid_and_goes_with_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "x.pid"
    with PidFile(path):
        assert path.read_text() == f"{os.getpid()}\n"
    assert not path.exists()


def test_a_second_instance_is_told_who_runs(tmp_path: Path) -> None:
    path = tmp_path / "x.pid"
    with (
        PidFile(path),
        pytest.raises(AlreadyRunning, match=rf"another instance is running \(pid {os.getpid()}\)") as seen,
    ):
        PidFile(path).acquire()
    assert seen.value.pid == os.getpid()


def test_a_stale_pid_file_does_not_stop_a_start(tmp_path: Path) -> None:
    path = tmp_path / "x.pid"
    path.write_text("123456789 and more than that\n")
    with PidFile(path):
        assert path.read_text() == f"{os.getpid()}\n"


def test_a_pid_file_can_stay_behind_as_haproxys_does(tmp_path: Path) -> None:
    path = tmp_path / "x.pid"
    held = PidFile(path)
    held.acquire()
    held.release(remove=False)
    assert path.exists()
    with PidFile(path):
        pass


def test_a_pid_file_that_cannot_be_removed_names_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder is root's, and root has been given up."""
    held = PidFile(tmp_path / "x.pid")
    held.acquire()

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "unlink", refuse)
    held.release()
    assert (tmp_path / "x.pid").read_text() == ""


def test_a_symbolic_link_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "x.pid").symlink_to(victim)
    with pytest.raises(OSError, match="symbolic links"):
        PidFile(tmp_path / "x.pid").acquire()
    assert victim.read_text() == "precious"


def test_an_unreadable_pid_is_called_unknown(tmp_path: Path) -> None:
    path = tmp_path / "x.pid"
    with PidFile(path):
        path.write_text("nonsense")
        with pytest.raises(AlreadyRunning, match="pid unknown"):
            PidFile(path).acquire()


@pytest.mark.parametrize("abstract", [False, True])
def test_readiness_reaches_the_service_manager(tmp_path: Path, abstract: bool) -> None:
    name = f"@hakit-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind("\0" + name[1:] if abstract else name)
        assert sd_notify("READY=1\nSTATUS=Ready.", {"NOTIFY_SOCKET": name})
        assert listening.recv(100) == b"READY=1\nSTATUS=Ready."


@pytest.mark.parametrize("environment", [{}, {"NOTIFY_SOCKET": "relative"}, {"NOTIFY_SOCKET": "/nobody/here"}])
def test_without_a_service_manager_readiness_is_told_to_nobody(environment: dict[str, str]) -> None:
    assert not sd_notify("READY=1", environment)


def test_a_process_is_found_by_the_name_it_gave_itself() -> None:
    program = (
        "from hakit.service import set_process_name\n"
        "assert set_process_name('a-name-of-more-than-fifteen')\n"
        "print(open('/proc/self/comm').read(), end='')"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert said.stdout == "a-name-of-more-\n"


def test_the_process_name_is_set_by_file() -> None:
    assert set_process_name(Path("/proc/self/comm").read_text().strip())


async def _first_of_two_signals() -> signal.Signals:
    stop = StopSignals(signal.SIGUSR1, signal.SIGUSR2)
    stop.install()
    try:
        os.kill(os.getpid(), signal.SIGUSR1)
        first = await stop.wait()
        os.kill(os.getpid(), signal.SIGUSR2)
        await asyncio.sleep(0)
        assert stop.received is first
        return await stop.wait()
    finally:
        stop.remove()


def test_the_first_stop_signal_is_remembered() -> None:
    assert asyncio.run(_first_of_two_signals()) is signal.SIGUSR1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_process_dies_by_the_signal_itself(number: signal.Signals) -> None:
    program = f"import signal; from hakit.service import die_by; die_by(signal.Signals({int(number)}))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == -number


def listening_unix(path: Path) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listening.bind(str(path))
    return listening


def test_a_line_of_rfc_3164_has_priority_time_tag_and_pid(tmp_path: Path) -> None:
    with listening_unix(tmp_path / "log") as listening:
        target = LogTarget("haproxy", str(tmp_path / "log"), "local0")
        at = time.mktime((2026, 11, 2, 19, 1, 6, 0, 0, -1))
        target.log("alert", "Server a/b is DOWN.\nreally", at)
        assert (
            listening.recv(999).decode() == f"<129>Nov  2 19:01:06 haproxy[{os.getpid()}]: Server a/b is DOWN. really"
        )
        target.close()


@pytest.mark.parametrize(
    ("layout", "head"),
    [
        (Layout("local"), "<129>Nov  2 19:01:06 lb[PID]: "),
        (Layout("rfc3164"), "<129>Nov  2 19:01:06 localhost lb[PID]: "),
        (Layout("rfc3164", host="h"), "<129>Nov  2 19:01:06 h lb[PID]: "),
        (Layout("rfc5424"), "<129>1 2026-11-02T19:01:06.250000+00:00 - lb PID - - "),
        (Layout("rfc5424", host="h"), "<129>1 2026-11-02T19:01:06.250000+00:00 h lb PID - - "),
        (Layout("priority"), "<129>"),
        (Layout("short"), "<1>"),
        (Layout("timed"), "<1>2026-11-02T19:01:06.250000+00:00 "),
        (Layout("iso"), "2026-11-02T19:01:06.250000+00:00 "),
        (Layout("raw"), ""),
        (Layout("short", least="notice"), "<5>"),
    ],
)
def test_every_format_is_what_haproxy_was_seen_to_send(
    layout: Layout, head: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    with listening_unix(tmp_path / "log") as listening:
        target = LogTarget("haproxy", str(tmp_path / "log"), "local0", layout)
        target.log("alert", "x", 1793646066.25, tag="lb")
        assert listening.recv(999).decode() == head.replace("PID", str(os.getpid())) + "x"
        target.close()


def test_no_text_makes_two_lines_of_one_or_speaks_to_a_terminal(tmp_path: Path) -> None:
    """What an agent, a server or a client has sent may be part of a line."""
    with listening_unix(tmp_path / "log") as listening:
        target = LogTarget("haproxy", str(tmp_path / "log"), "local0", Layout("raw"))
        target.log("alert", "a\x1b[2Jb\r\nc\x00d\x9be\té")
        assert listening.recv(999).decode() == "a#1B[2Jb#0D c#00d#9Be\té"
        target.close()


def test_a_datagram_can_have_a_line_feed_within_its_length(tmp_path: Path) -> None:
    with listening_unix(tmp_path / "log") as listening:
        target = LogTarget("haproxy", str(tmp_path / "log"), "local0", Layout("raw", length=80, feed=True))
        target.log("alert", "x" * 200)
        assert listening.recv(999) == b"x" * 79 + b"\n"
        target.close()


def test_an_abstract_socket_and_a_descriptor_are_log_targets() -> None:
    name = f"tcpbalancer-log-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind("\0" + name)
        target = LogTarget("x", f"abns@{name}", "daemon", Layout("raw"))
        target.log("info", "hello")
        assert listening.recv(99) == b"hello"
        target.close()
    theirs, ours = os.pipe()
    target = LogTarget("x", f"fd@{ours}", "daemon", Layout("raw"))
    target.log("info", "hello")
    assert os.read(theirs, 99) == b"hello\n"
    os.close(theirs)
    os.close(ours)
    with pytest.raises(OSError, match="Bad file descriptor"):
        LogTarget("x", f"fd@{ours}", "daemon")


def test_lines_go_over_udp() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        log = Log([LogTarget("x", f"127.0.0.1:{listening.getsockname()[1]}", "daemon", Layout("short"))])
        log("info", "hello")
        assert listening.recv(999) == b"<6>hello"
        log.close()
        assert log.dropped == 0


def test_a_level_below_the_targets_is_left_out(tmp_path: Path) -> None:
    with listening_unix(tmp_path / "log") as listening:
        target = LogTarget("x", str(tmp_path / "log"), "local0", Layout("raw", "notice"))
        target.log("info", "not this")
        target.log("notice", "this")
        assert listening.recv(999) == b"this"
        target.close()


def test_a_log_daemon_that_is_not_there_costs_lines_not_time(tmp_path: Path) -> None:
    log = Log([LogTarget("x", str(tmp_path / "nobody"), "local0")])
    log("info", "lost")
    assert log.dropped == 1
    log.close()


def test_the_console_is_written_to_and_a_full_pipe_drops_lines() -> None:
    program = (
        "import os, sys\n"
        "from hakit.logtarget import Layout, LogTarget\n"
        "target = LogTarget('x', 'stdout', 'local0', Layout('raw'))\n"
        "while not target.dropped: target.log('info', 'x' * 1000)\n"
        "target.close(); print('done', file=sys.stderr)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stderr is not None
        assert child.stderr.read() == b"done\n"  # nobody has read its stdout so far
        assert child.stdout is not None
        assert child.stdout.readline() == b"x" * 1000 + b"\n"


def test_a_console_that_is_closed_drops_lines() -> None:
    program = (
        "import os\n"
        "from hakit.logtarget import Layout, LogTarget\n"
        "target = LogTarget('x', 'stderr', 'local0', Layout('raw'))\n"
        "os.close(2); target.log('info', 'x'); print(target.dropped)"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert said.stdout == "1\n"


def test_a_living_program_that_writes_the_file_without_our_lock_holds_it_too(tmp_path: Path) -> None:
    path = tmp_path / "x.pid"
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        other.stdin.write(b"x")
        other.stdin.flush()
        assert other.stdout.read(1) == b"x"  # it runs: before that it may not bear its name yet
        path.write_text(f"{other.pid}\n")
        with pytest.raises(AlreadyRunning, match=str(other.pid)):
            PidFile(path, others=("cat",)).acquire()
        assert path.read_text() == f"{other.pid}\n"
        with PidFile(path, others=("something else",)):
            assert path.read_text() == f"{os.getpid()}\n"
        other.stdin.close()


def test_a_program_that_was_killed_and_that_nobody_reaps_holds_nothing(tmp_path: Path) -> None:
    """In a container, pid 1 may not: a restart after kill -9 must not fail for that."""
    path = tmp_path / "x.pid"
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as other:
        other.kill()
        os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and stays a zombie
        path.write_text(f"{other.pid}\n")
        with PidFile(path, others=("cat",)):
            assert path.read_text() == f"{os.getpid()}\n"


DETACHING = """
import sys
from hakit.service import detach
detached = detach()
print("a word to the terminal", file=sys.stderr, flush=True)
if sys.argv[1] == "ready":
    detached.ready()
    print("nobody reads this", file=sys.stderr, flush=True)
sys.exit(3)
"""


@pytest.mark.parametrize(("fate", "status"), [("ready", 0), ("refused", 3)])
def test_in_the_background_the_first_words_and_the_status_reach_who_started_it(fate: str, status: int) -> None:
    done = subprocess.run([sys.executable, "-c", DETACHING, fate], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (status, "a word to the terminal\n")


def test_a_service_manager_is_told_over_a_socket_that_is_connected_once(tmp_path: Path) -> None:
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(path))
        manager = ServiceManager({"NOTIFY_SOCKET": str(path)})
        path.unlink()  # or it may not be opened any more
        assert manager.tell("READY=1")
        assert listening.recv(100) == b"READY=1"
    assert not manager.tell("STOPPING=1")
    manager.close()
    assert not manager.tell("STOPPING=1")
    for environment in ({}, {"NOTIFY_SOCKET": "vsock:2:1"}, {"NOTIFY_SOCKET": str(path)}):
        silent = ServiceManager(environment)
        assert not silent.tell("READY=1")
        silent.close()
